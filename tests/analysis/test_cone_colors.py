"""Cone colors: the published numbers, and what holds exactly."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.cone_colors import (
    CONES,
    cardinal_directions,
    cone_contrasts,
    cone_directions,
    from_srgb,
    isoluminant,
    rgb_to_lms,
    to_srgb,
)
from pipeline.errors import ConfigError

every_kind = pytest.mark.parametrize("cones", CONES)


def test_the_matrix_and_gray_are_the_published_ones():
    wanted = [[0.17886, 0.43997, 0.03597], [0.03380, 0.27515, 0.03621], [0.00031, 0.00192, 0.01528]]
    np.testing.assert_allclose(rgb_to_lms(), wanted, atol=2e-5)
    np.testing.assert_allclose(rgb_to_lms() @ np.full(3, 0.5), [0.3274, 0.1726, 0.00875], atol=2e-5)
    # Equal energy: X = Y = Z.
    long, middle, _ = CONES["smith_pokorny"].sum(1)
    assert long / (long + middle) == pytest.approx(0.6654, abs=1e-4)


def test_cardinal_directions_are_the_published_ones():
    luminance, red, blue = cardinal_directions()
    np.testing.assert_allclose(luminance, [0.5] * 3)
    np.testing.assert_allclose(red / red[0], [1, -0.2991, 0.0172], atol=1e-4)
    np.testing.assert_allclose(blue / blue[2], [0.1757, -0.1532, 1], atol=1e-4)
    np.testing.assert_allclose(cone_contrasts(0.5 + red), [0.0731, -0.1387, 0], atol=1e-4)
    assert cone_contrasts(0.5 + blue)[2] == pytest.approx(0.859, abs=1e-3)


@every_kind
def test_the_circle_is_isoluminant_and_just_within_the_gamut(cones: str):
    circle = 0.5 + isoluminant(np.arange(0.0, 360.0, 0.1), cones)
    excited = circle @ rgb_to_lms(cones).T
    np.testing.assert_allclose(excited[:, :2].sum(1), excited[0, :2].sum(), rtol=0, atol=1e-12)
    assert circle.min() >= 0
    assert circle.max() <= 1
    assert max(circle.max() - 1, -circle.min()) > -1e-6
    if cones == "smith_pokorny":
        scale = isoluminant(np.array([0.0]))[0, 0] / 0.5
        assert scale == pytest.approx(0.985, abs=5e-4)


@every_kind
def test_axes_change_what_they_say_alone(cones: str):
    matrix = rgb_to_lms(cones)
    _, red, blue = cardinal_directions(cones) @ matrix.T
    assert abs(red[2]) < 1e-12
    assert abs(red[:2].sum()) < 1e-12
    assert np.abs(blue[:2]).max() < 1e-12
    directions = cone_directions(cones)
    alone = directions @ matrix.T
    np.testing.assert_allclose(alone, np.diag(np.diag(alone)), rtol=0, atol=1e-12)
    assert (np.diag(alone) > 0).all()
    np.testing.assert_allclose(np.abs(directions).max(1), 0.5)


def test_srgb_is_the_standard_and_goes_both_ways():
    pixels = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(to_srgb(from_srgb(pixels)), pixels, atol=1e-6)
    # Known pairs: 8-bit 188 is half the light of white, within a step of 8 bits.
    assert to_srgb(np.array([0.5]))[0] * 255 == pytest.approx(187.5, abs=0.1)
    assert from_srgb(np.array([10 / 255]))[0] == pytest.approx(10 / 255 / 12.92)


def test_unknown_cones_are_named():
    with pytest.raises(ConfigError, match="cones: 'smith' is not one of smith_pokorny, hunt_poin"):
        rgb_to_lms("smith")
