"""Priors, searches and functions to search, with known optima."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.random import RandomState

from pipeline.synthesis.evolution import searchers
from pipeline.synthesis.evolution.searchers import Prior, Search, Searcher, Searching

Score = Callable[[np.ndarray], np.ndarray]

NAMES = (
    "genetic",
    "genetic_wang_ponce",
    "genetic_pxdream",
    "cholesky_cma",
    "spherical",
    "finite_differences",
    "nes",
    "random",
)
needs_evotorch = pytest.mark.skipif(find_spec("evotorch") is None, reason="needs EvoTorch")
EVOTORCH = tuple(pytest.param(name, marks=needs_evotorch) for name in ("cem", "pgpe"))


def searcher(name: str, **settings) -> Searcher:
    return getattr(searchers, name)(**settings)


def prior(genes: int, mean=0.0, std=1.0, low=-np.inf, high=np.inf) -> Prior:
    ones = np.ones(genes)
    return Prior(mean * ones, std * ones, low * ones, high * ones)


def begin(
    kind: Searcher,
    seeds=(0,),
    genes: int = 10,
    generations: int = 12,
    starts: np.ndarray | None = None,
    codes: Prior | None = None,
) -> Searching:
    randoms = [RandomState(seed) for seed in seeds]
    return kind.begin(Search(codes or prior(genes), randoms, generations, starts))


def evolved(searching: Searching, generations: int, score: Score) -> np.ndarray:
    """Return scores [generations, searches, candidates] of a search."""
    told = []
    for _ in range(generations):
        told.append(score(searching.ask()))
        searching.tell(told[-1])
    return np.array(told)


def minus_square(codes: np.ndarray) -> np.ndarray:
    return -np.square(codes - 1).sum(-1)


def minus_mean_square(targets: np.ndarray) -> Score:
    return lambda codes: -np.square(codes - targets[:, None]).mean(-1)


def cosine(targets: np.ndarray) -> Score:
    def score(codes: np.ndarray) -> np.ndarray:
        inner = (codes * targets[:, None]).sum(-1)
        return inner / np.linalg.norm(codes, axis=-1) / np.linalg.norm(targets, axis=-1)[:, None]

    return score
