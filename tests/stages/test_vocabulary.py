"""The vocabulary as a whole: every pair of options climbs or is refused, whatever the batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import pipeline
from pipeline.config.schema import Config
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.top_patches.results import StoredSources, read_patches
from pipeline.store.identity import chosen
from pipeline.store.runs import Run
from pipeline.synthesis.combinations import combination_faults, combination_notes
from pipeline.synthesis.loop import Ascent, ascend
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.starts import Starts
from tests.conftest import Compose, RunPipeline, here

CONF = conf_dir()
LISTS = ("objective", "init", "parameterization", "regularizer", "smoothing", "transform")
SHARED = ("layers=[conv2]", "units=[3,11]", "images.limit=6", "search.keep=4", "ascent.size=32")
# Settings under which every option can be tried on small images.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "class_logit": {"category": 3},
    "class_probability": {"category": 3},
    "direction": {"vector": {3: 1.0, 5: -0.5}},
    "cosine_direction": {"vector": {3: 1.0, 5: -0.5}},
    "maco": {"images": 3},
    "cppn": {"layers": 3, "width": 6},
    "mean_patch": {"count": 2},
    "named": {"name": "NAdam"},
    "crop": {"size": 28},
    "resize": {"size": 36},
    "roll": {"pixels": 5},
    "boxes": {"pixels": 36, "count": 2},
}
STACKS = ("standard",)  # files of several options
PUBLISHED = ("fourier", "decorrelated", "sigmoid")


def names(group: str) -> list[str]:
    return sorted({path.stem for path in (CONF / group).glob("*.yaml")} - set(STACKS))


def option(group: str, name: str, **settings: Any) -> dict[str, Any]:
    node: Any = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"))
    return node | dict(SMALL.get(name, {})) | settings


def listed(group: str, *chosen: str) -> dict[str, Any]:
    return {name: option(group, name) for name in chosen}


def given_options(config: Config) -> dict[str, str]:
    """Return what is given for each option of a configuration, by its place there."""
    listed_ones = {
        f"{group}.{name}": option
        for group in LISTS
        for name, option in chosen(getattr(config, group)).items()
    }
    single = {group: getattr(config, group) for group in ("constraint", "gradient", "optimizer")}
    return {key: json.dumps(each, default=str) for key, each in (listed_ones | single).items()}


class Bench:
    """Ascents without files, on one network, one image set and one search."""

    def __init__(self, config: Config, searched: ActiveRun, earlier: Path) -> None:
        self.config, self.searched, self.earlier = config, searched, str(earlier)
        self.optimizer = option("optimizer", "adam", steps=2, lr=0.01)
        self.scorers: dict[str, Scorer] = {}
        self.built: dict[tuple[str, str], Any] = {}

    def parts(self, **changes: Any) -> Parts:
        parts, known = (
            Parts(replace(self.config, **({"optimizer": self.optimizer} | changes)), here()),
            self.searched.parts,
        )
        parts.network, parts.images, parts.layers = known.network, known.images, known.layers
        parts.sized_network = known.sized_network
        parts.built = {
            key: self.built[key, given]
            for key, given in given_options(parts.config).items()
            if (key, given) in self.built
        }
        return parts

    def keep(self, parts: Parts) -> None:
        """Keep the options that were built for others that have the same."""
        given = given_options(parts.config)
        self.built |= {(key, given[key]): made for key, made in parts.built.items() if key in given}

    def scorer(self, parts: Parts, layer: Layer) -> Scorer:
        """Return what scores, built once for all that differ in something else."""
        scored = parts.config.objective, parts.config.gradient, parts.copies
        key = json.dumps(scored, default=str)
        if key not in self.scorers:
            self.scorers[key] = parts.scorer(layer)
        return self.scorers[key]

    def climb(self, **changes: Any) -> Ascent | str:
        """Return what an ascent leaves, or why there is none."""
        parts = self.parts(**changes)
        for fault in combination_faults(parts.recipe):
            return fault
        self.keep(parts)
        session = ActiveRun(parts, self.searched.layout, self.searched.paths, self.searched.tracker)
        session.images = self.searched.images
        (layer,), (init,) = parts.layers, parts.inits
        scorer = self.scorer(parts, layer)
        units = parts.climbed_units(layer)
        starts = Starts(parts.recipe, StoredSources(session))
        start = starts(layer, init, units, scorer, torch.device("cpu"), torch.float32)
        numbers = torch.tensor(start.units)
        score = scorer.begin(start.images, numbers)
        return ascend(score, numbers, start.parameters, parts.optimizer, start.treatment)


@pytest.fixture(scope="module")
def bench(
    composed: Compose, run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory
) -> Bench:
    out = tmp_path_factory.mktemp("vocabulary")
    searched = run_pipeline(*SHARED, "stages=[top_patches]", f"out={out}")
    climbed = run_pipeline(
        *SHARED, "stages=[ascent]", "init=[noise]", "optimizer.steps=1", f"out={out}"
    )
    found = opened(climbed).record["results"]["ascent"]["conv2/noise"]
    return Bench(composed(*SHARED, f"out={out}"), searched, out / found["folder"])


def is_fine(found: Ascent | str) -> bool:
    """Say whether an ascent ended with finite scores of images that moved."""
    assert isinstance(found, Ascent), found
    finite = bool(found.responses[:, [0, -1]].isfinite().all() and found.images.isfinite().all())
    return finite and set(found.status) == {"ok"}


WHOLE_PATCHES = "is of a layer as a whole, which has no patch"


@pytest.mark.parametrize("parameterization", [*names("parameterization"), "published"])
def test_every_objective_goes_with_every_parameterization(bench: Bench, parameterization: str):
    pieces = PUBLISHED if parameterization == "published" else (parameterization,)
    for objective in names("objective"):
        # What compares has no gradient where all is equal; it is for use beside another.
        compares = ("accentuation", "alignment", "diversity")
        beside = ["channel_mean"] if objective in compares else []
        chosen = {
            "objective": listed("objective", objective, *beside),
            "parameterization": listed("parameterization", *pieces),
        }
        if parameterization == "cppn":
            assert bench.climb(**chosen, init=listed("init", "noise") | {"copies": 2}) == (
                "init: 'noise' is an image, and 'cppn' has no inverse that would turn it into"
                " parameters; use init=[parameters]"
            )
        init = listed("init", "parameters" if parameterization == "cppn" else "noise")
        assert is_fine(bench.climb(**chosen, init=init | {"copies": 2})), objective


@pytest.mark.parametrize("optimizer", names("optimizer"))
def test_every_optimizer_goes_with_every_regularizer(bench: Bench, optimizer: str):
    for regularizer in names("regularizer"):
        found = bench.climb(
            objective=listed("objective", "channel_mean"),
            init=listed("init", "noise"),
            optimizer=option("optimizer", optimizer, steps=2, lr=0.01),
            regularizer=listed("regularizer", regularizer),
        )
        assert is_fine(found), regularizer


@pytest.mark.parametrize("init", names("init"))
def test_every_init_goes_with_every_transform(bench: Bench, init: str):
    settings = {"path": bench.earlier} if init == "result" else {}  # type: ignore[attr-defined]
    for transform in names("transform"):
        chosen = {
            "init": {init: option("init", init, **settings)},
            "transform": listed("transform", transform),
        }
        assert is_fine(bench.climb(objective=listed("objective", "channel_mean"), **chosen))


@pytest.mark.parametrize("init", names("init"))
def test_layer_as_a_whole_starts_from_what_is_no_unit_s_own(bench: Bench, init: str):
    settings = {"path": bench.earlier} if init == "result" else {}
    chosen = {
        "objective": listed("objective", "layer_mean"),
        "init": {init: option("init", init, **settings)},
    }
    if init == "result":
        with pytest.raises(ConfigError, match="has no image of the layer as a whole; it has units"):
            bench.climb(**chosen)
    elif init in ("top_patch", "mean_patch"):
        assert bench.climb(**chosen) == (
            f"init: objective=layer_mean {WHOLE_PATCHES} that '{init}' could start from; use"
            " others, such as init=[image]"
        )
    else:
        assert is_fine(bench.climb(**chosen))


@pytest.mark.parametrize("constraint", names("constraint"))
def test_every_constraint_goes_with_every_smoothing_and_gradient(bench: Bench, constraint: str):
    for smoothing in names("smoothing"):
        for rule in names("gradient"):
            found = bench.climb(
                init=listed("init", "noise"),
                constraint=option("constraint", constraint),
                smoothing=listed("smoothing", smoothing),
                gradient=option("gradient", rule),
            )
            assert is_fine(found), (smoothing, rule)


def test_natural_value_is_refused_where_there_is_no_unit(bench: Bench):
    found = bench.climb(
        objective=listed("objective", "layer_mean"),
        init=listed("init", "noise"),
        constraint=option("constraint", "norm"),
    )
    assert found == (
        f"constraint: objective=layer_mean {WHOLE_PATCHES} to take a 'natural' value from; give a"
        " number"
    )


def test_smoothing_that_does_not_fit_the_parameters_is_refused(bench: Bench):
    drawn = listed("init", "parameters")
    gradient = bench.climb(
        init=drawn,
        parameterization=listed("parameterization", "fourier"),
        smoothing=listed("smoothing", "cascade"),
    )
    assert gradient == (
        "smoothing: 'cascade' smooths a gradient that is an image, but the gradient of"
        " 'fourier' is not one; use parameterization=[pixel]"
    )
    image = bench.climb(
        init=drawn,
        parameterization=listed("parameterization", "cppn"),
        smoothing=listed("smoothing", "blur"),
    )
    assert image == (
        "smoothing: 'blur' changes the image between steps, and 'cppn' has no inverse that would"
        " turn it into parameters; use smoothing=[]"
    )


def test_two_pieces_of_one_kind_are_refused_before_any_work(bench: Bench):
    pieces = listed("parameterization", "fourier", "maco")
    with pytest.raises(ConfigError) as caught:
        bench.climb(parameterization=pieces, init=listed("init", "noise"))
    assert str(caught.value) == (
        "parameterization: 'fourier' and 'maco' are both a space; choose one"
    )


def test_no_piece_is_pixels(bench: Bench):
    found = [
        bench.climb(init=listed("init", "noise"), parameterization=pieces)
        for pieces in ({}, listed("parameterization", "pixel"))
    ]
    assert isinstance(found[0], Ascent)
    assert isinstance(found[1], Ascent)
    assert torch.equal(found[0].images, found[1].images)


def test_copies_that_will_be_equal_are_noted(bench: Bench):
    inits = listed("init", "zeros", "noise") | {"copies": 3}
    assert list(combination_notes(bench.parts(init=inits).recipe)) == [
        "init.copies: all 3 copies from 'zeros' will be the same, as nothing in them is random;"
        " use init=[noise] or a transform"
    ]
    moved = bench.parts(init=inits, transform=listed("transform", "roll"))
    assert list(combination_notes(moved.recipe)) == []


def test_bounds_of_other_channels_are_found_before_any_work(bench: Bench):
    clipped = {"_target_": "pipeline.synthesis.constraints.clip", "lowest": [-1.0, -1.0]}
    (fault,) = combination_faults(bench.parts(constraint=clipped).recipe)
    assert fault.startswith("constraint.lowest: [-1.0, -1.0] and constraint.highest: 2.0 are not 3")


@pytest.mark.parametrize("objective", ["unit_response", "channel_mean"])
def test_eight_units_climb_together_as_each_of_them_alone(bench: Bench, objective: str):
    standard: Any = OmegaConf.to_container(OmegaConf.load(CONF / "transform" / "standard.yaml"))
    chosen = {
        "objective": listed("objective", objective),
        "parameterization": listed("parameterization", *PUBLISHED),
        "transform": standard,
        "init": listed("init", "parameters"),
        "optimizer": option("optimizer", "adam", steps=3, lr=0.05),
    }
    together = bench.climb(**chosen, units=list(range(8)))
    assert isinstance(together, Ascent)
    for unit in range(8):
        alone = bench.climb(**chosen, units=[unit])
        assert isinstance(alone, Ascent)
        torch.testing.assert_close(alone.starts[0], together.starts[unit], rtol=1e-6, atol=1e-6)
        difference = (alone.images[0] - together.images[unit]).norm()
        moved = (together.images[unit] - together.starts[unit]).norm()
        assert difference <= 1e-4 * moved
        torch.testing.assert_close(
            alone.responses[0], together.responses[unit], rtol=1e-4, atol=1e-4
        )


# Whole runs.


def pearson_r(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


FEW = ("layers=[conv1]", "units=[2,5]", "images.limit=6", "search.keep=4", "optimizer.steps=2")


def opened(session: ActiveRun) -> Run:
    return pipeline.open_run(session.paths.folder)


@pytest.mark.parametrize(("copies", "following"), [(2, [1]), (3, [1, 2, 0])])
def test_copies_are_in_the_tables_and_each_pair_of_them_is_compared_once(
    copies: int, following: list[int], run_pipeline: RunPipeline, tmp_path: Path
):
    run = opened(
        run_pipeline(
            *FEW,
            "layers=[conv2]",
            "stages=[ascent,correlations]",
            "init=[noise,zeros]",
            f"init.copies={copies}",
            f"out={tmp_path}",
        )
    )
    rows = run.ascents.query("init == 'noise'")
    assert list(zip(rows["unit"], rows["copy"], strict=True)) == [
        (unit, copy) for unit in (2, 5) for copy in range(copies)
    ]
    assert rows["start_response"].nunique() == 2 * copies
    pairs = run.correlations[["init_a", "init_b"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [["noise", "noise"], ["noise", "zeros"], ["zeros", "zeros"]]
    added = run.images("conv2", "noise").added
    own = run.correlations.query("init_a == init_b == 'noise'")
    pairs = list(enumerate(following))
    r = [[pearson_r(added[at + a], added[at + b]) for a, b in pairs] for at in (0, copies)]
    null = [
        [pearson_r(added[at + a], added[copies - at + b]) for a, b in pairs] for at in (0, copies)
    ]
    np.testing.assert_allclose(own["r"], np.ravel(r), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(own["null_r"], np.ravel(null), rtol=1e-5, atol=1e-6)
    assert list(own["copy"]) == [*range(len(following))] * 2
    equal = run.correlations.query("init_a == init_b == 'zeros'")
    np.testing.assert_allclose(equal["r"], 1, atol=1e-6)
    # Two units, however many images: their means are what is summed up.
    (row,) = run.correlation_summary.query("init_a == init_b == 'noise'").to_dict("records")
    first, second = np.mean(r, axis=1)
    assert (row["units"], row["undefined"]) == (2, 0)
    assert row["mean"] == row["median"] == pytest.approx((first + second) / 2)
    assert [row["ci_low"], row["ci_high"]] == pytest.approx(sorted([first, second]))
    assert row["null_median"] == pytest.approx(np.mean(null))
    summary = run.correlation_summary.query("init_a == 'noise' and init_b == 'zeros'")
    assert list(summary["units"]) == [2]


def test_scores_of_transformed_images_are_told_from_those_of_the_image_itself(
    run_pipeline: RunPipeline, tmp_path: Path
):
    job = (*FEW, "init=[noise]", "objective=[channel_mean]", "ascent.size=24", "units=[2]")
    job = (*job, "optimizer.steps=3", "stages=[ascent,animate]", f"out={tmp_path}")
    job = (*job, "animate.formats=[]")
    session = run_pipeline(*job, "transform=[noise]", "transform.noise.std=2.0")
    run, module = opened(session), session.parts.network.module
    images = run.images("conv1", "noise")
    with torch.no_grad():
        pair = torch.from_numpy(np.concatenate([images.start, images.image]))
        itself = module.get_submodule("features.0")(pair)[:, 2].mean((1, 2))
    for table in (run.trajectories, run.animations):
        assert list(table["transformed"]) == [False, True, True, False]
        own = table.query("not transformed")["response"]
        np.testing.assert_allclose(own, itself.numpy(), rtol=1e-4)
    plain = opened(run_pipeline(*job))
    assert not plain.trajectories["transformed"].any()
    assert not plain.animations["transformed"].any()


def test_first_and_last_response_are_in_float32_whatever_is_climbed_in(
    run_pipeline: RunPipeline, tmp_path: Path
):
    job = (*FEW, "stages=[ascent,animate]", "animate.formats=[]", "init=[noise,zeros]")
    session = run_pipeline(*job, "precision=bfloat16", f"out={tmp_path}")
    run, first = opened(session), session.parts.network.module.get_submodule("features.0")
    assert isinstance(first, torch.nn.Conv2d)
    assert first.bias is not None
    for init in ("noise", "zeros"):
        images = run.images("conv1", init)
        weight, bias = (p.detach()[images.units].numpy() for p in (first.weight, first.bias))
        rows = run.ascents.query("init == @init")
        for column, shown in (("start_response", images.start), ("final_response", images.image)):
            expected = np.einsum("ucyx,ucyx->u", weight, shown) + bias
            np.testing.assert_allclose(rows[column], expected, rtol=1e-5, atol=1e-6)
        for table in (run.trajectories, run.animations):
            own = table.query("init == @init and step == 2")
            np.testing.assert_array_equal(own["response"], rows["final_response"])


def test_first_copy_is_the_only_one_of_a_run_without_copies(
    run_pipeline: RunPipeline, tmp_path: Path
):
    job = (*FEW, "stages=[ascent]", "init=[noise]", f"out={tmp_path}")
    one, three = (opened(run_pipeline(*job, f"init.copies={count}")) for count in (1, 3))
    first = one.images("conv1", "noise").start
    np.testing.assert_array_equal(first, three.images("conv1", "noise").start[::3])


def test_earlier_result_starts_another_ascent(run_pipeline: RunPipeline, tmp_path: Path):
    job = (*FEW, "stages=[ascent]", f"out={tmp_path}")
    first = opened(run_pipeline(*job, "init=[noise]"))
    folder = tmp_path / first.record["results"]["ascent"]["conv1/noise"]["folder"]
    second = opened(run_pipeline(*job, "init=[result]", f"init.result.path={folder}"))
    start = second.images("conv1", "result").start
    np.testing.assert_array_equal(start, first.images("conv1", "noise").image)
    np.testing.assert_allclose(
        second.ascents["start_response"], first.ascents["final_response"], rtol=1e-5
    )
    with pytest.raises(ConfigError, match=r"has no image of unit 7; it has units 2, 5$"):
        run_pipeline(*job, "init=[result]", f"init.result.path={folder}", "units=[7]")
    with pytest.raises(ConfigError, match=r"^init\.result\.path: '.*' is not a result; give its"):
        run_pipeline(*job, "init=[result]", f"init.result.path={tmp_path}")


def test_mean_patch_is_the_mean_of_the_strongest_patches(run_pipeline: RunPipeline, tmp_path: Path):
    job = (*FEW, "stages=[top_patches,ascent]", "init=[mean_patch]", "init.mean_patch.count=3")
    session = run_pipeline(*job, f"out={tmp_path}")
    (layer,) = session.parts.layers
    patches = [read_patches(session, layer, [2, 5], rank, 1).numpy() for rank in range(3)]
    start = opened(session).images("conv1", "mean_patch").start
    np.testing.assert_allclose(start, np.mean(patches, 0), rtol=1e-6, atol=1e-6)


def test_natural_norm_gives_all_inits_the_same_budget(run_pipeline: RunPipeline, tmp_path: Path):
    run = opened(
        run_pipeline(
            *FEW,
            "stages=[top_patches,ascent]",
            "init=[noise,uniform,top_patch]",
            "constraint=norm",
            f"out={tmp_path}",
        )
    )
    natural = run.images("conv1", "top_patch").start
    lengths = np.linalg.norm(natural.reshape(2, -1), axis=1)
    table = run.ascents
    assert set(table["constraint"]) == {"norm"}
    for unit, length in zip((2, 5), lengths, strict=True):
        rows = table[table["unit"] == unit]
        np.testing.assert_allclose(rows["final_norm"], length, rtol=1e-5)
        np.testing.assert_allclose(rows["budget"], length, rtol=1e-5)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("constraint=norm constraint.value=-1.0", "constraint.value"),
        ("regularizer=[l1] regularizer.l1.weight=much", "regularizer.l1.weight"),
        ("transform=[jitter] transform.jitter.pixels=-1", "transform.jitter.pixels"),
        ("smoothing=[blur] smoothing.blur.sigma=-1.0", "smoothing.blur.sigma"),
        ("parameterization=[fourier,maco]", "parameterization"),
        ("objective=[]", "objective"),
        ("objective=[diversity]", "objective"),
        ("init.copies=0", "init.copies"),
        ("ascent.size=[3]", "ascent.size"),
    ],
)
def test_bad_option_is_refused_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path, override: str, message: str
):
    with pytest.raises(ConfigError) as caught:
        run_pipeline(*override.split(), f"out={tmp_path}/out")
    assert str(caught.value).startswith(f"{message}: ")
    assert not (tmp_path / "out").exists()
