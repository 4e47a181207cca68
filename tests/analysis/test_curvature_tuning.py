from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, pearsonr, vonmises

from pipeline.analysis.boundary_curvature import Elements, element_table, padded
from pipeline.analysis.curvature_models import ModelBank, normalized
from pipeline.analysis.curvature_tuning import correlation_intervals, fit_models, shuffled
from pipeline.errors import ConfigError
from pipeline.stimuli.shapes import control_points


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


SMALL = ModelBank(  # every fourth value of the published lists
    *(values[::4] for values in vars(ModelBank()).values())
)


def turned_set(turn: float = 0.0) -> Elements:
    """Return the elements of five shapes at eight rotations, all turned by ``turn`` degrees."""
    shapes = [control_points()[number] for number in (0, 2, 7, 12, 50)]
    which, rotation = np.repeat(np.arange(5), 8), np.tile(np.arange(8) * 45.0, 5)
    return padded(element_table(shapes, which, rotation + turn))


STIMULI = turned_set()


def published(bank: ModelBank, number: int, elements: Elements) -> np.ndarray:
    """Return a model's predictions from the formula, one stimulus after the other."""
    mu, curvature, spread, sd = bank.parameters(np.array([number])).to_numpy()[0]
    predictions = []
    for angles, curvatures in zip(*elements, strict=True):
        real = np.isfinite(angles)
        likely = vonmises.pdf(angles[real], 1 / np.deg2rad(spread), np.deg2rad(mu))
        predictions.append((likely * norm.pdf(curvatures[real], curvature, sd)).max())
    return np.array(predictions)


def test_bank_is_that_of_the_study():
    bank = ModelBank()
    assert len(bank) == 16**4
    table = bank.parameters(np.arange(len(bank)))
    assert table["mu_angle"].unique() == pytest.approx(np.arange(16) * 22.5)
    assert table["mu_curvature"].unique() == pytest.approx(np.arange(-0.5, 1.01, 0.1))
    for name, low, high in (("spread_angle", 23, 171), ("spread_curvature", 0.09, 0.98)):
        values = table[name].unique()
        assert values[[0, -1]] == pytest.approx([low, high])
        assert values[1:] / values[:-1] == pytest.approx(np.full(15, (high / low) ** (1 / 15)))
    # The spread of curvature is fastest and the angle slowest.
    assert table["spread_curvature"].iloc[:16].is_monotonic_increasing
    assert (table["mu_angle"].iloc[:4096] == 0).all()


@pytest.mark.parametrize("number", [0, 37, 200, 255])
def test_predictions_agree_with_the_distributions_of_scipy(number: int):
    expected = normalized(published(SMALL, number, STIMULI)[None])[0]
    predicted = SMALL.predictions(STIMULI, np.array([number]))
    np.testing.assert_allclose(normalized(predicted)[0], expected, atol=1e-12)
    block = np.concatenate(list(SMALL.blocks(STIMULI)))
    np.testing.assert_allclose(block[number], expected, atol=1e-12)
    assert len(block) == len(SMALL)


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, len(SMALL) - 1), min_size=1, max_size=5),
    st.floats(0.01, 1e4),
    st.floats(-1e3, 1e3),
)
def test_a_unit_that_is_a_model_is_recovered(numbers: list[int], gain: float, offset: float):
    responses = gain * normalized(SMALL.predictions(STIMULI, np.array(numbers))) + offset
    table = fit_models(responses, STIMULI, SMALL)
    np.testing.assert_array_equal(table["model"], numbers)
    np.testing.assert_allclose(table["r"], 1, atol=1e-9)
    fitted = table[list(SMALL.parameters(np.array([0])))]
    pd.testing.assert_frame_equal(fitted, SMALL.parameters(np.array(numbers)))


def test_r_is_the_largest_correlation_over_the_bank(rng: np.random.Generator):
    tiny = ModelBank(*(values[::8] for values in vars(ModelBank()).values()))
    responses = rng.normal(size=(2, 40))
    predictions = [published(tiny, number, STIMULI) for number in range(len(tiny))]
    table = fit_models(responses, STIMULI, tiny)
    for unit, row in table.iterrows():
        r = [pearsonr(predicted, responses[unit])[0] for predicted in predictions]
        assert row["r"] == pytest.approx(max(r))
        assert row["model"] == int(np.argmax(r))


def test_a_negative_gain_is_another_unit(rng: np.random.Generator):
    responses = rng.exponential(size=(1, 40))
    positive, negative = (fit_models(sign * responses, STIMULI, SMALL) for sign in (1, -1))
    assert abs(positive["r"][0] - negative["r"][0]) > 0.01


def test_turning_all_shapes_turns_the_preferred_angle(rng: np.random.Generator):
    responses = rng.normal(size=(4, 40))
    bank = ModelBank(np.arange(8) * np.pi / 4, *list(vars(SMALL).values())[1:])
    before, after = (fit_models(responses, turned_set(turn), bank) for turn in (0, 45))
    np.testing.assert_allclose(after["r"], before["r"], atol=1e-9)
    np.testing.assert_allclose((before["mu_angle"] + 45) % 360, after["mu_angle"], atol=1e-9)
    np.testing.assert_array_equal(before["mu_curvature"], after["mu_curvature"])


def test_of_equal_models_the_lowest_number_is_taken(rng: np.random.Generator):
    # An angle of 360 degrees is that of 0 degrees once more, up to rounding.
    twice = ModelBank(np.array([0.0, 2 * np.pi]), *list(vars(SMALL).values())[1:])
    responses = rng.normal(size=(6, 40))
    assert (fit_models(responses, STIMULI, twice)["model"] < len(twice) // 2).all()


def test_several_positions(rng: np.random.Generator):
    tuned = SMALL.predictions(STIMULI, np.array([77]))[0]
    other = rng.normal(size=40)
    same = np.stack([tuned, tuned, tuned])
    # Responses unrelated to the model at one of two positions: r falls to a half.
    other -= other.mean()
    centered = tuned - tuned.mean()
    other -= centered * (other @ centered) / (centered @ centered)
    other *= np.linalg.norm(centered) / np.linalg.norm(other)
    table = fit_models(np.stack([same, 2 * same + 5]), STIMULI, SMALL)
    np.testing.assert_allclose(table["r"], 1, atol=1e-9)
    assert table["model"].tolist() == [77, 77]
    mixed = np.stack([tuned, other])[None]
    a, c, b, d = np.unravel_index(77, (4, 4, 4, 4))
    lists = zip(vars(SMALL).values(), (a, c, b, d), strict=True)
    alone = ModelBank(*(values[number : number + 1] for values, number in lists))
    # The dot products add up to n, the norm is n sqrt(2), and there are two positions.
    assert fit_models(mixed, STIMULI, alone)["r"][0] == pytest.approx(0.5)
    assert fit_models(mixed[:, :1], STIMULI, alone)["r"][0] == pytest.approx(1)
    doubled = np.repeat(mixed[:, :1], 2, axis=1)
    single = fit_models(mixed[:, 0], STIMULI, SMALL)["r"][0]
    assert fit_models(doubled, STIMULI, SMALL)["r"][0] == pytest.approx(single)


def test_units_without_a_fit_have_a_reason_and_no_numbers(rng: np.random.Generator):
    responses = rng.normal(size=(4, 40)).astype(np.float32)
    responses[0, 3] = np.nan
    responses[1] = 0.1
    responses[2, 0] = np.inf
    table = fit_models(responses, STIMULI, SMALL)
    not_finite = "responses are not finite"
    assert table["reason"].tolist() == [not_finite, "responses are constant", not_finite, ""]
    numbers = table.drop(columns=["unit", "reason", "model"])
    assert numbers.iloc[:3].isna().all(axis=None)
    assert numbers.iloc[3].notna().all()
    assert table["model"].tolist()[:3] == [-1] * 3
    alone = fit_models(responses[3:], STIMULI, SMALL)
    assert alone["r"][0] == pytest.approx(table["r"][3], abs=1e-12)


def test_what_does_not_fit_together():
    message = (
        "responses: 39 stimuli were shown, but boundary elements are given for 40; both must be in "
        "the same order"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        fit_models(np.zeros((1, 39)), STIMULI, SMALL)
    with pytest.raises(ConfigError, match=r"^model bank: angle_spreads must be more than 0$"):
        ModelBank(angle_spreads=np.array([1.0, 0.0]))


def test_shuffled_responses_are_the_same_values_in_the_same_order_at_all_positions():
    responses = np.arange(60.0).reshape(2, 3, 10)
    null = shuffled(responses, np.random.default_rng(1))
    assert (np.sort(null, axis=2) == responses).all()
    assert (null - null[:, :1] == responses - responses[:, :1]).all()
    assert (null[0, 0] != null[1, 0] - 30).any()
    assert (null != responses).any()


def test_interval_has_the_width_that_theory_gives(rng: np.random.Generator):
    # Fisher: artanh(r) has the standard deviation 1 / sqrt(n - 3) for normal values.
    n, r = 400, 0.6
    x = rng.normal(size=n)
    y = r * x + np.sqrt(1 - r**2) * rng.normal(size=n)
    low, high = correlation_intervals(x[None], y[None], rng, resamples=4000)[0]
    assert low < np.corrcoef(x, y)[0, 1] < high
    expected = 2 * 1.96 / np.sqrt(n - 3)
    assert np.arctanh(high) - np.arctanh(low) == pytest.approx(expected, rel=0.2)


def test_stimuli_of_a_group_are_drawn_together(rng: np.random.Generator):
    x, y = rng.normal(size=(2, 1, 50))
    copies = [np.repeat(values, 8, axis=1) for values in (x, y)]
    group = np.repeat(np.arange(50), 8)
    width = [
        float(np.ptp(correlation_intervals(*pair, np.random.default_rng(0), groups, 2000)))
        for pair, groups in (((x, y), None), (copies, group), (copies, None))
    ]
    assert width[1] == pytest.approx(width[0], rel=0.1)  # copies add nothing
    assert width[2] < 0.5 * width[0]


def test_interval_of_a_constant_unit_is_undefined(rng: np.random.Generator):
    responses = np.stack([np.ones(20), rng.normal(size=20)])
    bounds = correlation_intervals(responses, rng.normal(size=(2, 20)), np.random.default_rng(0))
    assert np.isnan(bounds[0]).all()
    assert np.isfinite(bounds[1]).all()
