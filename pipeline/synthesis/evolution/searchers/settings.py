"""Settings of searchers: what is checked before a search begins."""

from __future__ import annotations

from typing import Any

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite, is_whole


def check_count(key: str, value: Any, least: int, example: int) -> None:
    """Raise an error unless a number is whole and large enough."""
    if not is_whole(value, least):
        raise ConfigError(
            f"searcher.{key}: {value!r} is not a whole number of at least {least}; use one such as"
            f" {example}"
        )


def check_even(key: str, value: Any, example: int) -> None:
    """Raise an error unless a number is even and positive."""
    if not is_whole(value, 2) or value % 2:
        raise ConfigError(
            f"searcher.{key}: {value!r} is not an even number of at least 2, and the candidates"
            f" come in pairs; use one such as {example}"
        )


def check_share(key: str, value: Any) -> None:
    """Raise an error unless a number is from 0 to 1."""
    if not is_finite(value) or not 0 <= value <= 1:
        raise ConfigError(f"searcher.{key}: {value!r} is not a number from 0 to 1")


def check_positive(key: str, value: Any, example: float) -> None:
    """Raise an error unless a number is positive and finite."""
    if not is_finite(value) or value <= 0:
        raise ConfigError(
            f"searcher.{key}: {value!r} is not a positive number; use one such as {example}"
        )


def check_below(key: str, value: Any, population: int) -> None:
    """Raise an error unless a number is whole and from 0 to below the population."""
    if not is_whole(value, 0) or value >= population:
        raise ConfigError(
            f"searcher.{key}: {value!r} is not a whole number from 0 to {population - 1}, below the"
            " population"
        )
