"""Gratings in degrees: counts, orders, pixels by the published rule, conventions and flags."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.stimuli.color_gratings import spatial_opponency
from pipeline.stimuli.compound_gratings import center_surround, plaids
from pipeline.stimuli.degree_gratings import contrast_series, gratings
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.marques import (
    blank,
    marques_orientation,
    marques_receptive_field,
    marques_size,
    marques_spatial_frequency,
)

SCREEN = Screen(224, 224)
FIELD = Field(113, 113, screen=SCREEN)
ONE = {"orientation": 0.0, "frequency_per_degree": 2.0, "diameter_degrees": 2.0}


def one(**changes: float) -> pd.DataFrame:
    return pd.DataFrame([{**ONE, **changes}])


def published_pixels(
    degrees: float, side: int, grating: dict[str, float], center: float
) -> np.ndarray:
    """Return 8-bit pixels of a grating after the published rule, one pixel at a time."""
    density, pixels = side / degrees, np.full((side, side), 128, dtype=int)
    angle, phase = np.deg2rad(grating["orientation"]), np.deg2rad(grating["phase"])
    for row in range(side):
        for column in range(side):
            x, y = ((at - side / 2) / density - center for at in (column, row))
            if x * x + y * y <= (grating["diameter_degrees"] / 2) ** 2 + 1e-12:
                along = x * np.cos(angle) + y * np.sin(angle)
                wave = np.sin(2 * np.pi * grating["frequency_per_degree"] * along + phase)
                pixels[row, column] = int((wave + 1) / 2 * 255)
    return pixels


@pytest.mark.parametrize(
    ("build", "count", "slow_to_fast"),
    [
        (marques_receptive_field, 3528, ["step_x", "step_y", "orientation", "phase"]),
        (
            marques_orientation,
            1152,
            ["cycles", "frequency_per_degree", "orientation", "phase"],
        ),
        (
            marques_spatial_frequency,
            2112,
            ["diameter_degrees", "frequency_per_degree", "orientation", "phase"],
        ),
        (
            marques_size,
            2304,
            ["diameter_degrees", "frequency_per_degree", "orientation", "phase"],
        ),
        (
            contrast_series,
            2304,
            ["frequency_per_degree", "orientation", "contrast", "phase"],
        ),
        (spatial_opponency, 960, ["orientation", "phase_cycles", "cycles"]),
    ],
)
def test_counts_and_orders_are_the_published_ones(build, count, slow_to_fast):
    table = build(FIELD).table
    assert len(table) == count
    ranked = table.sort_values(slow_to_fast, kind="stable").index
    assert ranked.tolist() == list(range(count))
    assert not table.duplicated(slow_to_fast).any()


def test_values_are_the_published_ones():
    frequency = marques_spatial_frequency(FIELD).table["frequency_per_degree"].unique()
    assert len(frequency) == 22
    assert frequency[[0, -1]].round(3).tolist() == [0.386, 14.672]
    diameters = marques_size(FIELD).table["diameter_degrees"].unique()
    np.testing.assert_allclose(
        diameters,
        [0.2102, 0.2973, 0.4204, 0.5946, 0.8409, 1.189, 1.682, 2.378, 3.364, 4.757, 6.727, 9.514],
        atol=6e-4,
    )
    places = marques_receptive_field(FIELD).table
    assert places["x_degrees"].unique().tolist() == np.arange(-2.5, 2.6, 0.25).tolist()
    np.testing.assert_allclose(places["x"], 28 * places["x_degrees"])
    cycles = marques_orientation(FIELD).table
    np.testing.assert_allclose(
        cycles["diameter_degrees"] * cycles["frequency_per_degree"], cycles["cycles"]
    )


@pytest.mark.parametrize("orientation", [0.0, 30.0, 135.0])
@pytest.mark.parametrize("phase", [0.0, 135.0])
def test_pixels_are_those_of_the_published_rule_cut_to_8_bits(orientation: float, phase: float):
    """The published center is a pixel, as that of an odd canvas is."""
    # An input of 68 pixels, 6 degrees; center at 40 of 0..67: 6 pixels beyond 34, its middle.
    grating = {"orientation": orientation, "phase": phase, "frequency_per_degree": 1.3}
    grating["diameter_degrees"] = 3.0
    wanted = published_pixels(6.0, 68, grating, center=6 * 6 / 68)[40 - 25 : 40 + 26, 15:66]
    drawn = gratings(
        Field(51, 51, screen=Screen(68, 68, 6.0)), pd.DataFrame([grating]).drop(columns="phase")
    )
    row = drawn.table.query(f"phase == {phase}").index
    share = (drawn.draw(row)[0, 0].double().numpy() + 1) / 2 * 255
    outside = share == 127.5
    found = np.floor(share)
    inside = (wanted != 128) | ~outside
    # Where the exact value is a whole number, single precision may fall on either side of it.
    sure = np.abs(share - np.round(share)) > 1e-4
    assert (found[inside & sure] == wanted[inside & sure]).all()
    assert sure[inside].mean() > 0.95
    assert (np.abs(found - wanted)[inside] <= 1).all()
    assert inside.sum() == pytest.approx(np.pi * (1.5 * 68 / 6) ** 2, rel=0.03)


def test_levels_are_the_published_ones():
    drawn = gratings(FIELD, one(orientation=0.0, frequency_per_degree=1.0, diameter_degrees=3.9))
    levels = np.floor((drawn.draw([0])[0, 0].double().numpy() + 1) / 2 * 255)
    assert levels[56, 56] == 127
    y, x = np.mgrid[-56:57, -56:57]
    inside = levels[x**2 + y**2 <= (3.9 * 14) ** 2]
    assert inside.mean() == pytest.approx(127.0, abs=0.1)
    # A whole cycle has 28 pixels, of which one is at the crest.
    assert (inside.min(), inside.max()) == (0, 255)
    finer = gratings(FIELD, one(frequency_per_degree=1.5422, diameter_degrees=3.9))
    levels = np.floor((finer.draw([0])[0, 0].double().numpy() + 1) / 2 * 255)
    assert (levels.min(), levels.max()) == (0, 254)


def test_orientation_is_the_direction_of_change_clockwise_on_the_screen():
    upright, slanted = (gratings(FIELD, one(orientation=turn)).draw([2])[0, 0] for turn in (0, 45))
    assert torch.allclose(upright[50:60, 40:70].std(0), torch.tensor(0.0))  # stripes are vertical
    assert upright[50].std() > 0.3
    middle = slanted[38:75, 38:75]
    assert torch.diagonal(middle).std() > 0.3  # from upper left to lower right it changes
    assert torch.diagonal(middle.flip(1)).std() < 1e-5


def test_turning_by_a_right_angle_turns_the_pixels():
    for turn in (0.0, 30.0, 77.0):
        before, after = (
            gratings(FIELD, one(orientation=angle)).draw([1])[0] for angle in (turn, turn + 90)
        )
        torch.testing.assert_close(after, before.rot90(-1, (1, 2)), rtol=0, atol=1e-6)


def test_phases_and_contrasts_cost_one_geometry_and_are_exact():
    series = contrast_series(Field(29, 29, screen=SCREEN), orientations=2, frequencies=[2.0])
    assert series.geometries == 2
    table, drawn = series.table, series.draw(np.arange(96))
    assert table["contrast"].unique().round(4).tolist()[:2] == [0.01, 0.0152]
    full = drawn[table.index[:96][table["contrast"][:96] == 1.0]]
    part = drawn[table.index[:96][np.isclose(table["contrast"][:96], 0.01)]]
    torch.testing.assert_close(part, 0.01 * full, rtol=0, atol=1e-7)
    assert float(full.square().mean().sqrt()) == pytest.approx(
        table["rms_contrast"].max(), abs=0.01
    )


def test_sizes_are_in_degrees_of_the_screen():
    """At 28 pixels per degree, a disc of 1 degree is 28 pixels wide; at 56, 56."""
    for density, screen in ((28, SCREEN), (56, Screen(448, 448)), (28, Screen(112, 112, 4.0))):
        drawn = gratings(Field(151, 151, screen=screen), one(diameter_degrees=1.0), phases=4)
        disc = drawn.planes([0]).square().sum(1)[0] > 0.5
        assert int(disc[75].sum()) == density + 1  # from -14 to 14, both included
        assert drawn.table["diameter"].unique().tolist() == [density]
        assert drawn.table["frequency"].unique().tolist() == [2 / density]


def test_twice_the_density_is_the_same_picture_twice_as_large():
    small = gratings(Field(57, 57, screen=SCREEN), one(orientation=20.0, diameter_degrees=9.0))
    fine = Screen(448, 448)
    large = gratings(Field(113, 113, screen=fine), one(orientation=20.0, diameter_degrees=9.0))
    rows = [0, 1, 5]
    torch.testing.assert_close(
        large.draw(rows)[:, :, ::2, ::2], small.draw(rows), rtol=0, atol=1e-5
    )


def test_what_pixels_or_the_screen_cannot_show_is_flagged():
    table = marques_spatial_frequency(FIELD).table
    flagged = table[table["aliased"]]
    assert flagged["frequency_per_degree"].round(2).unique().tolist() == [14.67]  # beyond 14
    assert flagged["orientation"].unique().tolist() == [0.0, 90.0]  # 12.7 along an axis at 30
    finer = marques_spatial_frequency(Field(113, 113, screen=Screen(448, 448))).table
    assert not finer["aliased"].any()
    for center in (None, (0.5, 0.5)):
        sizes = marques_size(Field(113, 113, screen=Screen(224, 224, 8.0, center))).table
        assert sizes[sizes["clipped"]]["diameter_degrees"].round(2).unique().tolist() == [9.51]
    places = marques_receptive_field(Field(29, 29, screen=SCREEN)).table
    assert not places["clipped"].any()
    seen = places[~places["leaves_field"]]  # centers up to a third of a degree away
    assert seen["x_degrees"].unique().tolist() == [-0.25, 0.0, 0.25]


def test_a_shift_moves_stimuli_and_not_the_screen():
    here, there = (Field(61, 61, screen=SCREEN, shift=shift) for shift in ((0.0, 0.0), (5.0, -3.0)))
    still, moved = (gratings(field, one(diameter_degrees=1.0)) for field in (here, there))
    assert moved.table[["x", "y"]].drop_duplicates().to_numpy().tolist() == [[5.0, -3.0]]
    expected = still.draw([3]).roll((-3, 5), (2, 3))
    torch.testing.assert_close(moved.draw([3]), expected, rtol=0, atol=1e-6)


def test_blank_is_the_gray_around_gratings():
    colors = Colors.bounds([0.4] * 3, [0.2] * 3, gray=0.5)
    field = Field(31, 31, colors=colors, screen=SCREEN)
    corner = gratings(field, one(diameter_degrees=1.0)).draw([0])[0, :, 0, 0]
    assert torch.equal(blank(field).draw([0])[0, :, 15, 15], corner)
    assert corner.tolist() == pytest.approx([0.5] * 3)


def test_a_ring_begins_where_its_center_ends():
    field = Field(113, 113, screen=SCREEN)
    pairs = center_surround(field, orientations=1, frequencies=[2.0], diameters=(1.0, 3.0))
    planes = pairs.planes([0]).square()
    center, surround = planes[0, :2].sum(0) > 0.5, planes[0, 2:].sum(0) > 0.5
    y, x = np.mgrid[-56:57, -56:57]
    assert (center.numpy() == (x**2 + y**2 <= 14**2)).all()
    assert (surround.numpy() == ((x**2 + y**2 > 14**2) & (x**2 + y**2 <= 42**2))).all()
    table = pairs.table
    iso = table.query("angle == 0 and contrast == 1 and surround_contrast == 1 and phase == 45")
    whole = gratings(field, one(diameter_degrees=3.0)).draw([1])
    torch.testing.assert_close(pairs.draw(iso.index), whole, rtol=0, atol=1e-6)


def test_a_plaid_is_the_sum_of_two_gratings():
    crossed = plaids(FIELD, orientations=2, frequencies=[2.0])
    table = crossed.table
    row = table.query(
        "orientation == 90 and contrast == .5 and mask_contrast == .25 and phase == 90"
    )
    assert row["mask_orientation"].tolist() == [0.0]
    first, second = (gratings(FIELD, one(orientation=turn)).draw([2]) for turn in (90.0, 0.0))
    wanted = 0.5 * first + 0.25 * second
    torch.testing.assert_close(crossed.draw(row.index), wanted, rtol=0, atol=1e-6)


def test_gratings_of_spatial_opponency_follow_the_published_formula():
    """Pixels of an image of 32 x 32 about its middle, y up, orientations from PsychoPy's."""
    stimuli = spatial_opponency(Field(32, 32))
    rows = np.random.default_rng(3).choice(960, 40, replace=False)
    axis = np.arange(32) - 15.5
    for drawn, row in zip(stimuli.draw(rows), rows, strict=True):
        values = stimuli.table.loc[row]
        turn = np.deg2rad(90 - values["orientation"])
        u = axis[None, :] * np.cos(turn) - (-axis[:, None]) * np.sin(turn)
        wave = 0.5 + 0.5 * np.cos(2 * np.pi * (values["cycles"] * u / 32 - values["phase_cycles"]))
        np.testing.assert_allclose((drawn[1].numpy() + 1) / 2, wave, atol=1e-5)
    assert not stimuli.table["aliased"].any()  # 16 cycles in 32 pixels are as fine as they can be


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gratings(Field(9, 9), one()), "stimulus.field.screen: is needed for stimuli in"),
        (lambda: gratings(FIELD, one().drop(columns="orientation")), "lacks the columns orient"),
        (lambda: gratings(FIELD, one(diameter_degrees=0.0)), "diameter_degrees is 0.0 in row 0"),
        (lambda: gratings(FIELD, one(x_degrees=np.inf)), "x_degrees is inf in row 0; it must be a"),
        (lambda: gratings(FIELD, "none.csv"), "gratings.table: there is no file none.csv"),
        (lambda: center_surround(FIELD, diameters=(2.0, 1.0)), r"\[2.0, 1.0\] are not the diam"),
        (lambda: Screen(224, 224, 0.0), "screen.visual_degrees: 0.0 is not above 0"),
    ],
)
def test_what_cannot_be_drawn_is_said(build, message: str):
    with pytest.raises(ConfigError, match=message):
        build()
