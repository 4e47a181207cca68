"""Tuning to bars: linear units that are known, and the whole network bar by bar."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import pipeline
from pipeline.analysis.gaussian_fit import gaussian
from pipeline.errors import ConfigError
from pipeline.library.bar_tuning import BarTuning
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.search.bar_tuning import CONTRASTS, Show, tune_to_bars
from pipeline.stimuli.bars import bar_planes, bars_4c7o
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.stimulus_set import StimulusSet

SIDE = 25
BIAS = 0.5


def gabor(degrees: float, polarity: int = 1) -> np.ndarray:
    """Return a Gabor whose middle stripe is so many degrees from vertical, counterclockwise."""
    angle = np.deg2rad(degrees)
    down, right = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    across = right * np.cos(angle) - down * np.sin(angle)
    center = (SIDE - 1) / 2
    bump = gaussian((SIDE, SIDE), np.array([1.0, center, center, 5.0, 2.5, degrees + 90, 0.0]))
    return polarity * bump * np.cos(2 * np.pi * across / 9)


def linear(kernels: list[np.ndarray]) -> Network:
    layer = nn.Conv2d(1, len(kernels), SIDE, stride=4)
    layer.weight = nn.Parameter(torch.from_numpy(np.stack(kernels))[:, None].float())
    layer.bias = nn.Parameter(torch.full((len(kernels),), BIAS))
    return pipeline.network(nn.Sequential(layer), input_size=(1, 40, 40))


def showing(kernels: np.ndarray) -> Show:
    """Return the responses of linear units to every stimulus of a set, drawn one by one."""

    def show(stimuli: StimulusSet) -> np.ndarray:
        drawn = stimuli.draw(range(len(stimuli))).numpy()[:, 0]
        responses = np.einsum("shw,uhw->us", drawn.astype(np.float64), kernels)
        return responses.astype(np.float32)

    return show


def curve(found: BarTuning, unit: int, parameter: str) -> pd.DataFrame:
    return found.curves.query("unit == @unit and parameter == @parameter").set_index("value")


@pytest.fixture(scope="module")
def gabors() -> BarTuning:
    kernels = [gabor(0), gabor(45), gabor(90), gabor(90, -1)]
    return pipeline.bar_tuning(linear(kernels), "conv1", stimulus="bars_4a")


def test_gabors_prefer_their_own_orientation_and_polarity(gabors: BarTuning):
    table = gabors.preferred
    assert table["orientation"].tolist() == [0, 45, 90, 90]
    assert table["polarity"].tolist() == [1, 1, 1, -1]
    assert (np.hypot(table["x"], table["y"]) < 1.5).all()
    # A stripe of half a period, 4.5 pixels, and no longer than the envelope needs.
    assert table["width"].between(3.0, 5.5).all()


def test_turning_a_kernel_by_90_degrees_turns_what_it_prefers():
    kernel = np.random.default_rng(2).normal(size=(3, SIDE, SIDE)) + np.stack(
        [3 * gabor(degrees) for degrees in (20, 70, 140)]
    )
    field = Field(SIDE, SIDE, stride=3, colors=Colors.published(1))
    before, after = (
        tune_to_bars(bars_on_stride(field), field, range(3), showing(kernels))
        for kernels in (kernel, np.rot90(kernel, axes=(1, 2)))
    )
    turned = (before[1]["orientation"] + 90) % 180
    np.testing.assert_array_equal(after[1]["orientation"], turned)
    # x to the right and y down: a quarter turn counterclockwise takes (x, y) to (y, -x).
    np.testing.assert_allclose(after[1][["x", "y"]], before[1][["y", "x"]] * [1, -1])
    lengths = [table.query("parameter == 'length'")["response"] for table, _ in (before, after)]
    np.testing.assert_allclose(*lengths, rtol=1e-4, atol=1e-4)


def test_contrast_responses_of_linear_units_are_linear(gabors: BarTuning):
    for unit in range(4):
        own = curve(gabors, unit, "contrast")
        assert own.index.tolist() == list(CONTRASTS)
        best = gabors.preferred.loc[unit]
        # White on black is -1 + 2 f, on gray f: half the step, without the background's part.
        half = own["response"][best["polarity"]] - BIAS
        np.testing.assert_allclose(own["response"], BIAS + half * own.index * best["polarity"],
                                   rtol=1e-5, atol=1e-5)  # fmt: skip
        assert own["response"][0.0] == pytest.approx(BIAS)
        assert own["peak"].to_numpy().nonzero()[0].tolist() == [10 if best["polarity"] > 0 else 0]
        assert own["mean"].isna().all()


def test_polarity_of_a_linear_unit_is_a_sign(gabors: BarTuning):
    for unit in range(4):
        own = curve(gabors, unit, "polarity")["response"] - BIAS
        assert own[1.0] == pytest.approx(-own[-1.0], rel=1e-5)


def whole(net: Network, layer: str, images: Tensor) -> Tensor:
    """Return the responses of the whole network to stimuli on a canvas."""
    canvas = smallest_canvas(net.graph, net.layer(layer).node)
    box = canvas.box
    laid = torch.zeros(len(images), images.shape[1], *canvas.size)
    laid[:, :, box.top : box.bottom, box.left : box.right] = images
    with torch.inference_mode():
        maps = net.graph.truncated([net.layer(layer).node])(laid)
    return maps[:, :, *canvas.position]


def bar(place: pd.Series, size: tuple[int, int], look: tuple[float, float]) -> Tensor:
    """Draw one bar in a color on a background."""
    planes = bar_planes(pd.DataFrame([place]).astype(np.float64))
    ground, color = look
    plane = planes(torch.tensor([0]), size, torch.device("cpu"))[0]
    return (ground + (color - ground) * plane).expand(3, -1, -1)


def test_every_value_of_a_curve_is_that_of_the_whole_network():
    net = pipeline.network("miniature")
    units = [7, 2, 11]
    found = pipeline.bar_tuning(net, "conv2", units=units)
    bars = pipeline.stimulus_set(net, "bars_on_stride", "conv2")
    some = whole(net, "conv2", bars.draw(range(0, len(bars), 29))).numpy()
    geometry = ["x", "y", "length", "width", "orientation"]
    for unit in units:
        row = found.preferred.query("unit == @unit").iloc[0]
        best = bars.table.loc[row["stimulus"]]
        seen = float(whole(net, "conv2", bars.draw([row["stimulus"]]))[0, unit])
        assert row["response"] == pytest.approx(seen, rel=1e-4)
        assert row["response"] > some[:, unit].max() - 1e-4
        points = found.curves.query("unit == @unit")
        images: list[Tensor] = []
        for _, point in points.iterrows():
            changed, polarity = best[geometry].copy(), best["polarity"]
            if point["parameter"] in geometry:
                changed[point["parameter"]] = point["value"]
            if point["parameter"] == "polarity":
                polarity = point["value"]
            look = (-polarity, polarity)
            if point["parameter"] == "contrast":
                look = (0.0, point["value"])
            images.append(bar(changed, bars.size, look))
        wanted = whole(net, "conv2", torch.stack(images))[:, unit]
        np.testing.assert_allclose(points["response"], wanted, rtol=1e-4, atol=1e-4)


def test_means_are_over_all_bars_of_the_value_and_the_polarity():
    net = pipeline.network("miniature")
    found = pipeline.bar_tuning(net, "conv1", units=[4])
    bars = pipeline.stimulus_set(net, "bars_on_stride", "conv1")
    answers = whole(net, "conv1", bars.draw(range(len(bars))))[:, 4].double().numpy()
    polarity = found.preferred["polarity"][0]
    for parameter in ("length", "width", "orientation"):
        for value, mean in curve(found, 4, parameter)["mean"].items():
            alike = np.isclose(bars.table[parameter], value) & (bars.table["polarity"] == polarity)
            assert mean == pytest.approx(answers[alike].mean(), rel=1e-4, abs=1e-5)
    for value, mean in curve(found, 4, "polarity")["mean"].items():
        same = (bars.table["polarity"] == value).to_numpy()
        assert mean == pytest.approx(answers[same].mean(), rel=1e-4, abs=1e-5)


def test_bars_at_the_end_of_the_set_are_bounds():
    line = np.zeros((SIDE, SIDE))
    line[:, SIDE // 2] = 1  # as long as the field and one pixel wide
    line[:, [SIDE // 2 - 1, SIDE // 2 + 1]] = -1
    spot = np.zeros((SIDE, SIDE))
    spot[12, 12] = 1
    spot[[11, 12, 12, 13], [12, 11, 13, 12]] = -1
    field = Field(SIDE, SIDE, stride=4, colors=Colors.published(1))
    kernels = np.stack([line, spot, 0 * line])
    _, table = tune_to_bars(bars_on_stride(field), field, [4, 5, 6], showing(kernels))
    assert "the longest bar shown is the best" in table["reason"][0]
    assert "the shortest bar shown is the best" in table["reason"][1]


def test_a_unit_that_responds_to_all_bars_alike_gives_a_reason_and_no_numbers():
    kernels = [np.zeros((SIDE, SIDE)), gabor(0)]
    found = pipeline.bar_tuning(linear(kernels), "conv1", stimulus="bars_4a")
    assert found.preferred["reason"][0] == "responds to all bars alike"
    assert found.preferred.drop(columns=["layer", "unit", "reason"]).loc[0].isna().all()
    assert set(found.curves["unit"]) == {1}
    alone = pipeline.bar_tuning(linear(kernels[:1]), "conv1", stimulus="bars_4a")
    assert alone.curves.empty
    assert list(alone.curves) == list(found.curves)


def test_tables_do_not_depend_on_which_other_units_there_are():
    net = pipeline.network("miniature")
    together = pipeline.bar_tuning(net, "conv1", units=[9, 3, 5])
    alone = pipeline.bar_tuning(net, "conv1", units=[5])
    pd.testing.assert_frame_equal(
        together.curves.query("unit == 5").reset_index(drop=True), alone.curves, rtol=1e-5
    )
    assert together.preferred["unit"].tolist() == [9, 3, 5]


def test_what_tuning_to_bars_does_not_take():
    net = pipeline.network("miniature")
    with pytest.raises(ConfigError, match=r"^stimulus: 'bars_4' is not one of bars_on_stride, bar"):
        pipeline.bar_tuning(net, "conv1", stimulus="bars_4")
    field = Field(SIDE, SIDE)
    with pytest.raises(ConfigError, match=r"^stimulus: bars_4c7o has no column polarity, and tun"):
        tune_to_bars(bars_4c7o(field), field, [0], lambda _: np.zeros((1, 1), np.float32))
