"""The best grating of each unit, and its responses to that grating at all contrasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.tuning.phases import TuningSlice, mean_and_modulation, tuning_slice
from pipeline.analysis.tuning.rates import IDENTITY
from pipeline.search.tuning.grids import GratingGrid
from pipeline.search.tuning.sets import PHASES
from pipeline.stimuli.degree_gratings import CONTRASTS

PARAMETERS = ("orientation", "frequency_per_degree", "diameter_degrees")


@dataclass(frozen=True, eq=False)
class Optima:
    """The grating of the set of orientations to which each unit responds most, on average.

    Attributes:
        parameters: one row per unit; NaN where no grating is answered more than the blank.
        flag: why there is none, or what is to know of it.
    """

    parameters: pd.DataFrame
    flag: np.ndarray

    def slice(
        self,
        rates: Float[np.ndarray, "units stimuli"],
        blank: Float[np.ndarray, " units"],
    ) -> TuningSlice:
        """Return the rates of each unit to its grating by contrast.

        The curve is the mean over phases less the blank, or the first harmonic if that is higher at
        full contrast.
        """
        defined = np.isfinite(self.parameters.to_numpy(dtype=np.float64)).min(axis=1)
        shown = np.where(defined[:, None], rates, 0.0).reshape(len(rates), len(CONTRASTS), PHASES)
        mean, modulation = mean_and_modulation(shown[:, -1])
        return TuningSlice(
            "contrast",
            CONTRASTS,
            shown,
            blank,
            modulation > mean - blank,
            np.zeros((len(rates), 3), np.int64),
            self.flag,
            defined,
        )

    def of(self, rows: Sequence[int] | Int[np.ndarray, " rows"]) -> Optima:
        """Return those of some units."""
        return replace(self, parameters=self.parameters.iloc[rows], flag=self.flag[rows])


def find_optima(
    table: pd.DataFrame,
    responses: Float[np.ndarray, "units stimuli"],
    blank: Float[np.ndarray, " units"],
    *,
    keep: bool = False,
) -> Optima | None:
    """Return the best grating of each unit: the one of highest mean over phases above the blank.

    Args:
        table: of the set of orientations.
        responses: to it; negative ones count as 0.
        blank: responses to the blank.
        keep: whether gratings that are aliased or clipped count.

    Returns:
        Nothing if no grating is left.
    """
    grid = GratingGrid(table, keep)
    if grid.is_empty:
        return None
    shown = grid.gratings(IDENTITY(grid.responses(responses)), IDENTITY(blank))
    sliced = tuning_slice(shown, "orientation")
    best = grid.parameters(sliced.best)
    best.loc[~sliced.defined] = np.nan
    return Optima(best, sliced.flag)


def different_gratings(optima: Mapping[str, Optima]) -> pd.DataFrame:
    """Return the gratings that are the best of any unit, each once.

    >>> best = pd.DataFrame([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [None] * 3], columns=PARAMETERS)
    >>> len(different_gratings({"pre": Optima(best.astype(float), np.full(3, ""))}))
    1
    """
    whole = pd.concat([each.parameters for each in optima.values()], ignore_index=True)
    return whole.dropna().drop_duplicates().sort_values(list(PARAMETERS), ignore_index=True)


def own_rows(optima: Optima, shown: pd.DataFrame) -> Int[np.ndarray, " units"]:
    """Return which of the gratings shown is the best of each unit, -1 where there is none.

    >>> best = pd.DataFrame([[0.0, 1.0, 2.0], [None] * 3], columns=PARAMETERS).astype(float)
    >>> own_rows(Optima(best, np.full(2, "")), best.dropna())
    array([ 0, -1])
    """
    numbered = shown.reset_index(drop=True).rename_axis("row").reset_index()
    found = optima.parameters.merge(numbered, how="left", on=list(PARAMETERS))
    return found["row"].fillna(-1).to_numpy(dtype=np.int64)
