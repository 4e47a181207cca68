"""Searchers: how the next candidates are chosen from the scores of those before.

Each is a function of its settings that returns a ``Searcher``.
"""

from pipeline.synthesis.evolution.searchers.searcher import Prior, Search, Searcher, Searching

__all__ = ["Prior", "Search", "Searcher", "Searching"]
