"""Scorers: who scores pictures, the network, with or without noise, or a rig.

A scorer is ``network``, a kind of noise (``noises``) that is added to the network's responses, or
any function of its settings that returns a function from pictures to scores, such as that of a rig.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.noises import Noise


@dataclass(frozen=True)
class Scorer:
    """A kind of scorer.

    Attributes:
        noise: of the network's responses, or ``None``.
        score: scores pictures in place of the network: a function from pictures in pixels 0..1
            ``[pictures, channels, height, width]`` to one number each, or ``None``.
    """

    noise: Noise | None = None
    score: Callable[[Tensor], object] | None = None

    @property
    def measured(self) -> bool:
        """Whether scores are measured outside of this program, with noise of their own."""
        return self.score is not None


def network() -> Scorer:
    """Score pictures by the responses of the network, without noise."""
    return Scorer()


def as_scorer(key: str, given: Any) -> Scorer:
    """Return a scorer from what an option is.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(given, Scorer):
        return given
    if isinstance(given, Noise):
        return Scorer(noise=given)
    if callable(given):
        return Scorer(score=given)
    raise ConfigError(
        f"{key}: {type(given).__name__} is no scorer: neither noise of responses nor a function"
        " from pictures to scores"
    )
