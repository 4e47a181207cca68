"""Responses to textures and to noise of the same spectra: Freeman, Ziemba et al. (2013)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.analysis.shape_selectivity import sparseness
from pipeline.analysis.tuning.measured import (
    NOT_FINITE,
    SILENT,
    Measured,
    finite_units,
    flags,
    with_flag,
)
from pipeline.analysis.tuning.rates import SAME, silent_units
from pipeline.errors import ConfigError

_WINDOW = 0.1  # seconds in which spikes are counted


@dataclass(frozen=True, eq=False)
class Textures:
    """Rates of units to samples of families of textures, and to the noise of each sample.

    Attributes:
        texture: rates to textures.
        noise: rates to noise of the same spectra.
        blank: rate of each unit to no stimulus.

    Raises:
        ConfigError: there are fewer than two families, or two samples of each.
    """

    texture: Float[np.ndarray, "units families samples"]
    noise: Float[np.ndarray, "units families samples"]
    blank: Float[np.ndarray, " units"]

    def __post_init__(self) -> None:
        _, families, samples = self.texture.shape
        if families < 2 or samples < 2:
            raise ConfigError(
                "textures: at least 2 families of 2 samples are needed, not"
                f" {families} of {samples}"
            )

    def redrawn(
        self, rates: Float[np.ndarray, "draws kinds families samples"], rows: Int[np.ndarray, " _"]
    ) -> Textures:
        """Return textures (kind 0) and noise (kind 1) with other rates, of units in these rows."""
        return replace(self, texture=rates[:, 0], noise=rates[:, 1], blank=self.blank[rows])


def texture_properties(
    shown: Textures, threshold: float = 0.0, rectify: bool = False
) -> list[Measured]:
    """Return texture modulation, selectivity, sparseness, variance ratio, and highest responses.

    Rates less the blank, but for the variance ratio. Modulation is the mean over families of
    (texture - noise) / (texture + noise) of mean rates. A unit is measured if its highest family
    mean, blank subtracted, exceeds the threshold.

    Args:
        shown: rates to textures and noise.
        threshold: in rate.
        rectify: whether rates below the blank become 0, as those of the animals were; brain-score
            does not do so with models, whose modulation may then leave -1 to 1 (it is flagged).
    """
    finite = finite_units(shown.texture, shown.noise, shown.blank)
    rates = np.where(finite[:, None, None, None], np.stack([shown.texture, shown.noise], 1), 0.0)
    blank = np.where(finite, shown.blank, 0.0)
    driven = rates - blank[:, None, None, None]
    driven = np.maximum(driven, 0.0) if rectify else driven
    means = driven.mean(axis=3)
    highest = means.max(axis=2)
    largest = np.abs(rates).max(axis=(1, 2, 3), initial=0.0)
    weak = ~(highest.max(axis=1) > threshold + SAME * np.maximum(largest, np.abs(blank)))
    flat = silent_units(rates, blank)
    words = "no family of textures exceeds the blank" + (f" by {threshold:g}" if threshold else "")
    flag = flags(len(rates), (~finite, NOT_FINITE), (flat, SILENT), (weak, words))
    missing = flag != ""
    modulation, below = _modulation(means)
    outside = with_flag(
        flag, ~missing & below, "rates below the blank: the index may leave -1 to 1"
    )
    found = [
        ("texture_modulation", modulation, outside),
        ("texture_modulation_size", np.abs(modulation), outside),
        ("texture_selectivity", sparseness(means[:, 0]), flag),
        ("texture_sparseness", sparseness(driven[:, 0].reshape(len(rates), -1)), flag),
        ("texture_variance_ratio", variance_ratio(rates[:, 0]), flag),
        ("max_texture", highest[:, 0], flag),
        ("max_noise", highest[:, 1], flag),
    ]
    return [Measured(name, np.where(missing, np.nan, v), said, ~missing) for name, v, said in found]


def variance_ratio(
    rates: Float[np.ndarray, "units families samples"],
) -> Float[np.ndarray, " units"]:
    """Return the variance over families divided by that over samples, of stabilized counts.

    Counts in 0.1 s are stabilized by sqrt(n) + sqrt(n + 1) (Freeman & Tukey 1950) and analyzed by a
    nested analysis of variance; 0.02 is added to both shares of the total variance (brain-score).
    NaN where nothing varies.

    >>> variance_ratio(np.array([[[10.0, 10.0], [40.0, 40.0]]])).round(3)
    array([51.])
    """
    _, families, samples = rates.shape
    counts = np.maximum(rates, 0.0) * _WINDOW
    x = np.sqrt(counts) + np.sqrt(counts + 1)
    means = x.mean(axis=2)
    within = ((x - means[:, :, None]) ** 2).sum((1, 2)) / (families * (samples - 1))
    centered = means - means.mean(axis=1, keepdims=True)
    between = samples * (centered**2).sum(axis=1) / (families - 1)
    family, total = (between - within) / samples, (between - within) / samples + within
    nan = np.full(len(rates), np.nan)
    family = np.divide(family, total, out=nan.copy(), where=total > 1e-12)
    within = np.divide(within, total, out=nan.copy(), where=total > 1e-12)
    return (family + 0.02) / (within + 0.02)


def _modulation(
    means: Float[np.ndarray, "units kinds families"],
) -> tuple[Float[np.ndarray, " units"], Bool[np.ndarray, " units"]]:
    """Return the modulation of each unit, and whether a family's mean is below the blank."""
    texture, noise = means[:, 0], means[:, 1]
    total = texture + noise
    nan = np.full(total.shape, np.nan)
    index = np.divide(texture - noise, total, out=nan, where=np.abs(total) > 0)
    counted = np.isfinite(index).sum(axis=1)
    sums = np.nansum(index, axis=1)
    mean = np.divide(sums, counted, out=np.full(len(sums), np.nan), where=counted > 0)
    return mean, means.min(axis=(1, 2)) < 0
