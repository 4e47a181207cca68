"""Similarity of units: known shifts, known groups, and permutations counted one by one."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from pipeline.analysis.mantel import mantel
from pipeline.analysis.unit_clusters import (
    clusters,
    correlations,
    cosines,
    grouping,
    shifted_correlations,
)

RNG = np.random.default_rng


def symmetric(count: int, seed: int) -> np.ndarray:
    matrix = RNG(seed).normal(size=(count, count))
    return matrix + matrix.T


def test_mantel_agrees_with_all_permutations_counted():
    first, second = symmetric(5, 0), symmetric(5, 1)
    second += 0.8 * first
    above = np.triu_indices(5, 1)
    every = [
        np.corrcoef(first[above], second[np.ix_(order, order)][above])[0, 1]
        for order in map(list, permutations(range(5)))
    ]
    r, p = mantel(first, second, RNG(0), 4000)
    assert r == pytest.approx(every[0])
    assert p == pytest.approx(np.mean(np.abs(every) >= abs(every[0]) - 1e-9), abs=0.02)
    assert mantel(first, second, RNG(0), 50) == mantel(first, second, RNG(0), 50)
    assert np.isnan(mantel(first, np.ones((5, 5)), RNG(0), 5)).all()
    with pytest.raises(ValueError, match="are not of the same units"):
        mantel(first, symmetric(4, 0), RNG(0))


def test_a_shifted_image_is_alike_and_at_shift_0_r_is_pearsons():
    images = RNG(0).normal(size=(4, 2, 9, 9))
    plain = np.corrcoef(images.reshape(4, -1))
    assert np.allclose(shifted_correlations(images, 0), plain)
    blob = np.zeros((3, 1, 9, 9))
    blob[0, 0, 3, 4] = blob[1, 0, 5, 2] = 1.0  # moved 2 down and 2 left
    blob[2] = 7.0  # constant
    found = shifted_correlations(blob, 2)
    assert found[0, 1] == found[1, 0] > 0.98
    assert shifted_correlations(blob, 1)[0, 1] < 0.1
    assert np.isnan(found[2]).all()
    assert np.isnan(correlations(np.array([[1.0, 2.0], [3.0, 3.0]]))[1]).all()
    assert cosines(np.array([[1.0, 0.0], [1.0, 1.0]]))[0, 1] == pytest.approx(0.5**0.5)


def test_clusters_are_those_that_were_made():
    labels = np.array([1, 0, 0, 1, 0])
    matrix = np.where(labels[:, None] == labels, 0.9, 0.1)
    assert clusters(matrix, 2).tolist() == labels.tolist()
    matrix[3] = matrix[:, 3] = np.nan
    assert clusters(matrix, 2).tolist() == [1, 0, 0, -1, 0]


def test_two_clouds_are_groups_and_one_is_none():
    cloud = RNG(1).normal(size=(16, 5))
    apart = cloud.copy()
    apart[::2, 0] += 8
    two = grouping(apart, RNG(0), draws=19)
    one = grouping(cloud, RNG(0), draws=19)
    assert (two.groups, two.p) == (2, 0.05)
    assert two.labels.tolist() == [0, 1] * 8
    assert two.silhouette > two.null
    assert one.p > 0.2
    for points in (cloud[:3], np.ones((6, 2)), cloud[:, :0]):  # of units that nothing tells apart
        nothing = grouping(points, RNG(0))
        assert (nothing.groups, set(nothing.labels.tolist())) == (0, {-1})
        assert np.isnan(nothing[1:]).all()
