"""Opponency of networks whose units are known, and a literal second computation."""

from __future__ import annotations

import colorsys
import re
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network

EVERYTHING: dict[str, Any] = {"baseline": "all", "require_positive_baseline": "all", "at": "all"}
RULE = ["kind", "at", "baseline", "require_positive_baseline", "unit"]
OPPONENT, OTHER, SILENT = "opponent", "non-opponent", "unresponsive"


def known() -> nn.Module:
    """Return two layers: red - green; luminance; red against an edge; an edge; and a constant."""
    first, second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 1, 1, bias=False)
    red_green, gray = torch.tensor([1.0, -1.0, 0.0]), torch.full((3,), 1 / 3)
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, :, 1, 1] = first.weight[1, :, 1, 1] = red_green
        first.weight[2, :, 1, 1] = gray
        first.weight[3, :, 1, 1] = red_green
        for unit in (3, 4):
            first.weight[unit, :, 1, 0], first.weight[unit, :, 1, 2] = gray, -gray
        first.bias.copy_(torch.tensor([0.5, 0.0, 0.0, 0.5, 0.5, 0.3]))
        second.weight.zero_()
        second.weight[0, 0] = 2.0
    return nn.Sequential(first, nn.ReLU(), second)


@pytest.fixture(scope="module")
def network() -> Network:
    return pipeline.network(known(), input_size=(3, 32, 32))


@pytest.fixture(scope="module", params=["image", "field"])
def table(request: pytest.FixtureRequest, network: Network) -> pd.DataFrame:
    return pipeline.opponency(network, ["conv1", "conv2"], where=request.param, **EVERYTHING)


def classes(table: pd.DataFrame, layer: str = "conv1", **rule: Any) -> list[str]:
    rows = table[table["layer"] == layer]
    for name, value in rule.items():
        rows = rows[rows[name] == value]
    return rows.sort_values("unit")["class"].tolist()


def test_units_that_are_known_are_what_they_are(table: pd.DataFrame):
    as_published: dict[str, Any] = {"baseline": "black", "require_positive_baseline": True}
    assert classes(table, kind="spectral", at="pre", **as_published) == [
        OPPONENT, OTHER, OTHER, OPPONENT, SILENT, SILENT,
    ]  # fmt: skip
    assert classes(table, kind="spatial", at="post", **as_published) == [
        SILENT, SILENT, OTHER, OPPONENT, OPPONENT, SILENT,
    ]  # fmt: skip
    assert classes(table, kind="double", at="pre+post", **as_published) == [
        OTHER, OTHER, OTHER, OPPONENT, OTHER, SILENT,
    ]  # fmt: skip


def test_the_baseline_and_the_demand_decide(table: pd.DataFrame):
    spectral: dict[str, Any] = {"kind": "spectral", "at": "pre"}
    # Red minus green without a bias has a baseline of 0; luminance lies above black and below
    # white, and on both sides of gray.
    for baseline, luminance in (("black", OTHER), ("gray", OPPONENT), ("white", OTHER)):
        found = classes(table, baseline=baseline, require_positive_baseline=True, **spectral)
        assert found[1:3] == [OTHER, luminance]
        found = classes(table, baseline=baseline, require_positive_baseline=False, **spectral)
        assert found[1:3] == [OPPONENT, luminance]
        after = {"kind": "spectral", "at": "post", "baseline": baseline}
        assert classes(table, require_positive_baseline=False, **after)[1:3] == [OTHER, luminance]


def test_the_strongest_stimuli_are_those_of_the_kernel(table: pd.DataFrame):
    rows = table.query(
        "layer == 'conv1' and baseline == 'black' and require_positive_baseline"
    ).set_index(["kind", "at", "unit"])
    # All hues from magenta to yellow have full red; green is 0 from magenta to red.
    red_green = rows.loc[("spectral", "pre", 0)]
    assert 300 <= red_green["max_hue"] <= 360 or red_green["max_hue"] == 0
    assert 120 <= red_green["min_hue"] <= 180
    values = ["baseline_response", "max_response", "min_response"]
    np.testing.assert_allclose(red_green[values].astype(float), [0.5, 1.5, -0.5], atol=1e-6)
    edge = rows.loc[("spatial", "pre", 4)]
    for side in ("max", "min"):  # a quarter of a cycle per pixel from left to right
        across = np.cos(np.deg2rad(edge[f"{side}_orientation"])) * edge[f"{side}_cycles"]
        assert abs(across) == pytest.approx(8, abs=0.4)
    assert rows.loc[("spatial", "post", 4), "min_response"] == 0
    assert rows.loc[("spatial", "post", 5), ["max_cycles", "min_phase"]].isna().all()
    assert (rows.loc[("spectral", "pre", 5), ["max_name", "min_name"]] == "").all()


def test_a_layer_without_a_nonlinearity_has_no_class_after_it(table: pd.DataFrame):
    rows = table[table["layer"] == "conv2"].set_index(["kind", "at"])
    assert (rows.loc[("spectral", "pre"), "class"] == OPPONENT).any()
    for key in (("spectral", "post"), ("spatial", "post"), ("double", "pre+post")):
        assert (rows.loc[[key], "class"] == "undefined").all()
        assert rows.loc[[key], "reason"].str.contains("no nonlinearity of its own").all()
    assert (rows.loc[[("spatial", "pre")], "reason"] == "").all()
    found = pipeline.opponency_fractions(table)
    assert set(found.loc[found["layer"] == "conv2", "at"]) == {"pre"}


def test_a_layer_that_is_a_nonlinearity_has_responses_after_it(network: Network):
    at_both = pipeline.opponency(network, ["1"], at=["pre", "post"], where="field")
    pre, post = (at_both[at_both["at"] == at].drop(columns="at") for at in ("pre", "post"))
    pd.testing.assert_frame_equal(pre.reset_index(drop=True), post.reset_index(drop=True))
    of_conv = pipeline.opponency(network, "conv1", at="post", where="field")
    assert post["class"].tolist() == of_conv["class"].tolist()


def test_hues_in_gray_are_no_colors(network: Network):
    found = pipeline.opponency(network, "conv1", at="pre", baseline="gray", gray_hues=True)
    spectral = found[found["kind"] == "spectral"]["class"].tolist()
    assert spectral == [SILENT, SILENT, OPPONENT, SILENT, SILENT, SILENT]


def baseline_model(widths: tuple[int, ...]) -> nn.Sequential:
    """Return the published network: 9 x 9 convolutions with padding 4, each before a ReLU."""
    drawn = torch.Generator().manual_seed(3)
    parts: list[nn.Module] = []
    for before, after in zip((3, *widths[:-1]), widths, strict=True):
        conv = nn.Conv2d(before, after, 9, padding=4)
        nn.init.xavier_uniform_(conv.weight, generator=drawn)
        nn.init.normal_(conv.bias, 0.05, 0.1, generator=drawn)
        parts += [conv, nn.ReLU()]
    return nn.Sequential(*parts)


def literal_gratings() -> tuple[torch.Tensor, list[tuple[float, float, int]]]:
    images: list[np.ndarray] = []
    named: list[tuple[float, float, int]] = []
    x = np.arange(32)[None, :] - 15.5
    y = 15.5 - np.arange(32)[:, None]  # up
    for theta in np.arange(0, 181, 20):
        for step in range(6):
            for f in range(1, 17):
                o = np.deg2rad(90 - theta)
                u = x * np.cos(o) - y * np.sin(o)
                images.append(0.5 + 0.5 * np.cos(2 * np.pi * (f * u / 32 - step / 5)))
                named.append((float(theta), step / 5, f))
    gray = torch.tensor(np.array(images), dtype=torch.float32)
    return gray[:, None].expand(-1, 3, -1, -1), named


def literal_class(r: np.ndarray, s: float, demand: bool) -> str:
    if (r == s).all():
        return SILENT
    if r.max() > s and r.min() < s and (s > 0 or not demand):
        return OPPONENT
    return OTHER


WIDTHS = (8, 3, 6)


@pytest.fixture(scope="module")
def published() -> nn.Sequential:
    return baseline_model(WIDTHS).eval()


@pytest.fixture(scope="module")
def by_pipeline(published: nn.Sequential) -> pd.DataFrame:
    net = pipeline.network(published, input_size=(3, 32, 32))
    return pipeline.opponency(net, "all", **EVERYTHING)


@pytest.fixture(scope="module")
def by_loop(published: nn.Sequential) -> dict[tuple[str, str, str], np.ndarray]:
    """Return responses to all stimuli by layer, stage and set."""
    pixels = [colorsys.hls_to_rgb(h / 360, 0.5, 1.0) for h in range(360)]
    uniform = torch.tensor([*pixels, (0,) * 3, (0.5,) * 3, (1,) * 3], dtype=torch.float32)
    shown = {
        "colors": uniform[:, :, None, None].expand(-1, -1, 32, 32),
        "gratings": literal_gratings()[0],
    }
    read: dict[tuple[str, str, str], np.ndarray] = {}
    with torch.inference_mode():
        for name, value in shown.items():
            for number, part in enumerate(published):
                value = part(value)
                key = f"conv{number // 2 + 1}", ("pre", "post")[number % 2], name
                read[key] = value[:, :, 16, 16].numpy()
    return read


def test_a_published_network_by_a_loop_that_follows_the_definition(
    by_pipeline: pd.DataFrame, by_loop: dict[tuple[str, str, str], np.ndarray]
):
    keys = ["layer", *RULE]
    found = dict(zip(map(tuple, by_pipeline[keys].to_numpy()), by_pipeline["class"], strict=True))
    expected: dict[tuple[Any, ...], str] = {}
    for (layer, at, name), responses in by_loop.items():
        for (level, baseline), demand in product(
            enumerate(("black", "gray", "white")), (True, False)
        ):
            for unit in range(responses.shape[1]):
                s = by_loop[layer, at, "colors"][360 + level, unit]
                kind = "spectral" if name == "colors" else "spatial"
                own = responses[:360, unit] if name == "colors" else responses[:, unit]
                key = (layer, kind, at, baseline, demand, unit)
                expected[key] = literal_class(own, s, demand)
    assert {OPPONENT, OTHER} <= set(expected.values())
    assert {key: found[key] for key in expected} == expected
    for (layer, kind, at, *rest), double in found.items():
        if kind == "double" and at == "pre+post":
            both = (
                expected[layer, "spectral", "pre", *rest],
                expected[layer, "spatial", "post", *rest],
            )
            assert (double == OPPONENT) == (both == (OPPONENT, OPPONENT))


def test_strongest_hue_and_grating_by_the_same_loop(
    by_pipeline: pd.DataFrame, by_loop: dict[tuple[str, str, str], np.ndarray]
):
    named = literal_gratings()[1]
    rule = by_pipeline.query("baseline == 'black' and require_positive_baseline")
    for layer, width in zip(("conv1", "conv2", "conv3"), WIDTHS, strict=True):
        rows = rule[rule["layer"] == layer].set_index(["kind", "at", "unit"])
        hues, gratings = (by_loop[layer, "pre", name] for name in ("colors", "gratings"))
        for unit in range(width):
            spectral, spatial = (rows.loc[(kind, "pre", unit)] for kind in ("spectral", "spatial"))
            for side, extreme in (("max", np.max), ("min", np.min)):
                best = hues[int(spectral[f"{side}_hue"]), unit]
                assert best == pytest.approx(extreme(hues[:360, unit]), abs=1e-5)
                names = [f"{side}_{name}" for name in ("orientation", "phase", "cycles")]
                turn, phase, cycles = spatial[names]
                bars = 90 - turn if turn <= 90 else 270 - turn  # the published convention
                at = named.index((bars, round(phase if turn <= 90 else 1 - phase, 6), cycles))
                assert gratings[at, unit] == pytest.approx(extreme(gratings[:, unit]), abs=1e-5)


def test_permuted_channels_turn_hues_and_change_no_class():
    module = baseline_model((8,)).eval()
    turned = baseline_model((8,)).eval()
    with torch.no_grad():
        turned[0].weight.copy_(turned[0].weight[:, [2, 0, 1]])  # reads red as blue before
    asked: dict[str, Any] = EVERYTHING | {"at": "pre", "where": "field"}
    tables = [
        pipeline.opponency(pipeline.network(one, input_size=(3, 32, 32)), "conv1", **asked)
        for one in (module, turned)
    ]
    assert tables[0]["class"].tolist() == tables[1]["class"].tolist()
    difference = (tables[1]["max_hue"] - tables[0]["max_hue"]).dropna() % 360
    assert len(difference)
    assert set(difference) in ({120.0}, {240.0})


def test_after_a_relu_opponency_is_that_before_it_with_a_baseline_above_0(
    by_pipeline: pd.DataFrame,
):
    of_unit = by_pipeline.assign(opponent=by_pipeline["class"] == OPPONENT)
    opponent = of_unit.set_index([*RULE[:4], "layer", "unit"])["opponent"].sort_index()
    for kind, baseline in product(("spectral", "spatial"), ("black", "gray", "white")):
        pre = opponent.loc[kind, "pre", baseline, True]
        for demand in (True, False):
            pd.testing.assert_series_equal(opponent.loc[kind, "post", baseline, demand], pre)


def test_units_that_cannot_answer_are_unresponsive():
    """A dead unit, a constant one, a saturated one, one that sees beyond the input, and none."""
    conv = nn.Conv2d(3, 5, 33, padding=16)
    with torch.no_grad():
        conv.weight.zero_()
        conv.bias.copy_(torch.tensor([0.0, 0.5, 9.0, 0.2, 0.5]))
        conv.weight[[2, 4], 0, 16, 16] = 1.0
        conv.weight[[2, 4], 1, 16, 16] = -1.0
        conv.weight[3, 0, 32, 32] = 1.0  # 16 pixels from the center, where there is padding alone
    net = pipeline.network(nn.Sequential(conv, nn.Hardtanh(0, 1)), input_size=(3, 32, 32))
    found = pipeline.opponency(net, "conv1", at="all", baseline="all")
    assert set(found[found["unit"].isin([0, 1, 3])]["class"]) == {SILENT}
    hues = found[(found["kind"] == "spectral") & (found["baseline"] == "gray")]
    by = hues.set_index(["at", "unit"])["class"]
    assert (by["pre", 2], by["post", 2]) == (OPPONENT, SILENT)
    assert (by["pre", 4], by["post", 4]) == (OPPONENT, OPPONENT)
    silent = found[found["class"] == SILENT]
    assert silent[["max_hue", "max_cycles", "min_hue", "min_cycles"]].isna().all(axis=None)
    assert (silent["reason"] == "").all()


def test_opponency_of_turned_enlarged_and_stronger_filters():
    """A Gabor, the same turned by 90 degrees, five times as strong, and on twice the pixels."""
    axis = torch.arange(-4.0, 5.0)
    turn = torch.deg2rad(torch.tensor(20.0))
    along = axis * turn.cos() + axis[:, None] * turn.sin()
    gabor = torch.cos(2 * torch.pi * along / 8) * torch.exp(-(axis**2 + axis[:, None] ** 2) / 18)

    def opponency(filters: torch.Tensor, bias: float, side: int) -> pd.DataFrame:
        conv = nn.Conv2d(3, len(filters), filters.shape[-1], padding=filters.shape[-1] // 2)
        with torch.no_grad():
            conv.weight.copy_(filters[:, None])
            conv.bias.fill_(bias)
        net = pipeline.network(nn.Sequential(conv, nn.ReLU()), input_size=(3, side, side))
        found = pipeline.opponency(net, "conv1", baseline="gray")
        return found[found["kind"] == "spatial"].reset_index(drop=True)

    both = opponency(torch.stack([gabor, gabor.rot90()]), 2.0, 32)
    assert both["class"].tolist() == [OPPONENT] * 2
    turned = (both["max_orientation"][1] - both["max_orientation"][0]) % 180
    assert abs(turned - 90) <= 10  # orientations are 20 degrees apart
    assert both["max_cycles"][0] == both["max_cycles"][1]
    stronger = opponency(5 * gabor[None], 10.0, 32)
    words = ["class", "max_orientation", "max_cycles", "max_phase", "min_orientation", "min_cycles"]
    assert stronger[words].iloc[0].tolist() == both[words].iloc[0].tolist()
    assert stronger["max_response"][0] == pytest.approx(5 * both["max_response"][0], rel=1e-5)
    large = opponency(gabor[None].repeat_interleave(2, 1).repeat_interleave(2, 2) / 4, 2.0, 64)
    assert large["class"][0] == OPPONENT
    assert large["max_cycles"][0] == both["max_cycles"][0]  # in the input, which shows the same


@pytest.mark.slow
def test_cells_of_the_ground_truth_network():
    """Cells of balanced colors see no gray grating, so that they are not spatially opponent."""
    from pipeline.miniature.gabor_bank import gabor_bank

    net = gabor_bank(cells=8)
    table = pipeline.opponency(net, "cells", units=[0, 6, 7], at="pre", where="field")
    kinds = net.module.truth["kind"]
    assert [kinds[unit] for unit in (6, 7)] == ["color_opponent", "double_opponent"]
    found = table.set_index(["kind", "unit"])["class"]
    assert [found["spectral", unit] for unit in (6, 7)] == [OPPONENT] * 2
    assert [found["spatial", unit] for unit in (6, 7)] == [SILENT] * 2
    assert found["spectral", 0] != OPPONENT


def test_units_do_not_depend_on_others(network: Network):
    whole = pipeline.opponency(network, "conv1")
    one = pipeline.opponency(network, "conv1", units=[3, 0])
    assert one["unit"].tolist() == [3, 0] * 3
    both = whole.merge(one[["unit", "kind"]], on=["unit", "kind"])
    keys = ["kind", "unit"]
    pd.testing.assert_frame_equal(
        both.sort_values(keys).reset_index(drop=True), one.sort_values(keys).reset_index(drop=True)
    )


def test_published_is_the_default(network: Network):
    found = pipeline.opponency(network, "conv1")
    assert found.groupby("kind", sort=False)["at"].unique().map(list).to_dict() == {
        "spectral": ["pre"], "spatial": ["post"], "double": ["pre+post"],
    }  # fmt: skip
    assert set(found["baseline"]) == {"black"}
    assert found["require_positive_baseline"].all()


def test_networks_of_another_number_of_channels_are_refused():
    gray = pipeline.network(nn.Sequential(nn.Conv2d(1, 2, 3)), input_size=(1, 9, 9), name="gray")
    message = (
        "net: opponency is measured with colors and needs a network of 3 channels, and gray has 1"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        pipeline.opponency(gray, "conv1")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"baseline": "grey"},
            "baseline: 'grey' is not one of black, gray, white, or all; nearest: gray",
        ),
        ({"baseline": []}, "baseline: [] is empty or names one twice"),
        ({"baseline": 3}, "baseline: 3 is not one of black, gray, white, or all"),
        ({"at": "before"}, "at: 'before' is not one of published, pre, post, or all"),
        ({"where": "map"}, "where: 'map' is not one of image, field"),
        (
            {"require_positive_baseline": "yes"},
            "require_positive_baseline: 'yes' is not True, False, or all for both",
        ),
        ({"seed": -1}, "seed: -1 is not at least 0; use 0 or more"),
    ],
)
def test_what_is_refused(network: Network, untyped: None, given: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        pipeline.opponency(network, "conv1", **given)
