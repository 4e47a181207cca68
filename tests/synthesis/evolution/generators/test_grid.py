import pytest
import torch
from torch.nn.functional import interpolate

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators import grid


@pytest.mark.parametrize(("size", "side"), [((85, 85), 12), ((30, 47), 5), ((9, 11), 12)])
def test_it_is_bilinear_interpolation(setting, random, size, side):
    built = grid(side).build(setting(size))
    few = (min(side, size[0]), min(side, size[1]))
    assert built.code_shape == (3, *few)
    codes = torch.randn(2, 3 * few[0] * few[1], generator=random)
    colors = (0.5 + 0.25 * codes.reshape(2, 3, *few)).clamp(0, 1)
    expected = interpolate(colors, size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(built.draw(codes), expected, rtol=0, atol=1e-6)


def test_bounds_are_black_and_white(setting):
    built = grid(2).build(setting((8, 8)))
    assert built.draw(torch.from_numpy(built.prior.low)[None]).max() == 0
    assert built.draw(torch.from_numpy(built.prior.high)[None]).min() == 1
    assert torch.all(built.draw(torch.from_numpy(built.prior.mean)[None]) == 0.5)


def test_codes_come_back_from_their_picture(setting, random):
    built = grid(4).build(setting((30, 40)))
    codes = torch.rand(2, 48, generator=random) * 4 - 2
    torch.testing.assert_close(built.encode(built.draw(codes)), codes, rtol=0, atol=1e-4)


def test_a_side_of_0_is_refused():
    with pytest.raises(ConfigError, match=r"generator\.grid\.side: 0 is not positive"):
        grid(0)
