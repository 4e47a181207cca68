"""Bars and gratings map AlexNet's conv1 as the published code does, number for number."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file
from torch import nn

import pipeline
from pipeline.analysis.stimulus_maps import bars_entering, gratings_entering, ranked
from pipeline.library.receptive_fields import ReceptiveFieldMaps
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.gratings import sin1

SETS = {
    "bars_4a": ("rfm_bars", bars_4a, bars_entering),
    "sin1": ("rfm_sine", sin1, gratings_entering),
}
SIGNS = [pytest.param(1, id="top"), pytest.param(-1, id="bottom")]
ROUNDING = 1e-4  # of responses: ten times what two float32 computations differ by
MIDDLE = (11 - 1) / 2  # published places on a map count from its upper left pixel


@dataclass(frozen=True)
class Mapped:
    """What was found, and the published values for the same 16 units."""

    method: str
    found: ReceptiveFieldMaps
    responses: np.ndarray
    oracle: dict[str, np.ndarray]

    def rows(self, sign: int) -> pd.DataFrame:
        """Return the summary of the weighted maps."""
        summary = self.found.summary
        chosen = (summary["method"] == self.method) & (summary["sign"] == sign)
        return cast("pd.DataFrame", summary[chosen].reset_index(drop=True))

    def maps(self, sign: int, kind: str = "") -> np.ndarray:
        (by_method,) = self.found.maps.values()
        return by_method[self.method + kind][:, 0 if sign > 0 else 1]

    def published(self, name: str) -> np.ndarray:
        return self.oracle[f"conv1_{name}"]


@pytest.fixture(scope="module", params=list(SETS))
def mapped(reference_data: Path, request: pytest.FixtureRequest) -> Mapped:
    file, build, _ = SETS[request.param]
    weights = load_file(reference_data / "weights" / "alexnet_conv1-3.safetensors")
    conv = nn.Conv2d(3, 64, 11, stride=4, padding=2)
    conv.load_state_dict({k: weights[f"features.0.{k}"] for k in ("weight", "bias")})
    net = pipeline.network(nn.Sequential(conv), input_size=(3, 63, 63))
    oracle = dict(np.load(reference_data / "oracles" / f"{file}.npz"))
    units = oracle["conv1_units"].tolist()
    layer = net.layer("conv1")
    responses = all_responses(
        Presentation(net.graph, layer, build(field_of(net.graph, layer))), units
    )
    found = pipeline.map_receptive_fields(net, "all", request.param, units=units)
    return Mapped(request.param, found, responses, oracle)


@pytest.mark.parametrize("sign", SIGNS)
def test_the_50_strongest_stimuli_are_the_published_ones(mapped: Mapped, sign: int):
    name = "top" if sign > 0 else "bot"
    table = mapped.found.responses
    rows = table[(table["sign"] == sign) & (table["rank"] < 50)]
    ours = rows["stimulus"].to_numpy().reshape(16, 50)
    theirs = mapped.published(f"{name}_i")
    responses = rows["response"].to_numpy().reshape(16, 50)
    np.testing.assert_allclose(responses, mapped.published(f"{name}_r"), atol=ROUNDING)
    assert np.mean(ours == theirs) > 0.99
    # Stimuli that change places have the same response: bars of two sizes, drawn alike.
    again = np.take_along_axis(mapped.responses, theirs, axis=1)
    np.testing.assert_allclose(again, responses, rtol=0, atol=2e-5)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("count", [1, 20, 100])
def test_mean_places_of_the_strongest_are_the_published_ones(mapped: Mapped, sign: int, count: int):
    order = ranked(mapped.responses, sign)[:, [count - 1, count]]
    last, next_one = np.take_along_axis(mapped.responses, order, axis=1).T
    clear = np.abs(last - next_one) > ROUNDING  # which are the strongest is certain
    assert clear.sum() >= 14
    ours = mapped.rows(sign)[[f"tb{count}_x", f"tb{count}_y"]].to_numpy()
    # x and y of the top, then of the bottom; published places of gratings count y up.
    theirs = mapped.published(f"tb{count}").reshape(16, 2, 2)[:, 0 if sign > 0 else 1]
    theirs = theirs * [1, -1 if mapped.method == "sin1" else 1]
    np.testing.assert_allclose(ours[clear], theirs[clear], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sign", SIGNS)
def test_maps_are_the_published_ones(mapped: Mapped, sign: int):
    side = "max" if sign > 0 else "min"
    scale = mapped.published(f"w{side}_s")[:, None, None]
    weighted = mapped.published(f"w{side}") / 65535 * scale  # stored with 16 bits
    assert (np.abs(mapped.maps(sign) - weighted) / scale).max() < 2e-5
    apart = mapped.maps(sign, "_non_overlapping")
    np.testing.assert_array_equal(apart, mapped.published(f"n{side}") > 0)


@pytest.mark.parametrize("sign", SIGNS)
def test_as_many_stimuli_enter_a_map_as_published(mapped: Mapped, sign: int):
    rule = SETS[mapped.method][2]
    counts = [len(rule(unit, sign).stimuli) for unit in mapped.responses.astype(np.float64)]
    assert counts == mapped.published("counts")[:, 0 if sign > 0 else 1].tolist()


def test_centers_radii_and_hot_spots_are_the_published_ones(mapped: Mapped):
    rows, published = mapped.rows(1), mapped.published("com")
    np.testing.assert_allclose(rows[["x", "y"]] + MIDDLE, published[:, :2], rtol=0, atol=1e-4)
    radii = rows[["radius_10", "radius_50", "radius_90"]]
    np.testing.assert_allclose(radii, published[:, 2:], rtol=0, atol=1e-4)
    hot = rows[["hot_y", "hot_x"]] + MIDDLE
    np.testing.assert_array_equal(hot, mapped.published("argmax"))


def test_gaussian_fits_are_the_published_ones(mapped: Mapped):
    rows, published = mapped.rows(1), mapped.published("gauss")
    lost = rows["reason"] != ""
    # Where the published fit failed, and where its center lies outside the map, is no field.
    outside = ((published[:, 1:3] < -0.5) | (published[:, 1:3] > 10.5)).any(axis=1)
    failed = (published == -1).all(axis=1)
    np.testing.assert_array_equal(lost, outside | failed)
    fxvar = mapped.published("gauss_fxvar")
    np.testing.assert_allclose(rows["fxvar"], fxvar, rtol=0, atol=1e-5)
    rows, published = rows[~lost], published[~lost]
    amplitude, x, y, sigma_1, sigma_2, theta, offset = published.T
    np.testing.assert_allclose(rows["amplitude"], amplitude, rtol=2e-3)
    np.testing.assert_allclose(rows["offset"], offset, rtol=2e-3, atol=2e-3)
    centers = rows[["gauss_x", "gauss_y"]] + MIDDLE
    np.testing.assert_allclose(centers, np.stack([x, y], 1), rtol=0, atol=1e-3)
    sizes = np.sort(np.abs([sigma_1, sigma_2]), axis=0)
    np.testing.assert_allclose(rows[["sigma_short", "sigma_long"]].T, sizes, rtol=0, atol=2e-3)
    axis = np.where(np.abs(sigma_1) > np.abs(sigma_2), theta, theta + 90)
    turned = (rows["orientation"] - axis + 90) % 180 - 90  # axes have no direction
    np.testing.assert_allclose(turned, 0, atol=0.05)
