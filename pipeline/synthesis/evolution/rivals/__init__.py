"""Rivals of evolution on the same budget: other ways to an image that drives a unit.

Each is a function of its settings that returns a ``Rival``. Random codes are a searcher.
"""

from pipeline.synthesis.evolution.rivals.gradient_ascent import gradient
from pipeline.synthesis.evolution.rivals.natural_images import natural
from pipeline.synthesis.evolution.rivals.rival import Contest, Rival

__all__ = ["Contest", "Rival", "gradient", "natural"]
