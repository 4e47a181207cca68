from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.tuning.distributions import (
    Distribution,
    counts_of,
    macaque_distributions,
    own_distributions,
)
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.orientation import orientation_properties
from pipeline.analysis.tuning.phases import tuning_slice
from pipeline.analysis.tuning.populations import compare, similarity
from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.errors import ConfigError


def values_of(cells: Distribution) -> np.ndarray:
    """Return values that lie in the bins as the cells do, NaN for those undefined."""
    middle = (cells.edges[1:] + cells.edges[:-1]) / 2
    return np.append(np.repeat(middle, cells.counts), np.full(cells.undefined, np.nan))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("preferred_orientation", 0.962),
        ("peak_frequency", 0.967),
        ("suppression_index", 0.958),
        ("summation_field", 0.956),
        ("surround_diameter", 0.954),
        ("frequency_bandwidth", 0.932),
        ("frequency_selective", 0.963),
    ],
)
def test_published_ceilings(name: str, expected: float):
    cells = macaque_distributions()[name]
    found = similarity(values_of(cells), cells)
    assert found.ceiling == pytest.approx(expected, abs=0.005)
    assert found.raw == found.ceiling
    assert found.final == 1


def test_numbers_of_cells_and_medians():
    macaque = macaque_distributions()
    assert {name: (int(c.counts.sum()), c.undefined) for name, c in macaque.items()} == {
        "preferred_orientation": (385, 0),
        "peak_frequency": (363, 0),
        "frequency_bandwidth": (73, 14),
        "frequency_selective": (87, 0),
        "suppression_index": (190, 0),
        "strongly_suppressed": (190, 0),
        "summation_field": (148, 42),
        "surround_diameter": (148, 42),
        "surround_field_ratio": (148, 42),
    }
    # Medians of one random draw of values within the bins, so known to a part of a bin.
    for name, median, log in (
        ("peak_frequency", 2.88, True),
        ("suppression_index", 0.33, False),
        ("summation_field", 0.74, True),
        ("surround_diameter", 2.67, True),
        ("frequency_bandwidth", 47, False),
    ):
        cells = macaque[name]
        edges = np.log(cells.edges) if log else cells.edges
        found = np.interp(cells.counts.sum() / 2, np.append(0, cells.counts.cumsum()), edges)
        assert (np.exp(found) if log else found) == pytest.approx(median, rel=0.06)


def test_shipped_bins_are_those_of_the_properties():
    for name, cells in macaque_distributions().items():
        np.testing.assert_allclose(cells.edges, PROPERTIES[name].bins)


def test_similarity_agrees_with_drawing_values():
    cells = macaque_distributions()["summation_field"]
    values = np.random.default_rng(0).lognormal(0.3, 0.8, 300)
    values[:60] = np.nan
    before = values.copy()
    found = similarity(values, cells)
    np.testing.assert_array_equal(values, before)
    rng, draws = np.random.default_rng(1), []
    expected = cells.counts.cumsum() / cells.counts.sum()
    furthest = max(np.abs(np.ones(8) - expected).max(), np.abs(np.eye(8)[-1] - expected).max())
    for _ in range(1000):
        drawn = np.clip(rng.choice(values, cells.cells), cells.edges[0], cells.edges[-1])
        counts, _ = np.histogram(drawn, cells.edges)
        difference = np.abs(counts.cumsum() / counts.sum() - expected).max()
        draws.append(1 - difference / furthest)
    assert found.raw == pytest.approx(np.mean(draws), abs=0.003)
    assert found.final == pytest.approx(found.raw / found.ceiling)
    assert found.units == 240


def test_a_bank_of_gabors_returns_the_distribution_it_was_drawn_from(gabor_gratings):
    cells = macaque_distributions()["preferred_orientation"]
    rng = np.random.default_rng(0)
    theta = np.repeat(cells.edges[:-1], cells.counts) + rng.uniform(0, 45, cells.cells)
    kinds = np.where(rng.random(cells.cells) < 0.5, "simple", "energy").tolist()
    units = [{"theta0": angle, "kind": kind} for angle, kind in zip(theta, kinds, strict=True)]
    found = {
        one.name: one
        for one in orientation_properties(tuning_slice(gabor_gratings(*units), "orientation"))
    }
    for name in ("preferred_orientation", "preferred_orientation_interpolated"):
        error = (found[name].value - theta + 90) % 180 - 90
        assert np.abs(error).max() < 1
    assert compare([found["preferred_orientation"]])["final"][0] == pytest.approx(1, abs=0.01)
    assert similarity(np.zeros(cells.cells), cells).final < 0.1
    assert (found["simple"].value == [kind == "simple" for kind in kinds]).all()


def test_the_worst_population_has_no_similarity():
    cells = macaque_distributions()["peak_frequency"]
    found = [similarity(np.full(50, value), cells).raw for value in (0.01, 100.0)]
    assert min(found) == pytest.approx(0, abs=1e-12)
    assert max(found) < 0.5


def test_similarity_is_the_same_again_and_changes_with_the_seed():
    cells = macaque_distributions()["suppression_index"]
    values = np.linspace(0, 1, 77)
    assert similarity(values, cells) == similarity(values[::-1].copy(), cells)
    assert similarity(values, cells, seed=1).raw != similarity(values, cells).raw


def test_undefined_populations():
    cells = macaque_distributions()["summation_field"]
    found = similarity(np.full(5, np.nan), cells)
    assert (found.raw, found.final, found.flag) == (0, 0, "undefined in all units")
    rare = np.append(np.full(9999, np.nan), 1.0)
    assert similarity(rare, cells).raw == 0


def test_counts_clip_to_the_ends():
    edges = np.array([0.0, 1.0, 2.0, 4.0])
    values = np.array([-3.0, 0.0, 1.0, 4.0, 99.0, np.inf, -np.inf, np.nan])
    assert counts_of(values, edges).tolist() == [3, 1, 3]


def test_comparison_of_several_properties():
    cells = macaque_distributions()["suppression_index"]
    good = values_of(cells)
    silent = np.append(good, np.full(500, np.nan))
    studied = np.isfinite(silent)
    said = np.full(len(silent), "", dtype=object)
    table = compare([
        Measured("suppression_index", silent, said, studied),
        Measured("circular_variance", silent, said, studied),
    ])  # fmt: skip
    assert table["final"][0] == pytest.approx(1)
    assert table["source"][0] == "Cavanaugh, Bair & Movshon 2002"
    assert table["flag"].tolist() == ["", "not available: no distribution of animals"]
    assert table.loc[1, ["raw", "ceiling", "final"]].isna().all()
    assert compare([]).empty


def test_a_lab_brings_values_or_bins(tmp_path: Path):
    cells = pd.DataFrame({"property": ["circular_variance"] * 3 + ["modulation_ratio"] * 2,
                          "value": [0.05, 0.99, None, 0.3, 5.0]})  # fmt: skip
    path = tmp_path / "cells.csv"
    path.write_text("# our own cells\n" + cells.to_csv(index=False))
    for source in (cells, path, str(path)):
        found = own_distributions(source)
        assert found["circular_variance"].counts.tolist() == [1] + [0] * 11 + [1]
        assert found["circular_variance"].undefined == 1
        assert found["modulation_ratio"].counts.tolist() == [0, 1] + [0] * 7 + [1]
    assert found["modulation_ratio"].source == str(path)
    bins = pd.DataFrame({"property": "half_contrast", "low": [0.0, 0.1], "high": [0.1, 1.0],
                         "count": [4, 6]})  # fmt: skip
    own = own_distributions(bins)["half_contrast"]
    assert own.edges.tolist() == [0, 0.1, 1]
    measured = Measured("half_contrast", np.repeat([0.05, 0.5], [40, 60]),
                        np.full(100, "", object), np.full(100, True))  # fmt: skip
    assert compare([measured], {"half_contrast": own})["final"][0] == pytest.approx(1)


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"property": "circular_variance"} | columns)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (frame(cv=[1.0]), r"^the table: the columns must be property,value or property,low,high,c"),
        (frame(value=["a"]), "^the table: value must be numbers$"),
        (frame(value=[np.nan]), "^the table: circular_variance: there are no cells$"),
        (frame(value=[0.5])[:0], "^the table: there are no cells; give one row per"),
        (frame(value=[0.5, 1.2]), "circular_variance: 1.2 is no value that this property"),
        (frame(value=[-0.1]), "circular_variance: -0.1 is no value"),
        (frame(value=[np.inf]), "circular_variance: inf is no value"),
        (frame(property="peak_frequency", value=[0.0]), "peak_frequency: 0 is no value"),
        (frame(property="max_dc", value=[-1.0]), "max_dc: -1 is no value"),
        (frame(property="preferred_orientation", value=[170.0]),
         "; orientations go from -22.5 to 157.5$"),
        (frame(low=[0], high=[np.inf], count=[1]), "the ends of bins must be finite"),
        (frame(low=[0], high=[1], count=[np.nan]), "counts must be whole numbers of at least 0"),
        (frame(low=[0, 2], high=[1, 3], count=[1, 1]), "bins must adjoin and ascend"),
        (frame(low=[0], high=[1], count=[0]), "there are no cells"),
        (frame(low=[0], high=[1], count=[1.5]), "counts must be whole numbers of at least 0"),
        (frame(low=[0], high=[1], count=[-1]), "counts must be whole numbers of at least 0"),
        (pd.DataFrame({"property": ["half_contrast"], "value": [1.0]}),
         "half_contrast: it has no bins; give low, high and count instead of values"),
        (pd.DataFrame({"property": ["circular_varience"], "value": [1.0]}),
         "there is no property 'circular_varience'; nearest: circular_variance"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table(table: pd.DataFrame, words: str):
    with pytest.raises(ConfigError, match=words):
        own_distributions(table)


def test_the_median_within_a_bin_that_begins_at_0():
    cells = Distribution("half_contrast", np.array([0.0, 0.1, 1.0]), np.array([6, 4]))
    assert cells.median == pytest.approx(0.1 * 5 / 6)


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"absent\.csv: it cannot be read as a CSV file of prop"):
        own_distributions(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError, match=r"empty\.csv: it cannot be read as a CSV file of"):
        own_distributions(tmp_path / "empty.csv")
