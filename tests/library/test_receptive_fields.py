"""Maps of receptive fields that are known."""

from __future__ import annotations


import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline.analysis.gaussian_fit import gaussian
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network

PLACES = [(-3.0, 2.0), (4.0, -1.0), (0.0, 0.0)]
TURNS = [30.0, 120.0, 75.0]


def known(period: float = np.inf) -> Network:
    """Return units with Gabors at PLACES, whose sum is 0 if waved, and one that is constant."""
    layer = nn.Conv2d(3, len(PLACES) + 1, 25, stride=2)
    nn.init.zeros_(layer.weight)
    layer.bias = nn.Parameter(torch.tensor([0.0] * len(PLACES) + [1.0]))
    down, right = np.indices((25, 25)) - 12.0
    for unit, ((x, y), turn) in enumerate(zip(PLACES, TURNS, strict=True)):
        bump = gaussian((25, 25), np.array([1.0, 12 + x, 12 + y, 3.5, 2.0, turn, 0.0]))
        angle = np.deg2rad(turn)
        across = (right - x) * np.sin(angle) + (down - y) * np.cos(angle)
        gabor = bump * np.cos(2 * np.pi * across / period)
        if np.isfinite(period):
            gabor -= bump * gabor.sum() / bump.sum()
        layer.weight.data[unit] = torch.from_numpy(gabor).float()
    return pipeline.network(nn.Sequential(layer), input_size=(3, 65, 65))


def test_noise_recovers_place_size_and_orientation():
    found = pipeline.map_receptive_fields(known(), "all", "dense_noise", frames=20_000)
    on = found.summary.query("sign == 1").set_index("unit")
    for unit, ((x, y), turn) in enumerate(zip(PLACES, TURNS, strict=True)):
        row = on.loc[unit]
        assert np.hypot(row["gauss_x"] - x, row["gauss_y"] - y) < 0.5
        assert row["sigma_long"] == pytest.approx(3.5, rel=0.1)
        assert row["sigma_short"] == pytest.approx(2.0, rel=0.1)
        assert row["orientation"] == pytest.approx(turn, abs=2)


def test_sparse_noise_finds_the_place():
    found = pipeline.map_receptive_fields(known(), "all", "sparse_noise", frames=20_000)
    on = found.summary.query("sign == 1").set_index("unit").loc[range(len(PLACES))]
    errors = on[["gauss_x", "gauss_y"]].to_numpy() - PLACES
    assert np.hypot(*errors.T).max() < 0.5


@pytest.mark.parametrize("method", ["bars_4a", "bars_on_stride", "sin1"])
def test_figures_find_the_center_and_the_side_of_known_gabors(method: str):
    """Centers of displaced units keep their order, though bars_4a errs by up to two pixels."""
    table = pipeline.map_receptive_fields(known(7.0), "all", method, units="0:3").summary
    rows = table.query(f"method == '{method}' and sign == 1")
    found = rows[["gauss_x", "gauss_y"]].to_numpy()
    assert found[:, 0].argsort().tolist() == [0, 2, 1]
    assert found[:, 1].argsort().tolist() == [1, 2, 0]
    assert np.hypot(*found[2]) < 0.5


@pytest.mark.parametrize("method", ["bars_on_stride", "sparse_noise", "dense_noise"])
def test_a_unit_that_is_constant_gives_a_reason_and_no_numbers(method: str):
    table = pipeline.map_receptive_fields(known(), "all", method, units=3, frames=300).summary
    assert set(table["reason"]) == {"the map is flat"}
    numbers = table[[c for c in table if c.startswith(("x", "y", "radius", "gauss", "tb"))]]
    assert numbers.isna().to_numpy().all()


def test_methods_are_compared_with_each_other():
    net = pipeline.network("miniature")
    methods = ["bars_on_stride", "sparse_noise"]
    found = pipeline.map_receptive_fields(net, "conv1", methods, units=[3, 5], frames=500)
    table = found.agreement()
    assert len(table) == 3 * 2 * 2  # pairs, signs, units
    assert set(table["unit"]) == {3, 5}
    assert table["correlation"].dropna().between(-1.000001, 1.000001).all()


def test_unknown_methods_are_refused():
    with pytest.raises(ConfigError, match=r"^methods: 'bars_4' is not one of bars_on_stride, bars"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", "bars_4")
    with pytest.raises(ConfigError, match=r"is empty or names a method twice"):
        pipeline.map_receptive_fields(pipeline.network("miniature"), "conv1", [])
