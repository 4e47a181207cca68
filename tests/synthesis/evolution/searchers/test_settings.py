"""Settings that are out of their range are refused with one sentence."""

from __future__ import annotations

import sys

import pytest

from pipeline.errors import ConfigError
from tests.synthesis.evolution.searchers.toys import needs_evotorch, searcher

WHOLE = "is not a whole number of at least"
PAIRS = "is not an even number of at least 2, and the candidates come in pairs; use one such as 40"
REFUSED = [
    ("genetic", "population", 1, f"1 {WHOLE} 2; use one such as 20"),
    ("genetic", "population", 20.0, f"20.0 {WHOLE} 2; use one such as 20"),
    ("genetic", "population", float("nan"), f"nan {WHOLE} 2; use one such as 20"),
    ("genetic", "population", "20", f"'20' {WHOLE} 2; use one such as 20"),
    ("genetic", "elites", None, "None is not a whole number from 0 to 19, below the population"),
    ("genetic", "mutation_size", "1", "'1' is not a positive number; use one such as 0.5"),
    ("genetic", "heritability", None, "None is not a number from 0 to 1"),
    ("nes", "population", [40], f"[40] {PAIRS}"),
    ("genetic", "mutation_rate", 1.2, "1.2 is not a number from 0 to 1"),
    ("genetic", "mutation_size", 0.0, "0.0 is not a positive number; use one such as 0.5"),
    ("genetic", "selectivity", -1.0, "-1.0 is not a positive number; use one such as 2.0"),
    ("genetic", "heritability", float("nan"), "nan is not a number from 0 to 1"),
    ("genetic", "elites", 20, "20 is not a whole number from 0 to 19, below the population"),
    ("genetic", "elites", -1, "-1 is not a whole number from 0 to 19, below the population"),
    ("genetic_wang_ponce", "population", 0, f"0 {WHOLE} 2; use one such as 20"),
    ("genetic_wang_ponce", "temperature", 0.0, "0.0 is not a positive number; use one such as 2.0"),
    ("genetic_wang_ponce", "heritability", 2.0, "2.0 is not a number from 0 to 1"),
    ("genetic_pxdream", "temperature", 0.0, "0.0 is not a positive number; use one such as 1.0"),
    ("genetic_pxdream", "elites", 60, "60 is not a whole number from 0 to 49, below the"),
    ("cholesky_cma", "population", True, f"True {WHOLE} 2; use one such as 40"),
    ("cholesky_cma", "sigma", 0.0, "0.0 is not a positive number; use one such as 3.0"),
    ("cholesky_cma", "update_every", 0, f"0 {WHOLE} 1; use one such as 11"),
    ("spherical", "population", 1, f"1 {WHOLE} 2; use one such as 40"),
    ("spherical", "parents", 0, f"0 {WHOLE} 1; use one such as 20"),
    ("spherical", "parents", 41, "41 is more than the population, 40; use at most that"),
    ("spherical", "radius", 0.0, "0.0 is not a positive number; use one such as 1.5"),
    ("spherical", "extrapolation", 0.0, "0.0 is not a positive number; use one such as 1.5"),
    ("spherical", "first_angle", 0.0, "0.0 is not a positive number; use one such as 50.0"),
    ("spherical", "last_angle", -1.0, "-1.0 is not a positive number; use one such as 7.33"),
    ("finite_differences", "population", 7, f"7 {PAIRS}"),
    ("finite_differences", "radius", 0.0, "0.0 is not a positive number; use one such as 0.5"),
    (
        "finite_differences",
        "learning_rate",
        0.0,
        "0.0 is not a positive number; use one such as 0.2",
    ),
    ("nes", "population", 0, f"0 {PAIRS}"),
    ("nes", "radius", float("inf"), "inf is not a positive number; use one such as 0.5"),
    ("nes", "learning_rate", -1.0, "-1.0 is not a positive number; use one such as 0.2"),
    ("random", "population", 0, f"0 {WHOLE} 1; use one such as 40"),
    ("cem", "population", 3, f"3 {WHOLE} 4; use one such as 40"),
    ("cem", "std", 0.0, "0.0 is not a positive number; use one such as 1.0"),
    ("cem", "parents", 1.5, "1.5 is not a number from 0 to 1"),
    ("cem", "parents", 0.04, "0.04 of 40 candidates are fewer than two parents; use more, such"),
    ("cem", "largest_change", 0.0, "0.0 is not a positive number; use one such as 0.2"),
    ("pgpe", "population", 5, f"5 {PAIRS}"),
    ("pgpe", "std", 0.0, "0.0 is not a positive number; use one such as 0.5"),
    ("pgpe", "std_learning_rate", 0.0, "0.0 is not a positive number; use one such as 0.1"),
    ("pgpe", "learning_rate", 0.0, "0.0 is not a positive number; use one such as 0.025"),
    ("pgpe", "largest_step", 0.0, "0.0 is not a positive number; use one such as 0.05"),
]


@pytest.mark.parametrize(("name", "setting", "value", "message"), REFUSED)
def test_a_setting_out_of_its_range_is_refused(
    name: str, setting: str, value, message: str, untyped: None
):
    with pytest.raises(ConfigError) as refused:
        searcher(name, **{setting: value})
    assert str(refused.value).startswith(f"searcher.{name}.{setting}: {message}")


@pytest.mark.parametrize("name", ["cem", "pgpe"])
def test_a_missing_evotorch_is_said_in_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "evotorch", None)
    monkeypatch.setitem(sys.modules, "evotorch.algorithms", None)
    with pytest.raises(ConfigError) as refused:
        searcher(name)
    assert str(refused.value) == (
        f"searcher.{name}: it needs EvoTorch, which is not installed; run pip install"
        " 'artiphys[evolution]', or choose another searcher"
    )


@needs_evotorch
@pytest.mark.parametrize("name", ["cem", "pgpe"])
def test_evotorch_is_found_where_it_is_installed(name: str):
    assert searcher(name).population == 40
