"""The library: the same numbers as stages and as plain PyTorch, on what a notebook has."""

from __future__ import annotations

import doctest
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import pipeline
from pipeline.errors import ConfigError, ImageError, NetworkError, StoreError
from pipeline.networks.loading.network import Network
from pipeline.synthesis.optimizers import sgd
from tests.conftest import RunPipeline

ZEROS = torch.zeros(1, 1, 20, 30)
SMALL = ("layers=[conv1,conv2]", "units=0:5", "images.limit=20", "search.keep=4")


def hooked(module: nn.Module, name: str, images: Tensor) -> Tensor:
    """Return the output of a layer, by a plain hook."""
    kept: list[Tensor] = []
    hook = module.get_submodule(name).register_forward_hook(lambda *seen: kept.append(seen[2]))
    with torch.no_grad():
        module(images)
    hook.remove()
    return kept[0].clone()


@pytest.mark.parametrize("name", pipeline.__all__)
def test_every_public_function_has_an_example_that_runs(name: str):
    found = getattr(pipeline, name)
    tests = doctest.DocTestFinder(recurse=False).find(found, name, globs={})
    runner = doctest.DocTestRunner()
    for test in tests:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
    if name not in ("Options", "EvolutionOptions", "collect", "open_run"):  # in the notebook
        assert sum(len(test.examples) for test in tests) > 0


@pytest.mark.parametrize(
    ("at", "reduce"),
    [
        ("max", lambda maps: maps.amax((2, 3))),
        ("mean", lambda maps: maps.mean((2, 3))),
        ("center", lambda maps: maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]),
        ("all", lambda maps: maps),
    ],
)
def test_responses_are_those_of_a_plain_hook(own: Network, at: str, reduce):
    images = torch.randn(5, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    found = pipeline.responses(own, images, "all", at=at, units=[1, 3], batch_size=2)
    for layer, module in (("conv1", "0"), ("conv2", "3")):
        expected = reduce(hooked(own.module, module, images))[:, [1, 3]]
        np.testing.assert_allclose(found[layer], expected, rtol=0, atol=1e-6)


def test_images_of_every_kind_are_the_same_images(tmp_path: Path):
    net = pipeline.network("miniature")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    pictures = [Image.fromarray(each) for each in pixels]
    paths = []
    for number, picture in enumerate(pictures):
        paths.append(tmp_path / f"{number}.png")
        picture.save(paths[-1])
    network_input = net.preprocessing.normalize(
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    )
    given = (network_input, network_input.numpy(), pixels, pictures, paths, str(tmp_path))
    found = [pipeline.responses(net, images, "conv1")["conv1"] for images in given]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (3, "images: int is no kind of images"),
        (np.zeros((2, 20, 30, 3), np.uint8), "pixels of 3 channels do not fit a network of 1"),
        (torch.zeros(2, 3, 20, 30), "is no network input of 1 channels"),
        (torch.zeros(20, 30), r"shape \(20, 30\) is not that of images"),
        (["nowhere.png"], "there is no file 'nowhere.png'"),
    ],
)
def test_what_are_no_images_is_refused(own: Network, images, sentence: str):
    with pytest.raises(ImageError, match=sentence):
        pipeline.responses(own, images, "conv1")


def test_an_image_that_cannot_be_read_leaves_a_row_of_nothing(tmp_path: Path, caplog):
    net = pipeline.network("miniature")
    for number in range(3):
        Image.new("RGB", (96, 96), (number, 2, 3)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        found = pipeline.responses(net, tmp_path, "conv1")["conv1"]
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    assert "'1.png'" in caplog.text


def test_top_patches_and_ascents_are_those_of_the_stages(run_pipeline: RunPipeline, tmp_path: Path):
    done = run_pipeline(*SMALL, "stages=[top_patches,ascent]", f"out={tmp_path}")
    run, net = pipeline.open_run(done.paths.folder), done.parts.network
    found = pipeline.top_patches(net, done.images, ["conv1", "conv2"], keep=4, units="0:5")
    both = found.table.merge(run.top_patches, on=["layer", "unit", "sign", "rank"])
    assert len(both) == len(found.table) == len(run.top_patches)
    for column in ("image", "row", "column", "response", "top", "right", "inside"):
        assert (both[f"{column}_x"] == both[f"{column}_y"]).all(), column
    for init, start in (("zeros", "zeros"), ("top_patch", found.patches("conv2", range(5)))):
        ascents = pipeline.ascend(net, "conv2", "0:5", start=start)
        stored = run.images("conv2", init)
        np.testing.assert_array_equal(ascents.starts, stored.start)
        np.testing.assert_allclose(ascents.images, stored.image, rtol=0, atol=1e-6)
    pixels = found.pixels("conv2", [3], rank=1)[0].permute(1, 2, 0)
    np.testing.assert_allclose(run.patches("conv2", 3, 1), pixels, rtol=0, atol=1e-6)
    with pytest.raises(StoreError, match="has no patch"):
        run.patches("conv2", 99)


def test_ascent_of_ones_own_network_start_and_objective(own: Network):
    start = 0.1 * torch.randn(2, 1, 20, 30, generator=torch.Generator().manual_seed(2))
    kept = start.clone()

    def objective(seen):
        return seen.own.square().sum((1, 2))

    found = pipeline.ascend(
        own, "conv2", [1, 4], start=start, objective=objective, optimizer=sgd(steps=3, lr=0.01)
    )
    image = start.clone()
    for _ in range(3):
        leaf = image.clone().requires_grad_()
        maps = own.module(leaf)
        (maps[0, 1].square().sum() + maps[1, 4].square().sum()).backward()
        image = image + 0.01 * leaf.grad
    assert torch.equal(start, kept)
    torch.testing.assert_close(found.images, image, rtol=0, atol=1e-5)
    assert found.table["status"].tolist() == ["ok", "ok"]


def test_unit_networks_of_one_channel_agree_with_the_whole(own: Network):
    box = pipeline.receptive_field(own, "conv2", (3, 5))
    assert tuple(box) == (2 * 3 - 2, 2 * 5 - 2, 2 * 3 + 8, 2 * 5 + 8)
    image = torch.randn(1, 1, 20, 30, generator=torch.Generator().manual_seed(3))
    whole = own.module(image)[0, :, 3, 5]
    field = image[:, :, box.top : box.bottom, box.left : box.right]
    units = torch.arange(6)
    response = own.unit_network("conv2")(field.expand(6, -1, -1, -1), units)
    torch.testing.assert_close(response, whole, rtol=0, atol=1e-6)


def test_a_dream_climbs_what_it_is_asked_to(own: Network):
    start = torch.randn(1, 20, 30, generator=torch.Generator().manual_seed(4))
    found = pipeline.dream(own, "conv2", start, levels=2, ratio=1.2)
    assert [tuple(each.shape) for each in found.octaves] == [(1, 17, 25), (1, 20, 30)]
    assert all(scores[-1] > scores[0] for scores in found.scores)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda own: pipeline.network(nn.Conv2d(3, 4, 3)),
            "input_size: must be given for a module",
        ),
        (lambda own: pipeline.network(nn.Conv2d(3, 4, 3), input_size=(0, 3)), "is no side, height"),
        (lambda own: pipeline.network(nn.Conv2d(1, 4, 3), input_size=8), "does not run at"),
        (
            lambda own: pipeline.network(nn.Conv2d(3, 4, 3), input_size=8, mean=[0.5]),
            r"mean: \[0.5\] are not 3 numbers",
        ),
        (lambda own: pipeline.network("alexnit"), "nearest: alexnet"),
        (lambda own: own.layer("conv9"), "'conv9' is not in Sequential"),
        (
            lambda own: pipeline.responses(own, torch.zeros(1, 1, 20, 30), "conv1", at="min"),
            "'min'",
        ),
        (lambda own: pipeline.ascend(own, "conv1", 9), "9 goes beyond conv1"),
        (lambda own: pipeline.ascend(own, "conv1", [1, 1]), r"units: \[1, 1\] names a unit twice"),
        (lambda own: pipeline.ascend(own, "conv1", copies=0), "copies: 0 is not positive"),
        (
            lambda own: pipeline.responses(own, ZEROS, "conv1", batch_size=-2),
            "batch_size: -2 is no",
        ),
        (
            lambda own: pipeline.ascend(
                own, "conv1", [0, 1], objective=lambda seen: seen.own.mean()
            ),
            r"objective: it returned \(\), and must return one score per image \(2,\)",
        ),
        (
            lambda own: pipeline.ascend(own, "conv1", [1], start=torch.zeros(1, 3, 5, 5)),
            r"start: images of \(3, 5, 5\) do not fit",
        ),
        (
            lambda own: pipeline.receptive_field(own, "conv1", (99, 0)),
            r"position: \(99, 0\) is not",
        ),
        (
            lambda own: pipeline.network(nn.Conv2d(1, 4, 3), input_size=(1, 8, 8), std=[0.0]),
            r"std: \[0.0\] are not finite numbers, above 0",
        ),
        (
            lambda own: pipeline.ascend(own, "conv1", start="ones"),
            "start: 'ones' is no Init; give one",
        ),
        (lambda own: pipeline.ascend(own, "conv1", copy=2), "copy: is no option; .* copies"),
        (lambda own: pipeline.ascend(own, "conv1", unit=2), "unit: is no option; .*: units"),
        (
            lambda own: pipeline.ascend(own, "conv1", [1], start=torch.zeros(1, 1, 4, 4)),
            r"start: images of \(1, 4, 4\) do not fit; .* must be \(1, 5, 5\)",
        ),
        (
            lambda own: pipeline.ascend(own, "conv1", [0, 1, 2], start=torch.zeros(2, 1, 5, 5)),
            "start: 2 images are neither one for all nor one for each of 3 units",
        ),
    ],
)
def test_bad_input_gets_one_sentence(own: Network, call, sentence: str):
    with pytest.raises((ConfigError, NetworkError), match=sentence):
        _ = getattr(call(own), "layers", None)


def test_pixels_of_the_input_size_are_taken_as_they_are(own: Network):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 1), dtype=np.uint8)
    network_input = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    found, expected = (pipeline.responses(own, x, "conv1") for x in (pixels, network_input))
    np.testing.assert_array_equal(found["conv1"], expected["conv1"])


def test_units_come_back_in_the_order_in_which_they_are_given(own: Network):
    images = torch.randn(2, 1, 20, 30, generator=torch.Generator().manual_seed(1))
    both = pipeline.responses(own, images, "conv2")["conv2"]
    for units in ([4, 1], np.array([4, 1]), torch.tensor([4, 1])):
        found = pipeline.responses(own, images, "conv2", units=units)["conv2"]
        np.testing.assert_array_equal(found, both[:, [4, 1]])
    assert pipeline.ascend(own, "conv2", [4, 1], optimizer=sgd(steps=1)).units.tolist() == [4, 1]


def test_every_unit_starts_from_its_own_image_in_whatever_batches(own: Network):
    units = list(range(6))
    start = torch.arange(12.0).reshape(12, 1, 1, 1).expand(-1, 1, 10, 10) / 10
    found = pipeline.ascend(
        own, "conv2", units, start=start, copies=2, optimizer=sgd(steps=1, lr=1e-9)
    )
    assert found.units.tolist() == [unit for unit in range(6) for _ in range(2)]
    torch.testing.assert_close(found.starts, start)


def test_a_network_of_one_channel_is_exported(own: Network):
    assert pipeline.export(own, "conv2").size == (10, 10)
