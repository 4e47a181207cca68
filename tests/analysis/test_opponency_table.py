"""Classes from responses by hand, and their fractions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.analysis.opponency_fractions import (
    opponency_fractions,
    opponency_over_seeds,
    published,
)
from pipeline.analysis.opponency_table import OpponencyResponses, OpponencyRules, opponency_table
from pipeline.errors import ConfigError
from pipeline.stimuli.color_gratings import spatial_opponency
from pipeline.stimuli.field import Field

GRATINGS = pd.DataFrame(
    {"orientation": [0.0, 20.0], "phase_cycles": [0.2, 0.4], "cycles": [1.0, 3.0]}
)


def of_unit(gray: float, hues: list[float], gratings: list[float]) -> OpponencyResponses:
    """Return responses of one unit, which has no nonlinearity; its baselines are all the same."""
    return OpponencyResponses(
        np.full((1, 3, 1), gray, np.float32),
        np.array(hues, np.float32)[None, :, None],
        np.array(gratings, np.float32)[None, :, None],
        "none follows",
    )


@pytest.mark.parametrize(
    ("gray", "hues", "gratings", "expected"),
    [
        (1.0, [2.0, 0.0], [2.0, 0.0], ("opponent", "opponent", "opponent")),
        (1.0, [2.0, 0.0], [2.0, 1.0], ("opponent", "non-opponent", "non-opponent")),
        (1.0, [1.0, 1.0], [2.0, 0.0], ("unresponsive", "opponent", "non-opponent")),
        (1.0, [1.0, 1.0], [1.0, 1.0], ("unresponsive",) * 3),
        (-1.0, [2.0, -2.0], [2.0, -2.0], ("non-opponent",) * 3),
        (0.0, [2.0, -2.0], [2.0, -2.0], ("non-opponent",) * 3),
        (1.0, [np.nan, 0.0], [2.0, 0.0], ("undefined", "opponent", "undefined")),
        # Hues differ by rounding from a baseline next to which gratings have large responses...
        (1e-8, [2e-8, -2e-8], [1.0, -1.0], ("unresponsive", "opponent", "non-opponent")),
        # ... but count where one of them is large.
        (1e-8, [1.0, -2e-8], [1.0, -1.0], ("opponent",) * 3),
    ],
)
def test_every_branch(
    gray: float, hues: list[float], gratings: list[float], expected: tuple[str, ...]
):
    rules = OpponencyRules(points=("pre",))
    table = opponency_table(of_unit(gray, hues, gratings), GRATINGS, [7], rules)
    assert tuple(table["class"]) == expected
    assert table["unit"].tolist() == [7] * 3
    undefined = table["class"] == "undefined"
    assert (table["reason"] == np.where(undefined, "a response is not finite", "")).all()


def test_the_best_grating_has_its_parameters():
    row = opponency_table(
        of_unit(1.0, [1.0], [0.0, 4.0]), GRATINGS, [0], OpponencyRules(points=("pre",))
    ).iloc[1]
    named = ["max_orientation", "max_cycles", "max_phase", "min_orientation", "min_cycles"]
    # Bars at 20 degrees counterclockwise change along 70 degrees clockwise.
    assert row[named].tolist() == [70.0, 3.0, 0.4, 90.0, 1.0]


def test_orientations_are_those_of_tuning_with_the_phase_of_their_direction():
    """The numbers of the table draw the same grating by the formula of gratings in degrees."""
    shown = spatial_opponency(Field(32, 32))
    y, x = np.mgrid[:32, :32] - 15.5
    for number in (3, 500, 725, 944):
        best = np.zeros(960)
        best[number] = 1.0
        row = opponency_table(
            of_unit(0.5, [0.5], best.tolist()), shown.table, [0], OpponencyRules(points=("pre",))
        ).iloc[1]
        assert 0 <= row["max_orientation"] < 180
        turn = np.deg2rad(row["max_orientation"])
        along = (x * np.cos(turn) + y * np.sin(turn)) * row["max_cycles"] / 32
        wave = np.cos(2 * np.pi * (along - row["max_phase"]))
        np.testing.assert_allclose(shown.draw([number])[0, 0].numpy(), wave, atol=1e-5)


def test_without_a_nonlinearity_the_reason_is_handed_on():
    table = opponency_table(of_unit(1.0, [2.0, 0.0], [2.0, 0.0]), GRATINGS, [0], OpponencyRules())
    assert table["class"].tolist() == ["opponent", "undefined", "undefined"]
    assert table["reason"].tolist() == ["", "none follows", "none follows"]


def rows(layer: str, classes: list[str], **rule: object) -> pd.DataFrame:
    named = {"kind": "spectral", "baseline": "black", "require_positive_baseline": True}
    return pd.DataFrame({"layer": layer, "at": "pre", **named, **rule, "class": classes})


def test_fractions_by_layer_and_rule():
    table = pd.concat(
        [
            rows("conv1", ["opponent", "opponent", "unresponsive", "undefined"]),
            rows("conv1", ["non-opponent"] * 4, baseline="gray"),
            rows("conv2", ["undefined"] * 2),
        ]
    )
    found = opponency_fractions({"trained": table}).set_index(["condition", "layer", "baseline"])
    assert found.loc[("trained", "conv1", "black"), "count"].tolist() == [1, 0, 2]
    assert found.loc[("trained", "conv1", "black"), "units"].tolist() == [3, 3, 3]
    assert found.loc[("trained", "conv1", "gray"), "fraction"].tolist() == [0, 1, 0]
    assert "conv2" not in found.index.get_level_values("layer")
    of_run = published(opponency_fractions(table))
    assert set(of_run["baseline"]) == {"black"}


def test_stacked_tables_do_not_count_units_twice():
    one = rows("conv1", ["opponent", "unresponsive"]).assign(unit=[4, 7])
    other_rule = one.assign(baseline="gray")
    assert opponency_fractions(pd.concat([one, other_rule]))["units"].tolist() == [2] * 6
    message = (
        r"^fractions: unit 4 occurs more than once \(layer conv1, .*\); tables of several netw"
    )
    with pytest.raises(ConfigError, match=message):
        opponency_fractions(pd.concat([one, one]))
    named = opponency_fractions({"trained": one, "random": one})
    assert named["units"].tolist() == [2] * 6


def test_mean_and_deviation_over_networks():
    tables = {
        seed: rows("conv1", ["opponent"] * n + ["non-opponent"] * (4 - n))
        for seed, n in enumerate((1, 2, 3))
    }
    found = opponency_over_seeds(tables).set_index("class").loc["opponent"]
    assert found[["networks", "mean", "sd"]].tolist() == [3, 0.5, 0.25]


def test_unknown_rules_are_refused():
    with pytest.raises(ConfigError, match="at: 'before' is not one of published, pre, post"):
        OpponencyRules(points=("before",))
