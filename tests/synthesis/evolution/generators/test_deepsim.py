"""DeePSiM against a plain version, in both spellings of its files, and what its colors mean."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from pipeline.errors import ConfigError, NetworkError
from pipeline.synthesis.evolution.generators import deepsim, networks
from pipeline.synthesis.evolution.generators.deepsim_networks import VARIANTS

# Layers in the spelling of XDREAM: name, shape of the weight, stride, padding. A transposed
# convolution has its inputs first, all others their outputs.
FULL = [
    ("tconv5_1", (256, 512, 3, 3)), ("tconv4_0", (512, 256, 4, 4)), ("tconv4_1", (256, 256, 3, 3)),
    ("tconv3_0", (256, 128, 4, 4)), ("tconv3_1", (128, 128, 3, 3)), ("tconv2", (128, 64, 4, 4)),
    ("tconv1", (64, 32, 4, 4)), ("tconv0", (32, 3, 4, 4)),
]  # fmt: skip
LINEAR = [("fc6", (4096, 4096)), ("fc5", (4096, 4096)), ("tconv5_0", (256, 256, 4, 4))]
NORM = [
    ("conv8", (128, 128, 3, 3)), ("tconv4_0", (128, 128, 4, 4)), ("conv4_1", (128, 128, 3, 3)),
    ("tconv3_0", (128, 64, 4, 4)), ("conv3_1", (64, 64, 3, 3)), ("tconv2_0", (64, 32, 4, 4)),
    ("conv2_1", (32, 32, 3, 3)), ("tconv1_0", (32, 16, 4, 4)), ("conv1_1", (3, 16, 3, 3)),
]  # fmt: skip
CONV = [
    ("conv6", (384, 384, 3, 3)), ("conv7", (512, 384, 3, 3)), ("conv8", (512, 512, 2, 2)),
    ("tconv5_0", (512, 256, 4, 4)), ("tconv5_1", (256, 256, 3, 3)), ("tconv4_0", (256, 128, 4, 4)),
    ("tconv4_1", (128, 128, 3, 3)), ("tconv3_0", (128, 128, 4, 4)), ("tconv3_1", (128, 128, 3, 3)),
    ("tconv2_0", (128, 64, 4, 4)), ("conv2_1", (32, 64, 3, 3)), ("tconv1_0", (32, 16, 4, 4)),
    ("conv1_1", (3, 16, 3, 3)),
]  # fmt: skip
LAYERS = {
    "norm1": [("conv6", (128, 96, 3, 3)), ("conv7", (128, 128, 3, 3)), *NORM],
    "norm2": [("conv6", (256, 256, 3, 3)), ("conv7", (128, 256, 3, 3)), *NORM],
    "conv3": CONV,
    "conv4": CONV,
    "pool5": [
        ("conv6", (512, 256, 3, 3)), ("conv7", (512, 512, 3, 3)), ("conv8", (512, 512, 3, 3)),
        ("tconv5_0", (512, 256, 4, 4)), *FULL,
    ],
    "fc6": [("fc7", (4096, 4096)), *LINEAR, *FULL],
    "fc7": [("fc7", (4096, 4096)), *LINEAR, *FULL],
    "fc8": [("fc7", (4096, 1000)), *LINEAR, *FULL],
}  # fmt: skip
CODES = {
    "norm1": (96, 27, 27), "norm2": (256, 13, 13), "conv3": (384, 13, 13), "conv4": (384, 13, 13),
    "pool5": (256, 6, 6), "fc6": (4096,), "fc7": (4096,), "fc8": (1000,),
}  # fmt: skip
# Stride and padding of the convolutions before the first enlarging layer.
HEADS = {
    "norm1": {"conv6": (2, 2), "conv7": (1, 1), "conv8": (1, 1)},
    "norm2": {"conv6": (1, 2), "conv7": (1, 1), "conv8": (1, 1)},
    "pool5": {"conv6": (1, 1), "conv7": (1, 1), "conv8": (1, 0)},
}
TANH = ("norm1", "norm2", "conv3", "conv4")
SIDES = {"norm1": 240, "norm2": 240}


def random_weights(variant, generator):
    """Weights in the spelling of XDREAM: linear and first layers have biases, others none.

    Every output of a large linear layer has one of two rows, so that no memory is needed.
    """
    tensors = {}
    for name, shape in LAYERS[variant]:
        inputs = np.prod(shape[1:]) if "tconv" not in name else shape[0] * np.prod(shape[2:]) / 4
        scale = (2 / inputs) ** 0.5
        if len(shape) == 2:
            rows = torch.randn(2, 1, shape[1], generator=generator)
            weight = rows.expand(2, shape[0] // 2, shape[1]).reshape(shape)
        else:
            weight = torch.randn(shape, generator=generator)
        tensors[f"{name}.weight"] = scale * weight
        if name in ("fc5", "fc6", "fc7", "conv6", "conv7", "conv8"):
            tensors[f"{name}.bias"] = 0.1 * torch.randn(shape[0], generator=generator)
    last = LAYERS[variant][-1][0]
    tensors[f"{last}.weight"] *= 0.3 if variant in TANH else 60
    return tensors


def with_names_of_caffe(tensors):
    """The same weights as files with Caffe's names have them, with a bias for every layer."""
    found = {}
    for name, tensor in tensors.items():
        layer, kind = name.split(".")
        layer = re.sub("^fc", "defc", layer)
        layer = re.sub("^conv([678])$", r"Rconv\1", layer)
        layer = re.sub("^tconv([0-9])(_0)?$", r"deconv\1", layer)
        layer = layer.replace("tconv", "conv")
        found[f"{layer}.{kind}"] = tensor
        if kind == "weight" and name.replace("weight", "bias") not in tensors:
            transposed = "tconv" in name
            found[f"{layer}.bias"] = torch.zeros(tensor.shape[1 if transposed else 0])
    return found


def plain(variant, tensors, code):
    """The picture of one code, layer by layer."""
    values = code.reshape(1, *CODES[variant])
    *_, last = names = [name for name, _ in LAYERS[variant]]
    for name in names:
        weight, bias = tensors[f"{name}.weight"], tensors.get(f"{name}.bias")
        if name.startswith("fc"):
            values = F.linear(values, weight, bias)
        elif name.startswith("tconv"):
            if values.ndim == 2:
                values = values.reshape(1, 256, 4, 4)
            stride = 2 if weight.shape[2] == 4 else 1
            values = F.conv_transpose2d(values, weight, bias, stride, padding=1)
        else:
            default = (1, 0) if name in ("conv6", "conv7", "conv8") else (1, 1)
            stride, padding = HEADS.get(variant, {}).get(name, default)
            values = F.conv2d(values, weight, bias, stride, padding)
        silent = name == "tconv1_0" and variant.startswith("norm")
        if name != last and not silent:
            values = torch.where(values > 0, values, 0.3 * values)
    if variant in TANH:
        values = 255 * values.tanh()
    blue, green, red = values[0] + torch.tensor([104.0, 117.0, 123.0])[:, None, None]
    return (torch.stack([red, green, blue]) / 255).clamp(0, 1)


@pytest.fixture
def from_memory(monkeypatch):
    """Let weights be read from memory; the large ones would fill the disk."""

    def read(tensors):
        monkeypatch.setattr(networks, "read_weights", lambda source: {"": tensors})
        return "weights.pt"

    return read


@pytest.mark.parametrize("variant", ["norm1", "norm2", "conv3", "pool5", "fc6", "fc8"])
def test_pictures_are_those_of_a_plain_version_in_both_spellings(
    setting, random, from_memory, variant
):
    tensors = random_weights(variant, random)
    side = SIDES.get(variant, 256)
    code = torch.randn(1, int(np.prod(CODES[variant])), generator=random)
    expected = plain(variant, tensors, code[0])
    assert expected.shape == (3, side, side)
    assert expected.std() > 0.1
    digests = set()
    for spelled in (tensors, with_names_of_caffe(tensors)):
        generator = deepsim(variant, from_memory(spelled))
        built = generator.build(setting((side, side)))
        assert built.code_shape == CODES[variant]
        torch.testing.assert_close(built.draw(code)[0], expected, rtol=0, atol=1e-4)
        digests.add(generator.digest)
    assert len(digests) == 1


def test_twins_have_the_same_networks():
    assert VARIANTS["conv3"] == VARIANTS["conv4"]
    assert VARIANTS["fc6"] == VARIANTS["fc7"]


@pytest.mark.parametrize(
    ("blue_green_red", "red_green_blue"),
    [
        ((0.0, 0.0, 0.0), (123 / 255, 117 / 255, 104 / 255)),
        ((255.0 - 104, -117.0, -123.0), (0.0, 0.0, 1.0)),
        ((-300.0, -300.0, 300.0), (1.0, 0.0, 0.0)),
    ],
)
def test_the_last_layer_is_blue_green_and_red_about_the_mean(
    setting, random, from_memory, blue_green_red, red_green_blue
):
    tensors = with_names_of_caffe(random_weights("pool5", random))
    tensors["deconv0.weight"] = torch.zeros(32, 3, 4, 4)
    tensors["deconv0.bias"] = torch.tensor(blue_green_red)
    built = deepsim("pool5", from_memory(tensors)).build(setting((4, 4)))
    picture = built.draw(torch.randn(1, 256 * 36, generator=random))[0]
    expected = torch.tensor(red_green_blue)[:, None, None].expand(3, 4, 4)
    torch.testing.assert_close(picture, expected, rtol=0, atol=1e-6)


def test_a_file_with_a_prefix_and_the_older_inner_names_is_read(random, tmp_path):
    tensors = random_weights("norm1", random)
    save_file(tensors, tmp_path / "xdream.safetensors")
    older = {
        f"G.{name.replace('.', '.1.')}": tensor
        for name, tensor in with_names_of_caffe(tensors).items()
    }
    torch.save({"state_dict": older}, tmp_path / "caffe.pt")
    first, second = (
        deepsim("norm1", str(tmp_path / name)).digest for name in ("xdream.safetensors", "caffe.pt")
    )
    assert first == second


def test_files_that_are_not_of_the_variant_are_refused_by_name(random, from_memory, tmp_path):
    tensors = random_weights("norm1", random)
    lacking = {name: tensors[name] for name in tensors if not name.startswith("conv7")}
    with pytest.raises(
        NetworkError, match=r"^generator\.deepsim\.weights: 'weights.pt' lacks 'Rconv7"
    ):
        deepsim("norm1", from_memory(lacking))
    with pytest.raises(
        NetworkError, match=r"^generator\.deepsim\.weights: 'Rconv6.weight' in .*96"
    ):
        deepsim("norm2", from_memory(tensors))
    half = with_names_of_caffe(tensors)
    del half["deconv3.bias"]
    with pytest.raises(NetworkError, match=r"lacks 'deconv3\.bias'"):
        deepsim("norm1", from_memory(half))
    with pytest.raises(NetworkError, match=r"generator\.deepsim\.weights: .*'odd\.weight'"):
        deepsim("norm1", from_memory({"odd.weight": torch.zeros(1)}))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(NetworkError, match=r"^generator\.deepsim\.weights: there is no file"):
        deepsim("norm1", str(tmp_path / "none.pt"))


def test_an_unknown_variant_is_refused():
    with pytest.raises(ConfigError, match=r"variant: 'fc5' is not one of norm1, .*; nearest: fc"):
        deepsim("fc5")


def test_the_distribution_of_codes_can_be_that_of_features(tmp_path):
    genes = 96 * 27 * 27
    np.save(tmp_path / "mean.npy", np.arange(genes).reshape(96, 27, 27))
    built = deepsim("norm1", mean=str(tmp_path / "mean.npy"), std=2.0, low=0).build
    prior = built.__self__.prior  # type: ignore[attr-defined]
    assert prior.mean[-1] == genes - 1
    assert prior.std[5] == 2
    assert prior.low[5] == 0
    assert np.isinf(prior.high).all()
