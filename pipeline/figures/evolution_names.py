"""Methods of evolution, and their names for readers.

A method is a searcher with a generator. Its rivals, natural images and gradient ascent, stand in
the column ``searcher`` of tables and have no generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SEARCHERS = {
    "genetic_wang_ponce": "genetic (Wang & Ponce)",
    "genetic_pxdream": "genetic (P-XDREAM)",
    "cholesky_cma": "Cholesky CMA",
    "nes": "NES",
    "cem": "CEM",
    "pgpe": "PGPE",
    "random": "random codes",
}
GENERATORS = {"fourier": "Fourier", "deepsim": "DeePSiM", "taef2": "TAEF2"}
RIVALS = {"natural": "natural images", "gradient": "gradient ascent"}


@dataclass(frozen=True)
class Method:
    """A searcher with a generator, or a rival without.

    >>> Method("cholesky_cma", "principal_components").name, Method("natural", "").name
    ('Cholesky CMA, principal components', 'natural images')
    """

    searcher: str
    generator: str

    @property
    def name(self) -> str:
        """Return its name for readers."""
        if self.rival:
            return RIVALS[self.searcher]
        generator = generator_name(self.generator)
        return ", ".join([searcher_name(self.searcher), *([generator] if generator else [])])

    @property
    def rival(self) -> bool:
        """Return whether it is a rival of evolution."""
        return self.generator == "" and self.searcher in RIVALS


def searcher_name(searcher: str) -> str:
    """Return the name of a searcher or rival for readers."""
    return SEARCHERS.get(searcher, searcher.replace("_", " "))


def generator_name(generator: str) -> str:
    """Return the name of a generator for readers."""
    return GENERATORS.get(generator, generator.replace("_", " "))


def number(value: float) -> str:
    """Return a ratio for a small label: two digits below 10.

    >>> number(0.123), number(4.56), number(45.6), number(math.nan)
    ('0.12', '4.6', '46', 'none')
    """
    if not math.isfinite(value):
        return "none"
    return f"{value:.0f}" if abs(value) >= 9.95 else f"{value:#.2g}"
