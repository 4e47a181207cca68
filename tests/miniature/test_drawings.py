"""Shapes are where, and turned as, their parameters say; paints have the intensity asked for."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.miniature.drawings import (
    arc_mask,
    bar_mask,
    cover,
    grating_mask,
    paint,
    shape_coordinates,
)


def one(value):
    return torch.tensor([float(value)])


def place(angle, size=96, row=47.5, column=47.5):
    return shape_coordinates(size, one(row), one(column), one(angle))


def long_axis(mask):
    """Return the direction of a mask's largest spread, in degrees counterclockwise, 0..180."""
    rows, columns = torch.meshgrid(
        torch.arange(mask.shape[0]).double(), torch.arange(mask.shape[1]).double(), indexing="ij"
    )
    weight = mask.double() / mask.double().sum()
    up = -(rows - (rows * weight).sum())
    right = columns - (columns * weight).sum()
    xx, yy, xy = ((a * weight).sum() for a in (right * right, up * up, right * up))
    return math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180


def apart(a, b):
    """Return the angle between two undirected axes, in degrees."""
    return abs((a - b + 90) % 180 - 90)


@pytest.mark.parametrize("angle", [0, 20, 45, 90, 110, 135, 170])
def test_grating_has_its_spectral_peak_across_its_stripes(angle):
    mask = grating_mask(*place(angle), one(30), one(8), one(0))[0]
    spectrum = torch.fft.fft2(mask - mask.mean(), s=(256, 256)).abs()
    frequency = torch.fft.fftfreq(256)
    upward, rightward = torch.meshgrid(-frequency, frequency, indexing="ij")
    # The window alone has its energy around zero.
    spectrum[torch.hypot(upward, rightward) < 0.05] = 0
    peak = spectrum.argmax()
    y, x = upward.flatten()[peak].item(), rightward.flatten()[peak].item()
    assert math.hypot(x, y) == pytest.approx(1 / 8, abs=0.006)
    assert apart(math.degrees(math.atan2(y, x)), angle + 90) < 3


@pytest.mark.parametrize("angle", [0, 30, 45, 90, 135, 160])
def test_bar_lies_along_its_angle(angle):
    mask = bar_mask(*place(angle), one(20), one(3))[0]
    assert apart(long_axis(mask), angle) < 0.5


@pytest.mark.parametrize("angle", [0, 45, 90, 135])
def test_arc_lies_along_its_chord(angle):
    mask = arc_mask(*place(angle), one(18), one(60), one(2))[0]
    assert apart(long_axis(mask), angle) < 0.5


def test_diagonal_bar_rises_to_the_right():
    mask = bar_mask(*place(45), one(20), one(3))[0]
    assert mask[35, 60] == 1
    assert mask[60, 35] == 1
    assert mask[35, 35] == 0


def test_arc_at_zero_is_a_bridge():
    mask = arc_mask(*place(0), one(20), one(90), one(2))[0]
    summit = mask[:, 47].argmax()
    end = mask[:, 47 - 20].argmax()
    assert summit < 47 < end


def test_shapes_have_the_areas_of_their_geometry():
    bar = bar_mask(*place(30), one(20), one(3)).sum().item()
    arc = arc_mask(*place(30), one(18), one(60), one(2)).sum().item()
    grating = grating_mask(*place(30), one(30), one(8), one(0)).sum().item()
    assert bar == pytest.approx(40 * 6, rel=0.02)
    # A piece of a ring, and half a disk at each end.
    assert arc == pytest.approx(math.radians(120) * 18 * 4 + math.pi * 4, rel=0.02)
    assert grating == pytest.approx(math.pi * 30**2 / 2, rel=0.02)


def test_edges_are_antialiased():
    mask = bar_mask(*place(20), one(20), one(3))[0]
    assert ((mask > 0.2) & (mask < 0.8)).sum() > 20


def test_shape_follows_its_place():
    there = bar_mask(*place(30, row=40, column=50), one(15), one(3))[0]
    moved = bar_mask(*place(30, row=47, column=45), one(15), one(3))[0]
    torch.testing.assert_close(there.roll((7, -5), (0, 1)), moved)


@settings(max_examples=50, deadline=None)
@given(
    hue=st.floats(0, 360, width=32),
    saturation=st.floats(0, 1, width=32),
    intensity=st.floats(0, 1, width=32),
)
def test_paint_is_displayable_and_has_the_intensity_asked_for(hue, saturation, intensity):
    color = paint(one(hue), one(saturation), one(intensity))[0]
    assert color.mean().item() == pytest.approx(intensity, abs=1e-5)
    assert color.min() >= -1e-5
    assert color.max() <= 1 + 1e-5


def test_paints_at_full_saturation_by_hand():
    third = 1 / 3
    hues = torch.tensor([0.0, 120.0, 240.0, 60.0])
    colors = paint(hues, torch.ones(4), torch.tensor([third, third, third, 2 * third]))
    by_hand = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1.0, 1.0, 0]])
    torch.testing.assert_close(colors, by_hand, atol=1e-5, rtol=0)


def test_paint_without_saturation_is_gray():
    color = paint(one(200), one(0), one(0.4))
    torch.testing.assert_close(color, torch.full((1, 3), 0.4))


def test_cover_mixes_as_far_as_the_mask_says():
    backgrounds = torch.full((1, 3, 1, 3), 0.2)
    mask = torch.tensor([[[0.0, 0.5, 1.0]]])
    color = torch.tensor([[1.0, 0.6, 0.2]])
    # A mask is square in use; here one row is enough to calculate by hand.
    image = cover(backgrounds.expand(1, 3, 3, 3), mask.expand(1, 3, 3), color)[0, :, 0]
    by_hand = torch.tensor([[0.2, 0.6, 1.0], [0.2, 0.4, 0.6], [0.2, 0.2, 0.2]])
    torch.testing.assert_close(image, by_hand)
