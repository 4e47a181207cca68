"""What units of a layer responded, as rates, and slices of it through each unit's optimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.tuning.intervals import Bootstrap, with_intervals
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.phases import TuningSlice, tuning_slice
from pipeline.analysis.tuning.rates import RateMap
from pipeline.errors import ConfigError
from pipeline.search.tuning.grids import NONE_LEFT, GratingGrid
from pipeline.search.tuning.optima import Optima

NEEDS_COLOR = "sets in color need a network of 3 channels"


@dataclass(frozen=True, eq=False)
class Curve:
    """A tuning curve of each unit, NaN where it has none.

    Attributes:
        name: ``orientation``, ``phase``, ``spatial_frequency``, ``size``, ``contrast`` or ``hue``.
        x: what was shown: degrees, degrees of phase, cycles per degree, diameters in degrees,
            contrasts, degrees of hue.
        rates: of each unit at every x: the mean over phases, or the first harmonic where it is
            higher and the study takes it; less the blank but for orientation and
            phase.
    """

    name: str
    x: Float[np.ndarray, " points"]
    rates: Float[np.ndarray, "units points"]


Found = tuple[list[Measured], list[Curve]]


@dataclass(frozen=True, eq=False)
class Shown:
    """What some units of a layer respond, before or after the nonlinearity.

    Attributes:
        units: their numbers.
        tables: of the sets.
        responses: of the units to each set; of the contrast set [units, contrasts x phases] of each
            unit's own grating.
        rate: the rate map.
        optima: the best grating of each unit, by which contrasts were shown.
        keep: whether stimuli that are aliased or clipped are kept, and flagged.
        draws: how rates are drawn for intervals, and of what; no intervals without.
        resampled: how samples of textures are.
    """

    units: Sequence[int]
    tables: Mapping[str, pd.DataFrame]
    responses: Mapping[str, Float[np.ndarray, "units _"]]
    rate: RateMap
    optima: Optima | None = None
    keep: bool = False
    noise: Bootstrap | None = None
    resampled: Bootstrap | None = None

    def rates(self, name: str) -> Float[np.ndarray, "units stimuli"]:
        """Return the rates of a set."""
        return self.rate(self.responses[name])

    @property
    def blank(self) -> Float[np.ndarray, " units"]:
        """The rates to the blank."""
        return self.rates("blank")[:, 0]

    def slice(self, name: str, axis: str, component: str) -> TuningSlice:
        """Return the slice of a set of gratings along one axis, through each unit's optimum."""
        grid = GratingGrid(self.tables[name], self.keep)
        if grid.is_empty:
            raise ConfigError(NONE_LEFT)
        shown = grid.gratings(self.rate(grid.responses(self.responses[name])), self.blank)
        return tuning_slice(shown, axis, self.rate.threshold, component)

    def measure(
        self, sliced: TuningSlice, properties: Callable[[TuningSlice], list[Measured]]
    ) -> list[Measured]:
        """Return properties of a slice, with intervals if they are wanted."""
        if self.noise is None:
            return properties(sliced)
        return with_intervals(
            lambda rates, rows: properties(sliced.redrawn(rates, rows)),
            sliced.rates,
            self.units,
            self.noise,
        )
