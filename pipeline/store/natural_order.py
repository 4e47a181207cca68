"""Sorting names that contain numbers: ``seed=2`` comes before ``seed=10``."""

from __future__ import annotations

import re

WHOLE = r"(\d+)"
DECIMAL = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


def natural_order(name: str, number: str = DECIMAL) -> tuple[list[str | int | float], str]:
    """Return a key that sorts names by the numbers in them.

    Args:
        name: the name.
        number: pattern of a number, in one group. Settings contain decimals, so ``0.05`` comes
            before ``0.1``. In file names, a point separates two numbers, so ``1.9`` comes before
            ``1.10``.
    """
    parts = re.split(number, name)
    return [_number(part) if at % 2 else part for at, part in enumerate(parts)], name


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)
