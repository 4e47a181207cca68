import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pipeline.errors import ConfigError
from pipeline.synthesis.dream.feedback import blend, combined, rotate, translate, zoom

MODES = {"reflect": "reflect", "edge": "nearest"}  # scipy's names


def images(*size, count=2, dtype=torch.float64):
    drawn = torch.rand(
        count, 3, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return drawn.to(dtype)


def by_scipy(picture, forward, fill):
    """Move a picture [3, height, width] by a matrix of rows and columns, about its center.

    Args:
        picture: the picture.
        forward: 2 x 3, from (row, column, 1) of what is shown to where it comes.
        fill: as in the motion.
    """
    inverse = np.linalg.inv(forward[:, :2])
    middle = (np.array(picture.shape[1:]) - 1) / 2
    offset = middle - inverse @ (middle + forward[:, 2])
    return np.stack(
        [
            ndimage.affine_transform(channel, inverse, offset, order=1, mode=MODES[fill])
            for channel in picture.double().numpy()
        ]
    )


def turned(degrees):
    """Counterclockwise as it looks, in rows (down) and columns (right)."""
    angle = math.radians(degrees)
    # Up is -row: (right, up) turns to (right cos - up sin, right sin + up cos).
    return np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])


SCALED = np.array([[1.04, 0, 0], [0, 1.04, 0]])
MOTIONS = {
    "zoom": (lambda fill: zoom(1.04, fill), SCALED),
    "shrink": (lambda fill: zoom(0.8, fill), np.array([[0.8, 0, 0], [0, 0.8, 0]])),
    "rotate": (lambda fill: rotate(1.5, fill), turned(1.5)),
    "rotate far": (lambda fill: rotate(-77.0, fill), turned(-77)),
    "translate": (lambda fill: translate((2.0, -3.25), fill), np.array([[1, 0, -3.25], [0, 1, 2]])),
    "ouroboros": (lambda fill: combined(rotate(1.5, fill), zoom(1.04, fill)), 1.04 * turned(1.5)),
    "moved, then enlarged": (
        lambda fill: combined(translate((2.0, -3.0), fill), zoom(1.04, fill)),
        np.array([[1.04, 0, -3.12], [0, 1.04, 2.08]]),
    ),
}


@pytest.mark.parametrize("fill", MODES)
@pytest.mark.parametrize("size", [(40, 51), (37, 28)])
@pytest.mark.parametrize("name", MOTIONS)
def test_motions_are_those_of_scipy(name, size, fill):
    make, forward = MOTIONS[name]
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        start = images(*size, dtype=dtype)
        moved = make(fill)(start)
        assert moved.dtype == dtype
        expected = by_scipy(start[1], forward, fill)
        # Beyond the edges too: both reflect half a pixel beyond the last.
        np.testing.assert_allclose(moved[1].numpy(), expected, atol=tolerance)


def test_content_moves_right_and_down():
    start = torch.zeros(3, 9, 9)
    start[:, 4, 4] = 1
    assert translate((2.0, 1.0))(start)[0].argmax() == 5 * 9 + 6
    assert translate((-2.0, 1.0))(start)[0].argmax() == 5 * 9 + 2


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_whole_pixels_are_rolled(right, down):
    start = images(20, 23)
    moved = translate((float(right), float(down)))(start)
    expected = start.roll((down, right), (2, 3))
    torch.testing.assert_close(moved[..., 3:-3, 3:-3], expected[..., 3:-3, 3:-3])


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("side", [12, 13])
def test_right_angles_turn_squares_counterclockwise(side, turns):
    start = images(side, side)
    torch.testing.assert_close(rotate(90.0 * turns)(start), start.rot90(turns, (2, 3)))


def test_beyond_the_edge_is_what_the_fill_says():
    row = torch.arange(1.0, 7).expand(1, 3, 6, 6)
    assert translate((2.0, 0.0))(row)[0, 0, 0].tolist() == pytest.approx([2, 1, 1, 2, 3, 4])
    assert translate((2.0, 0.0), "edge")(row)[0, 0, 0].tolist() == pytest.approx([1, 1, 1, 2, 3, 4])


@settings(max_examples=25)
@given(
    st.floats(0.7, 1.5),
    st.floats(-20, 20),
    st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
)
def test_there_and_back_is_where_it_was(factor, degrees, pixels):
    there = combined(zoom(factor), rotate(degrees), translate(pixels))
    right, down = pixels
    back = combined(translate((-right, -down)), rotate(-degrees), zoom(1 / factor))
    identity = np.array([[1, 0, 0], [0, 1, 0]])
    np.testing.assert_allclose(combined(there, back).matrix, identity, atol=1e-12)


def test_combined_motions_are_resampled_once():
    start = torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    still = combined(*[rotate(9.0)] * 40)(start)
    torch.testing.assert_close(still, start, atol=1e-4, rtol=0)


def test_one_image_is_as_good_as_a_batch_and_does_not_depend_on_it():
    start = images(20, 23, count=3)
    for make, _ in MOTIONS.values():
        motion = make("reflect")
        together = motion(start)
        assert together.shape == start.shape
        torch.testing.assert_close(motion(start[1]), together[1], rtol=1e-13, atol=1e-13)


def test_gradients_pass():
    start = images(5, 6, count=1).requires_grad_()
    assert torch.autograd.gradcheck(combined(rotate(7.0), zoom(1.1)), (start,))


def test_a_frame_is_blended_with_the_one_before():
    previous, current = torch.full((3, 2, 2), 2.0), torch.full((3, 2, 2), 4.0)
    assert blend(previous, current).flatten().tolist() == pytest.approx([3.7] * 12)
    assert torch.equal(blend(previous, current, share=1.0), current)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: zoom(0.0), "dream.zoom: 0.0 is not a positive number; use 1.04"),
        (
            lambda: rotate(math.inf),
            "dream.rotate: inf is not a finite number; use 1.5",
        ),
        (
            lambda: translate((1.0, math.nan)),
            "dream.translate: (1.0, nan) is not a pair of finite numbers,"
            " to the right and down; use [2.0, 2.0]",
        ),
        (
            lambda: combined(),
            "dream: [] is not a list of motions; use at least one",
        ),
        (
            lambda: combined(zoom(2.0), rotate(1.0, "edge")),
            "dream.fill: edge and reflect are not one fill; use the same for all",
        ),
        (
            lambda: blend(torch.zeros(3, 1, 1), torch.zeros(3, 1, 1), 0.0),
            "dream.blend: 0.0 is not above 0 and at most 1; use 0.85",
        ),
    ],
)
def test_bad_value_is_refused(make, message):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
