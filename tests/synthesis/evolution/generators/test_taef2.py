"""TAEF2 with its real weights: photographs come back, and faults are named."""

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from PIL import Image
from safetensors.torch import load_file, save_file

from pipeline.errors import ConfigError, NetworkError
from pipeline.images.bundled import bundled_photographs
from pipeline.synthesis.evolution.generators import taef2
from pipeline.synthesis.evolution.generators.taef2 import Decoder


@pytest.fixture(scope="module")
def files(reference_data):
    folder = reference_data / "generators"
    return str(folder / "taef2_decoder.safetensors"), str(folder / "taef2_encoder.safetensors")


@pytest.fixture(scope="module")
def random_files(tmp_path_factory):
    """A decoder of the right shapes with random weights, as a file."""
    path = tmp_path_factory.mktemp("weights") / "decoder.safetensors"
    save_file(Decoder().layers.state_dict(), path)
    return str(path)


def explained(pictures, wanted):
    center = wanted.mean((2, 3), keepdim=True)
    return 1 - ((pictures - wanted).square().sum() / (wanted - center).square().sum()).item()


@pytest.mark.parametrize("size", [(96, 96), (75, 114)])
def test_photographs_come_back(reference_data, files, setting, size):
    """95 % of the variance of 16 photographs about their colors; 75 is no multiple of 8."""
    height, width = size
    paths = sorted((reference_data / "images").glob("*.jpg"))[::32]
    pixels = [np.array(Image.open(path).convert("RGB"))[:height, :width] for path in paths]
    photographs = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
    built = taef2(*files).build(setting(size))
    codes = built.encode(photographs)
    assert abs(codes.mean().item()) < 0.15
    assert codes.std().item() == pytest.approx(0.9, abs=0.15)
    assert explained(built.draw(codes), photographs) > 0.93


def test_a_code_covers_the_image_by_default(random_files, setting):
    built = taef2(random_files).build(setting((20, 33)))
    assert built.code_shape == (32, 3, 5)
    assert built.encode is None
    assert built.draw(torch.from_numpy(built.prior.draw(2, RandomState(0)))).shape == (2, 3, 20, 33)


def test_codes_of_a_fixed_size_are_resized(files, setting):
    picture = torch.tensor(bundled_photographs()["coffee"])[:96, :96].permute(2, 0, 1)[None] / 255
    built = taef2(*files, side=12, fit="resize").build(setting((48, 96)))
    shown = picture[:, :, ::2]
    assert built.code_shape == (32, 12, 12)
    assert explained(built.draw(built.encode(shown)), shown) > 0.8


def test_codes_are_squashed(random_files, setting):
    built = taef2(random_files).build(setting((8, 8)))
    far = built.draw(torch.full((1, 32), 1e3))
    torch.testing.assert_close(built.draw(torch.full((1, 32), 1e6)), far)


def test_the_two_files_are_told_apart(files):
    decoder, encoder = files
    with pytest.raises(NetworkError, match=r"^generator\.taef2\.weights: .*shape|does not have"):
        taef2(encoder)
    tensors = load_file(decoder)
    assert set(tensors) == set(Decoder().layers.state_dict())


def test_a_file_that_lacks_weights_is_refused_by_name(random_files, tmp_path):
    tensors = load_file(random_files)
    del tensors["7.weight"]
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(NetworkError, match=r"^generator\.taef2\.weights: '.*' lacks '7\.weight'"):
        taef2(str(tmp_path / "part.safetensors"))


def test_a_side_of_0_is_refused(random_files):
    with pytest.raises(ConfigError, match=r"generator\.taef2\.side: 0 is not positive"):
        taef2(random_files, side=0)
