import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import functional

from pipeline.errors import ConfigError
from pipeline.synthesis.dream.octaves import details, listed, resized, sizes, whole


def images(*size, count=2, dtype=torch.float64):
    drawn = torch.randn(
        count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return drawn.to(dtype)


def test_four_levels_of_1_8_by_hand():
    # 600 / 1.8 = 333.3, / 1.8 = 185.2, / 1.8 = 102.9; 401 / 1.8 = 222.8, 123.8, 68.8.
    assert sizes((401, 600), 1.8, 4) == [(69, 103), (124, 185), (223, 333), (401, 600)]


def test_ten_levels_of_1_4_by_hand():
    # 1.4 ** 9 = 20.66, 1.4 ** 8 = 14.76, 1.4 ** 2 = 1.96.
    found = sizes((512, 512), 1.4, 10)
    assert found[:2] == [(25, 25), (35, 35)]
    assert found[-3:] == [(261, 261), (366, 366), (512, 512)]


@given(
    st.tuples(st.integers(20, 2000), st.integers(20, 2000)),
    st.floats(1, 2),
    st.integers(1, 4),
)
def test_levels_end_at_the_image_and_never_shrink(size, ratio, levels):
    found = sizes(size, ratio, levels)
    assert len(found) == levels
    assert found[-1] == size
    for (before, beside), (after, along) in pairwise(found):
        assert before <= after
        assert beside <= along
        assert abs(after - before * ratio) <= 0.5 * (1 + ratio) + 1e-9


def test_listed_sides_are_those_of_torchvision():
    for start in ((500, 333), (333, 500), (200, 200)):
        picture = torch.zeros(1, 3, *start)
        expected = [tuple(functional.resize(picture, [side]).shape[2:]) for side in (299, 380, 460)]
        assert listed(start, (299, 380, 460)) == expected
    assert listed((200, 200), (460, 299)) == [(460, 460), (299, 299)]


@pytest.mark.parametrize("size", [(31, 40), (12, 9), (25, 33), (50, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_resizing_is_that_of_torchvision(size, dtype):
    start = images(25, 33, dtype=dtype)
    assert resized(start, size).dtype == dtype
    expected = functional.resize(start, list(size), antialias=True)
    assert torch.equal(resized(start, size), expected)


@pytest.mark.parametrize("size", [(31, 40), (12, 9)])
def test_resizing_is_that_of_pillow(size):
    start = images(25, 33, dtype=torch.float32)
    channel = Image.fromarray(start[1, 2].numpy(), "F")
    expected = np.asarray(channel.resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resized(start, size)[1, 2].numpy(), expected, atol=1e-5)


def test_an_image_does_not_depend_on_its_batch():
    start, dreamt = images(25, 33), images(14, 18)
    for carry in (whole, details):
        together = carry(dreamt, start, (25, 33))
        alone = carry(dreamt[1:], start[1:], (25, 33))
        torch.testing.assert_close(together[1:], alone, rtol=1e-13, atol=1e-13)


def test_the_whole_dream_is_resized():
    start, dreamt = images(25, 33), images(14, 18)
    assert torch.equal(whole(dreamt, start, (20, 26)), resized(dreamt, (20, 26)))


def test_where_nothing_was_dreamt_the_start_is_as_sharp_as_it_was():
    start = images(40, 56)
    dreamt = resized(start, (22, 31))
    assert torch.equal(details(dreamt, start, (40, 56)), start)
    lost = (whole(dreamt, start, (40, 56)) - start).abs().max()
    assert lost > 0.1  # resizing alone blurs


def test_details_are_kept_at_the_same_size_and_added_when_resized():
    start, added = images(40, 56), 0.1 * images(22, 31)
    dreamt = resized(start, (22, 31)) + added
    torch.testing.assert_close(details(dreamt, start, (22, 31)), dreamt)
    expected = start + functional.resize(added, [40, 56], antialias=True)
    torch.testing.assert_close(details(dreamt, start, (40, 56)), expected)


def test_details_of_a_pyramid_are_those_of_the_original_algorithm():
    """The running detail of the original: resized to every octave and added to its base."""
    start, grown = images(40, 56), [0.1 * images(*size) for size in ((12, 17), (22, 31), (40, 56))]
    detail = torch.zeros(2, 3, 12, 17, dtype=torch.float64)
    dreamt = resized(start, (12, 17)) + grown[0]
    for dream in grown[1:]:
        base = resized(start, tuple(detail.shape[2:]))
        detail = resized(dreamt - base, tuple(dream.shape[2:]))
        expected = resized(start, tuple(dream.shape[2:])) + detail + dream
        dreamt = details(dreamt, start, tuple(dream.shape[2:])) + dream
        torch.testing.assert_close(dreamt, expected)


def test_gradients_pass():
    start, dreamt = images(6, 7, count=1).requires_grad_(), images(4, 5, count=1).requires_grad_()
    for carry in (whole, details):
        assert torch.autograd.gradcheck(
            lambda one, other, carry=carry: carry(one, other, (8, 9)), (dreamt, start)
        )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sizes((100, 80), 0.5, 4),
            "dream.ratio: 0.5 is not at least 1; use 1.4 or 1.8",
        ),
        (
            lambda: sizes((100, 80), math.nan, 4),
            "dream.ratio: nan is not at least 1; use 1.4 or 1.8",
        ),
        (
            lambda: sizes((100, 80), 1.4, 0),
            "dream.levels: 0 is not a positive number of sizes; use 1 or 4",
        ),
        (
            lambda: sizes((100, 80), 2.0, 4, smallest=15),
            "dream.levels: 4 sizes by 2.0 begin at 12 x 10 pixels, which is not at least 15;"
            " use fewer levels or a larger image",
        ),
        (
            lambda: sizes((3, 3), 2.0, 4),
            "dream.levels: 4 sizes by 2.0 begin at 0 x 0 pixels, which is not at least 1;"
            " use fewer levels or a larger image",
        ),
        (
            lambda: listed((100, 80), []),
            "dream.sides: [] is not a list of pixels; use [299, 380, 460]",
        ),
        (
            lambda: listed((100, 80), [50, 0]),
            "dream.sides: 0 is not at least 1 pixels; leave it out or use a larger one",
        ),
        (
            lambda: listed((100, 80), [50, 11], smallest=15),
            "dream.sides: 11 is not at least 15 pixels; leave it out or use a larger one",
        ),
    ],
)
def test_bad_value_is_refused(make, message):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
