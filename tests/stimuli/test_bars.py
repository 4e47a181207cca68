"""Bars: published numbers, pixels by a plain loop, and symmetries."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.stimuli.bars import bar_planes, bars_4a, bars_4b, bars_4c7o
from pipeline.stimuli.field import Colors, Field

CPU = torch.device("cpu")


def plain_bar(size: tuple[int, int], bar: dict[str, float]) -> np.ndarray:
    """Return the coverage of a bar, pixel by pixel, after the published rules."""
    height, width = size
    angle = math.radians(bar["orientation"])
    found = np.zeros(size)
    for row in range(height):
        for column in range(width):
            x = column - (width - 1) / 2 - bar["x"]
            y = row - (height - 1) / 2 - bar["y"]
            inside_width = bar["width"] / 2 - abs(math.cos(angle) * x - math.sin(angle) * y)
            inside_length = bar["length"] / 2 - abs(math.sin(angle) * x + math.cos(angle) * y)
            if inside_width < 0 and inside_length < 0:
                distance = -math.hypot(inside_width, inside_length)
            else:
                distance = min(inside_width, inside_length)
            if abs(distance) <= 0.5:
                found[row, column] = 0.5 + 0.5 * math.sin(distance / 0.5 * math.pi / 4)
            else:
                found[row, column] = float(distance > 0)
    return found


def one_bar(size: tuple[int, int], **bar: float) -> np.ndarray:
    draw = bar_planes(pd.DataFrame([bar]))
    return draw(torch.tensor([0]), size, CPU)[0, 0].numpy()


@pytest.mark.parametrize(
    ("builder", "side", "count"),
    [
        (bars_4a, 11, 36_240), (bars_4a, 51, 33_984), (bars_4a, 99, 33_984),
        (bars_4b, 51, 33_984), (bars_4c7o, 11, 144_960), (bars_4c7o, 51, 135_936),
    ],
)  # fmt: skip
def test_counts_are_the_published_ones(builder, side: int, count: int):
    assert len(builder(Field(side, side))) == count


def test_numbers_are_the_published_ones():
    table = bars_4a(Field(51, 51)).table
    assert table.loc[0, ["x", "y", "orientation"]].tolist() == [-19.125, -19.125, 0]
    assert table.loc[2, "orientation"] == 22.5
    assert table.loc[16, "y"] == 0
    assert table.loc[[0, 1], "polarity"].tolist() == [1, -1]
    assert table.loc[144, "x"] == -19.125  # width comes before x
    assert table.loc[144, "width"] == pytest.approx(38.25 / 5)


def test_the_rows_of_wide_fields_have_a_grid_of_each_axis():
    table = bars_4a(Field(51, 99)).table
    longest = table[table["length"] == table["length"].max()]
    assert longest["x"].unique().tolist() == [19.125 * k for k in range(-3, 4)]
    assert longest["y"].unique().tolist() == [-19.125, 0, 19.125]


def test_a_bar_of_whole_pixels_has_the_pixels_computed_by_hand():
    # Half a width is 1.5: the outermost pixels of the bar are half a pixel inside its edge, and
    # those beside them half a pixel outside; the corner is sqrt(1/2) away.
    drawn = one_bar((5, 5), x=0, y=0, length=3.0, width=3.0, orientation=0)
    soft = 0.5 - 0.5 * math.sqrt(0.5)
    edge = [soft, 1 - soft, 1, 1 - soft, soft]
    np.testing.assert_allclose(drawn[2], edge, atol=1e-7)
    np.testing.assert_allclose(drawn[1], [soft, 1 - soft, 1 - soft, 1 - soft, soft], atol=1e-7)
    np.testing.assert_allclose(drawn[0], [0, soft, soft, soft, 0], atol=1e-7)


def test_a_bar_turns_counterclockwise_from_vertical():
    drawn = one_bar((51, 51), x=0, y=0, length=38.0, width=4.0, orientation=22.5)
    upper = drawn[:20].sum(0) @ np.arange(51) / drawn[:20].sum()
    assert upper < 22  # the upper end points to the left


@settings(deadline=None, max_examples=30)
@given(
    st.floats(-8, 8), st.floats(-8, 8), st.floats(0.3, 20), st.floats(0.3, 20),
    st.floats(0, 180), st.integers(1, 14), st.integers(1, 14),
)  # fmt: skip
def test_pixels_are_those_of_a_plain_loop(x, y, length, width, orientation, high, wide):
    bar = {"x": x, "y": y, "length": length, "width": width, "orientation": orientation}
    found, expected = one_bar((high, wide), **bar), plain_bar((high, wide), bar)
    jump = 0.5 - 0.5 * math.sqrt(0.5)
    wrong = np.abs(found - expected)
    # A pixel exactly half a pixel from the edge may lie on either side of the jump.
    assert ((wrong < 1e-6) | (np.abs(wrong - jump) < 1e-6)).all()
    assert (wrong < 1e-6).mean() > 0.9


def test_published_pixels_are_those_of_a_plain_loop():
    bars = bars_4a(Field(21, 17))
    rows = np.random.default_rng(0).choice(len(bars), 60, replace=False)
    drawn = bars.draw(rows).numpy()
    for stimulus, row in zip(drawn, rows, strict=True):
        parameters = bars.table.loc[row]
        expected = parameters["polarity"] * (2 * plain_bar((21, 17), parameters) - 1)
        np.testing.assert_allclose(stimulus, np.stack([expected] * 3), atol=1e-6)


def test_turning_a_bar_by_90_degrees_turns_its_pixels():
    bars = bars_4a(Field(31, 31))
    table = bars.table[(bars.table["polarity"] == 1)].iloc[::37]
    turned = table.assign(
        x=table["y"], y=-table["x"], orientation=(table["orientation"] + 90) % 180
    )
    rows = torch.arange(len(table))
    before, after = (bar_planes(bars)(rows, (31, 31), CPU) for bars in (table, turned))
    torch.testing.assert_close(after, before.rot90(1, (2, 3)), rtol=0, atol=1e-6)


def test_black_on_white_is_the_negative_of_white_on_black():
    bars = bars_4a(Field(19, 23))
    even = torch.arange(0, len(bars), 202)
    assert torch.equal(bars.draw(even + 1), -bars.draw(even))


def test_the_area_of_a_bar_is_length_by_width():
    for orientation in (0.0, 22.5, 45.0, 67.5):
        drawn = one_bar((101, 101), x=0.3, y=-0.2, length=60, width=12, orientation=orientation)
        assert drawn.sum() == pytest.approx(60 * 12, rel=0.01)


def test_colors_are_of_the_published_order_on_gray():
    bars = bars_4c7o(Field(21, 21))
    centered = bars.table.query("x == 0 and y == 0 and orientation == 0").index[:8]
    drawn = bars.draw(torch.tensor(centered.to_numpy()))
    assert bars.table.loc[centered, "color"].tolist() == list("WKRGBYMC")
    middle = drawn[:, :, 10, 10].tolist()
    assert middle == [
        [1, 1, 1], [-1, -1, -1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1],
        [1, 1, -1], [1, -1, 1], [-1, 1, 1],
    ]  # fmt: skip
    assert (drawn[:, :, 0, 0] == 0).all()


def test_bounds_replace_the_published_colors():
    colors = Colors.bounds([0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
    drawn = bars_4a(Field(21, 21, colors=colors)).draw([0, 1])
    low, high = drawn.amin((2, 3)), drawn.amax((2, 3))
    torch.testing.assert_close(low, torch.tensor([[-2.0, -2, -2]] * 2))
    torch.testing.assert_close(high, torch.tensor([[3.0, 2, 4 / 3]] * 2))


def test_flags_say_which_bars_leave_the_canvas_and_which_are_finer_than_pixels():
    bars = bars_4a(Field(24, 24))
    drawn = bars.planes(torch.arange(bars.geometries))[:, 0]
    clipped = torch.tensor(bars.table["clipped"])[::2]
    wider = bars.planes(torch.arange(bars.geometries), margin=(2, 2))[:, 0]
    outside = wider.sum((1, 2)) - drawn.sum((1, 2))
    # Unclipped bars fade within half a pixel of the canvas.
    assert (wider[~clipped] > 0.5).sum() == (drawn[~clipped] > 0.5).sum()
    assert (outside[clipped] > 0).float().mean() > 0.95
    assert (bars.table["aliased"] == (bars.table["width"] < 1)).all()


def test_eight_colors_need_three_channels():
    with pytest.raises(ConfigError, match="needs a network of 3 channels, and this one has 1"):
        bars_4c7o(Field(51, 51, colors=Colors.published(1)))
