from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import pipeline.analysis.tuning
from pipeline.analysis.tuning.measured import COLUMNS, Measured, long_table
from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.errors import ConfigError

MODULES = [module.name for module in pkgutil.iter_modules(pipeline.analysis.tuning.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_the_module(name: str):
    module = importlib.import_module(f"pipeline.analysis.tuning.{name}")
    assert doctest.testmod(module).failed == 0


def measured(name: str, values: list[float], **ends: np.ndarray) -> Measured:
    count = len(values)
    return Measured(
        name, np.array(values), np.full(count, "", dtype=object), np.full(count, True), **ends
    )


def test_one_row_per_unit_and_property():
    ends = {"low": np.array([1.0, 2.0]), "high": np.array([3.0, 4.0])}
    table = long_table(
        [measured("peak_frequency", [2.8, 5.6], **ends), measured("simple", [1.0, 0.0])],
        "conv1",
        [3, 9],
        px_per_deg=28.0,
    )
    assert list(table.columns) == [*COLUMNS, "value_px"]
    assert table["unit"].tolist() == [3, 9, 3, 9]
    assert table["unit_of_measure"].tolist() == ["c/deg", "c/deg", "", ""]
    np.testing.assert_allclose(table["value_px"], [0.1, 0.2, np.nan, np.nan])
    np.testing.assert_allclose(table["low"], [1, 2, np.nan, np.nan])
    assert list(long_table([], "conv1", []).columns) == list(COLUMNS)


def test_properties_are_described_and_named_alike():
    for name, facts in PROPERTIES.items():
        assert name.replace("_", "").isalpha()
        assert facts.meaning
        assert not facts.meaning.endswith(".")
        assert facts.unit_of_measure in {
            "",
            "°",
            "1/°",
            "deg",
            "deg²",
            "c/deg",
            "octaves",
            "%",
            "rate",
        }
        if facts.bins is not None:
            assert (np.diff(facts.bins) > 0).all()


def test_an_unknown_property():
    with pytest.raises(ConfigError, match=r"there is no 'peak_frequncy'; nearest: peak_frequency"):
        measured("peak_frequncy", [1.0])
