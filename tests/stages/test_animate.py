"""Animations on the embedded network: every step is that of the ascent, and all can be read."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

import pipeline
from pipeline.errors import ArtiphysError, StoreError
from pipeline.networks.receptive_fields import receptive_fields
from pipeline.run.active_run import ActiveRun
from pipeline.stages.animate.results import recorded_steps
from pipeline.store.runs import Run
from tests.conftest import RunPipeline, table_columns

STEPS = 5
SMALL = (
    "layers=[conv2]",
    "units=0:5",
    "images.limit=4",
    "search.keep=2",
    f"optimizer.steps={STEPS}",
    "animate.fps=10",
)
COMPARED = (
    "experiment=three_optimizers",
    "model=miniature",
    f"optimizer.steps={STEPS}",
    "animate.formats=[gif]",
)


@pytest.fixture(scope="module")
def shown(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    """Four units of a layer, by the run's own optimizer, after their ascents."""
    stages = "stages=[top_patches,ascent,animate]"
    return run_pipeline(*SMALL, stages, f"out={tmp_path_factory.mktemp('shown')}")


@pytest.fixture(scope="module")
def compared(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    """The comparison of three optimizers, on the embedded network."""
    return run_pipeline(*COMPARED, f"out={tmp_path_factory.mktemp('compared')}")


def opened(session: ActiveRun) -> Run:
    return pipeline.open_run(session.paths.folder)


# What is recorded.


@pytest.mark.parametrize("init", ["zeros", "top_patch"])
def test_an_animation_begins_and_ends_with_the_bits_of_the_ascent(shown: ActiveRun, init: str):
    run = opened(shown)
    images = run.images("conv2", init)
    for unit in range(4):
        found, (at,) = run.animation("conv2", init, unit), images.of(unit)
        assert found.steps.tolist() == list(range(STEPS + 1))
        np.testing.assert_array_equal(found.frames[0, 0], images.start[at])
        np.testing.assert_array_equal(found.frames[-1, 0], images.image[at])
        np.testing.assert_array_equal(found.added[-1, 0], images.added[at])
        assert found.status == [images.status[at]]


def test_its_curve_is_that_of_the_table(shown: ActiveRun):
    run = opened(shown)
    assert tuple(run.animations.columns) == table_columns()["animations"]
    assert set(run.animations["optimizer"]) == {"sgd"}
    known = ["layer", "unit", "copy", "init", "step"]
    both = run.animations.merge(run.trajectories, on=known, suffixes=("", "_of_ascent"))
    assert len(both) == len(run.animations) == 2 * 4 * (STEPS + 1)
    np.testing.assert_array_equal(both["response"], both["response_of_ascent"])
    found = run.animation("conv2", "zeros", 3).responses[0]
    rows = run.trajectories.query("init == 'zeros' and unit == 3")
    np.testing.assert_array_equal(found, rows["response"])


def test_only_the_units_that_are_shown_are_recorded(shown: ActiveRun):
    # The fifth was climbed in the same batch.
    expected = [f"conv2/{init}/{unit}/sgd" for init in ("zeros", "top_patch") for unit in range(4)]
    assert [name for stage, name in shown.enlisted if stage == "animate"] == expected
    assert len(list((shown.layout.store / "animate").glob("*/*/*/*.safetensors"))) == len(expected)


def test_steps_in_between_are_left_out_but_never_the_last():
    assert recorded_steps(7, 3) == [0, 3, 6, 7]
    assert recorded_steps(6, 3) == [0, 3, 6]
    assert recorded_steps(2, 9) == [0, 2]
    assert recorded_steps(100, None) == list(range(101))
    assert len(recorded_steps(512, None)) <= 101


# What is drawn.


# imageio leaves it to the garbage collector to close what it talks to ffmpeg through.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_videos_of_every_unit_and_of_all_together_can_be_read(shown: ActiveRun):
    folder = shown.paths.figures
    names = [
        f"animation_conv2_{init}{unit}"
        for init in ("zeros", "top_patch")
        for unit in ("", "_unit0", "_unit1", "_unit2", "_unit3")
    ]
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in names for kind in ("gif", "mp4")
    }
    for name in names[-2:]:
        with Image.open(folder / f"{name}.gif") as animation:
            frames = [frame.copy() for frame in ImageSequence.Iterator(animation)]
        times = [frame.info["duration"] for frame in frames]
        assert times == [100] * STEPS + [100 + 1500]  # the last rests before all begins again
        video = iio.imread(folder / f"{name}.mp4", plugin="FFMPEG")
        assert len(video) == STEPS + 1
        shape = np.asarray(frames[0].convert("RGB")).shape
        assert (video.shape[1] - shape[0], video.shape[2] - shape[1]) in np.ndindex(2, 2)


def test_zeros_are_shown_as_mid_gray(shown: ActiveRun):
    with Image.open(shown.paths.figures / "animation_conv2_zeros_unit2.gif") as animation:
        first = np.asarray(animation.convert("RGB")).astype(int)
    gray = (np.abs(first - 128) <= 1).all(2)
    assert gray.sum() >= 180 * 180  # the smallest size that an image is shown at


# Again.


def test_what_is_lost_is_climbed_again_to_the_same_bits_and_nothing_else(
    shown: ActiveRun, run_pipeline: RunPipeline
):
    before = opened(shown).animation("conv2", "top_patch", 1)
    place = shown.enlisted["animate", "conv2/top_patch/1/sgd"].folder
    (lost,) = place.glob("*.safetensors")
    lost.unlink()
    again = run_pipeline(
        *SMALL, "stages=[animate]", f"out={shown.layout.out}", "animate.formats=[]"
    )
    assert again.done == 1
    after = opened(again).animation("conv2", "top_patch", 1)
    np.testing.assert_array_equal(after.frames, before.frames)
    np.testing.assert_array_equal(after.responses, before.responses)


def test_how_they_are_shown_does_not_change_what_is_recorded(
    shown: ActiveRun, run_pipeline: RunPipeline
):
    again = run_pipeline(
        *SMALL, "stages=[animate]", f"out={shown.layout.out}", "animate.formats=[gif]",
        "animate.show=added", "animate.scale=frame", "animate.units=[conv2/3]", "animate.fps=1",
        "animate.every=1",
    )  # fmt: skip
    assert again.done == 0
    names = {path.name for path in again.paths.figures.iterdir()}
    assert names == {"animation_conv2_zeros_unit3.gif", "animation_conv2_top_patch_unit3.gif"}


# Optimizers.


def test_sgd_of_the_comparison_is_the_plain_ascent(
    compared: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    plain = run_pipeline(
        "stages=[ascent]", "layers=[conv2]", "units=[2]", "init=[zeros]",
        f"optimizer.steps={STEPS}", f"out={tmp_path}",
    )  # fmt: skip
    images, own = opened(plain).images("conv2", "zeros"), opened(compared)
    found = own.animation("conv2", "zeros", 2, "sgd")
    np.testing.assert_array_equal(found.frames[-1], images.image)
    np.testing.assert_array_equal(own.images("conv2", "zeros").image, images.image)
    np.testing.assert_array_equal(found.responses[0], opened(plain).trajectories["response"])


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_each_optimizer_takes_the_steps_of_torch_optim(compared: ActiveRun, name: str):
    found = opened(compared).animation("conv2", "zeros", 2, name)
    make = {
        "sgd": lambda x: torch.optim.SGD([x], lr=0.1),
        "momentum": lambda x: torch.optim.SGD([x], lr=0.1, momentum=0.9),
        "adam": lambda x: torch.optim.Adam([x], lr=0.1),
    }
    image = torch.zeros(found.frames.shape[2:], requires_grad=True)
    optimizer = make[name](image)
    for step in range(STEPS + 1):
        np.testing.assert_allclose(found.frames[step, 0], image.detach(), atol=1e-5)
        z = whole_response(compared, image)
        np.testing.assert_allclose(found.responses[0, step], z.item(), rtol=1e-5, atol=1e-5)
        optimizer.zero_grad()
        (-z).backward()
        optimizer.step()


def whole_response(session: ActiveRun, field: Tensor) -> Tensor:
    """Return the response of conv2's unit 2 to what its field shows, by the whole network."""
    parts = session.parts
    (layer,) = parts.layers
    middle = np.array([10]), np.array([10])
    box = [int(side[0]) for side in receptive_fields(parts.graph, layer.node, *middle)]
    canvas = torch.zeros(1, 3, *parts.images.size)
    canvas[0, :, box[0] : box[2], box[1] : box[3]] = field
    kept: list[Tensor] = []
    module = parts.network.module.get_submodule(layer.module)
    hook = module.register_forward_hook(lambda *seen: kept.append(seen[2]))
    parts.network.module(canvas)
    hook.remove()
    return kept[0][0, 2, 10, 10]


def test_optimizers_have_one_video_with_a_panel_each_and_rows_of_their_own(compared: ActiveRun):
    assert [path.name for path in compared.paths.figures.iterdir()] == [
        "animation_conv2_zeros_unit2.gif"
    ]
    with Image.open(compared.paths.figures / "animation_conv2_zeros_unit2.gif") as animation:
        assert animation.n_frames == STEPS + 1
        assert animation.width > 3 * 180 + 300
    table = opened(compared).animations
    assert list(table["optimizer"].unique()) == ["sgd", "momentum", "adam"]
    (line,) = [line for line in compared.facts["findings"] if "unit 2" in line]
    assert line.startswith("  conv2 from zeros, unit 2: sgd ")


def test_which_of_several_optimizers_must_be_said(compared: ActiveRun):
    run = opened(compared)
    with pytest.raises(StoreError, match=r"of 'conv2/zeros/2' by sgd, momentum, adam; choose one"):
        run.animation("conv2", "zeros", 2)
    with pytest.raises(StoreError, match=r"'conv2/zeros/2/adan'.*nearest: conv2/zeros/2/adam$"):
        run.animation("conv2", "zeros", 2, "adan")
    with pytest.raises(StoreError, match=r"for 'conv2/zeros/3'; it has conv2/zeros/2/sgd"):
        run.animation("conv2", "zeros", 3)


def test_an_ascent_that_ends_elsewhere_than_the_stored_one_is_told(
    compared: ActiveRun, run_pipeline: RunPipeline, capsys: pytest.CaptureFixture[str]
):
    # As if another kind of device had climbed it.
    from pipeline.stages.ascent.results import find_climb

    (layer,) = compared.parts.layers
    result = find_climb(compared, layer, "zeros").result
    arrays, notes = result.read("block-0000")
    result.write("block-0000", arrays | {"images": arrays["images"] + 1e-3}, notes)
    again = run_pipeline(*COMPARED, f"out={compared.layout.out}", "animate.formats=[]")
    told = [line for line in capsys.readouterr().out.splitlines() if "ends at" in line]
    result.write("block-0000", arrays, notes)
    assert again.done == 0
    (line,) = told
    assert line.startswith("animate: conv2/zeros/2/sgd ends at a different image than the")


def test_copies_and_whole_layers_are_panels_too(run_pipeline: RunPipeline, tmp_path: Path):
    session = run_pipeline(
        "stages=[animate]", "objective=[layer_mean]", "layers=[conv1]", "init=[noise]",
        "init.copies=2", "ascent.size=24", "optimizer.steps=3", "animate.every=2",
        "animate.scale=pixels", "animate.formats=[gif]", "images.limit=3", f"out={tmp_path}",
    )  # fmt: skip
    found = opened(session).animation("conv1", "noise")
    assert found.steps.tolist() == [0, 2, 3]
    assert found.frames.shape == (3, 2, 3, 24, 24)
    assert found.responses.shape == (2, 4)
    assert not np.array_equal(found.frames[0, 0], found.frames[0, 1])
    assert [path.name for path in session.paths.figures.iterdir()] == ["animation_conv1_noise.gif"]


# What is refused.


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "animate.units=[conv2/50]",
            "animate.units: 'conv2/50' is not among the units of this run, which climbs 5 of conv2,"
            " conv2/0 to conv2/4; nearest: conv2/0",
        ),
        (
            "animate.units=[conf2/1]",
            "animate.units: 'conf2/1' is not of a layer of this run, which has conv2; nearest: "
            "conv2",
        ),
        (
            "animate.units=[conv2]",
            "animate.units: 'conv2' is not a layer and a unit, such as conv2/7",
        ),
        (
            "animate.units=[conv2/1] objective=[layer_mean]",
            "animate.units: objective=layer_mean is of a layer as a whole, so no single units"
            " are climbed; leave the list empty",
        ),
        (
            "+optimizer@animate.optimizers.adam=adam +animate.optimizers.adan.lr=0.2",
            "animate.optimizers.adan: has settings, but no optimizer is chosen for it;"
            " choose one, as in +optimizer@animate.optimizers.adan=adam; nearest: adam",
        ),
        (
            "+optimizer@animate.optimizers.own=adam animate.optimizers.own.beta1=2.0",
            "animate.optimizers.own.beta1: 2.0 is not from 0 to below 1",
        ),
        ("animate.every=0", "animate.every: 0 is not positive; use 1 or more, or null"),
        ("animate.fps=60", "animate.fps: 60.0 is not from 0.01 to 50 frames per second"),
        (
            "animate.scale=frames",
            "animate.scale: 'frames' is not one of last, frame, pixels; nearest: frame",
        ),
        ("animate.formats=[mp3]", "animate.formats: 'mp3' is not one of gif, mp4; nearest: mp4"),
        (
            "animate.show=added animate.scale=pixels",
            "animate.scale: pixels needs show=image, as what was added to an image has no colors"
            " of its own; use last or frame",
        ),
        (
            "init=[top_patch]",
            "animate: the store holds no top patches of conv2, which 'top_patch' or the constraint"
            " needs; add top_patches to stages",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_left(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: str, message: str
):
    given = (*SMALL, "stages=[animate]", "init=[zeros]", f"out={tmp_path}/out")
    with pytest.raises(ArtiphysError) as caught:
        run_pipeline(*given, *overrides.split())
    assert str(caught.value) == message
    assert not (tmp_path / "out" / "runs").exists()
