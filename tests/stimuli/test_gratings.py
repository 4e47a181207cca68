"""Gratings: published numbers, pixels by a plain loop, symmetries and flags."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.gratings import sin1, sine_1, sine_2


def plain_grating(size: tuple[int, int], grating) -> np.ndarray:
    """Return a grating, pixel by pixel, after the published rule, which counts y up."""
    height, width = size
    angle, phase = math.radians(grating["orientation"]), math.radians(grating["phase"])
    found = np.zeros(size)
    for row in range(height):
        for column in range(width):
            x = column - (width - 1) / 2 - grating["x"]
            y = (height - 1) / 2 - row + grating["y"]
            if x * x + y * y < grating["diameter"] ** 2 / 4:
                along = math.cos(angle) * x + math.sin(angle) * y
                found[row, column] = math.cos(2 * math.pi * grating["frequency"] * along - phase)
    return found


@pytest.mark.parametrize(("side", "count"), [(11, 120_800), (51, 113_280)])
def test_counts_are_the_published_ones(side: int, count: int):
    assert len(sin1(Field(side, side))) == count


def test_published_numbers_count_y_up():
    table = sin1(Field(51, 51)).table
    assert table.loc[0, ["x", "y", "published_y"]].tolist() == [-19.125, 19.125, -19.125]
    assert table.loc[32, ["x", "y"]].tolist() == [-19.125, 0]
    assert table.loc[4, "orientation"] == 22.5
    assert table.loc[[0, 1, 2, 3], "phase"].tolist() == [0, 90, 180, 270]
    assert (table["y"] == -table["published_y"]).all()


@pytest.mark.parametrize("builder", [sin1, sine_1, sine_2])
def test_pixels_are_those_of_a_plain_loop(builder):
    gratings = builder(Field(19, 22))
    rows = np.random.default_rng(1).choice(len(gratings), 60, replace=False)
    for stimulus, row in zip(gratings.draw(rows).numpy(), rows, strict=True):
        expected = plain_grating((19, 22), gratings.table.loc[row])
        np.testing.assert_allclose(stimulus, np.stack([expected] * 3), rtol=0, atol=1e-6)


def test_a_vertical_wave_has_the_pixels_computed_by_hand():
    gratings = sin1(Field(64, 64), frequencies=[0.25])
    row = gratings.table.query("x == 0 and y == 0 and orientation == 90 and phase == 0").index[0]
    drawn = gratings.draw([row])[0, 0, 24:32, 32]
    # y up is 7.5 to 0.5 pixels above the center, a quarter of a cycle each.
    np.testing.assert_allclose(
        drawn, [math.cos(math.pi / 2 * (7.5 - k)) for k in range(8)], atol=1e-6
    )


def test_opposite_phases_are_negatives_and_quadratures_fill_the_disc():
    gratings = sin1(Field(31, 31))
    first = torch.arange(0, len(gratings), 4 * 997)
    shown = [gratings.draw(first + k)[:, 0] for k in range(4)]
    torch.testing.assert_close(shown[2], -shown[0], rtol=0, atol=1e-7)
    torch.testing.assert_close(shown[3], -shown[1], rtol=0, atol=1e-7)
    power = shown[0].square() + shown[1].square()
    assert ((power - 1).abs().lt(1e-6) | power.eq(0)).all()


def test_turning_the_orientation_turns_the_pixels():
    gratings = sine_2(Field(33, 33))
    table = gratings.table.reset_index(names="row")
    keys = ["frequency", "orientation", "diameter", "phase"]
    number = table.set_index(keys)["row"]
    for frequency in (0.045, 0.362):
        for orientation in (0.0, 22.5, 67.5):
            size = table["diameter"].max()
            rows = [number[frequency, o, size, 45] for o in (orientation, orientation + 90)]
            before, after = gratings.draw(rows)
            torch.testing.assert_close(after, before.rot90(1, (1, 2)), rtol=0, atol=1e-6)


def test_diameters_are_half_an_octave_apart_up_to_the_field():
    diameters = sine_1(Field(64, 80)).table["diameter"].unique()
    np.testing.assert_allclose(diameters[1:] / diameters[:-1], math.sqrt(2))
    assert diameters[-1] == 64


def test_too_fine_gratings_are_aliased_along_the_axes_alone():
    table = sin1(Field(21, 21), frequencies=[0.5, 0.51, 0.6]).table
    aliased = table.groupby(["frequency", "orientation"])["aliased"].unique().map(list)
    assert aliased[0.5, 0.0] == [False]
    assert aliased[0.51, 0.0] == [True]
    assert aliased[0.6, 22.5] == [True]
    assert aliased[0.6, 45.0] == [False]  # 0.42 cycles per pixel along each axis


def test_discs_that_leave_the_canvas_are_clipped():
    gratings = sin1(Field(24, 24), frequencies=[0.02])
    planes = gratings.planes(torch.arange(gratings.geometries))
    wide = gratings.planes(torch.arange(gratings.geometries), margin=(12, 12))
    lost = wide.abs().sum((1, 2, 3)) - planes.abs().sum((1, 2, 3)) > 1e-3
    clipped = torch.tensor(gratings.table["clipped"])[::4]
    assert not (lost & ~clipped).any()
    table = gratings.table.iloc[::4]
    reach = table[["x", "y"]].abs().max(axis=1) + table["diameter"] / 2
    assert clipped.tolist() == (reach > 12).tolist()
    assert lost[torch.tensor(reach.to_numpy() > 12.75)].all()


def test_contrast_stays_within_the_bounds_and_gray_stays_gray():
    colors = Colors.bounds([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    gratings = sine_1(Field(40, 40, colors=colors))
    row = gratings.table.query("diameter == 40 and frequency == 0.256 and phase == 0").index[0]
    drawn = gratings.draw([row])[0]
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    pixels = drawn * std + mean
    assert pixels.min() >= -1e-6
    assert pixels.max() <= 1 + 1e-6
    # As far above gray as 0.406, the least of all channels, lies above black.
    assert float((drawn * std).max()) == pytest.approx(0.406, abs=0.01)
    torch.testing.assert_close((drawn * std)[0], (drawn * std)[2], rtol=0, atol=1e-6)
