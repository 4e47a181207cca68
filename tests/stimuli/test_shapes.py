"""Shapes: splines, polygon fill, counts, symmetries and flags."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from scipy.interpolate import BSpline

from pipeline.analysis.splines import signed_area_and_centroid, spline, spline_at
from pipeline.errors import ConfigError
from pipeline.stimuli.field import Field
from pipeline.stimuli.polygons import coverage
from pipeline.stimuli.shapes import control_points, outlines, rotations, shapes, v4_shapes


def exact(polygon: np.ndarray, size: tuple[int, int], samples: int = 20) -> np.ndarray:
    """Return the coverage of a polygon (x right, y down) by many samples a pixel."""
    height, width = size
    y, x = ((np.arange(n * samples) + 0.5) / samples - n / 2 for n in (height, width))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    inside = Outline(polygon).contains_points(grid)
    return inside.reshape(height, samples, width, samples).mean((1, 3))


@pytest.mark.parametrize("shape", [0, 7, 12, 29, 50])
@pytest.mark.parametrize("derivative", [0, 1, 2])
def test_outlines_are_closed_cubic_splines(shape: int, derivative: int):
    control = control_points()[shape]
    count = len(control)
    # A knot a control point; point i weighs most at parameter i.
    around = control[np.arange(-3, count + 3) % count]
    curve = BSpline(np.arange(-5, count + 5), around, 3)
    parameter = np.random.default_rng(shape).uniform(0, count, 50)
    expected = curve(parameter, nu=derivative)
    np.testing.assert_allclose(spline_at(control, parameter, derivative), expected, atol=1e-9)


def test_areas_and_centroids_are_the_published_ones():
    areas = {0: 0.4090, 1: 6.5383, 2: 1.0312, 12: 2.2343, 33: 3.7739, 50: 4.0607}
    for shape, area in areas.items():
        found = signed_area_and_centroid(control_points()[shape])[0]
        assert found == pytest.approx(-area, rel=1e-4)  # their contours run clockwise
    for shape, centroid in {2: (0, 0.4426), 12: (0.2677, 0.1108)}.items():
        np.testing.assert_allclose(
            signed_area_and_centroid(control_points()[shape])[1], centroid, atol=5e-5
        )


@pytest.mark.parametrize("shape", range(0, 51, 5))
def test_areas_and_centroids_are_those_of_fine_polygons(shape: int):
    control = control_points()[shape]
    x, y = spline(control, 20_000).T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    area = cross.sum() / 2
    center = [((v + np.roll(v, -1)) * cross).sum() / (6 * area) for v in (x, y)]
    found_area, found_center = signed_area_and_centroid(control)
    assert found_area == pytest.approx(area, rel=1e-6)
    np.testing.assert_allclose(found_center, center, atol=1e-6)


@pytest.mark.parametrize("figure", [0, 7, 90, 231, 361])
def test_outlines_are_closed_cubic_splines_turned_about_the_origin(figure: int):
    shape, rotation = rotations().loc[figure]
    control = control_points()[shape]
    count = len(control)
    # A knot a control point; point i weighs most at parameter i.
    around = control[np.arange(-3, count + 3) % count]
    x, y = BSpline(np.arange(-5, count + 5), around, 3)(np.arange(512) * count / 512).T
    angle = math.radians(rotation)
    turned = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
    found = outlines(centered=False)[figure]
    np.testing.assert_allclose(found, np.stack(turned, axis=1), atol=1e-9)


@pytest.mark.parametrize("shape", range(0, 51, 5))
def test_centered_outlines_have_the_center_of_their_area_at_the_origin(shape: int):
    first = rotations().query(f"shape == {shape} and rotation == 0").index[0]
    x, y = outlines(centered=True)[first].T
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    center = [((v + np.roll(v, -1)) * cross).sum() / (3 * cross.sum()) for v in (x, y)]
    np.testing.assert_allclose(center, 0, atol=1e-4)


def test_all_centered_rotated_shapes_together_are_as_wide_as_published():
    points = outlines(centered=True)
    assert np.ptp(points[..., 0]) == pytest.approx(3.80515, abs=1e-4)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 361), st.floats(1, 6), st.floats(-9, 9), st.floats(-9, 9))
def test_fills_are_those_of_the_exact_polygon(figure: int, scale: float, x: float, y: float):
    polygon = outlines(centered=False)[figure] * [scale, -scale] + [x, y]
    found = coverage(torch.from_numpy(polygon)[None], (15, 18))[0].numpy()
    expected = exact(polygon, (15, 18))
    assert np.abs(found - expected).max() < 0.13
    if expected.sum() > 9:  # of the fewest pixels, 8 x 8 samples of each miss a larger share
        common = np.minimum(found, expected).sum() / np.maximum(found, expected).sum()
        assert common > 0.97


def test_a_diamond_has_the_pixels_computed_by_hand():
    diamond = torch.tensor([[[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]])
    # The border of each pixel's half goes through the 8 samples of its diagonal, of which those
    # at a left border count as inside: 36 or 28 of 64.
    found = coverage(diamond, (2, 2))[0] * 64
    assert found.tolist() == [[36, 28], [36, 28]]


def test_turning_the_winding_or_the_first_vertex_changes_nothing():
    polygon = torch.from_numpy(outlines(centered=True)[100:110] * 4.0 + 0.3)
    found = coverage(polygon, (17, 17))
    assert torch.equal(coverage(polygon.roll(77, 1), (17, 17)), found)
    torch.testing.assert_close(coverage(polygon.flip(1), (17, 17)), found, rtol=0, atol=0)


def test_rotations_turn_shapes_counterclockwise():
    stimuli = v4_shapes(Field(49, 49))
    first = stimuli.table.query("shape == 2").index.to_numpy()
    drawn = stimuli.planes(first)[:, 0]
    # Mirror images of samples that lie on an outline differ.
    for turn in range(6):
        torch.testing.assert_close(
            drawn[turn + 2], drawn[turn].rot90(1, (0, 1)), rtol=0, atol=2.1 / 64
        )


def test_shapes_are_drawn_y_up():
    stimuli = v4_shapes(Field(49, 49))
    row = stimuli.table.query("shape == 2 and rotation == 0").index[0]
    drawn = stimuli.draw([row])[0, 0]
    # Shape 2 is a drop whose tip points up: its widest row lies below the center.
    assert drawn.sum(1).argmax() > 24


def test_shapes_lie_on_the_center_of_their_area():
    drawn = v4_shapes(Field(49, 51), x=[-3.0]).draw(range(362))[:, 0]
    area = drawn.sum((1, 2))
    places = torch.arange(51.0) - 25, torch.arange(49.0) - 24
    x, y = (drawn.sum(axis) @ place / area for axis, place in zip((1, 2), places, strict=True))
    assert (x + 3).abs().max() < 0.05
    assert y.abs().max() < 0.05


def test_areas_in_pixels_are_those_of_the_outlines():
    drawn = v4_shapes(Field(49, 49)).draw(range(362))[:, 0].sum((1, 2)).numpy()
    shape = rotations()["shape"].to_numpy()
    expected = np.abs([signed_area_and_centroid(each)[0] for each in control_points()])[shape]
    np.testing.assert_allclose(drawn, expected * (32 / 3.80515) ** 2, rtol=6e-3)


def test_counts_and_numbers_are_the_published_ones():
    stimuli = shapes(Field(51, 51))
    assert len(stimuli) == len(shapes(Field(99, 99))) == 129_596
    assert stimuli.table["size"].unique().tolist() == [38, 19, 10]
    assert stimuli.table.loc[[0, 724], ["x", "y"]].to_numpy().tolist() == [
        [-19.125, -19.125], [-19.125, 0],
    ]  # fmt: skip
    names = stimuli.table.loc[[0, 1, 4, 6], ["shape", "rotation", "polarity"]]
    assert names.to_numpy().tolist() == [[0, 0, 1], [0, 0, -1], [2, 0, 1], [2, 45, 1]]


def test_positions_are_the_slowest_loop_of_the_v4_set():
    table = v4_shapes(Field(51, 51), x=[-2.0, 0.0, 2.0]).table
    assert len(table) == 3 * 362
    assert table["x"].iloc[::362].tolist() == [-2, 0, 2]


def test_colors_are_white_on_gray_or_those_given():
    field = Field(9, 9)
    plain = v4_shapes(field, width=8.0).draw([1])
    assert plain[0, :, 4, 4].tolist() == [1, 1, 1]
    assert plain[0, :, 0, 0].tolist() == [0, 0, 0]
    own = v4_shapes(field, width=8.0, figure=(1.0, 2.0, 3.0), background=(0.0, -1.0, 0.0)).draw([1])
    assert own[0, :, 4, 4].tolist() == [1, 2, 3]
    assert own[0, :, 0, 0].tolist() == [0, -1, 0]


def test_shapes_that_leave_the_canvas_are_clipped():
    stimuli = shapes(Field(30, 30))
    rows = np.arange(0, len(stimuli), 202)
    inside = stimuli.planes(rows // 2).sum((1, 2, 3))
    whole = stimuli.planes(rows // 2, margin=(20, 20)).sum((1, 2, 3))
    lost = (whole > inside).numpy()
    clipped = stimuli.table["clipped"].to_numpy()[rows]
    assert not (lost & ~clipped).any()
    # Some reach out by less than a sample.
    assert (lost & clipped).sum() > 0.85 * clipped.sum()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"figure": (1.0,)},
            r"v4_shapes.figure: \(1.0,\) is not a color .* its 3 channels",
        ),
        ({"background": (0.0, 0.0)}, r"v4_shapes.background: \(0.0, 0.0\) is not a color"),
    ],
)
def test_bad_options_are_named(options, message: str):
    with pytest.raises(ConfigError, match=message):
        v4_shapes(Field(51, 51), **options)
