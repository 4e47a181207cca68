"""The ground-truth network answers as its formulas say, and its cells are as the macaque's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pipeline
from pipeline.analysis.gabor_cells import (
    FREQUENCY_BINS,
    FREQUENCY_COUNTS,
    KINDS,
    ORIENTATION_COUNTS,
    drawn_cells,
    linear_responses,
    rates,
)
from pipeline.errors import ConfigError
from pipeline.miniature.gabor_bank import gabor_bank, limits
from pipeline.search.presentation import Presentation
from pipeline.stimuli.degree_gratings import gratings
from pipeline.stimuli.stimulus_set import StimulusSet

NET = gabor_bank(cells=16, seed=2)


def responses(stimuli: StimulusSet, layer: str = "cells") -> np.ndarray:
    shown = Presentation(NET.graph, NET.layer(layer), stimuli)
    parts = [shown.respond(block) for block in shown.blocks]
    rows, answers = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    return answers[rows.argsort()].double().numpy()


@pytest.fixture(scope="module")
def shown() -> StimulusSet:
    rows = [(0.0, 1.0), (30.0, 2.0), (117.0, 4.0), (60.0, 6.0), (90.0, 0.5)]
    table = pd.DataFrame(rows, columns=["orientation", "frequency_per_degree"])
    table = table.assign(diameter_degrees=np.inf)
    return pipeline.stimulus_set(NET, lambda field: gratings(field, table), "cells")


def test_cells_answer_unbounded_gratings_by_the_formula(shown: StimulusSet):
    found = responses(shown).reshape(5, 8, 16)
    for block, (_, row) in zip(found, shown.table.iloc[::8].iterrows(), strict=True):
        grating = (row["orientation"], row["frequency_per_degree"], np.arange(8) * 45.0)
        np.testing.assert_allclose(block.T, rates(NET.module.truth, *grating), rtol=0, atol=1e-4)
    assert found.max() > 0.1


def test_filters_answer_by_the_formula_before_rectification(shown: StimulusSet):
    truth = NET.module.truth
    found = responses(shown, "conv1").reshape(5, 8, -1)[:, :, truth["first_filter"]]
    for block, (_, row) in zip(found, shown.table.iloc[::8].iterrows(), strict=True):
        grating = (row["orientation"], row["frequency_per_degree"], np.arange(8) * 45.0)
        wanted = linear_responses(truth, *grating) + truth[["spontaneous"]].to_numpy()
        # The first filter of a complex cell has its phase.
        np.testing.assert_allclose(block.T, wanted, rtol=0, atol=1e-4)


def test_the_formula_is_the_sum_over_pixels():
    """A grating and a Gabor function, multiplied point by point on a fine grid."""
    cell = {"kind": "simple", "orientation": 25.0, "frequency_per_degree": 1.5, "phase": 40.0}
    table = pd.DataFrame([{**cell, "nx": 0.3, "ny": 0.6}])
    truth = gabor_bank_truth(table)
    y, x = np.mgrid[-3:3:600j, -3:3:600j]
    a, b = (
        x * np.cos(np.deg2rad(25)) + y * np.sin(np.deg2rad(25)),
        y * np.cos(np.deg2rad(25)) - x * np.sin(np.deg2rad(25)),
    )
    gabor = np.exp(-0.5 * ((a / 0.2) ** 2 + (b / 0.4) ** 2)) / (2 * np.pi * 0.2 * 0.4)
    gabor *= np.cos(2 * np.pi * 1.5 * a + np.deg2rad(40))
    along = x * np.cos(np.deg2rad(50)) + y * np.sin(np.deg2rad(50))
    for phase in (0.0, 100.0):
        grating = np.sin(2 * np.pi * 1.1 * along + np.deg2rad(phase))
        wanted = (gabor * grating).sum() * (6 / 599) ** 2
        found = linear_responses(truth, 50.0, 1.1, np.array([phase]))[0, 0]
        assert found == pytest.approx(wanted, abs=1e-6)


def gabor_bank_truth(table: pd.DataFrame) -> pd.DataFrame:
    from pipeline.analysis.gabor_cells import completed

    return completed(table, limits())


def test_a_cell_prefers_its_own_grating_and_energy_does_not_move():
    cells = gabor_bank_truth(
        pd.DataFrame(
            [
                {"kind": kind, "orientation": 20.0, "frequency_per_degree": 2.0, "phase": 10.0}
                for kind in ("simple", "complex")
            ]
        ).assign(nx=0.5, ny=0.5)
    )
    phases = np.arange(16) * 22.5
    best = [rates(cells, turn, 2.0, phases).mean(1) for turn in np.arange(180.0)]
    assert np.argmax(best, axis=0).tolist() == [20, 20]
    simple, complex_ = rates(cells, 20.0, 2.0, phases)
    assert np.ptp(complex_) < 0.01 * complex_.mean()
    assert simple.min() == 0
    # Amplitude of the first harmonic by the mean: pi / 2 in the continuum.
    ratio = 2 * np.abs(np.fft.fft(simple)[1]) / 16 / simple.mean()
    assert ratio == pytest.approx(np.pi / 2, abs=0.03)


def test_opponent_cells_prefer_color_and_gray_leaves_them_at_rest():
    truth = NET.module.truth
    opponent = truth["kind"].str.endswith("opponent").to_numpy()
    assert np.abs(truth.loc[opponent, ["red", "green", "blue"]].sum(axis=1)).max() < 1e-12
    levels = responses(pipeline.stimulus_set(NET, "gray_levels", "cells"))
    np.testing.assert_allclose(levels[:, opponent], 0.1, atol=1e-5)
    colors = responses(pipeline.stimulus_set(NET, "hues", "cells", step=30))
    blobs = (truth["kind"] == "color_opponent").to_numpy()
    assert (colors[:, blobs].max(0) > 0.3).all()
    assert (colors[:, blobs].min(0) < 1e-5).all()
    assert (colors[:, opponent].max(0) > 0.1).all()
    assert np.ptp(colors[:, ~opponent & (truth["kind"] == "simple").to_numpy()], axis=0).max() < 0.4


def test_gray_evokes_exactly_nothing_in_cells_without_spontaneous_rate():
    blank = responses(pipeline.stimulus_set(NET, "blank", "cells"))[0]
    silent = NET.module.truth["spontaneous"].to_numpy() == 0
    assert (blank[silent] == 0).all()


def test_cells_have_the_distributions_of_the_macaque():
    cells = drawn_cells(2000, 0, limits())
    assert cells["kind"].value_counts().to_dict() == {
        "simple": 750,
        "complex": 750,
        "color_opponent": 250,
        "double_opponent": 250,
    }
    gabors = cells[cells["kind"] != "color_opponent"]
    shifted = (gabors["orientation"] + 22.5) % 180
    found = np.histogram(shifted, np.arange(0, 181, 45))[0] / len(gabors)
    np.testing.assert_allclose(found, ORIENTATION_COUNTS / ORIENTATION_COUNTS.sum(), atol=0.035)
    found = np.histogram(gabors["frequency_per_degree"], FREQUENCY_BINS)[0] / len(gabors)
    np.testing.assert_allclose(found, FREQUENCY_COUNTS / FREQUENCY_COUNTS.sum(), atol=0.035)
    again = drawn_cells(3, 0, limits())
    pd.testing.assert_frame_equal(again, cells.head(3))
    assert not again["orientation"].equals(drawn_cells(3, 1, limits())["orientation"])
    assert set(cells["kind"]) == set(KINDS)


def test_a_table_of_cells_is_taken(tmp_path: Path):
    rows = "kind,orientation,frequency_per_degree,phase,nx,ny\nsimple,20,3,90,0.4,0.5\n"
    (tmp_path / "cells.csv").write_text(rows)
    truth = gabor_bank(table=tmp_path / "cells.csv").module.truth
    found = truth.loc[0, ["sigma_along", "sigma_across"]].tolist()
    assert found == pytest.approx([0.4 / 3, 0.5 / 3])
    assert truth["red"].tolist() == [pytest.approx(1 / 3)]


def test_networks_of_other_cells_have_other_digests():
    assert gabor_bank(cells=8).digest != gabor_bank(cells=8, seed=1).digest
    assert gabor_bank(cells=8).digest == gabor_bank(cells=8).digest


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("kind,orientation\nsimple,0\n", "lacks the columns frequency_per_degree, phase"),
        ("simpel,20,3,90,0.4,0.5", "'simpel' in row 0 is not one of simple, .*nearest: simple"),
        ("simple,20,0.2,90,0.4,0.5", r"row 0 is wider than the filters: its larger sigma can"),
        ("simple,20,12,90,0.4,0.5", r"row 0 is finer than pixels can show: its smaller sigma"),
        ("color_opponent,0,0,0,0.4,0.5", "row 0 holds a number that is missing"),
    ],
)
def test_cells_that_cannot_be_are_refused(tmp_path: Path, rows: str, message: str):
    heading = "kind,orientation,frequency_per_degree,phase,nx,ny\n"
    text = rows if rows.startswith("kind") else f"{heading}{rows}\n"
    (tmp_path / "cells.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        gabor_bank(table=tmp_path / "cells.csv")


def test_other_mistakes_are_told(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"model.cells: 0 is not a positive number of cells"):
        gabor_bank(cells=0)
    with pytest.raises(ConfigError, match=r"model.table: there is no file"):
        gabor_bank(table=tmp_path / "none.csv")
    (tmp_path / "cells.csv").write_text(
        "kind,orientation,frequency_per_degree,phase\nsimple,1,2,3\n"
    )
    with pytest.raises(ConfigError, match="needs either of the columns nx and sigma_along"):
        gabor_bank(table=tmp_path / "cells.csv")
    for given in ({"weights": "random"}, {"shuffled": True}):
        (argument,) = given
        with pytest.raises(ConfigError, match=f"^{argument}: cannot be given for gabor_bank"):
            pipeline.network("gabor_bank", **given)
