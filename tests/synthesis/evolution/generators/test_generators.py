"""What holds for every generator that needs no file: any channels, range, bounds, batches."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from numpy.random import RandomState

from pipeline.errors import ConfigError, NetworkError
from pipeline.synthesis.evolution import generators
from pipeline.synthesis.evolution.generators import (
    decoder,
    deepsim,
    fourier,
    grid,
    pixels,
    principal_components,
)

CONF = Path(__file__).parents[4] / "conf" / "generator"
ANY_CHANNELS = {
    "pixels": pixels,
    "grid": grid,
    "fourier": fourier,
    "principal_components": principal_components,
}
COLORED = {
    "decoder": decoder,
    "deepsim": lambda: deepsim("norm2", "random", fit="resize"),
}


@pytest.fixture(scope="module")
def built(setting):
    kept = {}

    def build(name, channels=3):
        if (name, channels) not in kept:
            generator = torch.Generator().manual_seed(1)
            pictures = torch.rand(9, channels, 24, 17, generator=generator)
            make = (ANY_CHANNELS | COLORED)[name]
            kept[name, channels] = make().build(setting((24, 17), channels, pictures))
        return kept[name, channels]

    return build


@pytest.mark.parametrize("name", ANY_CHANNELS)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_pictures_of_any_number_of_channels(built, name, channels):
    found = built(name, channels)
    codes = torch.from_numpy(found.prior.draw(4, RandomState(0)))
    assert found.prior.genes == np.prod(found.code_shape) == codes.shape[1]
    pictures = found.draw(codes)
    assert pictures.shape == (4, channels, 24, 17)
    assert pictures.dtype == torch.float32


@pytest.mark.parametrize("name", [*ANY_CHANNELS, *COLORED])
def test_pictures_are_pixels_and_do_not_depend_on_their_batch(built, name):
    found = built(name)
    codes = torch.from_numpy(found.prior.draw(5, RandomState(0)))
    pictures = found.draw(codes)
    assert pictures.shape == (5, 3, 24, 17)
    assert 0 <= pictures.min() < pictures.max() <= 1
    assert len({tuple(picture.flatten().tolist()) for picture in pictures}) == 5
    for number in (0, 3):
        alone = found.draw(codes[number : number + 1])
        torch.testing.assert_close(alone[0], pictures[number], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", [*ANY_CHANNELS, "decoder"])
def test_codes_of_pictures_lie_within_the_bounds(built, name):
    found = built(name)
    codes = found.encode(torch.rand(3, 3, 24, 17))
    assert codes.shape == (3, found.prior.genes)
    np.testing.assert_allclose(found.prior.within(codes.numpy()), codes.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", COLORED)
def test_networks_draw_in_color_only(setting, name):
    message = rf"^generator\.{name}: it draws red.*have 1 channels; use generator=grid"
    with pytest.raises(ConfigError, match=message):
        COLORED[name]().build(setting((24, 17), channels=1))


def test_a_file_that_is_no_decoder_is_refused(tmp_path):
    with pytest.raises(NetworkError, match=r"^generator\.decoder\.weights: there is no file"):
        decoder(str(tmp_path / "none.pt"))
    with pytest.raises(ConfigError, match=r"^generator\.decoder\.fit: 'all' is neither"):
        decoder(fit="all")


def test_random_weights_are_a_seeded_control_with_contrast(built):
    found = built("deepsim")
    assert deepsim("norm2", "random").digest == deepsim("norm2", "random").digest
    pictures = found.draw(torch.from_numpy(found.prior.draw(2, RandomState(0))))
    assert 0.05 < pictures.std() < 0.4


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_options_are_the_arguments_of_their_function(path):
    options = yaml.safe_load(path.read_text())
    function = getattr(generators, path.stem)
    assert options.pop("_target_") == f"pipeline.synthesis.evolution.generators.{path.stem}"
    defaults = inspect.signature(function).parameters
    assert list(options) == list(defaults)
    for name, parameter in defaults.items():
        if parameter.default is not parameter.empty:
            assert (options[name] or None) == (parameter.default or None), name
