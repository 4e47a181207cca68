"""The spherical search: an evolution strategy on a sphere of codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.searchers.batch import OneSearch, side_by_side
from pipeline.synthesis.evolution.searchers.recombination import (
    best,
    norm,
    rank_weights,
    weighted_mean,
)
from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher
from pipeline.synthesis.evolution.searchers.settings import check_count, check_positive


def spherical(
    population: int = 40,
    parents: int = 20,
    radius: float = 1.5,
    extrapolation: float = 1.5,
    first_angle: float = 50.0,
    last_angle: float = 7.33,
) -> Searcher:
    """The spherical search: codes of one length, whose directions alone are searched.

    The mean of the best candidates, weighted by rank, is projected to the sphere, and the base
    moves along the great circle through it and beyond. Candidates are drawn about the base at an
    angle that falls geometrically over the generations. The first generation is spread over the
    whole sphere, and its weighted mean becomes the base.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1; the
    sphere is about the prior's mean. Start codes are projected to the sphere and replace the first
    candidates of the first generation. Codes are cut to the prior's bounds when they are shown, but
    the search goes on from those on the sphere. The source shows the base in every generation as
    its 41st code, but does not use its score; it is not shown here, so that a generation costs
    ``population`` queries. The weights count candidates that were measured; without any score, the
    base stays.

    Source: Wang and Ponce 2022, "High-performance evolutionary algorithms for online neuron
    control"; Animadversio/ActMax-Optimizer-Dev, ZOHA_Sphere_lr_euclid, where codes of DeePSiM's fc6
    have length 300.

    Args:
        population: candidates in a generation, 2 or more.
        parents: number of the best candidates in the weighted mean, 1 to the population; in the
            first generation, it is half the population.
        radius: length of standardized codes over the square root of their number of genes, above
            0; that of codes of the prior is about 1.
        extrapolation: step of the base over the angle to the weighted mean, above 0.
        first_angle: angle of the candidates about the base at the start, in degrees, above 0.
        last_angle: the same at the end.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> spherical(radius=1.0).population
        40
    """
    check_count("spherical.population", population, 2, 40)
    check_count("spherical.parents", parents, 1, 20)
    if parents > population:
        raise ConfigError(
            f"searcher.spherical.parents: {parents} is more than the population, {population}; use"
            " at most that"
        )
    check_positive("spherical.radius", radius, 1.5)
    check_positive("spherical.extrapolation", extrapolation, 1.5)
    check_positive("spherical.first_angle", first_angle, 50.0)
    check_positive("spherical.last_angle", last_angle, 7.33)

    kind = Sphere(population, parents, radius, extrapolation, first_angle, last_angle)
    return side_by_side(population, lambda search, index: SphericalSearch(search, index, kind))


@dataclass(frozen=True)
class Sphere:
    """The settings of a spherical search, as in ``spherical``."""

    population: int
    parents: int
    radius: float
    extrapolation: float
    first_angle: float
    last_angle: float


class SphericalSearch(OneSearch):
    """A spherical search, in standardized codes.

    Attributes:
        base: the code about which candidates are drawn; 0 before the first scores.
    """

    kept = ("generation", "base")

    def __init__(self, search: Search, index: int, settings: Sphere) -> None:
        super().__init__(search, index)
        genes = self.prior.genes
        self.settings, self.radius = settings, settings.radius * np.sqrt(genes)
        angles = np.geomspace(settings.first_angle, settings.last_angle, self.generations)
        self.angles = np.deg2rad(angles) / np.sqrt(genes)
        self.generation, self.base = 0, np.zeros(genes)

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Draw candidates about the base, or over the whole sphere if there is none."""
        normals = self.random.standard_normal((self.settings.population, self.prior.genes))
        self.drawn = self.near(normals) if self.base.any() else self.anywhere(normals)
        return self.codes(self.drawn)

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Move the base beyond the weighted mean of the best candidates."""
        self.generation += 1
        first = not self.base.any()
        count = self.settings.population // 2 if first else self.settings.parents
        chosen = best(scores, count)
        if not len(chosen):
            return
        mean = self.projected(weighted_mean(self.drawn[chosen], rank_weights(count)))
        self.base = mean if first else slerp(self.base, mean, self.settings.extrapolation)

    def anywhere(
        self, normals: Float[np.ndarray, "candidates genes"]
    ) -> Float[np.ndarray, "candidates genes"]:
        """Return the start codes and, after them, random codes, projected to the sphere."""
        starts = self.standardized(self.starts)
        starts = starts[norm(starts)[:, 0] > 0][: len(normals)]
        return self.projected(np.concatenate([starts, normals[len(starts) :]]))

    def near(
        self, normals: Float[np.ndarray, "candidates genes"]
    ) -> Float[np.ndarray, "candidates genes"]:
        """Return codes about the base, along random tangents of the sphere."""
        angle = self.angles[min(self.generation, len(self.angles)) - 1]
        base = self.base / norm(self.base)
        tangents = angle * (normals - np.einsum("pg,g->p", normals, base)[:, None] * base)
        turns = norm(tangents)
        return self.projected(np.cos(turns) * base + np.sinc(turns / np.pi) * tangents)

    def projected(
        self, codes: Float[np.ndarray, "*some genes"]
    ) -> Float[np.ndarray, "*some genes"]:
        """Return codes scaled to the length of the sphere."""
        return codes * (self.radius / norm(codes))


def slerp(
    first: Float[np.ndarray, " genes"], second: Float[np.ndarray, " genes"], share: float
) -> Float[np.ndarray, " genes"]:
    """Return the point at a share of the way along the great circle through two points.

    Both are of the same length. A share above 1 leads beyond the second point.
    """
    cosine = (first * second).sum() / (norm(first)[0] * norm(second)[0])
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-8:  # they are the same, or no great circle is the shortest
        return second
    return (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
