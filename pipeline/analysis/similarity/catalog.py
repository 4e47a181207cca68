"""All statistics of similarity by name, each in two steps: prepare images once, then compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.similarity import pixels, populations, shifts, spectra, structure
from pipeline.analysis.similarity.populations import Population
from pipeline.errors import ConfigError, nearest

Values = Float[np.ndarray, " images"]
IMAGES, FIELD, RESPONSES = "images", "field", "responses"  # what a statistic needs


@dataclass(frozen=True, eq=False)
class Sample:
    """Images of some units, and what statistics need to know of them.

    Attributes:
        images: the images, such as what ascents added to their starts.
        own: the unit for which each was made, by its channel; needed with responses.
        weights: how much every pixel matters to the unit, if that is known.
        responses: of all units of the layer to the images, if they are known.
        population: responses to images of many units from the same init, with which responses are
            compared.
    """

    images: Float[np.ndarray, "images channels height width"]
    own: Int[np.ndarray, " images"]
    weights: Float[np.ndarray, "images height width"] | None = None
    responses: Float[np.ndarray, "images units"] | None = None
    population: Population | None = None

    def taken(self, at: Int[np.ndarray, " _"], *, own: Sample | None = None) -> Sample:
        """Return the images at some indices.

        Args:
            at: the indices.
            own: the sample whose units they are compared as; by default their own.
        """
        weights, responses = self.weights, self.responses
        found = replace(
            self,
            images=self.images[at],
            own=self.own[at],
            weights=None if weights is None else weights[at],
            responses=None if responses is None else responses[at],
        )
        return found if own is None else replace(found, own=own.own, weights=own.weights)


@dataclass(frozen=True)
class Statistic:
    """One statistic of similarity.

    Attributes:
        name: in tables and settings.
        label: on an axis.
        about: what it is, in a few words.
        needs: ``images`` alone, the effective ``field`` of units, or ``responses``.
        prepare: returns what is compared of a sample.
        compare: returns a number for each image from what was prepared of two samples.
        span: lowest and highest possible value; None where there is none.
        of_both: whether it compares both images with each other, so that a ceiling limits it.
    """

    name: str
    label: str
    about: str
    needs: str
    prepare: Callable[[Sample], Any]
    compare: Callable[[Any, Any], Values]
    span: tuple[float | None, float | None] = (-1.0, 1.0)
    of_both: bool = True

    def between(self, first: Sample, second: Sample) -> Values:
        """Return the similarity of the images of two samples, one by one."""
        return self.compare(self.prepare(first), self.prepare(second))


def _dots(
    first: Float[np.ndarray, "images values"], second: Float[np.ndarray, "images values"]
) -> Values:
    return np.clip(np.einsum("up,up->u", first, second), -1.0, 1.0)


def _standardized(sample: Sample) -> Any:
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return pixels.standardized(sample.images)


def _ranked(sample: Sample) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return pixels.standardized(pixels.ranks(sample.images))


def _amplitudes(sample: Sample) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        return pixels.standardized(spectra.log_amplitudes(sample.images))


def _weighted(first: Sample, second: Sample) -> Values:
    return pixels.weighted_r(first.images, second.images, _known(first.weights, "weights"))


def _profiles(sample: Sample) -> Any:
    population = _known(sample.population, "population")
    return population.standardized(_known(sample.responses, "responses")), sample.own


def _selectivity(measure: Callable[..., Values]) -> Callable[[Sample], Any]:
    def prepare(sample: Sample) -> Any:
        responses = _known(sample.responses, "responses")
        return measure(responses, sample.own, _known(sample.population, "population"))

    return prepare


def _known(value: Any, name: str) -> Any:
    if value is None:
        raise ValueError(f"the sample has no {name}, which this statistic needs")
    return value


def statistics(shift: int = shifts.SHIFT, window: int = structure.WINDOW) -> dict[str, Statistic]:
    """Return all statistics by name.

    Args:
        shift: largest shift of ``shift_tolerant``, in pixels.
        window: side of the window of ``ssim``, in pixels.
    """
    ssim = partial(structure.ssim, window=window, data_range=2.0)
    found = (
        Statistic(
            "pearson", "Pearson's r", "Pearson's r over pixels and colors",
            IMAGES, _standardized, _dots,
        ),
        Statistic(
            "spearman", "Spearman's r", "rank correlation over pixels and colors",
            IMAGES, _ranked, _dots,
        ),
        Statistic(
            "cosine", "cosine", "cosine of the angle between the images, with their means",
            IMAGES, lambda sample: sample.images, pixels.cosine,
        ),
        Statistic(
            "ssim", "SSIM", f"structural similarity of the images as displayed, -1 to 1, in windows"
            f" of {window} pixels",
            IMAGES, lambda sample: structure.displayed(sample.images), ssim,
        ),
        Statistic(
            "sign_tolerant", "|r|", "absolute value of Pearson's r",
            IMAGES, _standardized, lambda a, b: np.abs(_dots(a, b)), (0.0, 1.0),
        ),
        Statistic(
            "shift_tolerant", "max r over shifts", f"largest r over shifts of up to {shift} pixels",
            IMAGES, lambda sample: shifts.shiftable(sample.images, shift), shifts.largest_r,
        ),
        Statistic(
            "field_weighted", "r in the field", "r with pixels weighted by the effective field",
            FIELD, lambda sample: sample, _weighted,
        ),
        Statistic(
            "coherence", "coherence", "magnitude-squared coherence, mean over spatial frequencies",
            IMAGES, lambda sample: (spectra.spectra(sample.images), sample.images.shape[3]),
            lambda a, b: spectra.mean_coherence(a[0], b[0], a[1]), (0.0, 1.0),
        ),
        Statistic(
            "amplitude", "r of log amplitudes", "r between log Fourier amplitudes, without phases",
            IMAGES, _amplitudes, _dots,
        ),
        Statistic(
            "response_profile", "r of responses", "r between the responses of the layer's other"
            " units to both images",
            RESPONSES, _profiles,
            lambda a, b: populations.response_profile_r(a[0], b[0], a[1]),
        ),
        Statistic(
            "own_percentile", "percentile of own unit", "percentage of the images of other units"
            " that drive the unit less than the weaker of both images",
            RESPONSES, _selectivity(populations.own_percentiles), np.minimum, (0.0, 100.0),
            of_both=False,
        ),
        Statistic(
            "d_prime", "d' of own unit", "how far the weaker of both images drives the unit beyond"
            " images of other units, in their standard deviations",
            RESPONSES, _selectivity(populations.own_d_primes), np.minimum, (None, None),
            of_both=False,
        ),
    )  # fmt: skip
    return {each.name: each for each in found}


STATISTICS = tuple(statistics())


def chosen_statistics(
    names: Sequence[str], available: Iterable[str] = (IMAGES, FIELD, RESPONSES)
) -> list[str]:
    """Return the names of chosen statistics in the order of the catalog.

    Args:
        names: names, or ``[all]`` for all whose needs are available.
        available: which needs are.

    Raises:
        ConfigError: a name is unknown or given twice, none is given, or one needs more.
    """
    known = statistics()
    if not names:
        raise ConfigError(f"statistics: the list is empty; choose from {', '.join(known)}, or all")
    if list(names) == ["all"]:
        return [name for name, each in known.items() if each.needs in available]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"statistics: '{name}' is not one of all, {', '.join(known)}{nearest(name, known)}"
            )
        if known[name].needs not in available:
            raise ConfigError(
                f"statistics: {name} needs {_NEEDED[known[name].needs]}; leave it out"
            )
    if len(set(names)) < len(names):
        raise ConfigError(f"statistics: {list(names)} names a statistic twice")
    return [name for name in known if name in names]


_NEEDED = {
    FIELD: "weights, or images of the receptive fields of units and their network",
    RESPONSES: "images of the receptive fields of units and their network",
}
