"""The embedded network is what its record says, and its first layer has learned."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import pipeline.miniature.network
from pipeline.miniature.network import CLASSES, INPUT_SIZE, Miniature
from pipeline.miniature.training import accuracies, held_out_drawings

FOLDER = Path(pipeline.miniature.network.__file__).parent / "weights"
WEIGHTS = FOLDER / "miniature.safetensors"


@pytest.fixture(scope="module")
def record():
    return json.loads((FOLDER / "miniature.json").read_text())


@pytest.fixture(scope="module")
def shipped():
    network = Miniature()
    network.load_state_dict(load_file(WEIGHTS), strict=True)
    return network.eval()


@pytest.fixture(scope="module")
def kernels(shipped):
    """The first layer's kernels, [filters, 3, 9, 9]."""
    return shipped.features[0].weight.detach()


def test_convolutions_lie_where_alexnet_has_them():
    features = Miniature().features
    convolutions = [i for i, layer in enumerate(features) if isinstance(layer, torch.nn.Conv2d)]
    assert convolutions == [0, 3, 6, 8, 10]
    assert sum(features[i].out_channels for i in convolutions) == 200


def test_classes_are_all_different():
    assert len(set(CLASSES)) == len(CLASSES) == 60
    assert CLASSES[5] == "grating/45/red"


@pytest.mark.parametrize("size", [15, 40, INPUT_SIZE, 131])
def test_any_image_of_at_least_15_pixels_is_accepted(size):
    assert Miniature()(torch.zeros(2, 3, size, size)).shape == (2, 60)


def test_traced_network_computes_the_same(shipped):
    traced = torch.fx.symbolic_trace(shipped)
    images = torch.randn(2, 3, INPUT_SIZE, INPUT_SIZE)
    torch.testing.assert_close(traced(images), shipped(images))


def test_shipped_weights_are_small_and_finite(shipped):
    assert WEIGHTS.stat().st_size < 1e6
    for name, tensor in shipped.state_dict().items():
        assert tensor.dtype == torch.float32
        assert tensor.isfinite().all(), name


def test_shipped_weights_reach_the_recorded_accuracy_on_new_drawings(shipped, record):
    images, labels = held_out_drawings(600, seed=record["settings"]["seed"] + 1000)
    for factor, accuracy in accuracies(shipped, images, labels).items():
        assert accuracy == pytest.approx(record["test_accuracy"][factor], abs=0.02), factor


def test_record_describes_this_network(record):
    assert tuple(record["classes"]) == CLASSES
    assert record["parameters"] == sum(p.numel() for p in Miniature().parameters())
    assert record["architecture"] == str(Miniature()).splitlines()


def test_first_layer_is_oriented(kernels):
    """Oriented: the power spectrum, at doubled angles, has a resultant longer than 0.4.

    It is 0 for round spectra and 1 for a grating without end; 24 kernels of white noise reach
    about 0.3 at the most.
    """
    power = torch.fft.fft2(kernels, s=(32, 32)).abs().square().sum(1)
    frequency = torch.fft.fftfreq(32)
    upward, rightward = torch.meshgrid(-frequency, frequency, indexing="ij")
    angle = torch.atan2(upward, rightward)
    resultant = torch.polar(power, (2 * angle).expand_as(power)).sum((1, 2))
    oriented = resultant.abs() / power.sum((1, 2)) > 0.4
    assert oriented.sum() >= 12
    preferred = (resultant[oriented].angle() / 2) % math.pi
    # All four of the orientations that the classes have are found, to within 22.5 degrees.
    nearest = (preferred / (math.pi / 4)).round() % 4
    assert nearest.unique().numel() == 4


def test_first_layer_is_smooth(kernels):
    """Less than a fifth of a white spectrum lies below a quarter of a cycle per pixel."""
    power = torch.fft.fft2(kernels, s=(32, 32)).abs().square().sum(1)
    frequency = torch.fft.fftfreq(32)
    slow = torch.hypot(frequency[:, None], frequency) < 0.25
    assert ((power * slow).sum((1, 2)) / power.sum((1, 2))).median() > 0.8


def test_first_layer_opposes_colors(kernels):
    """Opponent: the weights of two channels have a cosine below -0.5.

    Each of the two must hold at least a tenth of the kernel's energy.
    """
    channels = torch.nn.functional.normalize(kernels.flatten(2), dim=2)
    opposed = torch.einsum("fap,fbp->fab", channels, channels) < -0.5
    energy = kernels.square().sum((2, 3))
    strong = energy > 0.1 * energy.sum(1, keepdim=True)
    opposed &= strong[:, :, None] & strong[:, None, :]
    assert opposed.any(2).any(1).sum() >= 10
    red, green, blue = range(3)
    # Red against green, and blue against one or both of the two that make yellow.
    assert opposed[:, red, green].sum() >= 2
    assert (opposed[:, blue, red] | opposed[:, blue, green]).sum() >= 4
