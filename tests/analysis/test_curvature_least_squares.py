from __future__ import annotations

import re

import numpy as np
import pytest

from pipeline.analysis.boundary_curvature import Elements, element_table, padded
from pipeline.analysis.curvature_least_squares import fit_curvature
from pipeline.errors import ConfigError
from pipeline.stimuli.shapes import control_points

WHICH, ROTATION = np.repeat(np.arange(3), 8), np.tile(np.arange(8) * 45.0, 3)
STIMULI = padded(element_table([control_points()[n] for n in (2, 7, 12)], WHICH, ROTATION))


def published(
    elements: Elements, mu: float, sd: float, curvature: float, sd_curvature: float, gain: float
) -> np.ndarray:
    """Return the model's responses from its formula; angles in degrees."""
    responses = []
    for angles, curvatures in zip(*elements, strict=True):
        real = np.isfinite(angles)
        distance = np.abs(angles[real] - np.deg2rad(mu))
        distance = np.minimum(distance, 2 * np.pi - distance)
        z = (distance / np.deg2rad(sd)) ** 2 + ((curvatures[real] - curvature) / sd_curvature) ** 2
        responses.append(gain * np.exp(-z / 2).max())
    return np.array(responses)


@pytest.mark.parametrize(
    "parameters",
    [(60.0, 40.0, 0.6, 0.25, 20.0), (200.0, 60.0, 0.0, 0.3, 0.01), (350.0, 50.0, 0.9, 0.4, 3.0)],
)
def test_a_unit_that_is_the_model_is_recovered(parameters: tuple[float, ...]):
    row = fit_curvature(published(STIMULI, *parameters)[None], STIMULI).iloc[0]
    assert row["reason"] == ""
    assert row["r"] == pytest.approx(1, abs=1e-4)
    names = ["mu_angle", "sd_angle", "mu_curvature", "sd_curvature", "gain"]
    expected = pytest.approx(parameters, rel=0.01, abs=0.005)
    assert [float(row[name]) for name in names] == expected


def test_noise_is_fitted_less_well_than_a_tuned_unit():
    rng = np.random.default_rng(0)
    tuned = published(STIMULI, 60.0, 40.0, 0.6, 0.25, 1.0)
    units = np.stack([tuned + 0.1 * rng.normal(size=24), rng.normal(size=24)])
    r = fit_curvature(units, STIMULI)["r"]
    assert r[0] > 0.9 > r[1]


def test_units_without_a_fit_have_a_reason_and_no_numbers():
    responses = np.ones((2, 24))
    responses[0, 0] = np.nan
    table = fit_curvature(responses, STIMULI)
    assert table["reason"].tolist() == ["responses are not finite", "responses are constant"]
    assert table.drop(columns=["unit", "reason"]).isna().all(axis=None)


def test_responses_to_other_stimuli():
    message = (
        "responses: 23 stimuli were shown, but boundary elements are given for 24; both must be in "
        "the same order"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        fit_curvature(np.zeros((1, 23)), STIMULI)
