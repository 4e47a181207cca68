"""Gabor patterns: gradients, conventions, and the contrast of the grid."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.stimuli.degree_gratings import gratings
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.gabors import PARAMETERS, gabor_grid, gabor_patterns, in_radians

SOME = torch.tensor(
    [[1.3, -0.7, 0.4, 0.11, 0.9, 2.1, 3.4], [-2.0, 1.5, 2.5, 0.31, -1.2, 1.2, 1.7]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("peaks", [math.inf, 1.5])
def test_gradients_are_those_of_finite_differences(peaks: float):
    gabors = SOME.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: gabor_patterns(given, (7, 9), peaks), gabors)


def test_wide_gabors_are_gratings_of_the_same_orientation_and_phase():
    # A grating is sin(wave + phase), a Gabor cos(wave + phase).
    field = Field(41, 41, screen=Screen(224, 224))
    table = {"orientation": 30.0, "frequency_per_degree": 2.8, "diameter_degrees": np.inf}
    grating = gratings(field, pd.DataFrame([table]), phases=4).draw([1])[0, 0].double()
    gabor = {"orientation": 30.0, "frequency": 0.1, "phase": 90.0 - 90.0, "x": 0.0, "y": 0.0}
    wide = pd.DataFrame([{**gabor, "sigma_along": 1e4, "sigma_across": 1e4}])
    pattern = gabor_patterns(in_radians(wide), (41, 41))[0]
    np.testing.assert_allclose(pattern, grating / grating.square().mean().sqrt(), atol=1e-4)


def test_pattern_of_a_formula_written_out_for_one_pixel():
    pattern = gabor_patterns(SOME[:1], (7, 9))[0]
    x0, y0, turn, frequency, phase, along, across = SOME[0].tolist()

    def value(row: int, column: int) -> float:
        x, y = column - 4 - x0, row - 3 - y0
        a = x * math.cos(turn) + y * math.sin(turn)
        b = -x * math.sin(turn) + y * math.cos(turn)
        wave = math.cos(2 * math.pi * frequency * a + phase)
        return math.exp(-(a**2) / (2 * along**2) - b**2 / (2 * across**2)) * wave

    every = np.array([[value(row, column) for column in range(9)] for row in range(7)])
    np.testing.assert_allclose(pattern, every / np.sqrt(np.mean(every**2)), rtol=1e-12)


def test_all_gabors_of_the_grid_have_one_contrast_on_gray():
    colors = Colors.bounds([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
    shown = np.array([[5.0, 4.0, 3.0], [1.0, -1.0, 0.0]])
    grid = gabor_grid(Field(17, 23, colors=colors), shown, rms=0.7)
    drawn = grid.draw(range(0, len(grid), 7)).double()
    np.testing.assert_allclose(drawn.square().mean((1, 2, 3)).sqrt(), 0.7, rtol=1e-6)
    first = grid.table.query("color == 1").index[0]
    ratio = grid.draw([first])[0] / grid.draw([first])[0, 0]
    np.testing.assert_allclose(ratio[1][ratio[1].isfinite()], -1.0, atol=1e-5)
    assert grid.draw([first])[0, 2].abs().max() == 0


def test_rows_of_the_grid_are_what_their_parameters_say():
    grid = gabor_grid(Field(15, 15), np.ones((1, 3)))
    rows = np.random.default_rng(0).integers(0, len(grid), 20)
    expected = gabor_patterns(in_radians(grid.table.iloc[rows]), (15, 15))
    np.testing.assert_allclose(grid.draw(rows)[:, 1], expected, atol=1e-5)


def test_peaks_bound_the_grid():
    grid = gabor_grid(Field(31, 31), np.ones((1, 3)), rms=1.0, peak=1.2)
    drawn = grid.draw(range(0, len(grid), 5))
    assert drawn.abs().max() <= 1.2 + 1e-6
    assert (drawn.square().mean((1, 2, 3)).sqrt() < 0.5).any()  # small ones


def test_a_field_that_cannot_show_a_gabor_is_refused():
    with pytest.raises(ConfigError, match="a field of 1 x 9 pixels cannot show a Gabor; name a"):
        gabor_grid(Field(1, 9), np.ones((1, 3)))


def test_parameters_of_tables_are_in_degrees():
    row = dict.fromkeys(PARAMETERS, 90.0)
    assert in_radians(pd.DataFrame([row]))[0].tolist() == pytest.approx(
        [90, 90, math.pi / 2, 90, math.pi / 2, 90, 90]
    )
