"""Noise of responses: what a neuron adds to its response at each presentation.

Each is a function of its settings that returns a ``Noise``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.random import RandomState

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite

MOST_SPIKES = 1e9  # per unit of response: far below what fits in 64 bits, and above any noise


@dataclass(frozen=True)
class Noise:
    """A kind of noise.

    Attributes:
        add: returns noisy responses of one presentation each, from responses without noise, which
            are finite, and random numbers.
    """

    add: Callable[[Float[np.ndarray, "*some"], RandomState], Float[np.ndarray, "*some"]]

    def __call__(
        self, responses: Float[np.ndarray, "*some"], random: RandomState
    ) -> Float[np.ndarray, "*some"]:
        """Return noisy responses; those that are NaN stay so."""
        known = np.isfinite(responses)
        return np.where(known, self.add(np.where(known, responses, 0.0), random), np.nan)


def poisson(scale: float = 20.0) -> Noise:
    """Draw the number of spikes from a Poisson distribution; the response is that over ``scale``.

    Responses below 0 give no spikes. Source: Xiao & Kreiman (2020), PLoS Comput Biol 16:e1007973.

    Args:
        scale: spikes per unit of response, above 0, at most 1e9. The variance of a response r is
            r / scale.

    Raises:
        ConfigError: ``scale`` is not above 0, or so large that spikes cannot be counted.

    >>> poisson(scale=2.0)(np.array([-1.0, 3.0]), RandomState(0)).tolist()
    [0.0, 5.5]
    """
    _positive("scale", scale)
    if scale > MOST_SPIKES:
        raise ConfigError(
            f"noise.scale: {scale!r} is more than {MOST_SPIKES:g}; leave out the noise"
        )
    return Noise(lambda r, random: random.poisson(np.maximum(r * scale, 0)) / scale)


def multiplicative(level: float = 0.2) -> Noise:
    """Multiply responses by 1 plus normal noise, but not by less than 0.

    Source: Wang & Ponce (2022), GECCO, "High-performance evolutionary algorithms for online
    neuron control".

    Args:
        level: standard deviation of the factor, 0 or more.

    Raises:
        ConfigError: ``level`` is negative.
    """
    _positive("level", level, zero=True)
    return Noise(lambda r, random: r * np.maximum(0.0, 1 + level * random.standard_normal(r.shape)))


def fano(scale: float = 0.35, level: float = 0.07) -> Noise:
    """Add normal noise whose variance is the mean, as of spikes with a Fano factor of 1.

    A response r is noisy as m + n sqrt(max(m, 0) + 0.0001), with m = scale r + level and n normal,
    on the scale of spike counts, and is then cut at 0. Source: Dapello, Marques et al. (2020),
    NeurIPS, "Simulating a primary visual cortex at the front of CNNs" (VOneNet).

    Args:
        scale: spikes per unit of response, above 0.
        level: spikes without a response, 0 or more.

    Raises:
        ConfigError: ``scale`` is not above 0, or ``level`` is negative.
    """
    _positive("scale", scale)
    _positive("level", level, zero=True)

    def add(responses: np.ndarray, random: RandomState) -> np.ndarray:
        mean = scale * responses + level
        noise = random.standard_normal(responses.shape) * np.sqrt(np.maximum(mean, 0) + 1e-4)
        return np.maximum(0.0, (mean + noise - level) / scale)

    return Noise(add)


def gaussian(scale: float = 1.0) -> Noise:
    """Add normal noise of the same size to all responses.

    Args:
        scale: standard deviation, in units of the response, 0 or more.

    Raises:
        ConfigError: ``scale`` is negative.
    """
    _positive("scale", scale, zero=True)
    return Noise(lambda r, random: r + scale * random.standard_normal(r.shape))


def _positive(key: str, value: Any, *, zero: bool = False) -> None:
    if not is_finite(value) or value < 0 or (value == 0 and not zero):
        least = "0 or more" if zero else "above 0"
        raise ConfigError(f"noise.{key}: {value!r} is not a number {least}")
