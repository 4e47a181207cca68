from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.analysis.opponency import (
    CLASSES,
    class_fractions,
    double_opponent,
    hue_names,
    opponency_classes,
    over_seeds,
    spectral_opponency,
)
from pipeline.errors import ConfigError

# Responses, baseline, class with the demand s > 0, class without it.
CASES = [
    ([1.0, 3.0], 2.0, "opponent", "opponent"),
    ([2.0, 2.0], 2.0, "unresponsive", "unresponsive"),
    ([0.0, 0.0], 0.0, "unresponsive", "unresponsive"),
    ([2.0, 3.0], 2.0, "non-opponent", "non-opponent"),  # never below
    ([1.0, 2.0], 2.0, "non-opponent", "non-opponent"),  # never above
    ([3.0, 4.0], 2.0, "non-opponent", "non-opponent"),  # above throughout
    ([0.0, 1.0], 2.0, "non-opponent", "non-opponent"),  # below throughout
    ([-1.0, 1.0], 0.0, "non-opponent", "opponent"),  # a baseline of 0 is not above 0
    ([-3.0, 1.0], -2.0, "non-opponent", "opponent"),
    ([-2.0, -2.0], -2.0, "unresponsive", "unresponsive"),
    ([-3.0, 1.0], 0.5, "opponent", "opponent"),
    ([np.nan, 1.0], 0.5, "undefined", "undefined"),
    ([0.0, 1.0], np.inf, "undefined", "undefined"),
]


@pytest.mark.parametrize(("responses", "baseline", "demanded", "plain"), CASES)
def test_every_branch_of_the_rule(responses, baseline, demanded, plain):
    rows, blank = np.array([responses]), np.array([baseline])
    assert opponency_classes(rows, blank, True).tolist() == [demanded]
    assert opponency_classes(rows, blank, False).tolist() == [plain]


def test_after_a_relu_the_demand_follows_from_the_rule():
    rng = np.random.default_rng(0)
    responses = np.maximum(rng.normal(size=(500, 6)), 0)
    baseline = np.maximum(rng.normal(size=500), 0)
    assert (
        opponency_classes(responses, baseline, True)
        == opponency_classes(responses, baseline, False)
    ).all()


def test_responses_that_differ_by_rounding_alone():
    responses = np.array([[1.0 - 1e-7, 1.0 + 1e-7]])
    assert opponency_classes(responses, np.ones(1), True).tolist() == ["opponent"]
    assert opponency_classes(responses, np.ones(1), True, 1e-6).tolist() == ["unresponsive"]


@settings(max_examples=25)
@given(st.floats(0.01, 100), st.integers(0, 7), st.integers(0, 30))
def test_gain_and_the_order_of_hues_change_no_class(gain: float, shift: int, seed: int):
    responses = np.random.default_rng(seed).integers(-2, 3, size=(20, 8)).astype(float)
    baseline = np.random.default_rng(seed + 1).integers(-1, 2, size=20).astype(float)
    for demand in (True, False):
        plain = opponency_classes(responses, baseline, demand)
        moved = opponency_classes(gain * np.roll(responses, shift, 1), gain * baseline, demand)
        assert (plain == moved).all()


def test_a_linear_color_opponent_kernel_and_a_blind_one():
    # Red less green with a bias against gray, and luminance, over the corners of the RGB cube.
    rgb = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], float)
    kernels = np.array([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0]])
    responses = kernels @ rgb.T + 0.1
    hues = np.arange(6) * 60.0
    black, white = np.full(2, 0.1), kernels.sum(axis=1) + 0.1
    table = spectral_opponency(responses, hues, black, True)
    assert table["class"].tolist() == ["opponent", "non-opponent"]
    assert table["max_hue"][0] in (0, 300)
    assert table["min_name"][0] in ("green", "cyan")
    assert table["max_response"].round(6).tolist() == [1.1, 2.1]
    assert table["require_positive_baseline"].all()
    assert spectral_opponency(responses, hues, white, True)["class"].tolist() == [
        "opponent", "non-opponent"
    ]  # fmt: skip


def test_hues_with_equal_responses_are_drawn_by_layer_unit_and_seed():
    responses = np.tile(np.repeat([1.0, 0.0], 180), (200, 1))
    hues = np.arange(360.0)
    table = spectral_opponency(responses, hues, np.full(200, 0.5), True)
    assert table["max_hue"].between(0, 179).all()
    assert table["max_hue"].nunique() > 50
    part = spectral_opponency(responses[50:60], hues, np.full(10, 0.5), True, range(50, 60))
    assert part["max_hue"].tolist() == table["max_hue"][50:60].tolist()
    assert part["unit"].tolist() == list(range(50, 60))
    for seed in (1, [0, *b"conv2"]):
        other = spectral_opponency(responses, hues, np.full(200, 0.5), True, seed=seed)
        assert (other["max_hue"] == table["max_hue"]).mean() < 0.1
    # The strongest and the weakest hue are among as many, but drawn apart.
    assert (table["min_hue"] == table["max_hue"] + 180).mean() < 0.1


def test_units_without_responses_have_no_hue():
    responses = np.array([[1.0, 1.0], [np.nan, 2.0]])
    table = spectral_opponency(responses, np.array([0.0, 180.0]), np.ones(2), False)
    assert table["class"].tolist() == ["unresponsive", "undefined"]
    assert table["max_hue"].isna().all()
    assert table["min_name"].tolist() == ["", ""]
    assert table["max_response"].isna().tolist() == [False, True]


def test_every_hue_has_a_name():
    edges = np.array([314.9, 315, 0, 44.9, 45, 74.9, 75, 164.9, 165, 194.9, 195, 284.9, 285, 360])
    assert hue_names(edges).tolist() == [
        "magenta", "red", "red", "red", "yellow", "yellow", "green", "green", "cyan", "cyan",
        "blue", "blue", "magenta", "red",
    ]  # fmt: skip


def test_double_opponent_units_are_both():
    names = np.array([*CLASSES, "undefined"], dtype=object)
    spectral, spatial = (grid.ravel() for grid in np.meshgrid(names, names))
    found = double_opponent(spectral, spatial)
    assert found.sum() == 1
    assert (spectral[found][0], spatial[found][0]) == ("opponent", "opponent")


def test_fractions_by_layer_and_over_networks():
    def network(layer: str, seed: int, opponent: int) -> pd.DataFrame:
        names = ["opponent"] * opponent + ["non-opponent"] * (9 - opponent) + ["unresponsive"]
        return pd.DataFrame({"layer": layer, "seed": seed, "class": [*names, "undefined"]})

    table = pd.concat([network("a", 0, 2), network("a", 1, 4), network("b", 0, 9)])
    fractions = class_fractions(table, ["layer", "seed"])
    assert len(fractions) == 9
    assert (fractions["units"] == 10).all()
    by = fractions.set_index(["layer", "seed", "class"])
    assert by.loc[("a", 1, "opponent"), "fraction"] == 0.4
    assert by.loc[("b", 0, "non-opponent"), "fraction"] == 0
    assert (by["low"] <= by["fraction"]).all()
    np.testing.assert_allclose(by.groupby(["layer", "seed"])["fraction"].sum(), 1)
    seeds = over_seeds(fractions).set_index(["layer", "class"])
    assert seeds.loc[("a", "opponent"), "networks"] == 2
    assert seeds.loc[("a", "opponent"), "mean"] == pytest.approx(0.3)
    assert seeds.loc[("a", "opponent"), "sd"] == pytest.approx(np.std([0.2, 0.4], ddof=1))
    assert np.isnan(seeds.loc[("b", "opponent"), "sd"])


def test_what_is_wrong_with_tables():
    units = pd.DataFrame({"layer": ["a"], "class": ["opponent"]})
    with pytest.raises(ConfigError, match=r"^fractions: the table has no column seed$"):
        class_fractions(units, ["layer", "seed"])
    with pytest.raises(ConfigError, match=r"^fractions: class must be unresponsive, .*, not 'odd'"):
        class_fractions(units.assign(**{"class": "odd"}))
    twice = pd.concat([class_fractions(units).assign(seed=0)] * 2)
    with pytest.raises(ConfigError, match=r"^fractions: a seed occurs more than once in a populat"):
        over_seeds(twice)
    with pytest.raises(ConfigError, match=r"^fractions: the table has no column seed$"):
        over_seeds(class_fractions(units))
