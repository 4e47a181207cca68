"""How strongly units respond to images made for others, against what photographs do to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int


class UnitNorms:
    """The responses of the units of a layer to an image set, to which others are compared.

    Args:
        responses: to the images; rows with NaN are of images that could not be read and are left
            out.
    """

    def __init__(self, responses: Float[np.ndarray, "images units"]) -> None:
        read = responses[np.isfinite(responses).all(axis=1)]
        if len(read) < 2:
            raise ValueError(
                f"the responses to {len(read)} images have no spread; give those to 2 or more"
            )
        self.responses = read

    @cached_property
    def mean(self) -> Float[np.ndarray, " units"]:
        """The mean response of each unit."""
        return self.responses.mean(axis=0, dtype=np.float64)

    @cached_property
    def std(self) -> Float[np.ndarray, " units"]:
        """The standard deviation of each unit; NaN for units that always respond the same."""
        spread = self.responses.std(axis=0, dtype=np.float64)
        largest = np.abs(self.responses).max(axis=0).astype(np.float64)
        return np.where(spread > 1e-6 * largest, spread, np.nan)

    @cached_property
    def ascending(self) -> Float[np.ndarray, "images units"]:
        """The responses of each unit in ascending order."""
        return np.sort(self.responses, axis=0)

    def z(self, responses: Float[np.ndarray, "n units"]) -> Float[np.ndarray, "n units"]:
        """Return responses in standard deviations of the unit from its mean; NaN as in ``std``."""
        return (responses - self.mean) / self.std

    def percentiles(
        self, responses: Float[np.ndarray, " n"], units: Int[np.ndarray, " n"]
    ) -> Float[np.ndarray, " n"]:
        """Return the percentage of images to which a unit responds less; equal ones count half.

        Args:
            responses: one for each of ``units``.
            units: whose they are.
        """
        found = np.empty(len(responses))
        for unit in np.unique(units):
            own, known = units == unit, self.ascending[:, unit]
            below = np.searchsorted(known, responses[own], "left")
            upto = np.searchsorted(known, responses[own], "right")
            found[own] = 50.0 * (below + upto) / len(known)
        return np.where(np.isfinite(responses), found, np.nan)


def ranks(z: Float[np.ndarray, "n units"]) -> Int[np.ndarray, "n units"]:
    """Return the rank of every unit among the units of its layer, by z: 0 is the largest.

    Units of equal z share the best of their ranks; those whose z is NaN come last.

    >>> ranks(np.array([[0.5, 2.0, np.nan, 2.0]])).tolist()
    [[2, 0, 3, 0]]
    """
    known = np.where(np.isnan(z), -np.inf, z)
    ascending = np.sort(known, axis=1)
    above = [
        len(row) - np.searchsorted(row, own, "right")
        for row, own in zip(ascending, known, strict=True)
    ]
    return np.stack(above).astype(np.int64) if above else np.zeros(z.shape, np.int64)


def above_others(
    responses: Float[np.ndarray, "n units"],
    rows: Int[np.ndarray, " m"],
    units: Int[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """Return, for some images and units, the percentage of the other images that drive it less.

    100 says that the unit is driven by this image, and not by all images of such contrast. Equal
    responses count half; NaN if there is no other image.
    """
    count, found = len(responses), np.full(len(rows), np.nan)
    if count < 2:
        return found
    for unit in np.unique(units):
        chosen, known = units == unit, np.sort(responses[:, unit])
        own = responses[rows[chosen], unit]
        below, upto = (np.searchsorted(known, own, side) for side in ("left", "right"))
        found[chosen] = 50.0 * (below + upto - 1) / (count - 1)
    return found


def best_units(responses: Float[np.ndarray, "n units"], norms: UnitNorms) -> Int[np.ndarray, " n"]:
    """Return the unit of the largest z for each image."""
    z = norms.z(responses)
    return np.where(np.isnan(z), -np.inf, z).argmax(axis=1)


def drops(z: Float[np.ndarray, " n"], own: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return by which share units respond less than the unit that the image was made for.

    ``1 - z / own``: 0 if the response is as many standard deviations above the mean, 1 if it is the
    mean. NaN where the unit itself does not respond above its mean.
    """
    return np.where(own > 0, 1 - z / np.where(own > 0, own, 1.0), np.nan)


def matched(
    responses: Float[np.ndarray, "n units"],
    norms: UnitNorms,
    own_z: Float[np.ndarray, " n"],
    keep: int | None = None,
) -> pd.DataFrame:
    """Return the best matches of each image among the units of a layer.

    Args:
        responses: of all units to the images.
        norms: of the units.
        own_z: z of each image's own unit, to which ``drop`` refers; NaN if it is not known.
        keep: units per image; all by default.

    Returns:
        One row per image and kept unit, the best first: ``row`` of the image, ``unit_b``, ``rank``,
        ``response``, ``z``, ``percentile``, ``drop`` and ``above_others``.
    """
    z = norms.z(responses)
    count = min(keep or z.shape[1], z.shape[1])
    order = np.argsort(-np.where(np.isnan(z), -np.inf, z), axis=1, kind="stable")[:, :count]
    rows = np.repeat(np.arange(len(z)), count)
    units = order.ravel()
    own = responses[rows, units]
    table = {
        "row": rows,
        "unit_b": units,
        "rank": ranks(z)[rows, units],
        "response": own,
        "z": z[rows, units],
        "percentile": norms.percentiles(own, units),
        "drop": drops(z[rows, units], own_z[rows]),
        "above_others": above_others(responses, rows, units),
    }
    return pd.DataFrame(table)


MEASURES = ("percentile", "z", "drop", "above_others")
ENDS = {"q25": 0.25, "median": 0.5, "q75": 0.75}


def layer_matrix(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Return medians and quartiles over images of what their best matches reach.

    Args:
        table: matches, one row per image and unit, with ``rank`` and the measures.
        by: columns that tell the cells of the matrix apart.

    Returns:
        One row per cell: ``images``, and ``q25``, ``median`` and ``q75`` of ``percentile``, ``z``,
        ``drop`` and ``above_others``, as ``percentile_median`` and so on; and ``different``, the
        number of different units among the best matches.
    """
    # Units of equal z share a rank; the first counts.
    image = [name for name in dict.fromkeys([*by, *_IMAGE]) if name in table]
    best = table.loc[table["rank"] == 0].drop_duplicates(subset=image)
    rows: list[dict[str, Any]] = []
    for key, own in best.groupby(list(by), sort=False):
        cell = dict(zip(by, key if isinstance(key, tuple) else (key,), strict=True))
        cell["images"] = len(own)
        for name in MEASURES:
            values = own[name].to_numpy(np.float64)
            known = values[np.isfinite(values)]
            for end, share in ENDS.items():
                cell[f"{name}_{end}"] = float(np.quantile(known, share)) if len(known) else np.nan
        cell["different"] = own["unit_b"].nunique()
        rows.append(cell)
    return pd.DataFrame(rows)


_IMAGE = ("layer", "unit", "copy", "kind", "init")


def perturbed_rows(
    responses: Float[np.ndarray, "n changes units"],
    norms: UnitNorms,
    units: Int[np.ndarray, " n"],
    changes: Sequence[tuple[str, float]],
) -> pd.DataFrame:
    """Return what is left of the response of one unit to each image, after each change.

    Args:
        responses: of all units, to the clean image first.
        norms: of the units.
        units: which unit counts, of each image.
        changes: kind and level of each.

    Returns:
        One row per image and change: ``row``, ``unit_b``, ``perturbation``, ``level``,
        ``response``, ``share`` of the response to the clean image (NaN if that is not above 0),
        ``percentile`` and ``rank``.
    """
    count, different, _ = responses.shape
    every = np.arange(count)
    own = responses[every[:, None], np.arange(different), units[:, None]].astype(np.float64)
    clean = own[:, :1]
    share = np.where(clean > 0, own / np.where(clean > 0, clean, 1.0), np.nan)
    flat, repeated = responses.reshape(count * different, -1), units.repeat(different)
    table = {
        "row": every.repeat(different),
        "unit_b": repeated,
        "perturbation": [kind for kind, _ in changes] * count,
        "level": [level for _, level in changes] * count,
        "response": own.ravel(),
        "share": share.ravel(),
        "percentile": norms.percentiles(own.astype(responses.dtype).ravel(), repeated),
        "rank": ranks(norms.z(flat))[np.arange(len(flat)), repeated],
    }
    return pd.DataFrame(table)
