"""Maps of receptive fields that are known: place, size, direction, and reasons where there is none.

``python -m tests.benchmarks.known_fields`` prints the errors of more Gabors, by every measure.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.analysis.field_maps import summarize_maps
from pipeline.analysis.stimulus_maps import bars_entering
from pipeline.search.field_mapping import map_responses, summarize
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses, stimulus_maps
from pipeline.stimuli.bars import bars_4a, bars_4b
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.field import Field
from pipeline.stimuli.stimulus_set import StimulusSet
from tests.benchmarks.known_fields import SIDE, STRIDE, errors, gabor, known_places, network_of

EVEN, ODD = 0.0, np.pi / 2
FRAMES = 12_000
found_errors = cache(lambda method, phase: errors(method, known_places(8), phase=phase))
GAUSSIAN = ["gauss_x", "gauss_y", "sigma_long", "sigma_short", "orientation", "amplitude"]


@pytest.mark.parametrize("phase", [EVEN, ODD])
def test_dense_noise_recovers_the_subfield_of_gabors(phase: float):
    found = errors("dense_noise", known_places(4), phase=phase, frames=FRAMES)
    found = found.query("measure == 'Gaussian fit'")
    assert found["center"].max() < 0.25
    assert found[["long", "short"]].sub(1).abs().max(axis=None) < 0.1
    assert found["turn"].max() < 1


@pytest.mark.parametrize(("method", "side"), [("dense_noise", 1), ("sparse_noise", 2)])
def test_noise_recovers_gaussians(method: str, side: int):
    places = known_places(4)
    kernels = [gabor(*place, period=np.inf) for place in places.itertuples(index=False)]
    found = pipeline.map_receptive_fields(network_of(kernels), "all", method, frames=FRAMES)
    light = found.summary.query("sign == 1").reset_index(drop=True)
    assert np.hypot(light["gauss_x"] - places["x"], light["gauss_y"] - places["y"]).max() < 0.15
    assert np.abs((light["orientation"] - places["turn"] + 90) % 180 - 90).max() < 2
    # The mean over a square, drawn on a square: twice the variance of a square of whole pixels.
    blurred = np.sqrt(np.array([3.5, 2.0]) ** 2 + 2 * (side**2 - 1) / 12)
    sizes = light[["sigma_long", "sigma_short"]].to_numpy()
    np.testing.assert_allclose(sizes / blurred, 1, atol=0.06)


@pytest.mark.parametrize(
    ("method", "measure", "median", "largest"),
    [
        ("bars_on_stride", "Gaussian fit", 0.25, 0.5),
        ("bars_on_stride", "center of mass", 1.0, 1.4),  # cut off at the rim of the field
        ("bars_on_stride", "100 strongest", 0.35, 0.7),
        ("bars_4a", "Gaussian fit", 1.2, 2.0),  # the published grid is coarse
        ("bars_4a", "100 strongest", 0.6, 1.1),
    ],
)
@pytest.mark.parametrize("phase", [EVEN, ODD])
def test_bars_find_the_center_of_gabors(
    method: str, measure: str, median: float, largest: float, phase: float
):
    found = found_errors(method, phase)
    rows = found[(found["measure"] == measure) & (found["method"] == method)]
    assert rows["center"].median() < median
    assert rows["center"].max() < largest


def test_bars_find_the_direction_of_even_gabors():
    found = found_errors("bars_on_stride", EVEN)
    assert found.query("method == 'bars_on_stride'")["turn"].max() < 2.5


def test_gratings_find_the_center_of_a_gabor_at_the_center_alone():
    """Their discs are as wide as the field, or hold less than a cycle of these stripes."""
    middle = pd.DataFrame([{"x": 0.0, "y": 0.0, "turn": 30.0}])
    found = errors("sin1", pd.concat([middle, known_places(3)], ignore_index=True), phase=EVEN)
    found = found.query("method == 'sin1'")
    assert (
        found.query("unit == 0 and measure in ['Gaussian fit', 'center of mass']")["center"].max()
        < 0.5
    )
    assert found.query("measure == 'Gaussian fit'")["center"].median() < 1.5


@pytest.mark.slow
def test_it_is_the_grid_that_limits_bars():
    """Twice as many positions on each axis bring the center of an even Gabor within 0.1 pixel."""
    found = errors("bars_on_stride", known_places(6), phase=EVEN, stride=1)
    rows = found.query("method == 'bars_on_stride' and measure == 'Gaussian fit'")
    assert rows["center"].max() < 0.1
    places = known_places(6)
    coarse, fine = (_center_errors(places, divider) for divider in (2.0, 4.0))
    assert np.median(fine) < np.median(coarse) / 2
    assert fine.max() < 0.6


def _center_errors(places: pd.DataFrame, divider: float) -> np.ndarray:
    """Return errors of Gaussian fits, of bars 4a whose length holds so many steps of the grid."""
    net = network_of([gabor(*place) for place in places.itertuples(index=False)])
    layer = net.layer("conv1")
    stimuli = bars_4b(field_of(net.graph, layer), divider)
    responses = all_responses(Presentation(net.graph, layer, stimuli), range(len(places)))
    table = summarize_maps(stimulus_maps(stimuli, responses, bars_entering, 1)[0])
    return np.hypot(table["gauss_x"] - places["x"], table["gauss_y"] - places["y"]).to_numpy()


@pytest.mark.parametrize("method", ["bars_on_stride", "bars_4a", "sin1"])
def test_turning_and_mirroring_a_unit_turns_and_mirrors_its_map(method: str):
    one = gabor(-3.1, 1.7, 33.0, phase=0.4)
    changes: list[Callable[[np.ndarray], np.ndarray]] = [np.rot90, np.fliplr, np.flipud]
    net = network_of([one, *(np.ascontiguousarray(change(one)) for change in changes)])
    found = pipeline.map_receptive_fields(net, "all", method)
    for k in (0, 1):
        maps = found.maps["conv1"][method][:, k]
        for change, turned in zip(changes, maps[1:], strict=True):
            np.testing.assert_allclose(turned, change(maps[0]), atol=1e-3 * maps[0].max())
    rows = found.summary.query(f"method == '{method}' and sign == 1").set_index("unit")
    x, y = rows.loc[0, ["tb20_x", "tb20_y"]]
    assert rows.loc[1:, ["tb20_x", "tb20_y"]].to_numpy() == pytest.approx(
        np.array([[y, -x], [-x, y], [x, -y]]), abs=1e-6
    )


def test_a_dead_unit_gives_a_reason_and_no_numbers():
    net = network_of([np.zeros((SIDE, SIDE))])
    for method in ("bars_on_stride", "sparse_noise", "dense_noise"):
        table = pipeline.map_receptive_fields(net, "all", method, frames=300).summary
        assert set(table["reason"]) == {"the map is flat"}
        names = ("x", "y", "radius", "hot", "half", "gauss", "sigma", "tb")
        assert table[[c for c in table if c.startswith(names)]].isna().to_numpy().all()


def test_a_unit_at_the_edge_of_the_field_gives_a_reason_or_a_warning():
    net = network_of([gabor(14, 0, 30), gabor(-11, 0, 30)])
    found = pipeline.map_receptive_fields(net, "all", "dense_noise", frames=FRAMES)
    outside, near = found.summary.query("sign == 1").to_dict("records")
    assert outside["reason"] == "the center of the Gaussian lies outside the map"
    assert all(np.isnan(outside[name]) for name in GAUSSIAN)
    assert near["reason"] == ""
    assert near["leaves_map"]


@pytest.mark.parametrize("method", ["dense_noise", "sparse_noise"])
def test_a_unit_without_a_field_gives_a_reason(method: str):
    rng = np.random.default_rng(0)
    net = network_of([rng.normal(size=(SIDE, SIDE)) for _ in range(6)])
    table = pipeline.map_receptive_fields(net, "all", method, frames=3000).summary
    assert_no_field(table)


@pytest.mark.parametrize("build", [bars_4a, bars_on_stride])
def test_responses_of_noise_alone_give_a_reason_and_no_numbers(
    build: Callable[[Field], StimulusSet],
):
    """Weighted maps show where bars are dense, which looks like a field in ``bars_on_stride``."""
    stimuli = build(Field(SIDE, SIDE, STRIDE))
    responses = np.random.default_rng(0).normal(size=(4, len(stimuli))).astype(np.float32)
    table = summarize(map_responses(stimuli, responses), "bars", range(4))
    assert table["reason"].str.match(r"responses do not depend on where figures are \(p = ").all()
    assert table[[*GAUSSIAN, "x", "radius_50", "hot_x", "tb20_x"]].isna().to_numpy().all()


def assert_no_field(table: pd.DataFrame) -> None:
    assert set(table["reason"]) <= {
        "the Gaussian explains less than 25% of the variance",
        "the Gaussian fit did not converge",
    }
    assert table[GAUSSIAN].isna().to_numpy().all()
