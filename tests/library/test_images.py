"""Images as a notebook has them: of any type, size and number of channels."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.errors import ConfigError, ImageError
from pipeline.images.any_images import as_image_set
from pipeline.images.files import Loaded
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import Network
from tests.library.conftest import plain_module

# Of eighths, which bfloat16 holds exactly.
IMAGES = torch.randint(-8, 8, (3, 1, 20, 30), generator=torch.Generator().manual_seed(0)) / 8
PIXELS = np.random.default_rng(0).integers(0, 256, (3, 24, 40, 3), dtype=np.uint8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of three pictures in color."""
    for number, pixels in enumerate(PIXELS):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    return tmp_path


def responses(net: Network, images: Any) -> np.ndarray:
    """Return the responses of the first layer."""
    return pipeline.responses(net, images, "conv1")["conv1"]


@pytest.mark.parametrize(
    "images",
    [
        IMAGES.bfloat16(),
        IMAGES.half(),
        IMAGES.double(),
        IMAGES.clone().requires_grad_(),
        IMAGES.to_sparse(),
        IMAGES.to(memory_format=torch.channels_last),
        IMAGES.transpose(2, 3).contiguous().transpose(2, 3),
        IMAGES.numpy().astype(">f4"),
        np.asfortranarray(IMAGES.numpy()),
        IMAGES.numpy()[:, :, ::-1][:, :, ::-1],
        list(IMAGES),
        [image.numpy()[::-1] for image in IMAGES],
        tuple(IMAGES.double().numpy()),
    ],
)
def test_floats_of_any_type_and_order_are_the_same_images(own: Network, images: Any):
    np.testing.assert_array_equal(responses(own, images), responses(own, IMAGES))


def test_pixels_of_unequal_size_are_each_resized_as_pictures_are(own: Network):
    pixels = [PIXELS[0, :, :, :1], PIXELS[1, :20, :, :1], PIXELS[2, :, :30, :1]]
    pictures = [Image.fromarray(each[:, :, 0]) for each in pixels]
    np.testing.assert_array_equal(responses(own, pixels), responses(own, pictures))


def test_a_network_of_one_channel_sees_pictures_in_the_gray_of_pillow(own: Network, pictures: Path):
    gray = [np.asarray(Image.fromarray(each).convert("L"))[..., None] for each in PIXELS]
    expected = responses(own, gray)
    for images in (pictures, sorted(pictures.iterdir()), [*map(Image.fromarray, PIXELS)]):
        np.testing.assert_array_equal(responses(own, images), expected)


def test_every_color_has_the_gray_of_pillow():
    levels = np.array([0, 1, 17, 127, 128, 200, 254, 255], np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
    found = Preprocessing(None, 1, (0.5,), (0.5,)).in_channels(
        torch.from_numpy(colors).permute(2, 0, 1)
    )
    np.testing.assert_array_equal(found[0], np.asarray(Image.fromarray(colors).convert("L")))


@pytest.mark.parametrize("channels", [2, 4])
def test_pictures_that_lack_channels_are_refused(channels: int, pictures: Path):
    net = pipeline.network(plain_module(channels), input_size=(channels, 20, 30))
    sentence = f"pictures are gray or red, green and blue, and the network takes {channels}"
    with pytest.raises(ConfigError, match=sentence):
        pipeline.top_patches(net, pictures, "conv1")
    sentence = rf"the first is '.*0.*', which has 3 channels, and the network takes {channels};"
    with Image.open(pictures / "0.png") as picture, pytest.raises(ImageError, match=sentence):
        pipeline.responses(net, [picture], "conv1")


def test_a_picture_with_opacity_has_four_channels():
    net = pipeline.network(plain_module(4), input_size=(4, 20, 30))
    pixels = np.random.default_rng(1).integers(0, 256, (1, 20, 30, 4), dtype=np.uint8)
    found = responses(net, [Image.fromarray(pixels[0], "RGBA")])
    np.testing.assert_array_equal(found, responses(net, pixels))


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_an_image_that_is_not_finite_is_named(own: Network, wrong: float):
    images = IMAGES.clone()
    images[1, 0, 3, 4] = wrong
    for search in (pipeline.responses, pipeline.top_patches):
        with pytest.raises(ImageError, match=r"^images: image 1 holds values that are not finite"):
            search(own, images, "conv1")


def test_an_image_of_ones_own_set_that_is_not_finite_is_set_aside_by_name(own: Network, caplog):
    images = [IMAGES[0], IMAGES[1] * torch.nan, IMAGES[2]]
    image_set = ImageSet(["a", "b", "c"], (20, 30), {}, lambda index: Loaded(images[index], 0))
    with caplog.at_level(logging.WARNING):
        found = pipeline.responses(own, image_set, "conv1")
    assert np.isnan(found["conv1"]).all(1).tolist() == [False, True, False]
    assert "images: 'b' holds values that are not finite" in caplog.text
    top = pipeline.top_patches(own, image_set, "conv1", keep=3)
    assert top.unreadable == {"b": "holds values that are not finite"}
    assert set(top.table.image) == {"a", "c"}


def test_responses_name_the_images_of_their_rows(own: Network, pictures: Path):
    paths = sorted(pictures.iterdir(), reverse=True)
    assert pipeline.responses(own, pictures, "conv1").images == ["0.png", "1.png", "2.png"]
    assert pipeline.responses(own, paths, "conv1").images == [str(path) for path in paths]
    assert pipeline.responses(own, IMAGES, "conv1").images == ["0", "1", "2"]


def test_what_is_held_in_memory_is_told_apart_by_its_contents():
    small = Preprocessing(None, 8, (0.5,), (0.5,))
    digests = [
        as_image_set(images, small).settings["images"]
        for images in (IMAGES, IMAGES.double(), IMAGES + 1, list(IMAGES))
    ]
    assert digests[0] == digests[1] == digests[3] != digests[2]
