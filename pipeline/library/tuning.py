"""Tuning of the units of some layers, as of cells in V1 and LGN, beside the macaque's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsFloat

import pandas as pd

from pipeline.analysis.tuning.distributions import own_distributions
from pipeline.analysis.tuning.intervals import Noise
from pipeline.errors import ConfigError, nearest
from pipeline.library.arguments import (
    chosen_layers,
    chosen_units,
    degrees,
    of_network,
    true_or_false,
    whole_number,
)
from pipeline.networks.loading.network import Network
from pipeline.search.presentation import field_of
from pipeline.search.tuning.measurement import MAPS, STAGES, TuningOptions
from pipeline.search.tuning.sets import chosen_properties, screen_colors
from pipeline.search.tuning.showing import Showing, show_layer
from pipeline.search.tuning.tables import curves_table, joined, population_table, tuning_table
from pipeline.stimuli.field import Screen
from pipeline.store.summaries import short_repr


@dataclass(frozen=True, eq=False)
class Tuning:
    """Measured tuning.

    Attributes:
        table: one row per layer, unit, stage (``at``: ``pre`` or ``post`` the nonlinearity),
            ``rate_map`` and ``property``: ``value``; ``value_px``, the same in pixels where it is a
            length, an area or a spatial frequency; ``low`` and ``high`` of the 95 % interval (NaN
            without ``draws``); ``flag``: why the value is missing, or what to know about it;
            ``unit_of_measure``; ``studied``: whether the unit counts in a population.
            ``pipeline.analysis.tuning.properties.PROPERTIES`` says what each property is.
        curves: one row per layer, unit, stage, rate map, ``curve`` (``orientation``,
            ``phase``, ``spatial_frequency``, ``size``, ``contrast``, ``hue``) and ``x``: ``rate``,
            through the best grating of the unit; less the response to the blank but for orientation
            and phase.
        seed: of the draws.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    seed: int = 0

    __repr__ = short_repr

    def population(self, cells: str | Path | pd.DataFrame | None = None) -> pd.DataFrame:
        """Compare the units of every layer with cells of the macaque, or with a lab's own.

        Args:
            cells: a CSV file or a table with ``property`` and ``value``, one row per cell, or with
                ``property``, ``low``, ``high`` and ``count``, one row per bin; by default the
                distributions of the macaque that ship with this package.

        Returns:
            One row per layer, stage, rate map and property: ``raw`` similarity (1 if distributions
            agree) with the ends of its 95 % interval, ``low`` and ``high``, its ``ceiling``, that
            of the cells with themselves, ``final`` (``raw`` / ``ceiling``), ``units`` in which the
            property is defined, ``studied`` ones, ``median`` over units and ``macaque_median``,
            ``flag`` (``not available`` where there is no distribution) and ``source``.
        """
        known = None if cells is None else own_distributions(cells)
        return population_table(self.table, known, self.seed)


@of_network
def tuning(
    net: Network,
    layers: str | Sequence[str],
    properties: str | Sequence[str] = "all",
    *,
    units: Any = "all",
    at: str | Sequence[str] = STAGES,
    rate_map: str | Sequence[str] = MAPS,
    visual_degrees: SupportsFloat = 8.0,
    center: Sequence[SupportsFloat] | None = None,
    keep_flagged: bool = False,
    draws: int = 0,
    noise: Noise | str | None = None,
    seed: int = 0,
) -> Tuning:
    """Measure how units are tuned to gratings, contrasts, textures and colors, as V1 cells are.

    Sets of gratings of all positions, orientations, spatial frequencies and sizes are shown to the
    unit at the center of each map, each set once for all units; then each unit's own best grating
    at 12 contrasts, 15 families of textures and their noise, hues around the isoluminant circle,
    and cone-isolating gratings. Pixels go from 0 to 1, on a gray screen of 0.5 (before the
    network's preprocessing, and taken to be linear light).

    Negative responses count as rates of 0. ``identity`` takes responses as they are;
    ``marques2020`` maps them to spikes per second by which the median unit of the layer is as
    active as a cell of macaque V1, and studies units of more than 5. ``pre`` is the response of the
    layer; ``post`` that after batch normalization, if there is one, and the nonlinearity.

    Source: Marques, Schrimpf & DiCarlo (2021), bioRxiv 2021.03.01.433495, and the studies named in
    ``pipeline.analysis.tuning.properties.PROPERTIES``.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        properties: ``all``, or names of properties or of their groups: ``receptive_field``,
            ``orientation``, ``spatial_frequency``, ``size``, ``contrast``, ``texture``, ``hue`` and
            ``cones``. Only the sets that these need are shown.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        at: ``pre``, ``post``, or both.
        rate_map: ``identity``, ``marques2020``, or both.
        visual_degrees: width of the network's input in degrees of visual angle.
        center: where stimuli are centered: degrees right of and below the center of the input, seen
            by the unit whose field is nearest; by default on the center of each unit's own field.
        keep_flagged: whether stimuli that are finer than pixels can show, or that leave the screen,
            are kept, and best stimuli flagged as such; by default they are dropped.
        draws: of the bootstrap for 95 % intervals; without, there are none.
        noise: of rates in spikes per second (intervals of ``marques2020`` alone): ``poisson``
            (default), ``gaussian``, ``fano``, or a ``pipeline.analysis.tuning.intervals.Noise``.
            For intervals of tuning to textures, samples are drawn again instead.
        seed: of the draws.

    Raises:
        ConfigError: there is no such layer, unit or property, or an argument is not as described.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.tuning(net, "conv1", "circular_variance", units=[3, 5])
    >>> found.table.query("at == 'post' and rate_map == 'identity'")["value"].round(2).tolist()
    [0.59, 0.87]
    """
    options = TuningOptions(
        tuple(chosen_properties(properties)),
        _some("at", at, STAGES),
        _some("rate_map", rate_map, MAPS),
        true_or_false("keep_flagged", keep_flagged),
        _draws(draws),
        noise if isinstance(noise, Noise) else Noise(noise or "poisson"),
        whole_number("seed", seed, 0),
    )
    found = chosen_layers(net, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in found}
    screen = Screen(*net.graph.input_size, degrees(visual_degrees), _place(center))
    net.module.to(net.device)
    tables: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    for layer in found:
        field = field_of(net.graph, layer, screen_colors(net), screen)
        showing = Showing(net.graph, layer, field, net.device)
        tuned = show_layer(showing, chosen[layer.name], options)
        of_blocks: list[pd.DataFrame] = []
        curves_of_blocks: list[pd.DataFrame] = []
        for rows in tuned.blocks():
            measures, own = list(tuned.measured(rows)), (layer.name, tuned.units[rows])
            of_blocks.append(tuning_table(measures, *own, screen.pixels_per_degree))
            curves_of_blocks.append(curves_table(measures, *own))
        tables.append(joined(of_blocks))
        curves.append(joined(curves_of_blocks))
    return Tuning(
        pd.concat(tables, ignore_index=True), pd.concat(curves, ignore_index=True), options.seed
    )


def _some(key: str, given: Any, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return some of the known names, in their order."""
    names = [given] if isinstance(given, str) else list(given)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{key}: {name!r} is not one of {', '.join(known)}{nearest(str(name), known)}"
            )
    if not names:
        raise ConfigError(f"{key}: the list is empty; choose from {', '.join(known)}")
    return tuple(name for name in known if name in names)


def _draws(draws: Any) -> int:
    count = whole_number("draws", draws, 0)
    if count == 1:
        raise ConfigError("draws: 1 is too few for an interval; use 2 or more, or 0 for none")
    return count


def _place(center: Any) -> tuple[float, float] | None:
    if center is None:
        return None
    try:
        right, down = map(float, center)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"center: {center!r} is not a place; give degrees to the right and down, as in"
            " center=(0.5, 0.5)"
        ) from error
    return right, down
