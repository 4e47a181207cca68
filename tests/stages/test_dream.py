"""Dreams on the embedded network: what they leave, and that it is what it says."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.errors import ArtiphysError, ConfigError, StoreError
from pipeline.images.pictures import chosen_picture, cover
from pipeline.images.videos import read_video
from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream import STAGE as DREAM
from pipeline.stages.dream import faults
from pipeline.stages.dream.results import Frame, dream_terms, read_frame
from pipeline.synthesis.dream.feedback import blend, combined, rotate, zoom
from pipeline.synthesis.dream.octaves import details, resized, whole
from pipeline.synthesis.objectives import Objective, channel_sum, constant_minus_channel, layer_sum
from tests.conftest import RunPipeline, table_columns

SMALL = (
    "stages=[dream]",
    "init=[image]",
    "images.limit=3",
    "figures.formats=[png]",
    "optimizer.steps=3",
)
OF_LAYER = (*SMALL, "layers=[conv2]", "objective=[layer_mean]", "optimizer.lr=10.0")


def frames(session: ActiveRun) -> list[Frame]:
    (dream,) = session.plan(DREAM)
    return [read_frame(dream, number) for number in range(len(dream.result.items))]


def as_images(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array)[None]


def responses(session: ActiveRun, image: np.ndarray, name: str = "features.3") -> torch.Tensor:
    """Return a layer's responses to an image, from the module itself."""
    kept: list[torch.Tensor] = []
    module = session.parts.network.module
    hook = module.get_submodule(name).register_forward_hook(lambda *seen: kept.append(seen[2]))
    with torch.no_grad():
        module(as_images(image))
    hook.remove()
    return kept[0]


@pytest.fixture(scope="module")
def dreamt(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    """Three octaves of odd, oblong sizes, of a layer, with steps of their own."""
    return run_pipeline(
        *OF_LAYER,
        f"out={tmp_path_factory.mktemp('dreamt')}",
        "dream.size=[37,54]",
        "dream.sides=[21,30,37]",
        "dream.steps=[2,3,1]",
        "dream.lr=[20.0,[10.0,5.0],1.0]",
    )


# What is left.


def test_tables_have_the_columns_of_the_contract_and_a_row_for_every_octave(dreamt: ActiveRun):
    run = pipeline.open_run(dreamt.paths.folder)
    for name in ("dreams", "dream_features"):
        assert tuple(getattr(run, name).columns) == table_columns()[name]
    table = run.dreams
    # The longer side is rounded down: 21 * 54 / 37 = 30.6, 30 * 54 / 37 = 43.8.
    assert list(zip(table["height"], table["width"], strict=True)) == [(21, 30), (30, 43), (37, 54)]
    assert list(table["octave"]) == [0, 1, 2]
    assert list(table["steps"]) == [2, 3, 1]
    assert list(table["status"]) == ["ok"] * 3
    assert set(table["unit"]) == {-1}
    assert set(table["objective"]) == {"layer_mean"}
    assert (table["final_score"] > table["start_score"]).all()
    assert (dreamt.paths.tables / "dreams.csv").is_file()


def test_the_last_score_and_means_are_those_of_the_image_that_is_left(dreamt: ActiveRun):
    (frame,) = frames(dreamt)
    assert frame.image.shape == (3, 37, 54)
    z = responses(dreamt, frame.image)[0]
    run = pipeline.open_run(dreamt.paths.folder)
    np.testing.assert_allclose(run.dreams["final_score"].iloc[-1], float(z.mean()), rtol=1e-4)
    features = run.dream_features
    last = features[(features["octave"] == 2) & (features["step"] == 1)]
    assert list(last["feature"]) == list(range(32))
    np.testing.assert_allclose(last["mean_response"], z.mean((1, 2)).numpy(), rtol=1e-3, atol=1e-5)


def test_feature_means_of_every_step_average_to_the_layer_mean(dreamt: ActiveRun):
    (frame,) = frames(dreamt)
    features = pipeline.open_run(dreamt.paths.folder).dream_features
    means = features.groupby(["octave", "step"])["mean_response"].mean()
    assert list(means.index) == [(0, n) for n in range(3)] + [(1, n) for n in range(4)] + [
        (2, n) for n in range(2)
    ]
    np.testing.assert_allclose(means, frame.scores, rtol=1e-4, atol=1e-6)
    assert list(frame.octaves) == list(means.index.get_level_values(0))
    assert list(frame.steps) == list(means.index.get_level_values(1))


def test_one_frame_is_a_picture_and_a_figure_and_no_video(dreamt: ActiveRun):
    names = {path.name for path in dreamt.paths.figures.iterdir()}
    assert names == {"dream_conv2_image.png", "dream_features_conv2_image.png"}
    (frame,) = frames(dreamt)
    with Image.open(dreamt.paths.figures / "dream_conv2_image.png") as picture:
        shown = np.asarray(picture)
    assert shown.shape == (37, 54, 3)
    expected = (frame.image.transpose(1, 2, 0) * 0.25 + 0.5).clip(0, 1) * 255
    assert np.abs(shown - expected).max() <= 0.51


def test_dreaming_again_does_nothing_and_gives_the_same_tables(
    dreamt: ActiveRun, run_pipeline: RunPipeline
):
    again = run_pipeline(
        *OF_LAYER,
        f"out={dreamt.layout.out}",
        "dream.size=[37,54]",
        "dream.sides=[21,30,37]",
        "dream.steps=[2,3,1]",
        "dream.lr=[20.0,[10.0,5.0],1.0]",
        "dream.fps=10",  # decides nothing about the frames
    )
    assert again.done == 0
    first, second = (pipeline.open_run(s.paths.folder) for s in (dreamt, again))
    for name in ("dreams", "dream_features"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


# What is climbed.


def test_the_gradient_of_a_layer_is_the_sum_of_those_of_its_features(dreamt: ActiveRun):
    terms, network = dream_terms(dreamt, (21, 30)), dreamt.parts.sized_network
    (layer,) = dreamt.parts.layers

    def gradients(objective: Objective, units: torch.Tensor) -> torch.Tensor:
        scorer = replace(terms, objectives={"own": objective}).whole_scorer(network, layer)
        images = start.repeat(len(units), 1, 1, 1).requires_grad_()
        score = scorer.double().begin(images, units)(images, units)
        return torch.autograd.grad(score.sum(), images)[0]

    start = torch.randn(1, 3, 21, 30, dtype=torch.float64, generator=torch.Generator())
    of_layer = gradients(layer_sum(), torch.tensor([-1]))
    of_features = gradients(channel_sum(), torch.arange(32))
    torch.testing.assert_close(of_features.sum(0, keepdim=True), of_layer)
    torch.testing.assert_close(
        gradients(layer_sum(per_feature=True), torch.tensor([-1])) * 32, of_layer
    )
    # The loss sum(C - z) has the same gradient for every constant C (blbadger, "Deep Dream").
    for constant in (0.0, 200.0):
        loss = constant_minus_channel(constant)
        torch.testing.assert_close(gradients(loss, torch.arange(32)), of_features)


@pytest.mark.parametrize("tile", ["null", "16"])
def test_features_are_those_of_the_image_itself_whatever_the_network_is_shown(
    run_pipeline: RunPipeline, tmp_path: Path, tile: str
):
    job = (*OF_LAYER, "dream.size=[25,30]", "dream.levels=1", f"dream.tile={tile}")
    job = (*job, "transform=[noise]", "transform.noise.std=1.0")
    runs = [run_pipeline(*job, f"optimizer.steps={n}", f"out={tmp_path}/{n}") for n in (1, 2)]
    # The image after the first of two steps is that after one, and so are its features.
    known, found = (pipeline.open_run(session.paths.folder).dream_features for session in runs)
    np.testing.assert_allclose(
        found.query("step < 2")["mean_response"], known["mean_response"], rtol=1e-4, atol=1e-5
    )
    ((frame,), (image,)) = (frames(session) for session in runs)
    for step, shown in enumerate((frame.start, frame.image, image.image)):
        means = responses(runs[0], shown)[0].mean((1, 2))
        own = found.query(f"step == {step}")["mean_response"]
        np.testing.assert_allclose(own, means.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "carry"), [("whole", whole), ("details", details)])
def test_what_is_carried_to_the_next_octave(
    run_pipeline: RunPipeline, tmp_path: Path, name: str, carry: object
):
    # Steps too small to change a bit: what is left is what the octaves do to the start.
    session = run_pipeline(
        *OF_LAYER, "optimizer.lr=1e-30", "dream.size=[40,33]", "dream.sides=[20,33]",
        f"dream.carry={name}", f"out={tmp_path}",
    )  # fmt: skip
    (frame,) = frames(session)
    picture = cover(chosen_picture("init.image.path", None)[0], (40, 33)).to(torch.float32) / 255
    start = session.parts.network.preprocessing.normalize(picture)[None]
    small = resized(start, (24, 20))
    assert frame.start.shape == (3, 24, 20)
    np.testing.assert_allclose(frame.start, small[0], atol=1e-6)
    expected = carry(small, start, (40, 33))[0]  # type: ignore[operator]
    np.testing.assert_allclose(frame.image, expected, atol=1e-6)
    assert np.abs(frame.image - start[0].numpy()).max() < 1e-6 or name == "whole"


@pytest.mark.parametrize("objective", ["layer_sum", "channel_mean"])
def test_tiles_give_the_same_dream(run_pipeline: RunPipeline, tmp_path: Path, objective: str):
    lr = "optimizer.lr=0.001" if objective == "layer_sum" else "optimizer.lr=20.0"
    command = (*SMALL, "layers=[conv2]", "units=[3]", f"objective=[{objective}]", lr)
    command = (*command, "dream.size=[61,48]", "dream.levels=2", "optimizer.steps=2")
    (plain,) = frames(run_pipeline(*command, f"out={tmp_path}/plain"))
    (tiled,) = frames(run_pipeline(*command, f"out={tmp_path}/tiled", "dream.tile=16"))
    assert np.abs(plain.image - plain.image.mean()).max() > 0.1
    np.testing.assert_allclose(tiled.image, plain.image, atol=1e-4)
    np.testing.assert_allclose(tiled.scores, plain.scores, rtol=1e-4)
    np.testing.assert_allclose(tiled.means["conv2"], plain.means["conv2"], atol=1e-4)


# Frame after frame.

LOOP = ("dream.size=[25,30]", "dream.levels=1", "dream.frames=3", "dream.zoom=1.1")


@pytest.fixture(scope="module")
def loop(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    """Three frames, each dreamt from the one before, turned and enlarged."""
    out = tmp_path_factory.mktemp("loop")
    return run_pipeline(*OF_LAYER, *LOOP, "dream.rotate=2.0", f"out={out}")


def test_a_frame_starts_from_the_one_before_turned_and_enlarged(loop: ActiveRun):
    found = frames(loop)
    motion = combined(rotate(2.0), zoom(1.1))
    for before, after in pairwise(found):
        expected = motion(as_images(before.image))[0].numpy()
        np.testing.assert_allclose(after.start, expected, atol=1e-6)
        assert np.abs(after.image - after.start).max() > 1e-3


# imageio leaves it to the garbage collector to close what it talks to ffmpeg through.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_frames_become_videos_that_can_be_read(loop: ActiveRun):
    folder = loop.paths.figures
    assert {path.suffix for path in folder.iterdir()} == {".png", ".gif", ".mp4"}
    assert iio.imread(folder / "dream_conv2_image.gif", index=None).shape == (3, 25, 30, 3)
    # Sides of an MP4 are even.
    assert iio.imread(folder / "dream_conv2_image.mp4", plugin="FFMPEG").shape == (3, 26, 30, 3)
    features = pipeline.open_run(loop.paths.folder).dream_features
    assert list(features.groupby("frame")["step"].unique().explode()) == [3, 3, 3]
    for number, frame in enumerate(frames(loop)):
        means = responses(loop, frame.image)[0].mean((1, 2)).numpy()
        own = features.query(f"frame == {number}")["mean_response"]
        np.testing.assert_allclose(own, means, rtol=1e-3, atol=1e-5)


def test_a_lost_frame_is_dreamt_again_to_the_same_bits(loop: ActiveRun, run_pipeline: RunPipeline):
    (dream,) = loop.plan(DREAM)
    before = frames(loop)
    (lost,) = dream.result.folder.glob("frame-0001*")
    lost.unlink()
    again = run_pipeline(*OF_LAYER, *LOOP, "dream.rotate=2.0", f"out={loop.layout.out}")
    assert again.done > 0
    for one, other in zip(before, frames(again), strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_frames_of_a_video_are_mixed_with_the_dream_before(
    run_pipeline: RunPipeline, tmp_path: Path
):
    rng = np.random.default_rng(0)
    given = rng.integers(0, 256, (2, 12, 14, 3)).astype(np.uint8)
    path = tmp_path / "given.gif"
    iio.imwrite(path, given)
    session = run_pipeline(
        *OF_LAYER, "dream.size=[24,28]", "dream.levels=1", "dream.frames=3",
        f"dream.video={path}", "dream.blend=0.75", f"out={tmp_path}",
    )  # fmt: skip
    found, shown = frames(session), read_video("dream.video", str(path), 2)
    normalize = session.parts.network.preprocessing.normalize
    pictures = [normalize(cover(frame, (24, 28)).to(torch.float32) / 255) for frame in shown]
    np.testing.assert_allclose(found[0].start, pictures[0], atol=1e-6)
    for number, picture in ((1, pictures[1]), (2, pictures[1])):  # the last is shown on
        expected = blend(torch.from_numpy(found[number - 1].image), picture, 0.75)
        np.testing.assert_allclose(found[number].start, expected, atol=1e-5)


# What is refused.


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "dream.carry=detail",
            "dream.carry: 'detail' is not one of whole, details; nearest: details",
        ),
        ("dream.frames=0", "dream.frames: 0 is not positive; use 1 or more"),
        ("dream.fps=0.0", "dream.fps: 0.0 is not at least 0.01 frames per second"),
        ("dream.zoom=-1.0", "dream.zoom: -1.0 is not a positive number; use 1.04"),
        ("dream.fill=mirror", "dream.fill: 'mirror' is not 'reflect' or 'edge'; use one"),
        ("dream.blend=1.5", "dream.blend: 1.5 is not above 0 and at most 1; use 0.85"),
        (
            "dream.translate=[1.0]",
            "dream.translate: [1.0] is not a pair of finite numbers, to the right and down;"
            " use [2.0, 2.0]",
        ),
        (
            "dream.video=none.mp4",
            "dream.video: there is no file 'none.mp4'; give the path of a video",
        ),
        (
            "dream.size=[1,2,3]",
            "dream.size: [1, 2, 3] is not a side of up to 32768 pixels, height and width such as"
            " [240,320], or null",
        ),
        (
            "dream.sigma=1.0",
            "dream.sigma: there is no blur between steps; add smoothing=[blur]",
        ),
        (
            "transform=[boxes]",
            "transform.boxes.count: dreams score one transformed image per step, not 32; use 1",
        ),
        ("dream.tile=0", "dream.tile: 0 is not a positive number of pixels"),
        (
            "dream.tile=16 objective=[class_logit] objective.class_logit.category=1",
            "objective: 'class_logit' cannot be tiled, since its score of a map is not a sum over"
            " parts of the map; set dream.tile to null",
        ),
        (
            "dream.tile=16 gradient=guided",
            "gradient: tiles have plain gradients; set dream.tile to null",
        ),
        (
            "dream.lr=[0.1,0.2,0.3]",
            "dream.lr: [0.1, 0.2, 0.3] has 3 values for 2 octaves; give one number, or one for each"
            " octave",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_left(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: str, message: str
):
    with pytest.raises(ConfigError) as caught:
        run_pipeline(*OF_LAYER, "dream.levels=2", f"out={tmp_path}/out", *overrides.split())
    assert str(caught.value) == message
    assert not (tmp_path / "out" / "runs").exists()


def test_octaves_too_small_for_the_network_are_refused(run_pipeline: RunPipeline, tmp_path: Path):
    with pytest.raises(ArtiphysError, match=r"does not run at \(8, 12\) pixels"):
        run_pipeline(*OF_LAYER, "dream.size=8", "dream.levels=1", f"out={tmp_path}")
    assert not (tmp_path / "runs").exists()


def test_dreams_that_would_fill_the_disk_are_refused(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    # One layer, one frame: image and start, three colors, 4 bytes each.
    needed = 2 * 3 * 37 * 54 * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, needed - 1))
    with pytest.raises(StoreError, match=r"^out: the results need 48 kB and"):
        run_pipeline(*OF_LAYER, "dream.size=[37,54]", f"out={tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_dreams_that_are_all_there_need_no_dry_run_and_no_room(
    dreamt: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(faults, "try_images", lambda *_: pytest.fail("tried"))
    plan = dreamt.plan(DREAM)
    assert list(DREAM.check(dreamt, plan)) == []
    assert DREAM.cost(dreamt, plan, None).missing == 0
