"""Recombination: the mean of the best candidates, weighted by rank."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def rank_weights(parents: int) -> Float[np.ndarray, " parents"]:
    """Return weights proportional to ln(parents + 1/2) - ln(rank), which sum to 1.

    Source: Hansen 2016, "The CMA evolution strategy: a tutorial", section 2.2.
    """
    weights = np.log(parents + 0.5) - np.log(np.arange(1, parents + 1))
    return weights / weights.sum()


def best(scores: Float[np.ndarray, " candidates"], count: int) -> np.ndarray:
    """Return the indices of the best measured candidates, in order; there may be fewer.

    Of equal scores, that of the earlier candidate comes first.
    """
    return np.argsort(-scores, kind="stable")[: min(count, int(np.isfinite(scores).sum()))]


def weighted_mean(
    vectors: Float[np.ndarray, "chosen genes"], weights: Float[np.ndarray, " parents"]
) -> Float[np.ndarray, " genes"]:
    """Return the mean of vectors in order of rank; with fewer, the first weights count alone."""
    first = weights[: len(vectors)]
    return np.einsum("p,pg->g", first / first.sum(), vectors)


def norm(
    vectors: Float[np.ndarray, "*some genes"],
) -> Float[np.ndarray, "*some 1"]:
    """Return the lengths of vectors, to the same bits on any number of threads."""
    return np.sqrt(np.square(vectors).sum(-1, keepdims=True))
