"""The plan of a dream: size, number of steps and learning rate of each octave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import ConfigError
from pipeline.synthesis.dream.octaves import Size, listed, sizes
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.schedules import Schedule


@dataclass(frozen=True)
class Octave:
    """One size at which an image is dreamt.

    Attributes:
        size: height and width in pixels.
        optimizer: optimizer with the steps and the learning rate of this octave.
        sigma: sigma of the blur between steps; ``None`` for the configured value.
    """

    size: Size
    optimizer: Optimizer
    sigma: Schedule | None


def octave_sizes(size: Size, sides: Any, ratio: float, levels: int) -> list[Size]:
    """Return the sizes of the octaves of an image, listed or as a pyramid.

    Raises:
        ConfigError: the sizes are invalid.
    """
    if sides is None:
        return sizes(size, ratio, levels)
    if not isinstance(sides, list) or not all(_is_whole(side) for side in sides):
        raise ConfigError(f"dream.sides: {sides!r} is not a list of pixels; use [299,380,460]")
    return listed(size, sides)


def plan_octaves(
    found: Sequence[Size], optimizer: Optimizer, steps: Any, lr: Any, sigma: Any
) -> list[Octave]:
    """Return the octaves of a dream.

    Args:
        found: sizes of the octaves.
        optimizer: optimizer of all octaves.
        steps: number of steps that replaces the optimizer's, or one for each octave.
        lr: learning rate that replaces the optimizer's, or one (a number or a pair) for each
            octave.
        sigma: sigma of the blur, in the same form as ``lr``.

    Raises:
        ConfigError: a list does not have one value for each octave.
    """
    count = len(found)
    if steps is not None and not all(_is_whole(n) for n in _each("steps", steps, count)):
        raise ConfigError(
            f"dream.steps: {steps!r} is not a number of steps, or one for each octave"
        )
    return [
        Octave(
            size,
            replace(
                optimizer,
                steps=optimizer.steps if own is None else own,
                lr=optimizer.lr if rate is None else rate,
            ),
            blur,
        )
        for size, own, rate, blur in zip(
            found,
            _each("steps", steps, count),
            _each("lr", lr, count),
            _each("sigma", sigma, count),
            strict=True,
        )
    ]


def _each(key: str, value: Any, count: int) -> list[Any]:
    """Return one value per octave: the same for all, or the values of a list."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ConfigError(
            f"dream.{key}: {value!r} has {len(value)} values for {count} octaves; give one number,"
            " or one for each octave"
        )
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
