"""The cells of a ground-truth bank, by their formula: what is measured is what is known of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.gabor_cells import completed, drawn_cells, rates
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import Gratings, TuningSlice, tuning_slice
from pipeline.analysis.tuning.populations import compare
from pipeline.analysis.tuning.spatial_frequency import peak_frequency
from pipeline.miniature.gabor_bank import limits
from pipeline.stimuli.degree_gratings import FREQUENCIES
from pipeline.stimuli.marques import FINE

BANK = completed(drawn_cells(512, 0, limits()), limits())
CELLS = BANK[BANK["kind"].isin(["simple", "complex"])].reset_index(drop=True)
# Of filters of fewer cycles both halves of the spectrum add up, and peaks really lie elsewhere.
FINE_CELLS = (CELLS["nx"] > 0.25).to_numpy()
PHASES = np.arange(8) * 45.0


def shown(cells: pd.DataFrame, turns: np.ndarray, frequencies: np.ndarray) -> Gratings:
    """Return the rates of cells to gratings without borders."""
    by_turn = [np.stack([rates(cells, t, f, PHASES) for f in frequencies], axis=1) for t in turns]
    found = np.stack(by_turn, axis=2)[:, None]
    radii = np.ones((1, len(frequencies)))
    return Gratings(found, np.zeros(len(cells)), radii, frequencies, turns)


def by_frequency(cells: pd.DataFrame) -> TuningSlice:
    known = FINE[FINE <= 14]  # cycles per degree that pixels can show
    return tuning_slice(shown(cells, np.arange(6) * 30.0, known), "frequency", component="larger")


def by_orientation(count: int) -> dict[str, Measured]:
    gratings = shown(CELLS, np.arange(count) * (180 / count), np.array(FREQUENCIES))
    found = orientation_properties(tuning_slice(gratings, "orientation"))
    return {one.name: one for one in found}


def turned(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return (found - expected + 90) % 180 - 90


@pytest.fixture(scope="module")
def frequencies() -> TuningSlice:
    return by_frequency(CELLS)


@pytest.fixture(scope="module")
def orientations() -> dict[str, Measured]:
    return by_orientation(12)


def test_orientations_are_recovered_to_a_degree(orientations: dict[str, Measured]):
    truth = CELLS["orientation"].to_numpy()
    vector = turned(orientations["preferred_orientation_vector"].value, truth)
    assert np.abs(vector).max() < 1
    name = "preferred_orientation_interpolated"
    peak = np.abs(turned(orientations[name].value, truth))
    assert np.median(peak) < 0.5
    assert 0.9 < (peak < 1).mean() < 1
    # Peaks of narrow curves are missed between orientations 15 degrees apart, not 7.5.
    narrow = (CELLS["ny"] > 0.9).to_numpy()
    assert peak[narrow].max() > 2
    assert np.abs(turned(by_orientation(24)[name].value, truth))[narrow].max() < 0.5


def test_frequencies_are_recovered_at_the_orientation_of_the_cell():
    found = peak_frequency(by_frequency(CELLS.assign(orientation=30.0)))[1].value
    off = np.abs(found / CELLS["frequency_per_degree"].to_numpy() - 1)
    assert off[FINE_CELLS].max() < 0.02
    assert off[~FINE_CELLS].max() > 0.02


def test_orientations_thirty_degrees_apart_shift_the_peak_by_a_known_amount(
    frequencies: TuningSlice,
):
    """Seen d degrees off, the peak is at f cos d / (cos^2 d + (ny / nx)^2 sin^2 d).

    There, exp(-2 pi^2 (sa^2 (k cos d - f)^2 + sb^2 k^2 sin^2 d)) has its maximum in k.
    """
    d = np.deg2rad(turned(frequencies.best[:, 2] * 30.0, CELLS["orientation"].to_numpy()))
    ratio = np.square(CELLS["ny"] / CELLS["nx"]).to_numpy()
    known = np.cos(d) / (np.cos(d) ** 2 + ratio * np.sin(d) ** 2)
    found = peak_frequency(frequencies)[1].value / CELLS["frequency_per_degree"].to_numpy()
    np.testing.assert_allclose(found[FINE_CELLS], known[FINE_CELLS], rtol=0.02)
    assert found[FINE_CELLS].min() < 0.8  # of elongated cells


def test_populations_are_as_similar_to_the_macaque_as_their_cells(
    frequencies: TuningSlice, orientations: dict[str, Measured]
):
    measured = [orientations["preferred_orientation"], peak_frequency(frequencies)[0]]
    truth = [CELLS["orientation"], CELLS["frequency_per_degree"]]
    true = [
        replace(one, value=known.to_numpy()) for one, known in zip(measured, truth, strict=True)
    ]
    true[0] = replace(true[0], value=(true[0].value + 22.5) % 180 - 22.5)
    found, best = (compare(each)["final"] for each in (measured, true))
    np.testing.assert_allclose(found, best, atol=0.01)
    assert best.min() > 0.95
