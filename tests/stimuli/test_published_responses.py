"""Responses of AlexNet to the published sets are those of independent code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.shapes import outlines, rotations, v4_shapes
from pipeline.stimuli.stimulus_set import StimulusSet

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def alexnet(reference_data: Path) -> dict[str, Tensor]:
    return load_file(reference_data / "weights" / "alexnet_conv1-3.safetensors")


def conv1(stimuli: Tensor, weights: dict[str, Tensor]) -> Tensor:
    kernel, bias = weights["features.0.weight"], weights["features.0.bias"]
    return functional.conv2d(stimuli, kernel, bias, stride=4)


def conv2(stimuli: Tensor, weights: dict[str, Tensor]) -> Tensor:
    pooled = functional.max_pool2d(conv1(stimuli, weights).relu(), 3, 2)
    return functional.conv2d(pooled, weights["features.3.weight"], weights["features.3.bias"])


@pytest.mark.parametrize(("file", "builder"), [("rfm_bars", bars_4a), ("rfm_sine", sin1)])
def test_conv1_responds_to_bars_and_gratings_as_published_code_has_it(
    alexnet: dict[str, Tensor], reference_data: Path, file: str, builder
):
    oracle = np.load(reference_data / "oracles" / f"{file}.npz")
    stimuli = builder(Field(11, 11, 4))
    found = conv1(stimuli.draw(oracle["conv1_sample_i"]), alexnet)[:, oracle["conv1_units"], 0, 0]
    np.testing.assert_allclose(found.numpy(), oracle["conv1_sample_r"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("file", "builder"), [("rfm_bars", bars_4a), ("rfm_sine", sin1)])
def test_the_first_layer_of_planes_gives_the_best_stimuli_of_every_unit(
    alexnet: dict[str, Tensor], reference_data: Path, file: str, builder
):
    oracle = np.load(reference_data / "oracles" / f"{file}.npz")
    found = by_planes(builder(Field(11, 11, 4)), alexnet)
    np.testing.assert_allclose(found.amax(0), oracle["conv1_all_max"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.amin(0), oracle["conv1_all_min"], rtol=0, atol=1e-3)
    clear = oracle["conv1_all_max"] - oracle["conv1_second"] > 1e-3
    assert clear.sum() > 16
    assert found.argmax(0)[clear].tolist() == oracle["conv1_all_argmax"][clear].tolist()


def by_planes(stimuli: StimulusSet, weights: dict[str, Tensor]) -> Tensor:
    """Return conv1 of all rows from one convolution a geometry, for sets alike in all channels."""
    kernel = weights["features.0.weight"].sum(1, keepdim=True)
    planes = stimuli.planes(torch.arange(stimuli.geometries))
    n, k = planes.shape[:2]
    seen = functional.conv2d(planes.flatten(0, 1)[:, None], kernel)[:, :, 0, 0].view(n, k, -1)
    ground = stimuli.background[:, :1] * kernel.sum((1, 2, 3)) + weights["features.0.bias"]
    return ground + torch.einsum("rk,rku->ru", stimuli.weights[:, :, 0], seen[stimuli.geometry])


def test_shapes_are_the_published_masks_without_their_rim(reference_data: Path):
    oracle = np.load(reference_data / "oracles" / "shapes_apc.npz")
    table = rotations()
    np.testing.assert_array_equal(table["shape"], oracle["order"][:, 0])
    np.testing.assert_array_equal(table["rotation"], 45 * oracle["order"][:, 1])
    first = np.flatnonzero(table["rotation"] == 0)
    masks = oracle["masks_65px_first_51x"] / 255
    drawn = v4_shapes(Field(65, 65)).draw(first)[:, 0].numpy()
    common = np.minimum(drawn, masks).sum((1, 2)) / np.maximum(drawn, masks).sum((1, 2))
    assert common.min() > 0.95
    # The masks hold all samples that the outline touches: half a sample, 1/16 pixel, all around.
    lengths = np.linalg.norm(np.diff(outlines(centered=True)[first], axis=1), axis=2).sum(1)
    rim = lengths * 32 / 3.80515 / 16
    np.testing.assert_allclose(masks.sum((1, 2)) - drawn.sum((1, 2)), rim, rtol=0.25)


def test_conv2_responds_to_shapes_as_independent_code_has_it(
    alexnet: dict[str, Tensor], reference_data: Path
):
    oracle = np.load(reference_data / "oracles" / "shapes_apc.npz")
    stimuli = v4_shapes(Field(51, 51, 8, Colors.bounds(MEAN, STD)))
    found = conv2(stimuli.draw(range(len(stimuli))), alexnet)[:, oracle["conv2_units"], 0, 0].T
    blank = conv2(torch.zeros(1, 3, 51, 51), alexnet)[0, :, 0, 0]
    np.testing.assert_allclose(blank, oracle["conv2_blank"], rtol=0, atol=1e-4)
    pairs = zip(found.numpy(), oracle["conv2_responses"], strict=True)
    # Those shapes are 1/16 pixel fatter all around.
    assert min(np.corrcoef(ours, theirs)[0, 1] for ours, theirs in pairs) > 0.985
