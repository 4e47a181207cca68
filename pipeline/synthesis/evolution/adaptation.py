"""Adaptation: how a neuron's response falls while more and more images are shown to it.

Each is a function of its settings that returns an ``Adaptation``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite


@dataclass(frozen=True)
class Adaptation:
    """A kind of adaptation.

    Images of a generation are shown in the order of the candidates, and then again, as often as
    they are repeated, so that later candidates lose a little more than earlier ones.

    Attributes:
        gains: returns the factor of the response to an image, given how many queries came before.
    """

    gains: Callable[[Int[np.ndarray, "*images"]], Float[np.ndarray, "*images"]]


def exponential(floor: float = 0.5, constant: float = 1000.0) -> Adaptation:
    """Let the gain fall exponentially from 1 to a floor.

    After n queries it is floor + (1 - floor) exp(-n / constant).

    Args:
        floor: gain after very many queries, from 0 to 1.
        constant: number of queries in which the gain falls by 63 % of what it falls in all.

    Raises:
        ConfigError: a number is outside of its range.

    >>> exponential(floor=0.5, constant=1000.0).gains(np.array([0, 1000])).round(4).tolist()
    [1.0, 0.6839]
    """
    if not is_finite(floor) or not 0 <= floor <= 1:
        raise ConfigError(f"adaptation.floor: {floor!r} is not a gain from 0 to 1")
    if not is_finite(constant) or constant <= 0:
        raise ConfigError(f"adaptation.constant: {constant!r} is not a positive number of queries")
    return Adaptation(lambda shown: floor + (1 - floor) * np.exp(-shown / constant))
