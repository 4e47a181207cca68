"""Which images of a list are used: the first ones, or a seeded random choice."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pipeline.errors import ConfigError


def kept_indices(count: int, limit: int | None, seed: int | None) -> list[int]:
    """Return the indices of the images that are used, in ascending order.

    Args:
        count: images of the list.
        limit: number of images to keep; ``None`` for all.
        seed: of a random choice without replacement; ``None`` for the first ones. A larger limit
            with the same seed keeps those of a smaller one.

    Raises:
        ConfigError: the limit leaves no image, or the seed is negative.

    >>> kept_indices(5, 2, None)
    [0, 1]
    >>> set(kept_indices(5, 2, 0)) < set(kept_indices(5, 3, 0))
    True
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"images.limit: {limit} leaves no image; use null or a positive number")
    if seed is not None and seed < 0:
        raise ConfigError(f"images.seed: {seed} is not null, 0 or a positive number")
    if limit is None or limit >= count:
        return list(range(count))
    if seed is None:
        return list(range(limit))
    return sorted(np.random.default_rng(seed).permutation(count)[:limit].tolist())


def check_names(key: str, names: Iterable[str]) -> None:
    """Check that names can be stored: line breaks cannot, nor bytes that are not text.

    Args:
        key: key of the setting, for messages.
        names: names of images or columns.

    Raises:
        ConfigError: one cannot.
    """
    for name in names:
        if not name.isprintable():
            raise ConfigError(f"{key}: {name!r} is a name that cannot be stored; rename it")
