from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, wilcoxon
from statsmodels.formula.api import mixedlm
from statsmodels.stats.multitest import multipletests

from pipeline.analysis.mixed_effects import mixed_effects
from pipeline.analysis.paired_tests import paired_tests, signed_rank, with_q
from pipeline.errors import ConfigError

RNG = np.random.default_rng(1)


def test_signed_ranks_are_those_of_scipy_with_an_effect_by_hand():
    differences = np.array([0.5, -0.2, 0.9, 1.4, -0.1, 0.7, 0.0, np.nan])
    found = signed_rank(differences)
    changed = differences[:6]
    assert found["p"] == wilcoxon(changed).pvalue
    ranks = rankdata(np.abs(changed))
    assert found["effect"] == pytest.approx((ranks[[0, 2, 3, 5]].sum() - 3) / 21)
    assert (found["units"], found["undefined"]) == (7, 1)
    assert found["difference"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("differences", "note"),
    [
        ([1.0, 2, 3, 4, 5], "only 5 units differ; the test needs 6 or more"),
        ([0.0] * 9, "no unit differs"),
        ([np.nan], "no unit has both values"),
    ],
)
def test_what_cannot_be_tested_says_why(differences: list[float], note: str):
    found = signed_rank(np.array(differences))
    assert found["note"] == note
    assert np.isnan(found["p"])


def responses() -> pd.DataFrame:
    rows = [
        (layer, unit, copy, optimizer, unit + gain * (layer == "conv2") + RNG.normal())
        for layer in ("conv1", "conv2")
        for unit in range(9)
        for copy in range(2)
        for optimizer, gain in (("sgd", 0.0), ("adam", 3.0), ("momentum", 0.5))
    ]
    return pd.DataFrame(rows, columns=["layer", "unit", "copy", "optimizer", "response"])


def test_conditions_are_paired_by_unit_within_layers_with_copies_averaged():
    table = responses()
    table.loc[(table["unit"] == 4) & (table["optimizer"] == "sgd"), "response"] = np.nan
    found = paired_tests(table, "response", "optimizer")
    assert len(found) == 2 * 3
    row = found[(found["layer"] == "conv2") & (found["a"] == "sgd") & (found["b"] == "adam")].iloc[
        0
    ]
    means = table[table["layer"] == "conv2"].groupby(["optimizer", "unit"])["response"].mean()
    difference = (means["sgd"] - means["adam"]).dropna()
    assert (row["units"], row["undefined"]) == (8, 1)
    assert row["p"] == wilcoxon(difference).pvalue
    assert row["difference"] == pytest.approx(difference.median())
    np.testing.assert_allclose(found["q"], multipletests(found["p"], method="fdr_bh")[1])
    shuffled = paired_tests(table.sample(frac=1, random_state=0), "response", "optimizer")
    key = ["layer", "a", "b"]
    same = shuffled.assign(effect=shuffled["effect"].abs())[[*key, "effect"]]
    assert set(same["effect"].round(9)) == set(found["effect"].abs().round(9))


def test_q_is_within_families_and_skips_what_has_no_p():
    tests = pd.DataFrame({"p": [0.01, 0.04, np.nan, 0.03], "test": ["a", "a", "a", "b"]})
    found = with_q(tests, ("test",))
    np.testing.assert_allclose(found["q"], [0.02, 0.04, np.nan, 0.03])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("respons", "optimizer"), "table: there is no column 'respons'; it has layer, unit, copy"),
        (("response", "copy1"), "; nearest: copy"),
    ],
)
def test_tables_without_what_is_compared(arguments: tuple[str, str], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        paired_tests(responses(), *arguments)
    one = responses().query("optimizer == 'sgd'")
    with pytest.raises(ConfigError, match="between: the table has only 'sgd' in 'optimizer'; give"):
        paired_tests(one, "response", "optimizer")


def test_mixed_models_are_those_of_statsmodels_and_count_units_once():
    table = responses().rename(columns={"response": "value"})
    table.loc[0, "value"] = np.nan
    found = mixed_effects(table)
    table["group"] = table["layer"] + "/" + table["unit"].astype(str)
    fitted = mixedlm("value ~ 0 + layer", table.dropna(), groups=table.dropna()["group"]).fit()
    np.testing.assert_allclose(found["estimate"], fitted.fe_params, rtol=1e-4)
    np.testing.assert_allclose(found["low"], fitted.conf_int()[0][:2], rtol=1e-3, atol=1e-3)
    between = float(fitted.cov_re.iloc[0, 0])
    np.testing.assert_allclose(found["unit_share"], between / (between + fitted.scale), rtol=1e-2)
    assert found["units"].tolist() == [9, 9]
    assert found["note"].tolist() == ["", ""]
    # Of units that differ much, more copies hardly narrow the interval.
    width = (found["high"] - found["low"])[0]
    naive = 2 * 1.96 * table["value"].std() / np.sqrt(len(table) / 2)
    assert width > 1.5 * naive


def test_what_no_mixed_model_can_tell():
    single = responses().query("copy == 0 and optimizer == 'sgd'")
    found = mixed_effects(single.rename(columns={"response": "value"}))
    assert found["estimate"].isna().all()
    assert found["note"][0] == (
        "the mixed model cannot be fitted: no unit has two values, so units cannot be told from"
        " chance; use init.copies=2 or more, or three inits"
    )
    same = responses().assign(value=1.0)
    assert mixed_effects(same)["note"][0] == (
        "the mixed model cannot be fitted (values do not vary within layers)"
    )
    lost = responses().rename(columns={"response": "value"})
    lost.loc[lost["layer"] == "conv1", "value"] = np.nan
    first, second = mixed_effects(lost)["note"]
    assert (first, second) == ("no unit of this layer has a value", "")


def test_without_statsmodels_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'artiphys[statistics]'")):
        mixed_effects(responses().rename(columns={"response": "value"}))


def test_rounding_is_no_difference():
    """Ranks know no size: without this, twelve differences of 1e-9 would have p = 0.0005."""
    units = np.arange(12)
    values = {"zeros": 1 - 1e-9 * units, "noise": np.ones(12), "shifted": np.full(12, 1 - 1e-5)}
    table = pd.DataFrame(values).melt(var_name="init", value_name="r")
    found = paired_tests(table.assign(unit=[*units] * 3, layer="conv1"), "r", "init")
    assert found["note"].tolist() == ["no unit differs", "", ""]
    assert (found["p"][1:] < 0.001).all()
