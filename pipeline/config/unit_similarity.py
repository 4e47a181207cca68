"""The settings of the similarity of units to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import nearest

AT = ("max", "mean", "center")
LEAST = {"shift": 0, "groups": 1, "permutations": 1, "patches": 0, "most": 2, "draws": 0}


@dataclass
class UnitSimilarityConfig:
    """By what units are compared with each other, and the images of one unit among themselves.

    Attributes:
        at: which part of a unit's map is its response to the image set: ``max``, ``mean`` or
            ``center``.
        shift: pixels by which one preferred image is shifted against the other, at most; images
            larger than 32 pixels are reduced to that before, and the shift with them.
        groups: clusters of units.
        permutations: of units, for p of the agreement, of which 1 / (1 + permutations) is the
            smallest.
        patches: top patches per unit in which facets are sought, at most; 0 for none (4 is the
            least that can form groups).
        most: facets of a unit, at most.
        draws: of the null of facets; 0 for no facets.
    """

    at: str = "max"
    shift: int = 4
    groups: int = 8
    permutations: int = 999
    patches: int = 20
    most: int = 5
    draws: int = 99

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        if self.at not in AT:
            yield (
                f"unit_similarity.at: '{self.at}' is not one of {', '.join(AT)}"
                f"{nearest(self.at, AT)}"
            )
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                yield (
                    f"unit_similarity.{name}: {getattr(self, name)} is too small; use {least} or"
                    " more"
                )
