"""Maps of receptive fields, by the methods of physiology."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, cast

import pandas as pd

from pipeline.analysis.map_agreement import agreement
from pipeline.errors import ConfigError, nearest
from pipeline.library.arguments import chosen_layers, chosen_units, of_network, whole_number
from pipeline.networks.loading.network import Network
from pipeline.search.field_mapping import (
    NOISE,
    Maps,
    map_by_stimuli,
    strongest_stimuli,
    summarize,
)
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.shapes import shapes
from pipeline.stimuli.stimulus_set import StimulusSet

DRAWN: dict[str, Callable[..., StimulusSet]] = {
    "bars_on_stride": bars_on_stride,
    "bars_4a": bars_4a,
    "sin1": sin1,
    "shapes": shapes,
    "sparse_noise": sparse_noise,
    "dense_noise": dense_noise,
}
METHODS = tuple(DRAWN)


@dataclass(frozen=True)
class ReceptiveFieldMaps:
    """Maps of receptive fields by several methods.

    Attributes:
        maps: by layer and method, ``[units, 2, height, width]``: what raises the response (for
            noise: light) and what lowers it (for noise: dark raises it). Sets of figures give a
            second map, ``bars_4a_non_overlapping`` for example.
        summary: one row per layer, method, sign and unit: the columns of
            ``pipeline.analysis.field_maps.summarize_maps``, in pixels from the center of the field
            (x to the right, y down); the mean position of the 1, 20 and 100 strongest stimuli
            (``tb1_x`` and so on); ``field_height`` and ``field_width`` of the theoretical field.
        responses: the 100 highest (sign 1) and lowest (sign -1) responses of each unit to each
            set, with the rows of the set's table.
    """

    maps: dict[str, dict[str, Maps]]
    summary: pd.DataFrame
    responses: pd.DataFrame

    def agreement(self) -> pd.DataFrame:
        """Compare every method with every other, unit by unit.

        Returns:
            One row per layer, sign, pair of methods and unit: ``correlation`` after blur, ``iou``
            of the areas above half height, and ``distance`` (earth mover's, in pixels); see
            ``pipeline.analysis.map_agreement``. NaN where a map is flat.
        """
        parts = []
        for layer, by_method in self.maps.items():
            units = self.summary.loc[self.summary["layer"] == layer, "unit"].unique()
            table = agreement(by_method, combinations(by_method, 2), units)
            table.insert(0, "layer", layer)
            parts.append(table)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@of_network
def map_receptive_fields(
    net: Network,
    layers: str | Sequence[str],
    methods: str | Sequence[str] = ("bars_on_stride",),
    *,
    units: Any = "all",
    frames: int = 10_000,
    seed: int = 0,
) -> ReceptiveFieldMaps:
    """Map the receptive fields of units with artificial stimuli.

    Bars, gratings and shapes enter a map by the rules of tonyfu97/RF-Mapping, noise by reverse
    correlation. Stimuli are shown in the theoretical receptive field, and responses are those
    before any nonlinearity that follows the layer.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for all convolutions.
        methods: some of ``bars_on_stride``, ``bars_4a``, ``sin1``, ``shapes``, ``sparse_noise`` and
            ``dense_noise``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        frames: of noise.
        seed: of noise.

    Raises:
        ConfigError: there is no such layer, unit or method, or the responses take too much memory.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.map_receptive_fields(net, "conv1", units=[3, 5])
    >>> found.maps["conv1"]["bars_on_stride"].shape
    (2, 2, 9, 9)
    """
    names = _methods(methods)
    noise = {"stimuli": whole_number("frames", frames), "seed": whole_number("seed", seed, 0)}
    found: dict[str, dict[str, Maps]] = {}
    summaries: list[pd.DataFrame] = []
    responses: list[pd.DataFrame] = []
    for layer in chosen_layers(net, layers):
        chosen = chosen_units(units, layer)
        by_method = found.setdefault(layer.name, {})
        for name in names:
            options = noise if name in NOISE else {}
            stimuli = DRAWN[name](field_of(net.graph, layer), **options)
            presentation = Presentation(net.graph, layer, stimuli, net.device)
            mapped = map_by_stimuli(presentation, chosen)
            by_method |= mapped.named(name)
            summaries.append(summarize(mapped, name, chosen).assign(layer=layer.name))
            strongest = strongest_stimuli(mapped, name, chosen, stimuli.table)
            responses.append(strongest.assign(layer=layer.name))
    return ReceptiveFieldMaps(found, _joined(summaries), _joined(responses))


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join tables, with the names of what each row is about first."""
    whole = pd.concat(tables, ignore_index=True)
    first = ["layer", "method", "sign", "unit"]
    return cast("pd.DataFrame", whole[[*first, *whole.columns.difference(first, sort=False)]])


def _methods(methods: str | Sequence[str]) -> list[str]:
    names = [methods] if isinstance(methods, str) else list(methods)
    for name in names:
        if name not in METHODS:
            raise ConfigError(
                f"methods: {name!r} is not one of {', '.join(METHODS)}{nearest(str(name), METHODS)}"
            )
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"methods: {names} is empty or names a method twice")
    return names
