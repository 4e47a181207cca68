"""The color rotation index of known units, and of AlexNet image by image."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import pipeline
from pipeline.errors import ConfigError, ImageError
from pipeline.images.any_images import as_image_set
from pipeline.images.image_sets import ImageSet
from pipeline.library.color_rotation import rotated
from pipeline.networks.loading.network import Network

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def pointwise(weights: list[list[float]]) -> Network:
    """Return units that see one pixel: a weight for each color."""
    layer = nn.Conv2d(3, len(weights), 1, bias=False)
    layer.weight = nn.Parameter(torch.tensor(weights)[:, :, None, None])
    return pipeline.network(nn.Sequential(layer), input_size=(3, 4, 4), mean=MEAN, std=STD)


def plain(*colors: tuple[int, int, int]) -> np.ndarray:
    """Return images of one color each."""
    return np.array(colors, np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)


def test_a_unit_that_sums_pixels_is_blind_to_color():
    pixels = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3)).astype(np.uint8)
    # Weights that undo the preprocessing, equal weights of what the network receives, and red.
    net = pointwise([STD, [1.0, 1.0, 1.0], [STD[0], 0.0, 0.0]])
    found = pipeline.color_rotation_index(net, pixels, "conv1")["color_rotation_index"]
    assert found[0] < 1e-5
    assert 1e-4 < found[1] < 0.05  # almost blind, as the channels are scaled almost alike
    assert found[2] > 0.3


def test_by_hand():
    """The unit reads red: 0, 0 and 255 in the first image, whichever way; 255, 0, 0 in the second.

    Both images have red in two of the six orders, so the standard deviation over orders is that of
    two ones and four zeros, sqrt(2) / 3 of the step from 0 to 255; over images it is half the step.
    """
    net = pointwise([[STD[0] * 2.0, 0.0, 0.0]])
    images = plain((0, 0, 255), (255, 0, 0))
    found = pipeline.color_rotation_index(net, images, "conv1", units=[0])
    assert found["color_rotation_index"][0] == pytest.approx(2 * np.sqrt(2) / 3, rel=1e-5)
    assert found.loc[0, ["layer", "unit", "images", "reason"]].tolist() == ["conv1", 0, 2, ""]


def test_gray_images_stay_as_they_are():
    net = pointwise([[1.0, -2.0, 3.0]])
    images = plain((0, 0, 0), (128, 128, 128), (255, 255, 255))
    found = pipeline.color_rotation_index(net, images, "conv1")
    assert found["color_rotation_index"][0] < 1e-6


def test_a_unit_that_does_not_respond_has_a_reason():
    found = pipeline.color_rotation_index(
        pointwise([[0.0, 0.0, 0.0]]), plain((0, 9, 0), (9, 0, 0)), "conv1"
    )
    assert np.isnan(found["color_rotation_index"][0])
    assert found["reason"].tolist() == ["responds to all images alike"]


def test_so_many_images_are_drawn_by_the_seed():
    net = pointwise([[1.0, 0.0, 0.0]])
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3)).astype(np.uint8)

    def found(**settings: int) -> tuple[int, float]:
        row = pipeline.color_rotation_index(net, pixels, "conv1", **settings).iloc[0]
        return int(row["images"]), float(row["color_rotation_index"])

    assert found()[0] == 40
    assert found(limit=12)[0] == 12
    assert found(limit=12, seed=1) == found(limit=12, seed=1) != found(limit=12, seed=2)


def test_unreadable_images_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    for number, pixels in enumerate(plain((0, 0, 255), (255, 0, 0))):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    net = pointwise([[2.0, 0.0, 0.0]])
    paths = [tmp_path / name for name in ("0.png", "bad.png", "1.png")]
    found = pipeline.color_rotation_index(net, paths, "conv1")
    assert found["images"][0] == 2
    assert found["color_rotation_index"][0] == pytest.approx(2 * np.sqrt(2) / 3, rel=1e-5)
    assert len([r for r in caplog.records if "bad.png" in r.message]) == 1
    with pytest.raises(ImageError, match=r"^images: at least 2 are needed .*, and 1 can be read$"):
        pipeline.color_rotation_index(net, paths[:2], "conv1")


def test_every_image_is_decoded_once():
    net = pointwise([[1.0, 0.0, 0.0]])
    whole = as_image_set(plain((1, 2, 3), (4, 5, 6), (7, 8, 9)), net.preprocessing)
    loaded: list[int] = []

    def load(index: int):
        loaded.append(index)
        return whole.load(index)

    counted = ImageSet(whole.names, whole.size, {}, load, pixel_scale=whole.pixel_scale)
    orders = rotated(counted, [0, 2])
    shown = torch.stack([orders.load(n).image[:, 0, 0] for n in range(12)])
    assert loaded == [0, 2]
    pixels = (shown * torch.tensor(STD) + torch.tensor(MEAN)) * 255
    assert {tuple(row) for row in pixels.round().int().tolist()} == {
        *permutations((1, 2, 3)), *permutations((7, 8, 9))
    }  # fmt: skip
    assert pixels[0].round().tolist() == [1, 2, 3]


def test_alexnet_image_by_image(reference_data: Path):
    """An independent loop: pixels, channels in another order, normalized, cut to one field."""
    weights = load_file(reference_data / "weights" / "alexnet_conv1-3.safetensors")
    conv = nn.Conv2d(3, 64, 11, stride=4, padding=2)
    conv.load_state_dict({k: weights[f"features.0.{k}"] for k in ("weight", "bias")})
    net = pipeline.network(nn.Sequential(conv), input_size=(3, 63, 63), mean=MEAN, std=STD)
    files = sorted((reference_data / "images").glob("*.jpg"))[:20]
    pictures = []
    for file in files:
        picture = np.asarray(Image.open(file).convert("RGB"))
        pictures.append(picture[60:123, 80:143])
    found = pipeline.color_rotation_index(net, [torch.tensor(p) for p in pictures], "conv1")
    # The map is 15 x 15, so its center looks at rows and columns 4 * 7 - 2 and on.
    kernel, bias = (weights[f"features.0.{k}"].double().numpy() for k in ("weight", "bias"))
    spreads, as_they_are = [], []
    for picture in pictures:
        field = picture[26:37, 26:37] / 255
        responses = []
        for order in permutations(range(3)):
            seen = ((field[:, :, list(order)] - MEAN) / STD).transpose(2, 0, 1)
            responses.append((kernel * seen).sum((1, 2, 3)) + bias)
        spreads.append(np.std(responses, axis=0))
        as_they_are.append(responses[0])
    wanted = np.mean(spreads, axis=0) / np.std(as_they_are, axis=0)
    np.testing.assert_allclose(found["color_rotation_index"], wanted, rtol=1e-4)
    assert wanted.min() < 0.1
    assert wanted.max() > 0.5


def test_what_an_index_of_color_does_not_take(own: Network):
    with pytest.raises(ConfigError, match=r"^net: \w+ takes images of 1 channels, and a color rot"):
        pipeline.color_rotation_index(own, torch.zeros(2, 1, 20, 30), "conv1")
    net = pointwise([[1.0, 0.0, 0.0]])
    with pytest.raises(ImageError, match=r"^images: at least 2 are needed .*, and there is 1$"):
        pipeline.color_rotation_index(net, plain((1, 2, 3)), "conv1")
    with pytest.raises(ConfigError, match=r"^limit: 1 is not at least 2; use 2 or more$"):
        pipeline.color_rotation_index(net, plain((1, 2, 3), (4, 5, 6)), "conv1", limit=1)
    unknown = as_image_set(plain((1, 2, 3), (4, 5, 6)), net.preprocessing)
    bare = ImageSet(unknown.names, unknown.size, {}, unknown.load)
    with pytest.raises(ImageError, match=r"^images: it is not known by which mean and standard"):
        pipeline.color_rotation_index(net, bare, "conv1")


def test_a_unit_that_is_not_finite_costs_no_other_unit_its_index():
    layer = nn.Conv2d(3, 2, 5)
    net = pipeline.network(nn.Sequential(layer), input_size=(3, 32, 32))
    pictures = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = pipeline.color_rotation_index(net, pictures, "conv1")
    layer.weight.data[1] = np.nan
    after = pipeline.color_rotation_index(net, pictures, "conv1")
    assert after["color_rotation_index"][0] == before["color_rotation_index"][0]
    assert after["reason"].tolist() == ["", "responses are not finite"]
