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
    codes = torch.rand(2, 3 * few[0] * few[1], generator=random) * 4 - 2
    colors = 0.5 + 0.25 * codes.reshape(2, 3, *few)
    expected = interpolate(colors, size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(built.draw(codes), expected, rtol=0, atol=1e-5)


def test_black_gray_and_white(setting):
    built = grid(2).build(setting((8, 8)))
    for gene, pixel in ((-2.0, 0.0), (0.0, 0.5), (1.0, 0.75), (2.0, 1.0)):
        assert torch.all(built.draw(torch.full((1, 12), gene)) == pixel)


@pytest.mark.parametrize("factor", [2.0, 50.0])
def test_a_code_that_goes_beyond_white_keeps_its_pattern(setting, random, factor):
    """The picture of lattice values that just fit, which the largest gene makes white or black."""
    built = grid(4).build(setting((4, 4)))
    codes = torch.rand(3, 48, generator=random) * 4 - 2
    codes = 2 * codes / codes.abs().amax(1, keepdim=True)
    fits = built.draw(codes)
    torch.testing.assert_close(built.draw(factor * codes), fits, rtol=0, atol=1e-6)
    assert ((fits == 0) | (fits == 1)).flatten(1).any(1).all()


def test_codes_come_back_from_their_picture(setting, random):
    built = grid(4).build(setting((30, 40)))
    codes = torch.rand(2, 48, generator=random) * 4 - 2
    torch.testing.assert_close(built.encode(built.draw(codes)), codes, rtol=0, atol=1e-4)


@pytest.mark.parametrize("side", [0, 2.5, float("nan"), True, "12", None])
def test_a_side_that_is_no_count_is_refused(side, untyped):
    with pytest.raises(ConfigError) as refused:
        grid(side)
    assert str(refused.value) == (
        f"generator.grid.side: {side!r} is not a whole number of at least 1; use one such as 12"
    )
