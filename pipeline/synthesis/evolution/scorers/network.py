"""The network as a scorer: its responses, with or without noise."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.synthesis.evolution.noises import Noise


@dataclass(frozen=True)
class NetworkScorer:
    """Scores pictures by the responses of the network's units.

    Attributes:
        noise: of each response, or ``None``.
    """

    noise: Noise | None = None


def network() -> NetworkScorer:
    """Score pictures by the responses of the network, without noise."""
    return NetworkScorer()
