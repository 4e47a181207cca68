from __future__ import annotations

import math

import pytest

from pipeline.run import pace
from pipeline.run.pace import Pace, affordable


def test_pace_is_what_was_timed_where_it_was_timed():
    seconds = {1000: 0.5, 10: 0.1, 100_000: 4.0}
    found = Pace(seconds)
    assert {operations: found(operations) for operations in seconds} == pytest.approx(seconds)


def test_pace_between_and_beyond_what_was_timed():
    found = Pace({100: 1.0, 10_000: 4.0})
    assert found(1000) == pytest.approx(2.0)  # half of the way by logarithms
    assert found(1) == found(0) == pytest.approx(1.0)  # Python takes the time
    assert found(30_000) == pytest.approx(12.0)  # at the rate of the largest


def test_pace_of_nothing_is_no_error():
    assert Pace({0: 0.25})(0) == pytest.approx(0.25)
    assert math.isfinite(Pace({0: 0.25})(10**9))


def test_batch_that_is_timed_holds_at_least_one_and_no_more_than_the_whole(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pace, "AFFORDABLE", {"cpu": 100, "other": 1000})
    assert affordable(30, 16, "cpu") == 3
    assert affordable(30, 16, "cuda") == 16
    assert affordable(5000, 16, "cuda") == 1
    assert affordable(0, 16, "cpu") == 16
