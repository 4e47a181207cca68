"""The tuning of the units of a layer: both rate maps, before and after its nonlinearity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pipeline.analysis.tuning.intervals import Bootstrap, Noise, resampling
from pipeline.analysis.tuning.measured import Measured
from pipeline.analysis.tuning.rates import IDENTITY, RateMap, marques2020_rate_map
from pipeline.errors import ConfigError
from pipeline.networks.layers import Layer
from pipeline.networks.nonlinearity import Nonlinearity
from pipeline.search.tuning.grids import NONE_LEFT, GratingGrid
from pipeline.search.tuning.groups import measured_group, same_rates, unmeasured
from pipeline.search.tuning.optima import Optima, find_optima
from pipeline.search.tuning.sets import CONTRAST, MEASURED, SETS, groups_of
from pipeline.search.tuning.shown import Curve, Found, Shown

STAGES = ("pre", "post")
MAPS = ("identity", "marques2020")
Known = dict[tuple[str, str], tuple[Shown, Found]]  # what is measured, by rate map and group
UNITS = 64  # that are measured together: memory does not grow with the layer
SAMPLES = 2  # the axis of the samples of a texture, among kinds, families and samples


@dataclass(frozen=True)
class TuningOptions:
    """Which properties are measured, and how.

    Attributes:
        properties: their names.
        at: before the nonlinearity that follows the layer (``pre``), after it (``post``), or both.
        rate_maps: how responses become rates: ``identity``, ``marques2020``, or both.
        keep_flagged: whether stimuli that are finer than pixels can show, or that leave the screen,
            are kept and flagged rather than dropped.
        draws: of the bootstrap; 0 for no intervals.
        noise: of the rates in spikes per second, so that it is of ``marques2020`` alone. Textures
            are drawn again instead, with either map.
        seed: of the draws.
    """

    properties: tuple[str, ...] = MEASURED
    at: tuple[str, ...] = STAGES
    rate_maps: tuple[str, ...] = MAPS
    keep_flagged: bool = False
    draws: int = 0
    noise: Noise = field(default_factory=Noise)
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Measures:
    """Properties and curves of some units at one stage, by one rate map."""

    at: str
    rate_map: str
    properties: list[Measured]
    curves: list[Curve]


@dataclass(frozen=True, eq=False)
class LayerTuning:
    """What the units of a layer responded to all sets.

    Attributes:
        layer: the layer.
        units: the units that are measured.
        after: its nonlinearity.
        tables: of the sets.
        responses: to each set, as the layer gives them: of all units of the layer to blank and
            orientations, of the measured ones to others; of contrasts see ``contrasts``.
        contrasts: responses of each unit to its own best grating [units, contrasts x phases], for
            the best one before and after the nonlinearity.
        options: what is measured.
    """

    layer: Layer
    units: Sequence[int]
    after: Nonlinearity
    tables: Mapping[str, pd.DataFrame]
    responses: Mapping[str, Float[np.ndarray, "_ _"]]
    contrasts: Mapping[str, Float[np.ndarray, "_ _"]]
    options: TuningOptions

    def blocks(self) -> list[slice]:
        """Return the rows of units that are measured together."""
        starts = range(0, len(self.units), UNITS)
        return [slice(start, min(start + UNITS, len(self.units))) for start in starts]

    def measured(self, rows: slice = slice(None)) -> Iterator[Measures]:
        """Yield the measures of some of the units, for every stage and rate map."""
        known: Known = {}
        for at in self.options.at:
            shown = self._shown(at, rows)
            for name in self.options.rate_maps:
                rate, units = self._maps[at, name], self.units[rows]
                drawn = rate if isinstance(rate, str) else self._drawn(shown, rate, name)
                yield self._measures(at, name, drawn, units, known)

    def _measures(
        self, at: str, name: str, shown: Shown | str, units: Sequence[int], known: Known
    ) -> Measures:
        options = self.options
        properties: list[Measured] = []
        curves: list[Curve] = []
        for group in groups_of(options.properties):
            if isinstance(shown, str):
                properties += unmeasured(group, len(units), shown)
                continue
            found = _measured_once(group, name, shown, known)
            properties += found[0]
            curves += found[1]
        wanted = {one.name: one for one in properties if one.name in options.properties}
        ordered = [wanted[one] for one in options.properties]
        return Measures(at, name, ordered, curves)

    def _drawn(self, shown: Shown, rate: RateMap, name: str) -> Shown:
        """Return what was shown with a rate map, and with how intervals are drawn."""
        options = self.options
        if not options.draws:
            return replace(shown, rate=rate)
        noise, again = (
            Bootstrap(draw, options.draws, seed=options.seed, layer=str(self.layer.identity))
            for draw in (options.noise, resampling(SAMPLES))
        )
        in_spikes = name != "identity"
        return replace(shown, rate=rate, noise=noise if in_spikes else None, resampled=again)

    def _shown(self, at: str, rows: slice) -> Shown:
        """Return what some units responded at a stage, nothing if there is no such stage."""
        if at == "post" and self.after.reason:
            return Shown([], {}, {}, IDENTITY)
        units = list(self.units[rows])
        found = {
            name: self.at(at, values[units] if SETS[name].every else values[rows], units)
            for name, values in self.responses.items()
        }
        if at in self.contrasts:
            found[CONTRAST] = self.at(at, self.contrasts[at][rows], units)
        best = self.optima[at]
        some = None if best is None else best.of(np.arange(len(self.units))[rows])
        return Shown(units, self.tables, found, IDENTITY, some, self.options.keep_flagged)

    def at(
        self, at: str, responses: Float[np.ndarray, "some stimuli"], units: Sequence[int]
    ) -> Float[np.ndarray, "some stimuli"]:
        """Return responses of some units as they are at a stage."""
        if at == "pre" or not len(units):
            return responses
        weights = next(self.after.graph.module.parameters(), torch.empty(0))
        whole = torch.zeros(responses.shape[1], self.layer.units, device=weights.device)
        whole[:, list(units)] = torch.from_numpy(responses.T).to(weights.device)
        return self.after(whole)[:, list(units)].T.contiguous().cpu().numpy()

    @cached_property
    def _maps(self) -> dict[tuple[str, str], RateMap | str]:
        """The rate maps by stage and name, of all units of the layer; or why there is none."""
        found: dict[tuple[str, str], RateMap | str] = {}
        grid = GratingGrid(self.tables["orientation"], self.options.keep_flagged)
        every = range(self.layer.units)
        for at in self.options.at:
            missing = self.after.reason if at == "post" else ""
            for name in self.options.rate_maps:
                found[at, name] = missing or IDENTITY
                if missing or name == "identity":
                    continue
                shown, blank = (
                    self.at(at, self.responses[part], every) for part in ("orientation", "blank")
                )
                found[at, name] = _rate_map(grid, shown, blank[:, 0])
        return found

    @cached_property
    def optima(self) -> dict[str, Optima | None]:
        """The best grating of each unit at each stage that there is."""
        table, units = self.tables["orientation"], list(self.units)
        found: dict[str, Optima | None] = {}
        for at in self.options.at:
            if at == "post" and self.after.reason:
                continue
            shown, blank = (
                self.at(at, self.responses[part][units], units) for part in ("orientation", "blank")
            )
            found[at] = find_optima(table, shown, blank[:, 0], keep=self.options.keep_flagged)
        return found


def _measured_once(group: str, name: str, shown: Shown, known: Known) -> Found:
    """Return the measures of a group, again those of the stage before if rates are the same."""
    before = known.get((name, group))
    if before is not None and same_rates(group, before[0], shown):
        return before[1]
    found = measured_group(group, shown)
    known[name, group] = shown, found
    return found


def _rate_map(
    grid: GratingGrid,
    responses: Float[np.ndarray, "units stimuli"],
    blank: Float[np.ndarray, " units"],
) -> RateMap | str:
    if grid.is_empty:
        return f"no rate map: {NONE_LEFT}"
    finite = np.isfinite(responses).all(axis=1) & np.isfinite(blank)
    try:
        return marques2020_rate_map(grid.responses(responses[finite]), blank[finite])
    except ConfigError as error:
        return str(error)
