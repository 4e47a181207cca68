"""From pictures to network input: by hand and against torchvision."""

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ConfigError, ImageError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.torchvision import torchvision_network

PLAIN = Preprocessing(resize=None, crop=4, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))


def picture(height, width):
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)


def test_normalization_by_hand():
    pixels = torch.tensor([1.0, 0.75, 1.0])[:, None, None].expand(3, 2, 5)
    found = PLAIN.normalize(pixels)
    # Red is half a unit above its mean of 0.5 and a standard deviation of 0.5, and so on.
    assert torch.equal(found, torch.tensor([1.0, 2.0, 0.5])[:, None, None].expand(3, 2, 5))


def test_normalization_of_a_batch_is_that_of_each_image():
    pixels = torch.rand(2, 4, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    found = PLAIN.normalize(pixels)
    assert torch.equal(found[1, 2], PLAIN.normalize(pixels[1, 2]))
    assert PLAIN.normalize(pixels.double()).dtype == torch.float64


def test_the_center_is_cropped():
    whole = torch.zeros(3, 8, 6, dtype=torch.uint8)
    whole[:, 2:6, 1:5] = 255
    assert torch.equal(PLAIN(whole), PLAIN.normalize(torch.ones(3, 4, 4)))


@pytest.mark.parametrize("name", ["alexnet", "efficientnet_b0"])
@pytest.mark.parametrize("size", [(300, 420), (256, 256), (400, 257), (90, 150)])
def test_photographs_are_prepared_as_with_pillow(name, size):
    """Bytes are resized as bytes, in two passes, as Pillow does it: up to rounding.

    Processors without AVX2 resize numbers and round once, which is another gray level somewhere in
    every fifth pixel.
    """
    by_bytes = torch.backends.cpu.get_cpu_capability().startswith("AVX")
    photograph = bundled_photographs()["astronaut"][: size[0], : size[1]]
    weights = torchvision.models.get_model_weights(name).DEFAULT
    preprocessing = torchvision_network(name, "random").preprocessing
    found = preprocessing(torch.tensor(photograph).permute(2, 0, 1))
    expected = weights.transforms()(Image.fromarray(photograph))
    assert found.shape == (3, 224, 224)
    levels = (found - expected).abs() * 255 * max(preprocessing.std)
    assert levels.max() < 2.5
    assert levels.mean() < (0.05 if by_bytes else 0.25)


def test_another_size():
    declared = Preprocessing(256, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")
    assert declared.input_size == (224, 224)
    assert declared.sized() == declared
    assert declared.sized("default", "default") == declared
    assert declared.sized(None, 227) == Preprocessing(
        None, 227, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic"
    )
    assert declared.sized(64).crop == 224
    assert declared.sized(crop=64).resize == 256
    assert declared.sized(64, 48)(picture(100, 200)).shape == (3, 48, 48)


@pytest.mark.parametrize("value", [0, -3, "256", "2.5", True, "none"], ids=repr)
def test_sizes_that_are_no_number_of_pixels_are_refused(value):
    with pytest.raises(ConfigError) as caught:
        PLAIN.sized(resize=value)
    expected = f"images.resize: {value!r} is not 'default', null or a number of pixels"
    assert str(caught.value) == expected
    with pytest.raises(ConfigError) as caught:
        PLAIN.sized(crop=value)
    assert str(caught.value) == f"images.crop: {value!r} is not 'default' or a number of pixels"


def test_a_picture_smaller_than_the_crop_is_refused():
    with pytest.raises(ImageError) as caught:
        PLAIN(picture(3, 9))
    assert str(caught.value) == (
        "is 9 x 3 pixels, smaller than the crop of 4; lower images.crop or set images.resize"
    )
    resized = Preprocessing(10, 12, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    with pytest.raises(ImageError, match=r"^is 20 x 10 pixels, smaller than the crop of 12;"):
        resized(picture(50, 100))


@given(st.integers(4, 12), st.integers(4, 12))
def test_any_picture_that_holds_the_crop_gives_it(height, width):
    assert PLAIN(picture(height, width)).shape == (3, 4, 4)


def test_settings_are_plain_data():
    assert PLAIN.settings() == {
        "resize": None,
        "crop": 4,
        "mean": (0.5, 0.25, 0.0),
        "std": (0.5, 0.25, 2.0),
        "interpolation": "bilinear",
    }
