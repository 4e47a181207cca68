"""The experiments in conf/experiment: their numbers, their commands, and that they run."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml

import pipeline
from pipeline.config.build import build
from pipeline.config.checks import check_values
from pipeline.config.schema import Config
from pipeline.config.search_path import conf_dir
from pipeline.store.identity import chosen, option_name
from pipeline.synthesis.dream.octaves import Size
from pipeline.synthesis.dream.plan import Octave, octave_sizes, plan_octaves
from pipeline.synthesis.schedules import value_at
from tests.conftest import RunPipeline, compose_config

FOLDER = conf_dir() / "experiment"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LISTS = (
    "objective", "init", "parameterization", "regularizer", "smoothing", "transform", "stimulus",
    "searcher", "generator", "scorer",
)  # fmt: skip
COMMAND = re.compile(r"^#   python -m pipeline (experiment=.*?)(?: +# .*)?$", re.MULTILINE)
# What only the user can know.
GIVEN = {name: ["images.root=."] for name in ("similarity", "zeros_vs_top_patch")}


class Small(NamedTuple):
    """How an experiment is run on the embedded network.

    Attributes:
        overrides: that make it small, split at spaces.
        octaves: height and width of those of every frame, for dreams.
        units: of its rows; -1 is a layer as a whole.
        frames: of every dream.
    """

    overrides: str
    octaves: list[Size] = []  # noqa: RUF012 - never altered
    units: tuple[int, ...] = (-1,)
    frames: int = 1


SQUARES = "dream.size=[40,40] dream.sides=[24,31,40] dream.steps=2"
THREE = [(24, 24), (31, 31), (40, 40)]
RUNS = {
    "three_octave_feature_dream": Small(f"layers=[conv3] {SQUARES}", THREE, (0,)),
    "layer_dream": Small(f"layers=[conv3] {SQUARES}", THREE),
    "directed_dream": Small(
        f"layers=[conv3] {SQUARES} objective.class_logit.category=7 smoothing.blur.every=2", THREE
    ),
    "transfiguration": Small(f"units=[7,9] {SQUARES} smoothing.blur.every=2", THREE, (7, 9)),
    "junco_control": Small(SQUARES, THREE, (13,)),
    "vgg_pools": Small("layers=[features.2] dream.size=[33,27] optimizer.steps=2", [(33, 27)]),
    "channel_visualization": Small("layers=[conv2] optimizer.steps=3 ascent.size=24", units=(0,)),
    # The bundled photograph has 300 x 451 pixels.
    "sum_of_squares_deepdream": Small(
        "layers=[conv2] optimizer.steps=2 dream.size=40 dream.levels=3",
        [(20, 31), (29, 43), (40, 60)],
    ),
    "google_deepdream": Small(
        "layers=[conv2] optimizer.steps=2 dream.size=32 dream.levels=2 transform.roll.pixels=3",
        [(23, 34), (32, 48)],
    ),
    "mean_dream": Small("layers=[conv3] optimizer.steps=2 dream.size=[25,30]", [(25, 30)]),
    "pyramid_dream": Small(
        "layers=[features.4] optimizer.steps=2 dream.size=30 dream.levels=2", [(17, 25), (30, 45)]
    ),
    "ouroboros": Small(
        "layers=[features.4] optimizer.steps=2 dream.size=[20,24] dream.levels=1 dream.frames=3",
        [(20, 24)],
        frames=3,
    ),
    "fourier_unit": Small(
        "layers=[conv3] optimizer.steps=3 ascent.size=24 transform.resize.size=36"
        " transform.pad.pixels=4",
        units=(0,),
    ),
    "maco": Small(
        "units=[3,5] optimizer.steps=3 ascent.size=40 transform.boxes.pixels=36"
        " transform.boxes.count=2 images.crop=40 parameterization.maco.images=3",
        units=(3, 5),
    ),
    "fourier_class": Small(
        "units=[3,5] optimizer.steps=3 ascent.size=24 transform.resize.size=36"
        " transform.pad.pixels=4",
        units=(3, 5),
    ),
    "vocabulary": Small(
        "layers=[conv1] units=[2,5] search.keep=2 optimizer.steps=2 ascent.size=24", units=(2, 5)
    ),
    "three_optimizers": Small("optimizer.steps=2 animate.formats=[gif]", units=(2,)),
    "transfer": Small(
        "layers=[conv1] units=[2,5] search.keep=2 optimizer.steps=2 init=[zeros]"
        " transfer.robust=0 transfer.kinds=[ascent]"
        " +transfer.layers.random=[conv1] +transfer.layers.shuffled=[conv1]",
        units=(2, 5),
    ),
    "unit_similarity": Small(
        "layers=[conv1] units=[2,5] init.copies=2 search.keep=4 optimizer.steps=2"
        " unit_similarity.draws=3",
        units=(2, 5),
    ),
    "similarity": Small(
        "images=photographs images.crop=96 images.limit=4 layers=[conv1] units=0:3 search.keep=2"
        " optimizer.steps=2 figures.triptychs=[conv1/2]",
        units=(0, 1, 2),
    ),
    "v4_shapes": Small(
        "layers=[conv2] units=[2,5] shape_tuning.width=12 shape_tuning.positions=[-2,0,2]"
        " shape_tuning.shuffles=2",
        units=(2, 5),
    ),
    "best_gabor": Small(
        "layers=[conv1] units=[2,5] search.keep=2 optimizer.steps=2 best_gabor.steps=2",
        units=(2, 5),
    ),
    "opponency": Small("layers=[conv1] units=[2,5] opponency.where=field", units=(2, 5)),
    "receptive_fields": Small(
        "layers=[conv1] units=[2,5] images.limit=4 receptive_fields.patches=1"
        " stimulus=[bars_on_stride,sparse_noise] stimulus.sparse_noise.stimuli=100"
        " receptive_fields.methods=[gradient,effective]",
        units=(2, 5),
    ),
    "xdream": Small(
        "layers=[conv2] units=[2,5] evolution.queries=60 search.keep=2 optimizer.steps=2",
        units=(2, 5),
    ),
    "evolution_vs_gradient": Small(
        "layers=[conv2] units=[2,5] evolution.queries=40 search.keep=2 optimizer.steps=2",
        units=(2, 5),
    ),
    "noise": Small("layers=[conv2] units=[2,5] evolution.queries=40 search.keep=2", units=(2, 5)),
    "v1_tuning": Small(
        "layers=[conv1] units=[2,5] tuning.properties=[orientation,spatial_frequency]",
        units=(2, 5),
    ),
    "zeros_vs_top_patch": Small(
        "images=photographs images.crop=96 layers=[conv1] units=0:3 search.keep=2"
        " optimizer.steps=2 figures.triptychs=[conv1/2]",
        units=(0, 1, 2),
    ),
}


@cache
def composed(name: str) -> Config:
    return compose_config(f"experiment={name}", *GIVEN.get(name, []))


def octaves(config: Config, size: Size) -> list[Octave]:
    """Plan the octaves of an experiment for a picture of some size."""
    dream, optimizer = config.dream, build(config.optimizer, "optimizer")
    found = octave_sizes(size, dream.sides, dream.ratio, dream.levels)
    return plan_octaves(found, optimizer, dream.steps, dream.lr, dream.sigma)


def commands() -> list[str]:
    found = [COMMAND.findall((FOLDER / f"{name}.yaml").read_text()) for name in NAMES]
    return [command for each in found for command in each]


def test_every_experiment_is_run_here():
    assert sorted(RUNS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_part_of_an_experiment_can_be_built(name: str):
    config = composed(name)
    assert config.name == name
    check_values(config)
    for group in LISTS:
        for option, settings in chosen(getattr(config, group)).items():
            build(settings, f"{group}.{option}")
    for group in ("constraint", "optimizer", "gradient", "images"):
        build(getattr(config, group), group)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_says_how_it_is_run(name: str):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    first = COMMAND.findall(text)[0].split()
    assert first[0] == f"experiment={name}"


@pytest.mark.parametrize("command", [c for c in commands() if " " in c])
def test_every_command_in_an_experiment_chooses_what_it_says(command: str):
    config = compose_config(*command.split())
    for override in command.split()[1:]:
        key, _, value = override.lstrip("+").partition("=")
        group, _, place = key.partition("@")  # of an option that stands elsewhere
        key = place or group
        found: Any = config
        for part in key.split("."):
            found = found[part] if isinstance(found, dict) else getattr(found, part)
        if key in LISTS:
            found = list(chosen(found))
        elif group in ("images", "model"):
            found = option_name(found)
        assert value == str(found) or yaml.safe_load(value) == found


# The numbers of the documents.

# Learning rate and sigma in the first, the 51st and the last of 100 steps of every octave, by hand:
# (100 - i) hundredths of the start and i hundredths of the end.
SCHEDULE = [
    ((0.5, 0.45, 0.401), (2.4, 1.6, 0.816)),
    ((0.4, 0.35, 0.301), (1.5, 0.95, 0.411)),
    ((0.3, 0.25, 0.201), (1.1, 0.7, 0.308)),
]
BLURRED = ("three_octave_feature_dream", "directed_dream", "transfiguration")


@pytest.mark.parametrize("name", [*BLURRED, "layer_dream", "junco_control"])
def test_three_octaves_follow_the_schedule_of_document_001(name: str):
    config = composed(name)
    found = octaves(config, (300, 451) if config.dream.size is None else tuple(config.dream.size))
    assert [octave.size for octave in found] == [(299, 299), (380, 380), (460, 460)]
    assert config.dream.carry == "whole"
    for octave, (rates, sigmas) in zip(found, SCHEDULE, strict=True):
        assert octave.optimizer.steps == 100
        at = [value_at(octave.optimizer.lr, step, 100) for step in (0, 50, 99)]
        np.testing.assert_allclose(at, rates, rtol=1e-12)
        assert (octave.sigma is not None) == (name in BLURRED)
        if octave.sigma is not None:
            at = [value_at(octave.sigma, step, 100) for step in (0, 50, 99)]
            np.testing.assert_allclose(at, sigmas, rtol=1e-12)
    assert config.optimizer["normalize"] is None
    if name in BLURRED:
        every = 1 if name == "three_octave_feature_dream" else 5
        assert (config.smoothing["blur"]["kernel"], config.smoothing["blur"]["every"]) == (3, every)
    else:
        assert not config.smoothing


def test_targets_of_document_001():
    assert composed("directed_dream").objective["class_logit"]["category"] == 971
    assert composed("directed_dream").objective["class_logit"]["weight"] is None
    assert composed("transfiguration").units == [971]
    assert composed("junco_control").units == [13]
    assert composed("layer_dream").objective["layer_sum"]["per_feature"] is True


@pytest.mark.parametrize(
    ("pool", "layer", "channels", "side", "lr", "steps"),
    [
        ("pool1", "features.4", 64, 112, 0.1, 10),
        ("pool2", "features.9", 128, 56, 0.1, 10),
        ("pool3", "features.16", 256, 28, 0.1, 10),
        ("pool4", "features.23", 512, 14, 0.2, 20),
        ("pool5", "features.30", 512, 7, 0.5, 20),
    ],
)
def test_pools_of_document_002(
    pool: str, layer: str, channels: int, side: int, lr: float, steps: int
):
    mine = [command for command in commands() if command.startswith("experiment=vgg_pools")]
    chosen_by = {"features.30": "experiment=vgg_pools"}.get(layer, f"layers=[{layer}]")
    config = compose_config(*next(command for command in mine if chosen_by in command).split())
    assert config.layers == [layer]
    assert (config.optimizer["lr"], config.optimizer["steps"]) == (lr, steps)
    assert config.optimizer["normalize"] == "max"
    assert octaves(config, tuple(config.dream.size))[0].size == (224, 224)
    import torchvision  # the layers are those pools

    with torch.device("meta"):
        features = torchvision.models.vgg16().features[: int(layer.split(".")[1]) + 1]
        assert isinstance(features[-1], torch.nn.MaxPool2d)
        assert features(torch.empty(1, 3, 224, 224)).shape == (1, channels, side, side)


def test_layers_are_those_of_the_documents():
    import torchvision

    with torch.device("meta"):
        features = torchvision.models.vgg16().features
    # conv5_3 is the last convolution; relu4_3 follows the tenth.
    assert [type(features[n]).__name__ for n in (28, 22)] == ["Conv2d", "ReLU"]
    convolutions = [n for n, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
    assert (convolutions[12], convolutions[9]) == (28, 21)
    assert composed("channel_visualization").layers == ["features.28"]
    assert composed("pyramid_dream").layers == ["features.22"]


def test_noise_of_document_002():
    init = composed("channel_visualization").init["uniform"]
    assert init["low"] * 255 == pytest.approx(128, abs=1e-12)
    assert init["high"] * 255 == pytest.approx(148, abs=1e-12)
    settings = composed("channel_visualization").optimizer
    assert (settings["lr"], settings["steps"], settings["normalize"]) == (0.01, 30, "max")


def test_pyramids_of_documents_003_and_004():
    visual = octaves(composed("sum_of_squares_deepdream"), (700, 1052))
    assert [octave.size[0] for octave in visual] == [34, 47, 66, 93, 130, 182, 255, 357, 500, 700]
    assert {octave.optimizer.steps for octave in visual} == {32}
    google = octaves(composed("google_deepdream"), (300, 451))
    assert [octave.size for octave in google] == [(109, 164), (153, 230), (214, 322), (300, 451)]
    assert {octave.optimizer.steps for octave in google} == {10}
    assert google[0].optimizer.lr == pytest.approx(1.5 / 255)
    assert google[0].optimizer.normalize == "mean"
    for name in ("sum_of_squares_deepdream", "google_deepdream"):
        assert composed(name).dream.carry == "details"
    gordic = composed("pyramid_dream")
    # 600 / 1.8 = 333.3, 185.2, 102.9
    found = octaves(gordic, (399, 600))
    assert [octave.size for octave in found] == [(68, 103), (123, 185), (222, 333), (399, 600)]
    assert found[0].optimizer.steps == 10
    assert (found[0].optimizer.lr, found[0].optimizer.normalize) == (0.09, "standardize")
    assert gordic.dream.carry == "whole"
    assert gordic.smoothing["cascade"]["kernel"] == 9
    assert gordic.constraint["_target_"].endswith(".range")
    for name in ("pyramid_dream", "google_deepdream", "ouroboros"):
        assert composed(name).transform["roll"]["pixels"] == 32


def test_size_of_the_simple_variant_of_document_004():
    """500 wide, and as high as int(300 * 500 / 451), of the photograph of 300 x 451 pixels."""
    (simple,) = (c for c in commands() if c.startswith("experiment=pyramid_dream") and "=std" in c)
    config = compose_config(*simple.split())
    assert config.dream.size == [int(300 * 500 / 451), 500] == [332, 500]
    assert [octave.size for octave in octaves(config, (332, 500))] == [(332, 500)]


def test_settings_of_maco():
    config = composed("maco")
    assert config.parameterization["maco"]["standardize"] is True
    named = config.optimizer["name"], config.optimizer["lr"], config.optimizer["steps"]
    assert named == ("NAdam", 1.0, 256)
    shown = config.transform["boxes"]
    assert list(config.transform) == ["boxes", "noise"]
    assert (shown["size"], shown["spread"], shown["wander"]) == ([0.5, 0.05], 0.05, 0.15)
    assert (shown["pixels"], shown["count"], config.ascent.size) == (224, 32, 512)
    variance = 0.05**2 + 0.05**2 / 12  # of normal and of uniform noise
    assert config.transform["noise"]["std"] == pytest.approx(variance**0.5)


def test_feedback_of_document_004():
    found = composed("ouroboros").dream
    assert (found.frames, found.zoom, found.fps, found.blend) == (30, 1.04, 30.0, 0.85)
    assert (found.rotate, found.translate) == (1.5, [0.0, 0.0])
    assert composed("ouroboros").optimizer == composed("pyramid_dream").optimizer


def test_optimizers_of_document_000():
    config = composed("three_optimizers")
    assert (config.model["name"], config.layers, config.units) == ("alexnet", ["conv2"], [2])
    assert list(chosen(config.init)) == ["zeros"]
    found: dict[str, Any] = config.animate.optimizers
    assert list(found) == ["sgd", "momentum", "adam"]
    assert {(settings["steps"], settings["lr"]) for settings in found.values()} == {(100, 0.1)}
    assert found["momentum"]["momentum"] == 0.9
    assert config.optimizer == found["sgd"]


def test_fourier_settings_of_document_003():
    for name in ("fourier_unit", "fourier_class"):
        config = composed(name)
        assert (config.optimizer["lr"], config.optimizer["steps"]) == (0.05, 512)
        assert list(config.parameterization) == ["fourier", "decorrelated", "sigmoid"]
        assert (config.ascent.size, config.init["parameters"]["std"]) == (128, 0.01)
        assert list(config.transform) == [
            "pixels", "pad", "jitter", "scale", "rotate", "jitter_again", "resize",
        ]  # fmt: skip
        assert config.transform["pad"]["fill"] == 0.5
        assert {config.transform[name]["keeps_size"] for name in ("jitter", "jitter_again")} == {
            True
        }
        assert not config.regularizer
    assert composed("fourier_class").units == [311, 385, 949]


# They run.


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_runs_on_the_embedded_network(
    name: str, run_pipeline: RunPipeline, tmp_path: Path
):
    small = RUNS[name]
    session = run_pipeline(
        f"experiment={name}",
        "model=miniature",
        "images.limit=4",
        "figures.formats=[png]",
        f"out={tmp_path}",
        *small.overrides.split(),
    )
    run = pipeline.open_run(session.paths.folder)
    if name == "v4_shapes":
        assert tuple(run.shape_tuning["unit"]) == small.units
        assert run.shape_tuning["apc_r"].between(0, 1).all()
        return
    if "evolution" in session.parts.config.stages:
        table = run.evolution
        assert tuple(table["unit"].unique()) == small.units
        assert np.isfinite(table["noise_free"]).all()
        assert table["contrast"].between(0.599, 0.601).all()
        return
    if name == "v1_tuning":
        assert tuple(run.tuning["unit"].unique()) == small.units
        variance = run.tuning.query("property == 'circular_variance'")["value"]
        assert variance.between(0, 1).all()
        return
    if name == "best_gabor":
        assert tuple(run.best_gabor["unit"]) == small.units
        assert (run.best_gabor["gabor_over_patch"] > 0).all()
        assert run.best_gabor["rms"].nunique() == len(small.units)  # those of their patches
        return
    if name == "opponency":
        assert tuple(run.opponency["unit"].unique()) == small.units
        assert run.opponency["class"].isin(["opponent", "non-opponent", "unresponsive"]).all()
        return
    if name == "receptive_fields":
        table = run.receptive_fields
        assert tuple(table["unit"].unique()) == small.units
        assert table["diameter"].between(1, 9).all()
        assert run.map_agreement["correlation"].between(-1.001, 1.001).all()
        return
    if not small.octaves:
        assert np.isfinite(run.ascents["final_response"]).all()
        assert tuple(run.ascents["unit"].unique()) == small.units
        drawn = list(session.paths.figures.glob("ascents_*.png"))
        assert bool(drawn) == ("figures" in session.parts.config.stages)
        return
    table = run.dreams
    assert np.isfinite(table["final_score"]).all()
    assert (table["status"] == "ok").all()
    assert len(table) == len(small.units) * small.frames * len(small.octaves)
    assert tuple(table["unit"].unique()) == small.units
    for _, rows in table.groupby(["unit", "frame"]):
        assert list(zip(rows["height"], rows["width"], strict=True)) == small.octaves
        assert list(rows["octave"]) == list(range(len(small.octaves)))
    assert len(list(session.paths.figures.glob("dream_*.mp4"))) == (small.frames > 1)
