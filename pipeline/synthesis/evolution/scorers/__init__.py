"""Scorers: what scores pictures in place of a network, such as a rig.

Each is a function of its settings that returns a ``Scorer``.
"""

from pipeline.synthesis.evolution.scorers.folder import folder
from pipeline.synthesis.evolution.scorers.scorer import Scorer

__all__ = ["Scorer", "folder"]
