"""Scorers: who scores pictures, the network or what stands in its place, such as a rig.

Each is a function of its settings that returns a ``Scorer``, or ``NetworkScorer``.
"""

from pipeline.synthesis.evolution.scorers.folder import folder
from pipeline.synthesis.evolution.scorers.network import NetworkScorer, network
from pipeline.synthesis.evolution.scorers.scorer import Scorer

__all__ = ["NetworkScorer", "Scorer", "folder", "network"]
