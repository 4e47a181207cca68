"""From responses of units to firing rates: two maps, of which one mimics a macaque's V1.

Source: Marques, Schrimpf & DiCarlo (2021), brain-score properties_common.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipeline.analysis.tuning.curves import is_flat
from pipeline.analysis.tuning.measured import NOT_FINITE, Measured, finite_units, flags
from pipeline.errors import ConfigError

MEDIAN_MAX = 33.8  # spikes/s, to which the median unit's best grating is mapped
SPONTANEOUS = 0.82  # spikes/s, to which the median unit's response to a blank is mapped
SINGLE_MAX = 243.1  # spikes/s of the most active cell
THRESHOLD = 5.0  # spikes/s that a cell must reach to be studied
SAME = 2e-6  # what rounding in single precision leaves of no response, of the largest


@dataclass(frozen=True, eq=False)
class RateMap:
    """How responses become firing rates: (r)+ times slope plus offset, and again (.)+.

    Attributes:
        slope: rate per response.
        offset: rate at response 0.
        threshold: rate above the blank that makes a unit worth measuring.
    """

    slope: float = 1.0
    offset: float = 0.0
    threshold: float = 0.0

    def __call__(self, responses: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Return the rates, in double precision, of responses or of blanks."""
        rectified = np.maximum(responses.astype(np.float64), 0.0)
        return np.maximum(self.slope * rectified + self.offset, 0.0)


IDENTITY = RateMap()


def marques2020_rate_map(
    gratings: Float[np.ndarray, "units *grid phases"], blank: Float[np.ndarray, " units"]
) -> RateMap:
    """Return the rate map of a layer by which its median unit fires like a macaque's V1 cell.

    Of each unit the highest mean over phases, negative responses being 0, is taken. The medians of
    these and of the blanks, over units that respond, become 33.8 and 0.82 spikes/s. A unit responds
    if its best mean is above its blank by more than 5 / 243.1 of the most responsive unit's. There
    is one map per layer, so circular variance, bandwidth and F1/F0 of a unit depend on which other
    units are in the layer.

    Args:
        gratings: responses to the orientation set, phases last.
        blank: response of each unit to no stimulus.

    Raises:
        ConfigError: no unit responds.

    >>> best = np.array([[[9.0, 11.0]], [[4.0, 6.0]], [[0.0, 0.0]]])
    >>> rates = marques2020_rate_map(best, np.zeros(3))
    >>> rates(np.array([[7.5], [0.0]])).round(6).tolist()
    [[33.8], [0.82]]
    """
    rectified = np.maximum(gratings.astype(np.float64), 0.0).mean(axis=-1)
    best = rectified.max(axis=tuple(range(1, rectified.ndim)))
    silent = np.maximum(blank.astype(np.float64), 0.0)
    responsive = responsive_units(best, silent)
    if not responsive.any():
        raise ConfigError(
            "rate_map: marques2020 needs units that respond to gratings more than to the blank, and"
            " there are none; use rate_map=identity"
        )
    high, low = float(np.median(best[responsive])), float(np.median(silent[responsive]))
    slope = (MEDIAN_MAX - SPONTANEOUS) / (high - low)
    return RateMap(slope, SPONTANEOUS - slope * low, THRESHOLD)


def responsive_units(
    best: Float[np.ndarray, " units"], blank: Float[np.ndarray, " units"]
) -> Bool[np.ndarray, " units"]:
    """Return which units exceed their blank by more than 5 / 243.1 of the largest such excess.

    >>> responsive_units(np.array([10.0, 0.2, 0.3]), np.zeros(3))
    array([ True, False,  True])
    """
    with np.errstate(invalid="ignore"):
        excess = best - blank
    excess = np.where(np.isfinite(excess), excess, 0.0)
    largest = excess.max(initial=0.0)
    return (excess > THRESHOLD / SINGLE_MAX * largest) & (excess > 0)


def fraction_rectified(responses: Float[np.ndarray, "units *stimuli"]) -> Measured:
    """Return the fraction of responses of each unit that are negative and become 0.

    >>> fraction_rectified(np.array([[1.0, -1.0, 0.0, 2.0]])).value
    array([0.25])
    """
    finite = finite_units(responses)
    fraction = (responses < 0).reshape(len(responses), -1).mean(axis=1)
    flag = flags(len(responses), (~finite, NOT_FINITE))
    return Measured("fraction_rectified", np.where(finite, fraction, np.nan), flag, finite)


def silent_units(
    rates: Float[np.ndarray, "units *stimuli"], blank: Float[np.ndarray, " units"]
) -> Bool[np.ndarray, " units"]:
    """Return which units give the same rate to everything, the blank included.

    >>> silent_units(np.array([[1.0, 1.0], [2.0, 2.0]]), np.array([1.0, 0.0]))
    array([ True, False])
    """
    return is_flat(np.column_stack([rates.reshape(len(rates), -1), blank]))
