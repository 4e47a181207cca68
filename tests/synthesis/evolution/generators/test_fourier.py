import pytest
import torch
from numpy.random import RandomState

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators import fourier
from pipeline.synthesis.parameterizations import fourier as parameterization


@pytest.mark.parametrize("size", [(24, 24), (15, 20), (20, 15)])
@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_random_pictures_deviate_by_a_quarter_of_the_range(setting, size, decay):
    """Measured on images before they are cut to the range, of the parameterization itself."""
    made = setting(size, channels=1)
    built = fourier(decay).build(made)
    codes = torch.from_numpy(built.prior.draw(4000, RandomState(0)))
    tiny = built.draw(codes * 1e-3) - 0.5  # so small that nothing is cut
    assert tiny.square().mean().sqrt().item() * 1e3 == pytest.approx(0.25, rel=0.03)
    images = parameterization(decay).build(made).decode([codes.reshape(-1, *built.code_shape)])
    ratio = tiny.double().flatten() @ images.flatten() / images.square().sum()
    torch.testing.assert_close(tiny.double(), ratio * images, rtol=0, atol=1e-6)


def test_pictures_come_back_from_their_codes(setting, random):
    built = fourier().build(setting((15, 20)))
    pictures = torch.rand(3, 3, 15, 20, generator=random)
    again = built.draw(built.encode(pictures))
    torch.testing.assert_close(again, pictures, rtol=0, atol=1e-5)


@pytest.mark.parametrize("decay", [-1.0, float("nan"), "1", None])
def test_a_decay_that_is_negative_or_no_number_is_refused(decay, untyped):
    with pytest.raises(ConfigError, match=rf"generator\.fourier\.decay: {decay!r} is not 0 or"):
        fourier(decay)
