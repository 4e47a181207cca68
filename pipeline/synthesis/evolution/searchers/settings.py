"""Settings of searchers: what is checked before a search begins."""

from __future__ import annotations

import math

from pipeline.errors import ConfigError


def check_count(key: str, value: int, least: int, example: int) -> None:
    """Raise an error unless a number is whole and large enough."""
    if isinstance(value, bool) or value != math.floor(value) or value < least:
        raise ConfigError(
            f"searcher.{key}: {value} is not a whole number of at least {least}; use one such as"
            f" {example}"
        )


def check_even(key: str, value: int, example: int) -> None:
    """Raise an error unless a number is even and positive."""
    if isinstance(value, bool) or value < 2 or value % 2:
        raise ConfigError(
            f"searcher.{key}: {value} is not an even number of at least 2, and the candidates come"
            f" in pairs; use one such as {example}"
        )


def check_share(key: str, value: float) -> None:
    """Raise an error unless a number is from 0 to 1."""
    if not 0 <= value <= 1:
        raise ConfigError(f"searcher.{key}: {value} is not a number from 0 to 1")


def check_positive(key: str, value: float, example: float) -> None:
    """Raise an error unless a number is positive and finite."""
    if not 0 < value < math.inf:
        raise ConfigError(
            f"searcher.{key}: {value} is not a positive number; use one such as {example}"
        )


def check_below(key: str, value: int, population: int) -> None:
    """Raise an error unless a number is whole and from 0 to below the population."""
    if isinstance(value, bool) or value != math.floor(value) or not 0 <= value < population:
        raise ConfigError(
            f"searcher.{key}: {value} is not a whole number from 0 to {population - 1}, below the"
            " population"
        )
