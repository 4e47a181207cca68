from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.analysis.stimulus_maps import (
    Entering,
    NonOverlappingMaps,
    WeightedMaps,
    bars_entering,
    binarized,
    entering,
    gratings_entering,
    mean_positions,
    ranked,
    shapes_entering,
)
from pipeline.errors import ConfigError

RULES = [bars_entering, gratings_entering, shapes_entering]
RESPONSES = arrays(np.float64, st.integers(1, 20), elements=st.integers(-9, 9).map(float))


@given(RESPONSES, st.sampled_from([1, -1]))
def test_order_is_by_response_and_then_by_number(responses: np.ndarray, sign: int):
    expected = sorted(range(len(responses)), key=lambda number: (-sign * responses[number], number))
    np.testing.assert_array_equal(ranked(responses, sign), expected)


@pytest.mark.parametrize("rule", RULES)
@given(responses=RESPONSES, sign=st.sampled_from([1, -1]))
def test_weights_are_positive_and_fall_along_the_order(rule, responses: np.ndarray, sign: int):
    chosen = rule(responses, sign)
    drive = sign * responses[chosen.stimuli]
    assert (np.diff(drive) <= 0).all()
    assert (np.diff(chosen.weights) <= 0).all()
    assert (chosen.weights >= 0).all()
    assert len(set(chosen.stimuli.tolist())) == len(chosen.stimuli)


@given(RESPONSES)
def test_what_inhibits_is_what_excites_the_opposite_unit(responses: np.ndarray):
    for rule in (bars_entering, shapes_entering):
        for one, other in zip(rule(responses, -1), rule(-responses, 1), strict=True):
            np.testing.assert_array_equal(one, other)


def test_bars_and_gratings_by_hand():
    responses = np.array([4.0, 2.0, 8.0, 4.5, -1.0, -6.0, -3.0, -3.5])
    assert [values.tolist() for values in bars_entering(responses)] == [[2, 3], [8.0, 4.5]]
    assert [values.tolist() for values in bars_entering(responses, -1)] == [[5, 7], [6.0, 3.5]]
    assert [values.tolist() for values in gratings_entering(responses)] == [[2, 3], [8.0, 4.5]]
    weak = gratings_entering(responses, -1)
    np.testing.assert_allclose(weak.weights, [14 / 14, 11.5 / 14])
    # Ranges below 1 are not stretched.
    np.testing.assert_allclose(gratings_entering(responses / 20, -1).weights, [0.7, 0.575])


@pytest.mark.parametrize("rule", [bars_entering, gratings_entering])
def test_a_unit_that_is_never_driven_has_an_empty_map(rule):
    assert len(rule(np.array([-1.0, -2.0, 0.0])).stimuli) == 0
    assert len(rule(np.array([1.0, 2.0, 0.0]), -1).stimuli) == 0


def test_shapes_enter_by_number_whatever_their_response():
    responses = -np.arange(600.0) / 600
    chosen = shapes_entering(responses)
    np.testing.assert_array_equal(chosen.stimuli, np.arange(500))
    assert chosen.weights[0] == pytest.approx(599 / 600)  # the range is below 1
    assert shapes_entering(responses, -1).stimuli[0] == 599
    assert len(shapes_entering(responses[:7]).stimuli) == 7


def test_threshold_of_binarized_masks():
    coverage = np.array([0.0, 0.19, 0.2, 1.0], np.float32)
    assert binarized(coverage).tolist() == [False, False, True, True]


def test_mean_positions_of_ties_and_of_both_signs():
    places = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, -5.0], [6.0, 7.0]])
    responses = np.array([[1.0, 5.0, 5.0, 0.0], [0.0, -1.0, -2.0, 3.0]])
    top = mean_positions(places, responses, counts=(1, 2))
    np.testing.assert_array_equal(top, [[[2, 3], [3, -1]], [[6, 7], [3, 4]]])
    low = mean_positions(places, responses, sign=-1, counts=(1,))
    np.testing.assert_array_equal(low, [[[6, 7]], [[4, -5]]])


@given(st.integers(0, 1000), st.integers(1, 9))
def test_batches_in_any_order_give_the_maps_of_plain_loops(seed: int, batch: int):
    rng = np.random.default_rng(seed)
    masks = rng.random((25, 4, 5)) < 0.12
    responses = rng.normal(size=(3, 25)).round(1)
    units = entering(bars_entering, responses)
    weighted, apart = WeightedMaps(units, 25), NonOverlappingMaps(units, 25)
    order = rng.permutation(25)
    for first in range(0, 25, batch):
        some = order[first : first + batch]
        weighted.add(some, masks[some])
        apart.add(some, masks[some])
    found, counts = apart.finish()
    for unit, chosen in enumerate(units):
        total, grown, count = np.zeros((4, 5)), np.zeros((4, 5), bool), 0
        for number, weight in zip(*chosen, strict=True):
            total += weight * masks[number]
            if masks[number].any() and not (grown & masks[number]).any():
                grown, count = grown | masks[number], count + 1
        np.testing.assert_allclose(weighted.maps[unit], total, atol=1e-12)
        np.testing.assert_array_equal(found[unit], grown)
        assert counts[unit] == count


def test_stimuli_that_share_a_mask():
    shared = Entering(np.array([1, 0, 1]), np.array([3.0, 2.0, 1.0]))
    masks = np.array([[True, False], [False, True]])
    weighted, apart = WeightedMaps([shared], 2), NonOverlappingMaps([shared], 2)
    for maps in (weighted, apart):
        maps.add(np.array([0, 1]), masks)
    np.testing.assert_array_equal(weighted.maps, [[2, 4]])
    assert apart.finish()[1].tolist() == [2]


def test_units_into_whose_map_nothing_enters():
    nothing = Entering(np.zeros(0, dtype=np.int64), np.zeros(0))
    weighted, apart = WeightedMaps([nothing], 2), NonOverlappingMaps([nothing], 2)
    for maps in (weighted, apart):
        maps.add(np.array([0, 1]), np.ones((2, 3, 3), bool))
    assert not weighted.maps.any()
    maps, counts = apart.finish()
    assert maps.shape == (1, 3, 3)
    assert not maps.any()
    assert counts.tolist() == [0]


def test_colors_keep_their_channels():
    red = np.zeros((1, 3, 2, 2))
    red[0, 0] = 0.5
    maps = WeightedMaps([Entering(np.array([0]), np.array([4.0]))], 1)
    maps.add(np.array([0]), red)
    assert maps.maps.shape == (1, 3, 2, 2)
    assert maps.maps.sum(axis=(0, 2, 3)).tolist() == [8, 0, 0]


def test_what_is_refused():
    with pytest.raises(ConfigError, match=r"^responses: they must be finite to be ranked$"):
        bars_entering(np.array([1.0, np.nan]))
    with pytest.raises(ConfigError, match=r"^sign must be 1 or -1, not 0$"):
        ranked(np.array([1.0]), 0)
    unit = Entering(np.array([0, 5]), np.ones(2))
    message = r"^stimulus maps: the set has 5 stimuli, but numbers from 0 to 5 enter$"
    for kind in (WeightedMaps, NonOverlappingMaps):
        with pytest.raises(ConfigError, match=message):
            kind([unit], 5)
    apart = NonOverlappingMaps([unit], 6)
    apart.add(np.array([0]), np.ones((1, 2), bool))
    message = r"^stimulus maps: 1 masks that enter a map were not added$"
    with pytest.raises(ConfigError, match=message):
        apart.finish()
    with pytest.raises(ConfigError, match=r"^stimulus maps: no masks were added$"):
        _ = WeightedMaps([unit], 6).maps
    message = (
        r"^mean positions: the best 100 stimuli were asked for, but the set has 3; ask for fewer$"
    )
    with pytest.raises(ConfigError, match=message):
        mean_positions(np.zeros((3, 2)), np.zeros((1, 3)))


FIELD, CANVAS = 11, 31


def bars() -> np.ndarray:
    """Return x, y, angle, length and width of all bars "4a" for a field of 11 pixels."""
    rows = []
    for length in np.array([48, 24, 12, 6]) / 64 * FIELD:
        step = length / 2
        far = round(FIELD / step / 2) * step
        places = np.arange(-far, far + 1, step)
        for width in length / np.array([2, 5, 10]):
            grid = np.meshgrid(places, places, np.arange(8) * 22.5, [0, 1], indexing="ij")
            x, y, angle, _ = (values.ravel() for values in grid)
            rows.append(np.stack([x, y, angle, 0 * x + length, 0 * x + width], axis=1))
    return np.concatenate(rows)


def drawn(bar: np.ndarray) -> np.ndarray:
    """Draw the coverage of a bar on the canvas (tonyfu97/RF-Mapping, bar.py)."""
    x, y, angle, length, width = bar
    down, right = np.indices((CANVAS, CANVAS)) - (CANVAS - 1) / 2 - np.array([y, x])[:, None, None]
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    across = width / 2 - np.abs(c * right - s * down)
    along = length / 2 - np.abs(s * right + c * down)
    both_outside = (across < 0) & (along < 0)
    edge = np.where(both_outside, -np.hypot(across, along), np.minimum(across, along))
    soft = 0.5 + 0.5 * np.sin(edge / 0.5 * np.pi / 4)
    return np.where(edge > 0.5, 1.0, np.where(edge < -0.5, 0.0, soft))


@pytest.mark.parametrize(("kind", "sign"), [("max", 1), ("min", -1)])
def test_maps_of_the_reference(kind: str, sign: int, reference_data: Path):
    oracle = dict(np.load(reference_data / "oracles" / "rfm_bars.npz"))
    table, side = bars(), 0 if sign > 0 else 1
    assert len(table) == 36240
    name = "top" if sign > 0 else "bot"
    numbers, strongest = oracle[f"conv1_{name}_i"], oracle[f"conv1_{name}_r"].astype(np.float64)
    complete = np.flatnonzero(oracle["conv1_counts"][:, side] < 50)  # all that enter are known
    assert len(complete) >= 8
    units = []
    for unit in complete:
        chosen = bars_entering(strongest[unit], sign)
        assert len(chosen.stimuli) == oracle["conv1_counts"][unit, side]
        units.append(Entering(numbers[unit][chosen.stimuli], chosen.weights))
    weighted, apart = WeightedMaps(units, len(table)), NonOverlappingMaps(units, len(table))
    used = np.unique(np.concatenate([unit.stimuli for unit in units]))
    masks = binarized(np.stack([drawn(table[number]) for number in used]))
    weighted.add(used, masks)
    apart.add(used, masks)
    margin = (CANVAS - FIELD) // 2
    inside = (slice(None), *[slice(margin, margin + FIELD)] * 2)
    scale = oracle[f"conv1_w{kind}_s"][complete]
    expected = oracle[f"conv1_w{kind}"][complete] / 65535 * scale[:, None, None]
    error = np.abs(weighted.maps[inside] - expected).max(axis=(1, 2))
    assert (error / scale).max() < 1e-4
    maps, counts = apart.finish()
    np.testing.assert_array_equal(maps[inside], oracle[f"conv1_n{kind}"][complete] > 0)
    np.testing.assert_array_equal(counts, oracle["conv1_counts"][complete, 2 + side])


def test_mean_positions_of_the_reference(reference_data: Path):
    oracle = dict(np.load(reference_data / "oracles" / "rfm_bars.npz"))
    places = bars()[:, :2]
    for name, sign, columns in (("top", 1, [0, 1]), ("bot", -1, [2, 3])):
        for unit in range(16):
            number = oracle[f"conv1_{name}_i"][unit]
            best = oracle[f"conv1_{name}_r"][unit][None].astype(np.float64)
            found = mean_positions(places[number], best, sign, counts=(1, 20))[0]
            expected = np.stack([oracle[f"conv1_tb{n}"][unit][columns] for n in (1, 20)])
            np.testing.assert_allclose(found, expected, atol=1e-4)
