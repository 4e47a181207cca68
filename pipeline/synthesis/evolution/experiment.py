"""The experiment: how many images are shown, how, and what disturbs the responses."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pipeline.synthesis.evolution.adaptation import Adaptation
from pipeline.synthesis.evolution.noises import Noise


@dataclass(frozen=True)
class Experiment:
    """How pictures are shown to a unit and its responses measured.

    A query is one image shown once to one unit; repeats count.

    Attributes:
        queries: number of queries that each search may use.
        repeats: how often each picture is shown; its score is the mean.
        contrast: contrast at which all pictures are shown (``contrast``), or ``None``.
        bits: number of bits to which pixels are rounded, or ``None``.
        noise: noise of each response, or ``None``.
        adaptation: how responses fall, or ``None``.
        references: pictures in pixels 0..1 that are shown again and again.
        reference_every: references are shown before the first generation, and again after each of
            so many.
        searches_per_pass: number of searches whose pictures share forward passes. With 1, a search
            has the same bits whichever others run beside it; with more, it is the same but for
            float32 rounding, and accelerators are faster.
    """

    queries: int = 2500
    repeats: int = 1
    contrast: float | None = 0.6
    bits: int | None = None
    noise: Noise | None = None
    adaptation: Adaptation | None = None
    references: Float[Tensor, "references c height width"] | None = None
    reference_every: int = 10
    searches_per_pass: int = 1

    @property
    def reference_queries(self) -> int:
        """Queries each time that the references are shown."""
        return 0 if self.references is None else len(self.references) * self.repeats

    def shows_references(self, generation: int) -> bool:
        """Say whether the references are shown before a generation."""
        return bool(self.reference_queries) and generation % self.reference_every == 0

    def spent(self, generations: int, population: int, cost: int = 1) -> int:
        """Return the queries that a number of generations use, with their references.

        Args:
            generations: number of generations.
            population: pictures per generation.
            cost: queries that one presentation counts: more than 1 where a gradient is taken.
        """
        rounds = -(-generations // self.reference_every)
        return generations * population * self.repeats * cost + rounds * self.reference_queries

    def generations(self, population: int, cost: int = 1) -> int:
        """Return the number of generations that the queries allow, at least 1.

        Without references, that is queries / (population x repeats x cost), rounded down.

        >>> import torch
        >>> Experiment(queries=2500).generations(40)
        62
        >>> Experiment(queries=2500, references=torch.rand(5, 3, 8, 8)).generations(40)
        61
        """
        generation = population * self.repeats * cost
        # A round: the references, and the generations until they are shown again.
        rounds, left = divmod(
            self.queries, self.reference_every * generation + self.reference_queries
        )
        begun = max(0, left - self.reference_queries) // generation
        return max(1, rounds * self.reference_every + begun)
