"""Two searchers of EvoTorch, an extra: the cross-entropy method and PGPE."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import RandomState
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.searchers.batch import OneSearch, side_by_side
from pipeline.synthesis.evolution.searchers.searcher import Search, Searcher
from pipeline.synthesis.evolution.searchers.settings import (
    check_count,
    check_even,
    check_positive,
    check_share,
)


def cem(
    population: int = 40,
    std: float = 1.0,
    parents: float = 0.5,
    largest_change: float = 0.2,
) -> Searcher:
    """The cross-entropy method of EvoTorch: mean and width of the best candidates, gene by gene.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1. The
    center starts from 0, the prior's mean, or from the mean of the start codes. Candidates are cut
    to the prior's bounds, and their mean and width are those of the codes as they were shown.
    Candidates that were not measured do not count; a generation with fewer than two parents teaches
    nothing.

    Needs the extra ``artiphys[evolution]``.

    Source: Rubinstein 1999, "The cross-entropy method for combinatorial and continuous
    optimization"; EvoTorch, ``evotorch.algorithms.functional.cem``.

    Args:
        population: candidates in a generation, 4 or more.
        std: width of the candidates at the start, in standard deviations of the prior, above 0.
        parents: share of the candidates that are parents, 0 to 1; at least two of them.
        largest_change: largest change of a width in one generation, as a share of it, above 0.

    Raises:
        ConfigError: EvoTorch is missing, or a setting is out of its range.
    """
    check_count("cem.population", population, 4, 40)
    check_positive("cem.std", std, 1.0)
    check_share("cem.parents", parents)
    if int(population * parents) < 2:
        raise ConfigError(
            f"searcher.cem.parents: {parents} of {population} candidates are fewer than two"
            " parents; use more, such as 0.5"
        )
    check_positive("cem.largest_change", largest_change, 0.2)
    settings = CrossEntropy(population, std, parents, largest_change)
    library = _functional("cem")
    return side_by_side(
        population, lambda search, index: CrossEntropySearch(search, index, library, settings)
    )


def pgpe(
    population: int = 40,
    std: float = 0.5,
    std_learning_rate: float = 0.1,
    learning_rate: float = 0.025,
    largest_step: float = 0.05,
) -> Searcher:
    """Policy gradients with parameter-based exploration (PGPE) of EvoTorch, with ClipUp.

    Candidates come in pairs on both sides of a center, which ascends a gradient by the ranks of
    their scores; their width is adapted gene by gene.

    It works with standardized codes, in which the prior has mean 0 and standard deviation 1. The
    center starts from 0, the prior's mean, or from the mean of the start codes, and stays within
    the prior's bounds, to which candidates are cut. A pair with a candidate that was not measured
    does not count.

    Needs the extra ``artiphys[evolution]``.

    Source: Sehnke et al. 2010, "Parameter-exploring policy gradients"; Toklu et al. 2020, "ClipUp";
    EvoTorch, ``evotorch.algorithms.functional.pgpe``.

    Args:
        population: candidates in a generation, an even number of 2 or more.
        std: width of the candidates at the start, in standard deviations of the prior, above 0.
        std_learning_rate: learning rate of the width, above 0.
        learning_rate: length of a step along the gradient, over the square root of the number of
            genes, above 0.
        largest_step: largest length of a step with momentum, likewise, above 0.

    Raises:
        ConfigError: EvoTorch is missing, or a setting is out of its range.
    """
    check_even("pgpe.population", population, 40)
    check_positive("pgpe.std", std, 0.5)
    check_positive("pgpe.std_learning_rate", std_learning_rate, 0.1)
    check_positive("pgpe.learning_rate", learning_rate, 0.025)
    check_positive("pgpe.largest_step", largest_step, 0.05)
    settings = PolicyGradient(population, std, std_learning_rate, learning_rate, largest_step)
    library = _functional("pgpe")
    return side_by_side(
        population, lambda search, index: PolicyGradientSearch(search, index, library, settings)
    )


def _functional(name: str) -> ModuleType:
    """Return EvoTorch's functional algorithms."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls functions that torch deprecates
            from evotorch.algorithms import functional  # type: ignore[import-not-found]
    except ImportError as error:
        raise ConfigError(
            f"searcher.{name}: it needs EvoTorch, which is not installed; run pip install"
            " 'artiphys[evolution]', or choose another searcher"
        ) from error
    return functional


@contextmanager
def seeded(random: RandomState) -> Generator[None, None, None]:
    """Seed torch's global random numbers, from which EvoTorch draws, and restore them after."""
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(int(random.randint(2**31)))
        yield


@dataclass(frozen=True)
class CrossEntropy:
    """The settings of the cross-entropy method, as in ``cem``."""

    population: int
    std: float
    parents: float
    largest_change: float


class CrossEntropySearch(OneSearch):
    """A search by the cross-entropy method, in standardized codes."""

    kept = ("mean", "std")

    def __init__(
        self, search: Search, index: int, library: ModuleType, settings: CrossEntropy
    ) -> None:
        super().__init__(search, index)
        self.library, self.settings = library, settings
        self.mean, self.std = self.center(), np.full(self.prior.genes, settings.std)

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Draw candidates."""
        with seeded(self.random):
            drawn = self.library.cem_ask(self.distribution, popsize=self.settings.population)
        self.drawn = self.cut(drawn.numpy())
        return self.codes(self.drawn)

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Take the mean and width of the best candidates."""
        measured = ~np.isnan(scores)
        if int(measured.sum() * self.settings.parents) < 2:
            return
        drawn, scores = self.drawn[measured], scores[measured]
        told = self.library.cem_tell(
            self.distribution, torch.from_numpy(drawn), torch.from_numpy(scores)
        )
        self.mean, self.std = told.center.numpy(), told.stdev.numpy()

    @property
    def distribution(self) -> Any:
        """EvoTorch's state, with the distribution of the candidates."""
        return self.library.cem(
            center_init=torch.from_numpy(self.mean),
            stdev_init=torch.from_numpy(self.std),
            parenthood_ratio=self.settings.parents,
            objective_sense="max",
            stdev_max_change=self.settings.largest_change,
        )


@dataclass(frozen=True)
class PolicyGradient:
    """The settings of PGPE, as in ``pgpe``."""

    population: int
    std: float
    std_learning_rate: float
    learning_rate: float
    largest_step: float


class PolicyGradientSearch(OneSearch):
    """A search by PGPE, in standardized codes."""

    kept = ("mean", "velocity", "std")

    def __init__(
        self, search: Search, index: int, library: ModuleType, settings: PolicyGradient
    ) -> None:
        super().__init__(search, index)
        self.library, self.settings = library, settings
        self.mean, self.std = self.center(), np.full(self.prior.genes, settings.std)
        self.velocity = np.zeros(self.prior.genes)

    def ask(self) -> Float[np.ndarray, "candidates genes"]:
        """Draw candidates."""
        with seeded(self.random):
            drawn = self.library.pgpe_ask(self.distribution, popsize=self.settings.population)
        self.drawn: Tensor = drawn
        return self.codes(drawn.numpy())

    def tell(self, scores: Float[np.ndarray, " candidates"]) -> None:
        """Move the center and adapt the width."""
        measured = ~np.isnan(scores.reshape(-1, 2)).any(1).repeat(2)  # both of a pair
        if not measured.any():
            return
        drawn = self.drawn[torch.from_numpy(measured)]
        told = self.library.pgpe_tell(self.distribution, drawn, torch.from_numpy(scores[measured]))
        self.mean = self.cut(told.optimizer_state.center.numpy())
        self.velocity, self.std = told.optimizer_state.velocity.numpy(), told.stdev.numpy()

    @property
    def distribution(self) -> Any:
        """EvoTorch's state, with the distribution of the candidates."""
        length = np.sqrt(self.prior.genes)
        state = self.library.pgpe(
            center_init=torch.from_numpy(self.mean),
            center_learning_rate=float(self.settings.learning_rate * length),
            stdev_init=torch.from_numpy(self.std),
            stdev_learning_rate=self.settings.std_learning_rate,
            objective_sense="max",
            ranking_method="centered",
            optimizer="clipup",
            optimizer_config={"max_speed": float(self.settings.largest_step * length)},
        )
        moving = state.optimizer_state._replace(velocity=torch.from_numpy(self.velocity))
        return state._replace(optimizer_state=moving)
