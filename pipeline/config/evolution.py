"""The settings of evolution."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import nearest

RIVALS = ("natural", "gradient")
COUNTS = (
    "queries", "repeats", "restarts", "gradient_queries", "reference_every", "searches_per_pass",
)  # fmt: skip
FRAMES = 100
MOST_BITS = 16


@dataclass
class EvolutionConfig:
    """How pictures are shown to units, and what evolution is compared with.

    Attributes:
        queries: pictures that each search may show to its unit, in whole generations, at least one;
            a picture shown again counts again, and so do reference images.
        repeats: how often each picture is shown; its score is the mean.
        restarts: searches of each unit, with random numbers of their own.
        contrast: root mean square over pixels and channels at which all pictures are shown, about
            the mean color, in standard deviations of the network's preprocessing; photographs have
            about 1. ``null`` shows pictures as they are, and compares contrasts.
        rivals: what is compared with evolution on the same budget, a list: ``natural`` (random
            patches of the image set) and ``gradient`` (gradient ascent).
        gradient_queries: queries that one gradient counts.
        bits: of the pixels of pictures, such as 8; ``null`` does not round them.
        adaptation: how the gain of responses falls from 1 as pictures are shown, as in [0.5,1000]:
            the gain after very many queries, 0 to 1, and the number of queries in which it falls by
            63 % of what it falls in all; ``null`` for none.
        references: a picture, or a folder of pictures, that are shown again and again, covering the
            receptive field; ``null`` for none.
        reference_every: number of generations from one showing of the references to the next.
        film: number of generations of each search whose best image is kept, evenly spaced.
        searches_per_pass: searches whose pictures share forward passes. With 1, images are the same
            whichever other units are chosen; with more, they are so but for float32 rounding, which
            is faster on accelerators.
    """

    queries: int = 2500
    repeats: int = 1
    restarts: int = 1
    contrast: float | None = 0.6
    rivals: list[str] = field(default_factory=lambda: [*RIVALS])
    gradient_queries: int = 3
    bits: int | None = None
    adaptation: list[float] | None = None
    references: str | None = None
    reference_every: int = 10
    film: int = 8
    searches_per_pass: int = 1

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        for name in COUNTS:
            if getattr(self, name) < 1:
                yield f"evolution.{name}: {getattr(self, name)} is not positive; use 1 or more"
        yield from self._rival_faults()
        if self.contrast is not None and not 0 < self.contrast < math.inf:
            yield (
                f"evolution.contrast: {self.contrast} is not a positive number; photographs have"
                " about 1, and null shows pictures as they are"
            )
        if self.bits is not None and not 1 <= self.bits <= MOST_BITS:
            yield f"evolution.bits: {self.bits} is not a number of bits from 1 to {MOST_BITS}"
        if not 1 <= self.film <= FRAMES:
            yield f"evolution.film: {self.film} is not a number of generations from 1 to {FRAMES}"
        if self.adaptation is not None and len(self.adaptation) != 2:
            yield (
                f"evolution.adaptation: {list(self.adaptation)} is not a gain and a number of"
                " queries, as in evolution.adaptation=[0.5,1000]"
            )

    def _rival_faults(self) -> Iterator[str]:
        for name in self.rivals:
            if name not in RIVALS:
                yield (
                    f"evolution.rivals: '{name}' is not one of {', '.join(RIVALS)}"
                    f"{nearest(name, RIVALS)}"
                )
        if len(set(map(str, self.rivals))) < len(self.rivals):
            yield f"evolution.rivals: {list(self.rivals)} names a rival twice"
