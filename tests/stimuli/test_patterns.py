"""Blocks, checkerboards and drifting edges."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.stimuli.blocks import blocks
from pipeline.stimuli.checkerboards import checkerboards
from pipeline.stimuli.edges import drifting_edges
from pipeline.stimuli.field import Field


def test_blocks_scan_the_field_row_by_row_in_eight_colors():
    stimuli = blocks(Field(60, 63))  # sides of 3 pixels, steps of 1
    assert len(stimuli) == 59 * 62 * 8
    assert stimuli.table["color"][:8].tolist() == list("WKRGBYCM")
    drawn = stimuli.draw([0, 8 * 62 + 8 + 2])
    assert drawn[0, 0].nonzero().tolist() == [[r, c] for r in range(3) for c in range(3)]
    assert drawn[1, 0].nonzero().tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]
    assert drawn[1, :, 2, 2].tolist() == [1, -1, -1]  # red
    assert stimuli.table.loc[8 * 62 + 8, ["x", "y"]].tolist() == [2 - 31, 2 - 29.5]


def test_blocks_beyond_the_border_are_clipped():
    stimuli = blocks(Field(40, 40))  # sides of 2 pixels: the last fits
    assert not stimuli.table["clipped"].any()
    stimuli = blocks(Field(60, 60))
    areas = stimuli.planes(range(stimuli.geometries)).sum((1, 2, 3)).numpy()
    np.testing.assert_array_equal(stimuli.table["clipped"][::8], areas < 9)


def test_blocks_of_the_smallest_fields_are_single_pixels():
    assert blocks(Field(1, 1)).draw([0])[0, 0].tolist() == [[1]]


def test_checkerboards_alternate():
    boards = checkerboards(Field(8, 8), checks=[2])
    assert boards.table[["x", "y", "polarity"]].to_numpy().tolist() == [
        [0, 0, 1], [0, 0, -1], [0, 1, 1], [0, 1, -1], [1, 0, 1], [1, 0, -1], [1, 1, 1], [1, 1, -1],
    ]  # fmt: skip
    drawn = boards.draw(range(8))[:, 0]
    assert drawn[0, 4].tolist() == [1, 1, -1, -1, 1, 1, -1, -1]
    assert drawn[0, :, 4].tolist() == [1, 1, -1, -1, 1, 1, -1, -1]
    assert torch.equal(drawn[1], -drawn[0])
    assert torch.equal(drawn[4, :, 1:], drawn[0, :, :-1])  # a pixel to the right
    assert torch.equal(drawn[2, 1:], drawn[0, :-1])  # a pixel down
    assert drawn.mean((1, 2)).abs().max() == 0


def test_checks_are_fractions_of_the_field():
    boards = checkerboards(Field(48, 64))
    assert boards.table["check"].unique().tolist() == [24, 12, 6, 3]
    assert checkerboards(Field(3, 3)).table["check"].unique().tolist() == [1]


def test_edges_move_along_their_direction():
    edges = drifting_edges(Field(20, 20), directions=4, frames=5)
    frames = edges.draw(np.flatnonzero(edges.table["polarity"] == 1)).view(4, 5, 3, 20, 20)[:, :, 0]
    # 20 pixels in 5 frames: the edge has come 2, 6, 10, 14 and 18 pixels.
    white = (frames == 1).float()
    assert white[0, :, 7].sum(1).tolist() == [2, 6, 10, 14, 18]
    assert (white[0, 1, :, :6] == 1).all()  # rightward: white follows from the left
    assert (white[1, 1, 14:] == 1).all()  # upward: from below
    for direction in range(3):
        turned = frames[direction].rot90(1, (1, 2))
        torch.testing.assert_close(frames[direction + 1], turned, rtol=0, atol=1e-6)


def test_an_edge_is_the_same_seen_from_behind():
    edges = drifting_edges(Field(15, 22), directions=6, frames=4)
    drawn = edges.draw(range(len(edges))).view(6, 4, 2, 3, 15, 22)
    behind = drawn.roll(3, 0).flip(1).flip(2)
    torch.testing.assert_close(drawn, behind, rtol=0, atol=1e-6)


def test_the_area_behind_an_edge_is_exact_along_the_axes():
    edges = drifting_edges(Field(9, 14), directions=2, frames=7)
    areas = edges.planes(range(edges.geometries)).sum((1, 2, 3))
    shares = (edges.table["frame"][::2].to_numpy() + 0.5) / 7
    np.testing.assert_allclose(areas, shares * 9 * 14, atol=1e-3)
