"""Bars on the stride: one wide presentation answers for all positions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.networks.loading.weights import seeded
from pipeline.stimuli.bars import ASPECTS, LENGTHS
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.field import Field


def layers(size: tuple[int, int]) -> nn.Module:
    """Return layers whose unit has a field of a size, of 11 pixels or 13, and a stride of 2."""
    kernel = (size[0] - 3) // 2, (size[1] - 3) // 2
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 6, kernel)
        ).double()


def test_positions_step_by_the_stride():
    bars = bars_on_stride(Field(51, 99, stride=8))
    assert bars.table["x"].unique().tolist() == [8 * k for k in range(-6, 7)]
    assert bars.table["y"].unique().tolist() == [8 * k for k in range(-3, 4)]
    assert (bars.table["x"] == 8 * bars.table["step_x"]).all()
    assert (bars.table["y"] == 8 * bars.table["step_y"]).all()
    assert len(bars) == len(LENGTHS) * len(ASPECTS) * 8 * 13 * 7 * 2


@pytest.mark.parametrize("size", [(11, 11), (11, 13)])
def test_one_wide_presentation_answers_as_every_position_does(size: tuple[int, int]):
    layer, bars = layers(size), bars_on_stride(Field(*size, stride=2))
    assert bars.shifts is not None
    some = torch.arange(0, 96, 7)
    wide = bars.planes(bars.shifts.figures[some], margin=bars.shifts.margin)
    for look in (0, 1):
        rows = bars.shifts.rows[some, look]
        first = rows[:, 0, 0]
        background, weights = bars.background[first], bars.weights[first, 0]
        shown = background[:, :, None, None] + weights[:, :, None, None] * wide
        maps = layer(shown.double())
        assert maps.shape[-2:] == rows.shape[-2:]
        answers = layer(bars.draw(rows.flatten()).double())[:, :, 0, 0]
        torch.testing.assert_close(
            maps, answers.view(*rows.shape, -1).permute(0, 3, 1, 2), rtol=0, atol=1e-12
        )


def test_every_row_has_one_place_on_one_map():
    bars = bars_on_stride(Field(19, 27, stride=4))
    assert bars.shifts is not None
    rows = bars.shifts.rows
    assert rows.flatten().sort().values.tolist() == list(range(len(bars)))
    table = bars.table.loc[rows[5, 1].flatten()]
    assert table["figure"].unique().tolist() == [5]
    assert table["polarity"].unique().tolist() == [-1]
    centered = bars.table.loc[rows[:, 0, 2, 3]]
    assert (centered[["x", "y"]] == 0).all(axis=None)
    assert centered["figure"].tolist() == list(range(96))
