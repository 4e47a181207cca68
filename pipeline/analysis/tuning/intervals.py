"""Intervals of properties: bootstrap over noise of the responses, over stimuli, or over repeats.

Networks without noise respond to a stimulus in one way alone, so an interval says how sure an
experimenter would be of a property if rates were as noisy as a cell's, or if other stimuli of the
same kind had been shown. The optimum of a unit is kept; only responses along its curve are drawn.

Ends are percentiles of what is measured in the draws. Some properties are biased by noise: a first
harmonic, a vector sum or a baseline of first harmonics is never below 0, so that noise raises it
(Rice 1944), and a share of variance explained is lowered. Then the interval may not hold the value,
which is that without noise, and the flag says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.tuning.measured import Measured, with_flag
from pipeline.analysis.tuning.properties import CIRCLES
from pipeline.errors import ConfigError, nearest

Draw = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
Measure = Callable[[np.ndarray, np.ndarray], Sequence[Measured]]
KINDS = ("gaussian", "poisson", "fano")
_AT_ONCE = 2**18  # drawn responses that are held at once
_ROUNDING = 1e-9  # of a value, by which it may be outside of its interval
_OUTSIDE = "the draws are biased: the value lies {} its interval"
_LEAST = 0.5  # share of the draws in which a property must be defined to have an interval


@dataclass(frozen=True)
class Noise:
    """How the rates of one presentation vary, and how many presentations are averaged.

    Attributes:
        kind: ``gaussian``: the same standard deviation at every rate; ``poisson``: counts in a
            window; ``fano``: Gaussian counts with a variance of ``fano`` times their mean, and none
            below 0.
        sd: of ``gaussian``, in rate.
        fano: variance of counts / mean of counts.
        repeats: presentations that are averaged (20 in Marques et al. 2021).
        window: seconds in which spikes are counted, by which a rate becomes a count.

    Raises:
        ConfigError: the kind is unknown or a number is out of its range.
    """

    kind: str = "poisson"
    sd: float = 1.0
    fano: float = 1.0
    repeats: int = 20
    window: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"noise: {self.kind!r} is not a kind of noise; allowed are {', '.join(KINDS)}"
                f"{nearest(self.kind, KINDS)}"
            )
        if not (self.sd >= 0 and self.fano >= 0 and self.repeats >= 1 and self.window > 0):
            raise ConfigError(
                "noise: sd and fano must be at least 0, repeats at least 1 and window above 0, not"
                f" {self.sd:g}, {self.fano:g}, {self.repeats} and {self.window:g}"
            )

    def __call__(
        self, rates: Float[np.ndarray, "*stimuli"], draws: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "draws *stimuli"]:
        """Return mean rates of one unit over the repeats, drawn several times.

        >>> drawn = Noise("poisson")(np.full(500, 20.0), 40, np.random.default_rng(0))
        >>> drawn.shape, drawn.mean().round(), drawn.var().round()  # 20 / (20 x 0.1) = 10
        ((40, 500), np.float64(20.0), np.float64(10.0))
        """
        shape, scale = (draws, *rates.shape), self.window * self.repeats
        if self.kind == "gaussian":
            return rates + self.sd / np.sqrt(self.repeats) * rng.standard_normal(shape)
        if (rates < 0).any():
            raise ConfigError(
                f"noise: {self.kind} noise needs rates of at least 0; subtract the blank later"
            )
        if self.kind == "poisson":
            return rng.poisson(rates * scale, shape) / scale
        spread = np.sqrt(self.fano * rates / scale)
        return np.maximum(rates + spread * rng.standard_normal(shape), 0.0)


def resampling(axis: int) -> Draw:
    """Return a draw of stimuli or repeats with replacement (Efron 1979), in the place of a noise.

    Args:
        axis: of one unit's responses, along which stimuli are of one kind: the samples of a texture
            family (each family is drawn anew, textures and noise together), or the repeats of a
            network that has noise of its own.

    >>> samples = np.arange(4.0)[None]
    >>> resampling(1)(samples, 2, np.random.default_rng(0))
    array([[[3., 2., 2., 1.]],
    <BLANKLINE>
           [[1., 0., 0., 0.]]])
    """

    def draw(rates: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
        last = np.moveaxis(rates, axis, -1)
        groups, samples = (last.shape[-2] if last.ndim > 1 else 1), last.shape[-1]
        chosen = rng.integers(0, samples, size=(draws, groups, samples))
        chosen = chosen.reshape(draws, *(1,) * max(last.ndim - 2, 0), *chosen.shape[1:])
        if last.ndim == 1:
            chosen = chosen[:, 0]
        whole = np.broadcast_to(last, (draws, *last.shape))
        spread = np.broadcast_to(chosen, whole.shape)
        return np.moveaxis(np.take_along_axis(whole, spread, axis=-1), -1, axis + 1)

    return draw


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        draw: a ``Noise``, or ``resampling`` along an axis.
        draws: how many.
        level: of the interval, between 0 and 1.
        seed: of the draws; a unit's depend on it, on the layer and on the unit's number alone.
        layer: whose units they are.

    Raises:
        ConfigError: fewer than two draws, or a level that is not between 0 and 1.
    """

    draw: Draw
    draws: int = 200
    level: float = 0.95
    seed: int = 0
    layer: str = ""

    def generator(self, unit: int) -> np.random.Generator:
        """Return the random numbers of a unit.

        They are the same for all of its properties, whose draws are therefore not independent. Each
        interval is of one property alone, for which that makes no difference.
        """
        return np.random.default_rng([self.seed, unit, *self.layer.encode()])

    def __post_init__(self) -> None:
        if self.draws < 2 or not 0 < self.level < 1:
            raise ConfigError(
                "intervals: at least 2 draws and a level between 0 and 1 are needed, not"
                f" {self.draws} and {self.level:g}"
            )


def with_intervals(
    measure: Measure,
    rates: Float[np.ndarray, "units *stimuli"],
    units: Sequence[int],
    bootstrap: Bootstrap,
) -> list[Measured]:
    """Return measured properties with their percentile intervals.

    Args:
        measure: properties of rates [draws, *stimuli], each of the unit in a row of ``rates``
            [draws]; ``slice.redrawn(rates, rows)`` makes a slice of them.
        rates: of each unit, the blank not subtracted.
        units: their numbers; each has random numbers of its own.
        bootstrap: how they are drawn.

    Returns:
        What ``measure`` returns of ``rates`` themselves, with ``low`` and ``high``. These are NaN
        where the value is NaN, or undefined in half of the draws or more; of other draws those in
        which it is undefined do not count. Properties that go around a circle have their interval
        around the value, whose ends may leave the circle. A flag says where the value is outside.

    >>> from pipeline.analysis.tuning.orientation import circular_variance
    >>> turns = np.arange(8) * 22.5
    >>> rates = 40 + 20 * np.cos(2 * np.deg2rad(turns))[None]
    >>> def measure(rates, rows):
    ...     variance, blank = circular_variance(rates, turns), np.full(len(rows), "", dtype=object)
    ...     return [Measured("circular_variance", variance, blank, np.full(len(rows), True))]
    >>> found = with_intervals(measure, rates, [0], Bootstrap(Noise("poisson")))[0]
    >>> bool(found.low[0] < 0.75 < found.high[0])
    True
    """
    found = list(measure(rates, np.arange(len(rates))))
    ends = np.full((len(found), 2, len(rates)), np.nan)
    per_unit = max(1, bootstrap.draws * int(np.prod(rates.shape[1:])))
    at_once = max(1, _AT_ONCE // per_unit)
    for first in range(0, len(rates), at_once):
        rows = np.arange(first, min(first + at_once, len(rates)))
        values = _drawn(measure, rates, units, rows, bootstrap)
        for k, one in enumerate(found):
            ends[k][:, rows] = _percentiles(values[k], one.value[rows], one.name, bootstrap.level)
    return [_with_ends(one, low, high) for one, (low, high) in zip(found, ends, strict=True)]


def _with_ends(
    one: Measured, low: Float[np.ndarray, " units"], high: Float[np.ndarray, " units"]
) -> Measured:
    """Return a property with its intervals, and a flag where they do not hold the value."""
    rounding = _ROUNDING * np.abs(one.value)
    flag = with_flag(one.flag, one.value < low - rounding, _OUTSIDE.format("below"))
    flag = with_flag(flag, one.value > high + rounding, _OUTSIDE.format("above"))
    return replace(one, flag=flag, low=low, high=high)


def _drawn(
    measure: Measure,
    rates: Float[np.ndarray, "units *stimuli"],
    units: Sequence[int],
    rows: Int[np.ndarray, " rows"],
    bootstrap: Bootstrap,
) -> list[Float[np.ndarray, "rows draws"]]:
    """Return the values of every property in every draw of some units."""
    drawn = [
        bootstrap.draw(rates[row], bootstrap.draws, bootstrap.generator(units[row]))
        for row in rows.tolist()
    ]
    found = measure(np.concatenate(drawn), np.repeat(rows, bootstrap.draws))
    return [one.value.reshape(len(rows), bootstrap.draws) for one in found]


def _percentiles(
    drawn: Float[np.ndarray, "rows draws"],
    value: Float[np.ndarray, " rows"],
    name: str,
    level: float,
) -> Float[np.ndarray, "2 rows"]:
    period = CIRCLES.get(name)
    if period is not None:
        centered = value[:, None]
        drawn = centered + (drawn - centered + period / 2) % period - period / 2
    enough = np.isfinite(drawn).mean(axis=1) > _LEAST
    enough &= np.isfinite(value)
    ends = np.full((2, len(drawn)), np.nan)
    ordered = np.sort(drawn[enough], axis=1)  # NaN last
    last = np.isfinite(ordered).sum(axis=1) - 1
    rows = np.arange(len(ordered))
    for end, share in zip(ends, ((1 - level) / 2, (1 + level) / 2), strict=True):
        place = share * last
        below = np.floor(place).astype(np.int64)
        low, high = ordered[rows, below], ordered[rows, np.minimum(below + 1, last)]
        end[enough] = low + (place - below) * (high - low)
    return ends
