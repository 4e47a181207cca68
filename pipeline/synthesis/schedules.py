"""Schedules: settings that change from step to step, such as the width of a blur."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pipeline.errors import ConfigError

Schedule = float | Sequence[float]  # a number, or two: start and end


def value_at(schedule: Schedule, step: int, steps: int) -> float:
    """Return the value of a schedule at one step: start * (N - i) / N + end * i / N.

    The end value is never reached: the last step has i = N - 1.

    Args:
        schedule: a number, or start and end.
        step: i, counted from 0.
        steps: N, the total number of steps.

    Source: the interpolation in blbadger, "Feature Visualization II: Deep Dream".
    """
    if isinstance(schedule, int | float):
        return float(schedule)
    start, end = schedule[0], schedule[-1]
    return start * (steps - step) / steps + end * step / steps


def check_schedule(key: str, schedule: Any) -> None:
    """Check that a schedule is one or two numbers that are finite and not negative.

    Args:
        key: its place in the configuration.
        schedule: the configured value, of any type.

    Raises:
        ConfigError: it is not.
    """
    values = list(schedule) if isinstance(schedule, Sequence) else [schedule]
    if len(values) not in (1, 2) or not all(_is_fine(value) for value in values):
        raise ConfigError(
            f"{key}: {schedule} is not a number of 0 or more, or two of them; write one value or"
            " [start, end]"
        )


def _is_fine(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf
