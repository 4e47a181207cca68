"""Searchers: how the next candidates are chosen from the scores of those before.

Each is a function of its settings that returns a ``Searcher``.
"""

from pipeline.synthesis.evolution.searchers.cholesky_cma import cholesky_cma
from pipeline.synthesis.evolution.searchers.evotorch import cem, pgpe
from pipeline.synthesis.evolution.searchers.finite_differences import finite_differences
from pipeline.synthesis.evolution.searchers.genetic import (
    genetic,
    genetic_pxdream,
    genetic_wang_ponce,
)
from pipeline.synthesis.evolution.searchers.nes import nes
from pipeline.synthesis.evolution.searchers.random_search import random
from pipeline.synthesis.evolution.searchers.searcher import Prior, Search, Searcher, Searching
from pipeline.synthesis.evolution.searchers.spherical import spherical

__all__ = [
    "Prior",
    "Search",
    "Searcher",
    "Searching",
    "cem",
    "cholesky_cma",
    "finite_differences",
    "genetic",
    "genetic_pxdream",
    "genetic_wang_ponce",
    "nes",
    "pgpe",
    "random",
    "spherical",
]
