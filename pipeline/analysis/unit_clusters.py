"""Similarity of units to each other, groups of units, and groups among the images of one unit."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist, squareform

STARTS = 3  # of k-means; the one of the smallest error counts


class Grouping(NamedTuple):
    """Groups among some points, and whether a single cloud would show as much.

    Attributes:
        labels: group of each point, from 0, the largest; -1 if there are none.
        silhouette: their mean silhouette; NaN with fewer than four points, or without spread.
        null: median of that under the null.
        p: (1 + draws of the null at least as large) / (1 + draws).
    """

    labels: Int[np.ndarray, " n"]
    silhouette: float
    null: float
    p: float

    @property
    def groups(self) -> int:
        """The number of groups; 0 if there are none."""
        return int(self.labels.max(initial=-1)) + 1


def cosines(vectors: Float[np.ndarray, "n numbers"]) -> Float[np.ndarray, "n n"]:
    """Return the cosine between all pairs of vectors; NaN with one that is zero."""
    with np.errstate(invalid="ignore", divide="ignore"):
        units = vectors.astype(np.float64)
        units = units / np.linalg.norm(units, axis=1, keepdims=True)
    return np.clip(units @ units.T, -1.0, 1.0)


def correlations(vectors: Float[np.ndarray, "n numbers"]) -> Float[np.ndarray, "n n"]:
    """Return Pearson's r between all pairs of vectors; NaN with one that is constant."""
    centered = vectors.astype(np.float64) - vectors.mean(axis=1, keepdims=True, dtype=np.float64)
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0.0)
    # What the mean's rounding leaves of a constant vector says nothing.
    centered[np.abs(centered).max(axis=1, initial=0.0) <= 1e-12 * largest[:, 0]] = np.nan
    return cosines(centered)


def shifted_correlations(
    images: Float[np.ndarray, "n c height width"], shift: int
) -> Float[np.ndarray, "n n"]:
    """Return the largest r between all pairs of images over shifts of one against the other.

    At shift 0 this is Pearson's r over all pixels and channels. At others, what is moved in from
    outside the image counts as its mean, so that r is at most 1 and falls with the overlap.

    Args:
        images: of units.
        shift: pixels, at most, down and across.
    """
    count, _, height, width = images.shape
    flat = images.reshape(count, -1).astype(np.float64)
    centered = flat - flat.mean(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        centered = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    centered = centered.reshape(images.shape)
    best = np.full((count, count), -np.inf)
    for down in range(shift + 1):
        for across in range(-shift if down else 0, shift + 1):
            if down >= height or abs(across) >= width:
                continue
            left = slice(max(across, 0), width + min(across, 0))
            right = slice(max(-across, 0), width + min(-across, 0))
            a = centered[:, :, down:, left].reshape(count, -1)
            b = centered[:, :, : height - down, right].reshape(count, -1)
            r = a @ b.T
            # The opposite shift is the same pair in the other order.
            best = np.fmax(best, np.fmax(r, r.T))
    undefined = ~np.isfinite(centered.reshape(count, -1)).all(axis=1)
    best[undefined] = best[:, undefined] = np.nan
    return np.clip(best, -1.0, 1.0)


def clusters(similarity: Float[np.ndarray, "n n"], count: int) -> Int[np.ndarray, " n"]:
    """Return the cluster of every unit: average linkage of 1 - similarity, cut at a number of them.

    Clusters are numbered from 0 by falling size; those of equal size, by their first unit. Units
    whose similarity is NaN have -1.
    """
    defined = np.isfinite(similarity).sum(axis=1) > 1
    labels = np.full(len(similarity), -1)
    if defined.sum() < 2:
        labels[defined] = 0
        return labels
    own = similarity[np.ix_(defined, defined)]
    distance = 1 - (own + own.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance.clip(min=0.0), checks=False), "average")
    found = fcluster(tree, count, "maxclust")
    labels[defined] = _by_size(found)
    return labels


def silhouette(points: Float[np.ndarray, "n numbers"], labels: Int[np.ndarray, " n"]) -> float:
    """Return the mean silhouette of some points in clusters (Rousseeuw 1987), -1 to 1.

    A point alone in its cluster counts as 0. NaN with fewer than two clusters.

    >>> round(silhouette(np.array([[0.0], [1.0], [10.0], [11.0]]), np.array([0, 0, 1, 1])), 4)
    0.8997
    """
    numbers = np.unique(labels)
    if len(numbers) < 2:
        return float("nan")
    distance = cdist(points, points)
    member = (labels[:, None] == numbers).astype(np.float64)
    sizes = member.sum(axis=0)
    sums = distance @ member
    own = labels[:, None] == numbers
    inside = sums[own] / np.maximum(sizes[None].repeat(len(points), 0)[own] - 1, 1)
    outside = np.where(own, np.inf, sums / sizes).min(axis=1)
    larger = np.maximum(inside, outside)
    alone = sizes[None].repeat(len(points), 0)[own] == 1
    values = np.where(alone | (larger == 0), 0.0, (outside - inside) / np.where(larger, larger, 1))
    return float(values.mean())


def best_groups(
    points: Float[np.ndarray, "n numbers"], most: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], float]:
    """Return the groups of the highest mean silhouette, among 2 to ``most`` of them, and that.

    They are clusters of k-means, the best of three starts, numbered by falling size.
    """
    found, best = np.full(len(points), -1), float("nan")
    for count in range(2, min(most, len(points) - 1) + 1):
        labels = _kmeans(points, count, rng)
        value = silhouette(points, labels)
        if np.isfinite(value) and not best >= value:
            found, best = labels, value
    return _by_size(found), best


def _by_size(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return labels numbered from 0 by falling size; those of equal size, by their first member."""
    if labels.min(initial=0) < 0:
        return labels
    numbers, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = numbers[np.lexsort((first, -sizes))].tolist()
    return np.array([order.index(label) for label in labels.tolist()], np.int64)


def _kmeans(
    points: Float[np.ndarray, "n numbers"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    tries: list[tuple[float, Int[np.ndarray, " n"]]] = []
    for _ in range(STARTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cluster may end up empty, and another start wins
            centers, labels = kmeans2(points, _spread(points, count, rng), minit="matrix")
        tries.append((float(((points - centers[labels]) ** 2).sum()), labels))
    return min(tries, key=lambda found: found[0])[1]


def _spread(
    points: Float[np.ndarray, "n numbers"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "count numbers"]:
    """Return some of the points, far from each other (k-means++, Arthur & Vassilvitskii 2007)."""
    centers = [points[rng.integers(len(points))]]
    while len(centers) < count:
        nearest = cdist(points, np.stack(centers), "sqeuclidean").min(axis=1)
        total = nearest.sum()
        chances = nearest / total if total > 0 else None
        centers.append(points[rng.choice(len(points), p=chances)])
    return np.stack(centers)


def grouping(
    points: Float[np.ndarray, "n numbers"],
    rng: np.random.Generator,
    *,
    most: int = 5,
    draws: int = 99,
) -> Grouping:
    """Return whether some points fall into groups, more than a single cloud of their spread would.

    Null: as many points from a Gaussian with the variances of the points along their principal
    components, clustered in the same way.

    Args:
        points: such as the top patches of one unit, as the responses of the other units.
        rng: starts k-means, and draws the null.
        most: clusters, at most; at least 2.
        draws: of the null; the smallest possible p is 1 / (draws + 1).
    """
    nothing = Grouping(np.full(len(points), -1), np.nan, np.nan, np.nan)
    if len(points) < 4 or not points.size or not np.isfinite(points).all():
        return nothing
    centered = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    left, lengths, _ = np.linalg.svd(centered, full_matrices=False)
    kept = lengths > 1e-9 * max(lengths[0], 1e-300)
    if not kept.any():
        return nothing
    scores, spread = left[:, kept] * lengths[kept], lengths[kept] / np.sqrt(len(points) - 1)
    labels, observed = best_groups(scores, most, rng)
    drawn = np.array(
        [best_groups(rng.normal(size=scores.shape) * spread, most, rng)[1] for _ in range(draws)]
    )
    p = (1 + int((drawn >= observed).sum())) / (1 + draws)
    return Grouping(labels, observed, float(np.median(drawn)), p)
