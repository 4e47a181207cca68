from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.boundary_curvature import (
    boundary_elements,
    contour,
    element_table,
    padded,
    turning_points,
)
from pipeline.errors import ConfigError
from pipeline.stimuli.shapes import control_points

SHAPES = control_points()


def circle(radius: float, control: int = 24) -> np.ndarray:
    angles = np.arange(control) * 2 * np.pi / control
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[c, s], [-s, c]])


def sorted_by_angle(control: np.ndarray) -> np.ndarray:
    elements = boundary_elements(control)
    return np.stack(elements, axis=1)[np.argsort(elements.angle)]


def test_the_contour_counts_from_the_centroid():
    x, y = contour(SHAPES[12], 20000).points.T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    np.testing.assert_allclose(((x + np.roll(x, -1)) * cross).sum(), 0, atol=1e-4)
    np.testing.assert_allclose(((y + np.roll(y, -1)) * cross).sum(), 0, atol=1e-4)


@pytest.mark.parametrize("radius", [0.361, 1.0, 1.4437])
def test_a_disc_has_the_curvature_of_its_radius(radius: float):
    control = circle(radius, 200)  # so many that the spline is the circle
    np.testing.assert_allclose(contour(control).curvature, np.tanh(0.25 / radius), atol=1e-3)
    assert boundary_elements(control).angle == pytest.approx(np.arange(8) * np.pi / 4)


def test_points_lie_at_equal_distances():
    points = contour(SHAPES[33]).points
    steps = np.hypot(*(np.roll(points, -1, axis=0) - points).T)
    assert np.ptp(steps) < 0.02 * steps.mean()  # chords are shorter at the sharp tips


def test_elements_of_two_shapes():
    expected = [(0.55, 0.07), (1.57, 1.00), (2.59, 0.07), (4.71, 0.62)]
    np.testing.assert_allclose(sorted_by_angle(SHAPES[2]), expected, atol=0.012)
    expected = [(0.79, -0.16), (1.95, 1.00), (3.93, 0.21), (5.91, 1.00)]
    np.testing.assert_allclose(sorted_by_angle(SHAPES[7]), expected, atol=0.012)


def test_discs_have_eight_elements():
    for shape, curvature in ((0, 0.600), (1, 0.172)):
        elements = boundary_elements(SHAPES[shape])
        assert elements.angle == pytest.approx(np.arange(8) * np.pi / 4)
        assert elements.curvature == pytest.approx(curvature, abs=0.01)


@pytest.mark.parametrize("shape", [2, 7, 12, 33, 50])
@settings(max_examples=10)
@given(degrees=st.floats(0, 360), shift=st.floats(-5, 5), first=st.integers(0, 20))
def test_turning_shifting_and_renumbering_a_shape(
    shape: int, degrees: float, shift: float, first: int
):
    control = np.roll(turned(SHAPES[shape], degrees) + shift, first, axis=0)
    before, after = boundary_elements(SHAPES[shape]), boundary_elements(control)
    assert len(before.angle) == len(after.angle)
    position = np.exp(1j * (before.angle + np.deg2rad(degrees)))
    distance = np.abs(position[:, None] - np.exp(1j * after.angle))
    same = distance.argmin(axis=1)
    assert sorted(same) == list(range(len(same)))
    assert distance.min(axis=1).max() < 0.03  # two of the 1,440 points
    np.testing.assert_allclose(after.curvature[same], before.curvature, atol=5e-3)


@pytest.mark.parametrize("shape", [2, 12])
def test_the_direction_of_the_contour_does_not_matter(shape: int):
    forward, backward = sorted_by_angle(SHAPES[shape]), sorted_by_angle(SHAPES[shape][::-1])
    np.testing.assert_allclose(backward, forward, atol=0.02)


def test_a_smaller_shape_is_more_curved():
    small, large = (contour(SHAPES[12] * scale).curvature for scale in (1, 2))
    blunt = np.abs(small) < 0.99
    np.testing.assert_allclose(
        np.arctanh(large[blunt]), np.arctanh(small[blunt]) / 2, rtol=1e-6, atol=1e-9
    )


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=30), st.integers(1, 10))
def test_turning_points_alternate_by_at_least_the_hysteresis(values: list[int], hysteresis: int):
    ring = np.array(values, dtype=float)
    turns = turning_points(ring, float(hysteresis))
    if np.ptp(ring) < hysteresis:
        assert len(turns) == 0
        return
    assert len(turns) % 2 == 0
    assert {int(ring[turns].max()), int(ring[turns].min())} == {max(values), min(values)}
    steps = np.roll(ring[turns], -1) - ring[turns]
    assert (np.abs(steps) >= hysteresis).all()
    assert (np.sign(steps) == -np.sign(np.roll(steps, 1))).all()


def test_ripples_below_the_hysteresis_are_passed_over():
    ring = np.array([0, 4, 3.5, 4.5, 0, 0.4, -0.1, 2.0])
    np.testing.assert_array_equal(turning_points(ring, 1.0), [0, 3, 6, 7])


def test_table_of_turned_shapes_and_back():
    shapes = [SHAPES[number] for number in (0, 2, 33)]
    table = element_table(shapes, np.array([1, 1, 0, 2]), np.array([0.0, 45.0, 0.0, 90.0]))
    assert table.groupby("stimulus").size().tolist() == [4, 4, 8, 8]
    assert table["shape"].unique().tolist() == [1, 0, 2]
    plain, rotated = (table[table["stimulus"] == number] for number in (0, 1))
    difference = np.deg2rad(rotated["angle"].to_numpy() - plain["angle"].to_numpy())
    np.testing.assert_allclose(np.exp(1j * difference), np.exp(1j * np.pi / 4), atol=1e-12)
    elements = padded(table)
    assert elements.angle.shape == elements.curvature.shape == (4, 8)
    assert np.isfinite(elements.angle).sum(axis=1).tolist() == [4, 4, 8, 8]
    np.testing.assert_allclose(elements.angle[0, :4], boundary_elements(SHAPES[2]).angle)
    np.testing.assert_array_equal(elements.curvature[0], elements.curvature[1])


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ([[0, 0], [1, 0]], "shape: at least three finite control points are needed"),
        ([[0, 0], [1, np.nan], [0, 1]], "shape: at least three finite control points are needed"),
        (
            [[0, 0], [1, 0], [0, 1], [0, 0]],
            "shape: the last control point repeats the first; leave it out",
        ),
        ([[0, 0], [1, 1], [2, 2]], "shape: its control points must enclose an area"),
        (
            [[0, 0], [2, 0], [2, 0], [2, 0], [0, 2]],
            "shape: its contour stands still at a point; remove repeated points",
        ),
    ],
)
def test_what_is_no_shape(control: list, message: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        contour(np.array(control, dtype=float))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"stimulus": [0], "angle": [0.0]}, "elements: the table lacks the columns curvature"),
        (
            {"stimulus": [0, 2], "angle": [0.0, 0.0], "curvature": [0.0, 0.0]},
            "elements: stimuli must be numbered 0, 1, 2, ... with none left out",
        ),
        (
            {"stimulus": [], "angle": [], "curvature": []},
            "elements: stimuli must be numbered 0, 1, 2, ... with none left out",
        ),
        (
            {"stimulus": [0, 0.5], "angle": [0.0, 0.0], "curvature": [0.0, 0.0]},
            "elements: stimuli must be numbered 0, 1, 2, ... with none left out",
        ),
        (
            {"stimulus": [0], "angle": ["east"], "curvature": [0.5]},
            "elements: the table must hold numbers (could not convert string to float: 'east')",
        ),
        (
            {"stimulus": [0], "angle": [0.0], "curvature": [1.5]},
            "elements: angles must be finite and curvatures between -1 and 1",
        ),
    ],
)
def test_what_is_no_table_of_elements(table: dict, message: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        padded(pd.DataFrame(table))
