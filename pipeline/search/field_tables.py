"""Tables of mapped receptive fields: the strongest stimuli, and more columns of a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.indices import fnat
from pipeline.search.field_mapping import COUNTS, SIGNS, MappedFields
from pipeline.stimuli.parameters import in_degrees

PHOTOGRAPHS = 10  # over whose responses fnat takes the mean
# Columns of a summary in pixels, without the numbers of those that have some.
PIXELS = (
    "x", "y", "radius", "hot_x", "hot_y", "gauss_x", "gauss_y", "sigma_long", "sigma_short",
    "field_height", "field_width", "effective_size",
    *(f"tb{count}_{axis}" for count in COUNTS for axis in "xy"),
)  # fmt: skip


def strongest_stimuli(
    mapped: MappedFields, method: str, units: Sequence[int], table: pd.DataFrame
) -> pd.DataFrame:
    """Return the strongest stimuli of each sign and unit, with their parameters.

    Args:
        mapped: the maps of a method that shows a set.
        method: its name.
        units: the units, in order.
        table: of the set.

    Returns:
        One row per unit, sign and rank: ``method``, ``unit``, ``sign``, ``rank`` (0 is the
        strongest), ``stimulus`` (its number), ``response``, and the columns of the set's table.
    """
    if mapped.stimuli is None or mapped.responses is None:
        return pd.DataFrame()
    count, signs, kept = mapped.stimuli.shape
    numbers = mapped.stimuli.ravel()
    names = {
        "method": method,
        "unit": np.repeat(list(units), signs * kept),
        "sign": np.tile(np.repeat(SIGNS, kept), count),
        "rank": np.tile(np.arange(kept), count * signs),
        "stimulus": numbers,
        "response": mapped.responses.ravel(),
    }
    rows = table.loc[numbers].reset_index(drop=True)
    return pd.concat([pd.DataFrame(names), rows], axis=1)


def with_fnat(
    summary: pd.DataFrame,
    mapped: MappedFields,
    units: Sequence[int],
    natural: Mapping[int, Float[np.ndarray, "units kept"]],
) -> pd.DataFrame:
    """Return a summary with the best response to a set as a fraction of that to photographs.

    Args:
        summary: of one method.
        mapped: the maps of that method.
        units: the units, in order.
        natural: the highest responses of each unit to photographs (sign 1) and the lowest (-1).

    Returns:
        The summary with ``fnat``, see ``pipeline.analysis.indices.fnat``, and ``fnat_reason``: why
        it is missing, or an empty string. The same summary if the method shows no set.
    """
    if mapped.responses is None:
        return summary
    table = summary.assign(fnat=np.nan, fnat_reason="")
    for k, sign in enumerate(SIGNS):
        strongest = mapped.responses[:, k, 0].astype(np.float64)
        kept = natural[sign].shape[1]
        bound = "below 1" if sign > 0 else f"above {sign}"
        reason = f"the mean response to the best {PHOTOGRAPHS} photographs is {bound}"
        values = np.full(len(units), np.nan)
        if kept < PHOTOGRAPHS:
            reason = f"{PHOTOGRAPHS} photographs are needed, and there are {kept}"
        else:
            values = fnat(strongest, natural[sign], sign, PHOTOGRAPHS)
        here = table["sign"] == sign
        of_unit = pd.Series(values, index=list(units))
        table.loc[here, "fnat"] = of_unit.loc[table.loc[here, "unit"]].to_numpy()
        table.loc[here & table["fnat"].isna(), "fnat_reason"] = reason
    return table


def with_degrees(summary: pd.DataFrame, pixels_per_degree: float) -> pd.DataFrame:
    """Return a summary with each column in pixels followed by the same in degrees.

    ``half_area`` is followed by ``half_area_square_degrees``.

    Raises:
        ConfigError: ``pixels_per_degree`` is not positive.
    """
    table = in_degrees(summary, pixels_per_degree, PIXELS)
    area = table["half_area"] / pixels_per_degree**2
    after = table.columns.get_indexer(["half_area"])[0] + 1
    table.insert(int(after), "half_area_square_degrees", area)
    return table
