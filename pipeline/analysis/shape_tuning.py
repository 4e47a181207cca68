"""The tuning of units to shapes: the best curvature model, its null, and what moving changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pipeline.analysis.boundary_curvature import Elements
from pipeline.analysis.curvature_tuning import fit_models, shuffled
from pipeline.analysis.shape_selectivity import (
    FEWEST,
    HIGHEST_KURTOSIS,
    kurtosis,
    positions_inside,
    sparseness,
    translation_invariance,
)

PARAMETERS = ("mu_angle", "mu_curvature", "spread_angle", "spread_curvature")
_SAME = 2e-6  # differences of equal responses by rounding in single precision, of the largest
_ROWS = 4096  # responses that are fitted together: memory does not grow with units and shuffles
_UNITS = 64  # units whose responses at all positions are converted to double precision at once


@dataclass(frozen=True, eq=False)
class ShapeResponses:
    """Responses of units to the same shapes at several positions.

    Attributes:
        responses: to every shape at every position.
        blank: to the background alone.
        positions: ascending, in pixels to the right of the center; 0 is among them.
        width: of the set of shapes, in pixels.
        field: width of the receptive field, in pixels.
    """

    responses: Float[np.ndarray, "positions stimuli units"]
    blank: Float[np.ndarray, " units"]
    positions: Float[np.ndarray, " positions"]
    width: float
    field: int

    @property
    def central(self) -> Float[np.ndarray, "units stimuli"]:
        """Responses to the shapes at the center."""
        at = int(np.flatnonzero(self.positions == 0)[0])
        return self.responses[at].T.astype(np.float64)


def tuning(
    shown: ShapeResponses,
    elements: Elements,
    units: Sequence[int],
    shuffles: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how each unit is tuned to shapes.

    Args:
        shown: responses of the units.
        elements: boundary elements of the shapes, in the order of the responses.
        units: their numbers; each has random numbers of its own.
        shuffles: how often the responses of each unit are shuffled and fitted again.
        seed: of the shuffles.

    Returns:
        One row per unit: ``unit``, ``apc_r`` and the model's parameters, ``null_r`` and
        ``null_r_95`` (median and 95th percentile of r of shuffled responses),
        ``translation_invariance``, ``positions_inside`` (0 where no model is fitted), ``kurtosis``,
        ``sparseness`` (of responses above 0; NaN if there are none), ``best`` and ``worst``
        (stimulus numbers, -1 of a unit that does not respond), and ``reason``: why the fit or the
        invariance is missing. No model is fitted to units that do not respond, or whose kurtosis
        is 42 or more.

    Raises:
        ConfigError: responses and elements are of different numbers of stimuli.
    """
    central = shown.central
    reasons = _reasons(shown, central)
    responding = reasons == ""
    peaked = np.where(responding, kurtosis(central), np.nan)
    for unit in np.flatnonzero(peaked >= HIGHEST_KURTOSIS):
        reasons[unit] = (
            f"kurtosis of {peaked[unit]:.1f} is {HIGHEST_KURTOSIS:.0f} or more: the unit responds"
            " to few shapes"
        )
    fitted = np.flatnonzero(reasons == "")
    table = pd.DataFrame({"unit": list(units)})
    models = fit_models(central[fitted], elements)
    for column, name in (("apc_r", "r"), *((name, name) for name in PARAMETERS)):
        table[column] = np.full(len(table), np.nan)
        table.loc[fitted, column] = models[name].to_numpy()
    nulls = np.full((len(table), 2), np.nan)
    if shuffles:
        chosen = [units[row] for row in fitted.tolist()]
        nulls[fitted] = null_correlations(central[fitted], elements, chosen, shuffles, seed)
    table["null_r"], table["null_r_95"] = nulls.T
    ti, inside = _invariance(shown, reasons == "")
    table["translation_invariance"], table["positions_inside"] = ti, inside
    table["kurtosis"] = peaked
    table["sparseness"] = np.where(responding, sparseness(np.maximum(central, 0)), np.nan)
    with np.errstate(invalid="ignore"):
        table["best"] = np.where(responding, central.argmax(1), -1)
        table["worst"] = np.where(responding, central.argmin(1), -1)
    unmoved = (reasons == "") & ~np.isfinite(ti)
    reasons[unmoved] = [_unmoved(shown, count) for count in inside[unmoved].tolist()]
    return table.assign(reason=reasons)


def null_correlations(
    responses: Float[np.ndarray, "units stimuli"],
    elements: Elements,
    units: Sequence[int],
    shuffles: int,
    seed: int,
) -> Float[np.ndarray, "units 2"]:
    """Return the median and the 95th percentile of r of shuffled responses, of each unit.

    The orders of a unit depend on the seed and on its number alone: units of the same number in two
    layers have the same, which leaves the null of each layer as it is.
    """
    r = np.empty((len(responses), shuffles))
    step = max(1, _ROWS // shuffles)
    for start in range(0, len(responses), step):
        part = slice(start, start + step)
        orders = [
            shuffled(np.tile(own, (shuffles, 1)), np.random.default_rng([seed, unit]))
            for own, unit in zip(responses[part], units[part], strict=True)
        ]
        found = fit_models(np.concatenate(orders), elements)["r"].to_numpy()
        r[part] = found.reshape(-1, shuffles)
    return np.quantile(r, [0.5, 0.95], axis=1).T


def _reasons(shown: ShapeResponses, central: Float[np.ndarray, "units stimuli"]) -> np.ndarray:
    """Return why a unit has no responses to describe, or an empty string."""
    finite = np.isfinite(shown.responses).all((0, 1)) & np.isfinite(shown.blank)
    with np.errstate(invalid="ignore"):
        largest = np.maximum(np.abs(central).max(1), np.abs(shown.blank))
        constant = np.ptp(central, axis=1) <= _SAME * largest
    reasons = np.full(len(central), "", dtype=object)
    reasons[constant] = "responses are constant"
    reasons[~finite] = "responses are not finite"
    return reasons


def _invariance(
    shown: ShapeResponses, fitted: Bool[np.ndarray, " units"]
) -> tuple[Float[np.ndarray, " units"], np.ndarray]:
    """Return translation invariance, and at how many positions the shapes lie inside the field."""
    ti = np.full(len(fitted), np.nan)
    counts = np.zeros(len(fitted), dtype=np.int64)
    chosen = np.flatnonzero(fitted)
    for start in range(0, len(chosen), _UNITS):
        part = chosen[start : start + _UNITS]
        moved = np.ascontiguousarray(shown.responses[:, :, part].transpose(2, 0, 1))
        inside = positions_inside(moved, shown.positions, shown.width, shown.blank[part])
        counts[part] = inside.sum(1)
        ti[part] = translation_invariance(moved, inside)
    return ti, counts


def _unmoved(shown: ShapeResponses, count: int) -> str:
    if count >= FEWEST:
        return "no translation invariance: responses vary at fewer than 2 positions"
    if count == 0 and shown.field < shown.width:
        return (
            f"no translation invariance: the field, {shown.field} pixels wide, is smaller than"
            f" shapes of {shown.width:g}"
        )
    return (
        f"no translation invariance: the shapes lie inside the field at {count} of"
        f" {len(shown.positions)} positions, and {FEWEST} are needed"
    )
