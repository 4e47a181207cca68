"""Tuning of networks whose units are known: Gabor cells by formula, and small networks by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import pipeline
from pipeline.analysis.cone_colors import GRAY, rgb_to_lms
from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.errors import ConfigError
from pipeline.library.tuning import Tuning
from pipeline.miniature.gabor_bank import gabor_bank
from pipeline.networks.loading.network import Network
from pipeline.search.tuning import measurement
from pipeline.search.tuning.grids import NONE_LEFT
from pipeline.search.tuning.measurement import MAPS
from pipeline.search.tuning.sets import GROUPS, MEASURED, SETS
from pipeline.search.tuning.tables import population_table
from pipeline.stimuli.degree_gratings import gratings

COLORS = np.array([[1.0, -1.0, 0.2], [0.3, 0.5, -0.1], [0.2, 0.2, 0.2], [-0.1, 0.4, 1.0]])


def values(found: Tuning, at: str = "pre", rate_map: str = "identity") -> pd.DataFrame:
    """Return a column for each property and a row for each unit."""
    rows = found.table[(found.table["at"] == at) & (found.table["rate_map"] == rate_map)]
    return rows.pivot(index="unit", columns="property", values="value")


def flags(found: Tuning, at: str = "pre", rate_map: str = "identity") -> pd.DataFrame:
    rows = found.table[(found.table["at"] == at) & (found.table["rate_map"] == rate_map)]
    return rows.pivot(index="unit", columns="property", values="flag")


def turned(found: Any, expected: Any) -> np.ndarray:
    """Return differences of orientations in degrees."""
    return (np.asarray(found) - np.asarray(expected) + 90) % 180 - 90


def gabors(turns: list[float], side: int = 41) -> torch.Tensor:
    """Return even Gabor filters of 2 cycles per degree at 28 pixels per degree, nx = ny = .4."""
    y, x = np.mgrid[:side, :side] - side // 2
    a = [x * np.cos(np.deg2rad(t)) + y * np.sin(np.deg2rad(t)) for t in turns]
    filters = np.exp(-(x**2 + y**2) / (2 * 5.6**2)) * np.cos(2 * np.pi * np.array(a) / 14)
    return torch.from_numpy(filters / np.abs(filters).sum((1, 2), keepdims=True)).float()


def linear(
    filters: torch.Tensor, *rest: nn.Module, colors: Any = (1, 1, 1), size: int = 224
) -> Network:
    """Return a network of one layer with filters in one color, or one for each."""
    weights = torch.as_tensor(np.broadcast_to(colors, (len(filters), 3)).copy()).float()
    conv = nn.Conv2d(3, len(filters), filters.shape[-1], stride=8)
    with torch.no_grad():
        conv.weight.copy_(filters[:, None] * weights[:, :, None, None])
        torch.nn.init.zeros_(conv.bias)  # pyright: ignore[reportArgumentType]
    module = nn.Sequential(conv, *rest)
    return pipeline.network(module, input_size=(3, size, size), mean=0.5, std=0.5)


@pytest.fixture(scope="module")
def bank() -> Network:
    """Return a bank of cells of at most three degrees, which answer in a tenth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.miniature.gabor_bank.KERNEL", 85)
        return gabor_bank(cells=8, seed=2)


@pytest.fixture(scope="module")
def of_bank(bank: Network) -> Tuning:
    """Return a bank of Gabor cells, measured once."""
    return pipeline.tuning(bank, "conv3", ["orientation", "spatial_frequency"], at="pre")


def test_orientations_are_recovered(bank: Network, of_bank: Tuning):
    truth = bank.module.truth  # pyright: ignore[reportAttributeAccessIssue]
    known, own = truth[truth["kind"].isin(["simple", "complex"])], values(of_bank)
    for name in ("", "_interpolated", "_vector"):
        off = turned(own.loc[known.index, f"preferred_orientation{name}"], known["orientation"])
        assert np.abs(off).max() < 1


def test_spatial_frequencies_are_those_of_finer_gratings(bank: Network, of_bank: Tuning):
    """Found by a spline, against pixels times gratings 0.0025 octaves apart, in both discs."""
    own, said, name = values(of_bank), flags(of_bank), "peak_frequency_interpolated"
    tuned = [unit for unit in own.index[own["simple"].notna()] if "edge" not in said[name][unit]]
    assert len(tuned) == 6
    found = own.loc[tuned, name]
    known = [peak_of_pixels(bank, unit, near) for unit, near in found.items()]
    np.testing.assert_allclose(found, known, rtol=0.01)


def peak_of_pixels(bank: Network, unit: int, near: float) -> float:
    """Return where a cell's strongest responses lie, of gratings like those that were shown."""
    module: Any = bank.module
    cell, frequencies = module.truth.loc[unit], near * 2.0 ** np.linspace(-0.1, 0.1, 81)
    first = int(cell["first_filter"])
    # Of a complex cell two filters, a quarter of a cycle apart, are its energy.
    filters = module.gabors.weight[first : first + (2 if cell["filters"] == 4 else 1)].sum(1)
    turns, phases = np.arange(6) * 30.0, np.deg2rad(np.arange(8) * 45.0)
    turn = turns[np.abs(turned(turns, cell["orientation"])).argmin()]
    shown = {"orientation": turn, "frequency_per_degree": frequencies}
    found: list[np.ndarray] = []
    for diameter in (1.5, 4.5):
        table = pd.DataFrame({**shown, "diameter_degrees": diameter})
        stimuli = pipeline.stimulus_set(bank, partial(gratings, table=table), "cells")
        planes = stimuli.planes(np.arange(len(frequencies)))
        cosine, sine = torch.einsum("nkhw,fhw->kfn", planes, filters).numpy()[..., None]
        waves = sine * np.cos(phases) + cosine * np.sin(phases)
        energy = np.sqrt(np.square(waves).sum(axis=0) / 2)
        found.append(strength(energy if len(waves) == 2 else np.maximum(waves[0], 0)))
    return float(frequencies[max(found, key=np.max).argmax()])


def strength(responses: np.ndarray) -> np.ndarray:
    """Return the larger of mean and first harmonic over eight phases."""
    wave = np.exp(-2j * np.pi * np.arange(8) / 8)
    return np.maximum(responses.mean(axis=-1), np.abs(responses @ wave) / 4)


def test_simple_and_complex_cells_are_told_apart(bank: Network, of_bank: Tuning):
    kinds = bank.module.truth["kind"]  # pyright: ignore[reportAttributeAccessIssue]
    simple = values(of_bank)["simple"]
    assert (simple[kinds == "simple"] == 1).all()
    assert (simple[kinds == "complex"] == 0).all()
    # Gray gratings are nothing to opponent cells.
    opponent = kinds.index[kinds.str.endswith("opponent")]
    assert simple[opponent].isna().all()
    assert (flags(of_bank).loc[opponent, "simple"] == "the unit does not respond").all()


def test_without_a_nonlinearity_there_is_a_reason():
    net = linear(gabors([0.0]))
    found = pipeline.tuning(net, "conv1", "circular_variance", at="post", rate_map="identity")
    assert found.table["value"].isna().all()
    assert not found.table["studied"].any()
    assert set(found.table["flag"]) == {"no nonlinearity of its own follows conv1"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_population_of_the_macaques_orientations_and_frequencies_is_at_its_ceiling():
    net = gabor_bank(cells=512)
    names = ["orientation", "peak_frequency", "peak_frequency_interpolated"]
    found = pipeline.tuning(net, "conv3", names, at="pre", rate_map="identity")
    truth: pd.DataFrame = net.module.truth  # pyright: ignore[reportAssignmentType]
    truth = truth[truth["kind"].isin(["simple", "complex"])]
    own = values(found).loc[truth.index]
    off = turned(own["preferred_orientation_vector"], truth["orientation"])
    # 15 degrees between orientations are coarse for the few that are tuned most narrowly.
    assert np.mean(np.abs(off) < 1) > 0.96
    assert np.abs(off).max() < 5
    drawn = {
        "preferred_orientation": (truth["orientation"] + 22.5) % 180 - 22.5,
        "peak_frequency": truth["frequency_per_degree"],
    }
    population = found.population().set_index("property")
    for name, known in drawn.items():
        table = found.table[found.table["property"] == name].set_index("unit").loc[truth.index]
        best = population_table(table.assign(value=known).reset_index())
        # The cells are a draw of the macaque's, so that they are below 1 themselves.
        assert population.loc[name, "final"] == pytest.approx(best.loc[0, "final"], abs=0.01)
        assert best.loc[0, "final"] > 0.95


def test_rotated_weights_prefer_rotated_stimuli():
    filters = gabors([20.0, 71.0])
    net = linear(torch.cat([filters, torch.rot90(filters, 1, (1, 2))]))
    own = values(pipeline.tuning(net, "conv1", "orientation", at="pre", rate_map="identity"))
    names = [f"preferred_orientation_{how}" for how in ("interpolated", "vector")]
    for name in names:
        np.testing.assert_allclose(turned(own[name], [20, 71, 110, 161]), 0, atol=0.5)
    rest = own.drop(columns=[*names, "preferred_orientation"])
    # A response of 0 may be negative by rounding.
    np.testing.assert_allclose(rest.iloc[:2], rest.iloc[2:], rtol=2e-4, atol=2e-3)
    off = turned(own["preferred_orientation"].iloc[:2], own["preferred_orientation"].iloc[2:])
    np.testing.assert_allclose(np.abs(off), 90)


def test_twice_the_pixels_per_degree_are_twice_the_cycles_per_degree():
    net, name = linear(gabors([30.0])), "peak_frequency_interpolated"
    wide, narrow = (
        pipeline.tuning(net, "conv1", name, rate_map="identity", at="pre", visual_degrees=each)
        for each in (8, 4)
    )
    ratio = values(narrow).iloc[0, 0] / values(wide).iloc[0, 0]
    assert ratio == pytest.approx(2, rel=0.03)
    in_pixels = [each.table["value_px"].iloc[0] for each in (wide, narrow)]
    np.testing.assert_allclose(in_pixels, 1 / 14, rtol=0.03)


def test_the_scale_of_responses_and_other_units_change_what_they_should():
    names = ["orientation", "contrast"]
    filters = torch.cat([gabors([10.0, 60.0]), 0.2 * gabors([120.0])])
    net, strong = linear(filters, nn.ReLU()), linear(7 * filters, nn.ReLU())
    one, other = (pipeline.tuning(each, "conv1", names) for each in (net, strong))
    rounded = "fraction_rectified"  # a response of 0 may be negative by rounding
    rates_of = [name for name, facts in PROPERTIES.items() if facts.unit_of_measure == "rate"]
    for at in ("pre", "post"):
        # By which the median unit is as active as a cell: the scale of all units is gone.
        spikes = [values(each, at, "marques2020").drop(columns=rounded) for each in (one, other)]
        np.testing.assert_allclose(*spikes, rtol=1e-3, atol=1e-4)
        plain = [values(each, at).drop(columns=rounded) for each in (one, other)]
        scaled = [name for name in rates_of if name in plain[0]]
        np.testing.assert_allclose(*(p.drop(columns=scaled) for p in plain), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(plain[1]["max_dc"], 7 * plain[0]["max_dc"], rtol=1e-5)
    # The rate map is that of the layer, whichever units are chosen.
    alone = pipeline.tuning(net, "conv1", names, units=[2])
    both = one.table[one.table["unit"] == 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.table.reset_index(drop=True), both, rtol=1e-3, atol=1e-5)


def test_rectification_changes_what_is_negative_alone():
    net = linear(gabors([10.0, 60.0]), nn.ReLU())
    found = pipeline.tuning(net, "conv1", ["orientation", "size", "hue"])
    pre, post = values(found), values(found, "post")
    pd.testing.assert_frame_equal(
        pre.drop(columns="fraction_rectified"), post.drop(columns="fraction_rectified")
    )
    assert (pre["fraction_rectified"] > 0.3).all()
    assert (post["fraction_rectified"] == 0).all()


def test_units_without_tuning_have_reasons_and_no_numbers():
    """A dead unit, one that gives the same to everything, and one that is saturated."""
    net = linear(gabors([0.0, 0.0, 45.0, 45.0]), nn.Hardtanh(0, 1))
    conv = net.module[0]  # pyright: ignore[reportIndexIssue]
    with torch.no_grad():
        conv.weight[:2] = 0
        conv.bias.copy_(torch.tensor([0.0, 0.5, 9.0, 0.0]))
    net = pipeline.network(net.module, input_size=(3, 224, 224), mean=0.5, std=0.5)
    names = ["receptive_field", "orientation", "spatial_frequency", "size", "contrast", "hue"]
    found = pipeline.tuning(net, "conv1", names, rate_map="identity")
    pre, post = values(found), values(found, "post")
    said = flags(found, "post")
    rest = [name for name in pre if name != "fraction_rectified"]
    assert pre.loc[[0, 1], rest].isna().all(axis=None)
    assert post.loc[[0, 1, 2], rest].isna().all(axis=None)
    # The mean of a linear unit does not depend on gratings, but its modulation does.
    assert np.isnan(pre.loc[2, "preferred_orientation"])
    assert pre.loc[2, "peak_frequency"] == pytest.approx(2, rel=0.1)
    assert post.loc[3, "preferred_orientation"] == pytest.approx(45, abs=2)
    gratings = [name for name in rest if name in (*GROUPS["size"], *GROUPS["contrast"])]
    assert set(said.loc[[0, 1, 2], gratings].to_numpy().ravel()) == {"the unit does not respond"}
    assert (said.loc[[0, 1, 2], rest] != "").all(axis=None)
    studied = found.table[(found.table["at"] == "post") & (found.table["property"] != rest[0])]
    counted = studied.groupby("unit")["studied"].sum()
    assert counted.loc[[0, 1, 2]].max() <= 1  # of the fraction that is rectified
    assert counted.loc[3] > 30


def test_a_layer_that_does_not_respond_has_no_rate_map():
    net = linear(torch.zeros(2, 9, 9), nn.ReLU())
    found = pipeline.tuning(net, "conv1", "orientation", at="pre")
    spikes = found.table[found.table["rate_map"] == "marques2020"]
    assert spikes["value"].isna().all()
    assert spikes["flag"].str.startswith("rate_map: marques2020 needs units that respond").all()
    population = found.population()
    assert (population["units"].to_numpy() <= 2).all()


def test_stimuli_that_are_not_on_the_screen():
    net = linear(gabors([0.0]), nn.ReLU())
    far: dict[str, Any] = {"at": "pre", "rate_map": "identity", "center": (20, 0)}
    names = ["receptive_field", "orientation", "contrast", "hue"]
    gratings = [*names, "spatial_frequency", "size", "cones"]
    dropped = pipeline.tuning(net, "conv1", gratings, **far | {"rate_map": MAPS})
    assert dropped.table["value"].isna().all()
    by_map = dropped.table.groupby("rate_map")["flag"].unique().map(set)
    assert by_map["identity"] == {NONE_LEFT}
    assert by_map["marques2020"] == {f"no rate map: {NONE_LEFT}"}
    assert not dropped.table["studied"].any()
    assert dropped.curves["rate"].notna().sum() == 0
    assert (dropped.population()["units"] == 0).all()
    kept = pipeline.tuning(net, "conv1", names, keep_flagged=True, **far)
    rest = kept.table[kept.table["property"] != "fraction_rectified"]
    assert rest["value"].isna().all()
    assert (rest["flag"] == "the unit does not respond").all()


def test_optima_that_pixels_cannot_show_are_flagged_if_they_are_kept():
    """At 8 pixels per degree, 4 cycles per degree are two pixels a cycle."""
    board = torch.tensor([[1.0, -1.0], [1.0, -1.0]])[None] / 4
    net = linear(board.repeat(1, 4, 4), size=64)
    settings: dict[str, Any] = {"at": "pre", "rate_map": "identity"}
    dropped = pipeline.tuning(net, "conv1", "spatial_frequency", **settings)
    name = "peak_frequency_interpolated"
    assert values(dropped)[name].iloc[0] <= 4
    assert "edge" in flags(dropped)[name].iloc[0]
    kept = pipeline.tuning(net, "conv1", "spatial_frequency", keep_flagged=True, **settings)
    assert set(kept.curves["x"]) > set(dropped.curves["x"])
    # Of all frequencies, those above 4 are seen as lower ones, and equally strong.
    assert kept.curves["x"].max() == pytest.approx(14.67, abs=0.01)


def test_cone_weights_follow_from_the_weights_of_the_guns():
    net = linear(gabors([40.0]).abs().repeat(4, 1, 1), colors=COLORS)
    own = values(pipeline.tuning(net, "conv1", ["cones", "hue"], at="pre", rate_map="identity"))
    # r = w . rgb, with rgb = inv(M) lms and lms = lms of gray x (1 + contrast).
    lms = rgb_to_lms()
    expected = COLORS @ np.linalg.inv(lms) * (lms @ np.full(3, GRAY))
    expected /= np.abs(expected).sum(axis=1, keepdims=True)
    weights = own[[f"cone_weight_{cone}" for cone in "lms"]]
    np.testing.assert_allclose(weights, expected, atol=1e-3)
    np.testing.assert_allclose(own["cone_fit"], 1, atol=1e-5)
    assert own["chromatic_preference"].idxmax() == 0  # red - green
    assert own["chromatic_preference"][0] > 0.9
    # Hues go from L - M towards S, so that the first prefers about 0 and the last about 90.
    assert abs((own["preferred_hue"][3] - 90 + 180) % 360 - 180) < 25


def test_networks_without_colors_have_reasons():
    conv = nn.Conv2d(1, 2, 9)
    net = pipeline.network(nn.Sequential(conv, nn.ReLU()), input_size=(1, 64, 64), mean=0.5)
    found = pipeline.tuning(net, "conv1", ["hue", "cones", "size"], rate_map="identity")
    colored = found.table["property"].isin([*GROUPS["hue"], *GROUPS["cones"]])
    assert set(found.table[colored]["flag"]) == {"sets in color need a network of 3 channels"}
    assert found.table.loc[~colored, "value"].notna().any()


def test_twice_the_gain_halves_the_contrast_of_half_the_response():
    filters = gabors([30.0])
    net = linear(torch.cat([2 * filters, 4 * filters]), nn.Tanh())
    found = pipeline.tuning(net, "conv1", "contrast", rate_map="identity")
    half = values(found, "post")["half_contrast"]
    assert half[0] / half[1] == pytest.approx(2, rel=0.05)
    assert values(found)["half_contrast"].isna().all()
    assert flags(found)["half_contrast"].str.startswith("unsaturated").all()
    curve = found.curves.query("at == 'post' and unit == 0")
    assert curve["x"].tolist() == np.logspace(-2, 0, 12).tolist()
    assert (np.diff(curve["rate"]) > 0).all()


def test_all_properties_with_intervals_on_a_small_screen(monkeypatch: pytest.MonkeyPatch):
    few = replace(SETS["texture"], options={"samples": 2, "size": 4.0, "seed": 0})
    monkeypatch.setitem(SETS, "texture", few)  # all 225 pairs take seconds to draw
    filters = gabors([0.0, 50.0, 95.0], side=15)
    net = linear(filters, nn.ReLU(), colors=COLORS[:3], size=96)
    found = pipeline.tuning(net, "conv1", draws=8, units=[2, 0])
    assert found.table["unit"].unique().tolist() == [2, 0]
    assert len(found.table) == 2 * 4 * len(MEASURED)
    drawn = found.table.dropna(subset=["low"])
    of_textures = drawn["property"].isin(GROUPS["texture"])
    assert of_textures.any()
    assert set(drawn.loc[~of_textures, "rate_map"]) == {"marques2020"}
    assert (drawn["low"] <= drawn["high"]).all()
    again = pipeline.tuning(net, "conv1", "orientation", draws=8, units=[2])
    alone = again.table.merge(found.table, on=["unit", "at", "rate_map", "property"])
    assert len(alone) == len(again.table)
    np.testing.assert_array_equal(alone["low_x"], alone["low_y"])


def test_units_that_are_measured_together_do_not_change_each_other(monkeypatch: pytest.MonkeyPatch):
    net, names = linear(gabors([0.0, 50.0, 95.0]), nn.ReLU()), ["orientation", "contrast"]
    together = pipeline.tuning(net, "conv1", names, draws=4)
    monkeypatch.setattr(measurement, "UNITS", 2)
    apart = pipeline.tuning(net, "conv1", names, draws=4)
    pd.testing.assert_frame_equal(apart.table, together.table, check_exact=True)
    pd.testing.assert_frame_equal(apart.curves, together.curves, check_exact=True)


def test_populations_beside_cells():
    net = linear(gabors([0.0, 50.0, 95.0, 140.0]), nn.ReLU())
    found = pipeline.tuning(net, "conv1", ["orientation"], at="post", rate_map="identity")
    population = found.population().set_index("property")
    orientation = population.loc["preferred_orientation"]
    assert 0.9 < orientation["final"] <= 1.01
    assert orientation["units"] == 4
    variance = population.loc["circular_variance"]
    assert variance["flag"].startswith("not available")
    assert np.isnan(variance["macaque_median"])
    assert variance["median"] == pytest.approx(values(found, "post")["circular_variance"].median())
    own = pd.DataFrame({"property": "circular_variance", "value": [0.1, 0.2, 0.3]})
    with_own = found.population(own).set_index("property")
    assert with_own.loc["circular_variance", "source"] == "the table"
    assert with_own.loc["preferred_orientation", "flag"].startswith("not available")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"properties": "size_"},
            "properties: 'size_' is neither a property nor one of the groups receptive_field,",
        ),
        ({"properties": []}, "properties: the list is empty; choose 'all', or some of the groups"),
        (
            {"properties": "direction_selectivity"},
            "properties: 'direction_selectivity' needs gratings that drift",
        ),
        ({"at": "after"}, "at: 'after' is not one of pre, post"),
        ({"at": []}, "at: the list is empty; choose from pre, post"),
        ({"rate_map": "marques"}, "rate_map: 'marques' is not one of identity, marques2020"),
        ({"draws": 1}, "draws: 1 is too few for an interval; use 2 or more, or 0 for none"),
        ({"draws": -1}, "draws: -1 is not at least 0"),
        ({"noise": "poison"}, "noise: 'poison' is not a kind of noise"),
        ({"visual_degrees": "wide"}, "visual_degrees: 'wide' is not a number of degrees"),
        ({"visual_degrees": 0}, "visual_degrees: 0 is not above 0 and at most 180"),
        ({"center": 3}, "center: 3 is not a place; give degrees to the right and down"),
        ({"units": 99}, "units: 99"),
    ],
)
def test_what_is_refused(untyped: None, given: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        pipeline.tuning(pipeline.network("miniature"), "conv1", **given)


def test_units_that_do_not_answer_have_no_preference_for_color():
    layer = nn.Conv2d(3, 3, 7, padding=3)
    nn.init.zeros_(layer.weight)
    layer.bias = nn.Parameter(torch.tensor([0.0, 2.0, -1.0]))  # blank, constant, dead
    net = pipeline.network(nn.Sequential(layer, nn.ReLU()), input_size=(3, 48, 48))
    found = pipeline.tuning(net, "conv1", ["chromatic_preference", "preferred_hue"], at="post")
    table = found.table.query("property == 'chromatic_preference'")
    assert table["value"].isna().all()
    assert (table["flag"] != "").all()
    assert not table["studied"].any()
    assert found.curves.query("curve == 'hue'")["rate"].isna().all()


def test_places_off_the_screen_and_words_for_truth_are_refused(untyped: None):
    net = pipeline.network("miniature")
    for center in ((float("nan"), 0.0), (100.0, 100.0)):
        with pytest.raises(ConfigError, match=r"^center: .* is not a place on the screen"):
            pipeline.tuning(net, "conv1", "orientation", units=[2], center=center)
    with pytest.raises(ConfigError, match=r"^keep_flagged: 'no' is neither True nor False$"):
        pipeline.tuning(net, "conv1", "orientation", units=[2], keep_flagged="no")
    for rms in (True, "a", -1.0):
        with pytest.raises(ConfigError, match=r"^rms: .* is not a positive number"):
            pipeline.best_gabor(net, "conv1", units=[2], rms=rms)


def test_a_layer_that_is_a_nonlinearity_is_tuned_as_what_it_follows_is_after_it():
    net = linear(gabors([20.0, 100.0]), nn.ReLU())
    parts = ["orientation", "contrast"]
    before, itself = (pipeline.tuning(net, layer, parts, rate_map="identity") for layer in "01")
    expected = values(before, "post")
    assert expected["circular_variance"].between(0.01, 0.99).all()
    pd.testing.assert_frame_equal(values(itself, "post"), expected)
    pd.testing.assert_frame_equal(values(itself, "pre"), expected)
