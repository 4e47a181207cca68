from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.synthesis.schedules import check_schedule, value_at


def test_values_are_those_computed_by_hand():
    assert [value_at([2.4, 0.8], step, 4) for step in range(4)] == pytest.approx(
        [2.4, 2.0, 1.6, 1.2]
    )
    assert value_at(0.3, 7, 9) == 0.3
    assert value_at([0.3], 7, 9) == pytest.approx(0.3)


@given(start=st.floats(0, 10), end=st.floats(0, 10), steps=st.integers(1, 300))
def test_values_are_evenly_spaced_and_never_reach_the_end(start: float, end: float, steps: int):
    values = [value_at([start, end], step, steps) for step in range(steps)]
    np.testing.assert_allclose(values, np.linspace(start, end, steps, endpoint=False), atol=1e-9)


@pytest.mark.parametrize("schedule", [1.0, 0.0, 3, [0.5], [2.4, 0.8], (1, 0)])
def test_good_schedule_is_taken(schedule):
    check_schedule("smoothing.blur.sigma", schedule)


@pytest.mark.parametrize(
    "schedule",
    [-1.0, float("nan"), float("inf"), [], [1.0, 2.0, 3.0], [1.0, -1.0], ["a"], "wide", None, True],
)
def test_bad_schedule_is_refused(schedule):
    with pytest.raises(ConfigError) as caught:
        check_schedule("smoothing.blur.sigma", schedule)
    assert str(caught.value) == (
        f"smoothing.blur.sigma: {schedule} is not a number of 0 or more, or two of them; write one"
        " value or [start, end]"
    )
