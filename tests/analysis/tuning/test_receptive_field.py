from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.receptive_field import field_properties
from pipeline.errors import ConfigError

PLACES = np.arange(-2.5, 2.51, 0.25)


def bump(x: float, y: float, sigma_x: float, sigma_y: float) -> np.ndarray:
    across, down = (PLACES - x) / sigma_x, (PLACES - y) / sigma_y
    return np.exp(-(across**2 + down[:, None] ** 2) / 2)


def measure(maps: np.ndarray, blank: float = 0.0) -> dict[str, Measured]:
    # Two phases of one orientation: the other is not answered.
    rates = np.stack([maps + blank, np.zeros_like(maps)], axis=-1)
    found = field_properties(rates, np.full(len(maps), blank), PLACES, PLACES)
    return {one.name: one for one in found}


def test_center_and_widths_of_gaussians():
    maps = np.stack([bump(0.5, -0.75, 0.4, 0.3), 7 * bump(0.1, 0.2, 0.3, 0.6)])
    for blank in (0.0, 2.0):
        found = measure(maps, blank)
        np.testing.assert_allclose(found["field_x"].value, [0.5, 0.1], atol=0.01)
        np.testing.assert_allclose(found["field_y"].value, [-0.75, 0.2], atol=0.01)
        long, short = (found[f"field_width_{side}"].value for side in ("long", "short"))
        np.testing.assert_allclose(long, 2.3548 * np.array([0.4, 0.6]), rtol=1e-3)
        np.testing.assert_allclose(short, 2.3548 * np.array([0.3, 0.3]), rtol=1e-3)
        # Half height is the ellipse of sigma * sqrt(2 ln 2).
        expected = 2 * np.pi * np.log(2) * np.array([0.4 * 0.3, 0.3 * 0.6])
        np.testing.assert_allclose(found["field_area"].value, expected, rtol=0.15)


def test_what_is_below_a_twentieth_does_not_pull_the_center():
    single = np.zeros((1, 21, 21))
    single[0, 4, 6] = 1.0
    single[0, 20, 20] = 0.05
    found = measure(single)
    assert found["field_x"].value[0] == PLACES[6]
    assert found["field_y"].value[0] == PLACES[4]
    single[0, 20, 20] = 0.1
    assert measure(single)["field_x"].value[0] == pytest.approx((PLACES[6] + 0.25) / 1.1)


def test_fields_that_are_missing_or_leave_the_screen_say_so():
    maps = np.stack([np.zeros((21, 21)), bump(2.4, 0, 0.5, 0.5), bump(0, 0, 0.4, 0.4)])
    maps[2, 0, 0] = np.nan
    found = measure(maps)
    assert found["field_x"].flag.tolist() == [
        "the unit does not respond", "", "responses are not finite"
    ]  # fmt: skip
    assert np.isnan(found["field_area"].value).tolist() == [True, False, True]
    assert found["field_width_long"].flag[1] == "the field reaches beyond the positions shown"
    noise = np.random.default_rng(0).random((1, 21, 21))
    rough = measure(noise)
    assert "Gaussian" in rough["field_width_long"].flag[0]
    assert np.isnan(rough["field_width_long"].value[0])
    assert np.isfinite(rough["field_x"].value[0])
    lowered = field_properties(-np.ones((1, 21, 21)) + 0.1 * noise, np.ones(1), PLACES, PLACES)
    assert lowered[0].flag[0] == "no grating is answered more than the blank"


def test_positions_in_unequal_steps():
    with pytest.raises(ConfigError, match=r"^receptive field: positions must be in equal"):
        field_properties(np.ones((1, 3, 3)), np.zeros(1), np.array([0.0, 1, 3]), np.arange(3.0))
