"""Tuning of the units of some layers to bars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError, nearest
from pipeline.library.arguments import chosen_layers, chosen_units, of_network
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.search.bar_tuning import tune_to_bars
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses, check_finite
from pipeline.stimuli.bars import bars_4a, bars_4b
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.store.summaries import short_repr

BARS: dict[str, Callable[[Field], StimulusSet]] = {
    "bars_on_stride": bars_on_stride,
    "bars_4a": bars_4a,
    "bars_4b": bars_4b,
}


@dataclass(frozen=True)
class BarTuning:
    """Tuning of units to bars.

    Attributes:
        curves: one row per layer, unit, parameter and value. ``parameter`` is ``length`` or
            ``width`` (values in pixels), ``orientation`` (degrees of the long axis from vertical,
            counterclockwise on the screen), ``polarity`` (1 for white on black, -1 for black on
            white) or ``contrast`` (of the bar on gray, -1 to 1: it differs from gray by this times
            ``Colors.swing``, as the peaks of a grating of that Michelson contrast do; negative bars
            are darker, and 0 is gray alone). ``response`` is that to the unit's best bar of the set
            with this parameter changed and all others, its place too, as they are; no bar is wider
            than it is long. ``mean`` is that over all bars of the set with this value and in the
            same polarity, whatever their places and other parameters; NaN for contrast, as only the
            best bar is shown on gray.
            ``peak`` marks the highest response of a curve. Units that respond to all bars alike
            have no curves.
        preferred: one row per layer and unit: the best bar's ``stimulus`` (its number in the set),
            ``response``, ``x`` and ``y`` (pixels from the center, to the right and down); by the
            name of each parameter, the value at which its curve is highest; and ``reason``: why
            numbers are missing, or are bounds because the best length or width is at the end of
            those that were shown, or an empty string.
    """

    curves: pd.DataFrame
    preferred: pd.DataFrame

    __repr__ = short_repr


@of_network
def bar_tuning(
    net: Network,
    layers: str | Sequence[str],
    *,
    units: Any = "all",
    stimulus: str = "bars_on_stride",
    colors: str | Colors = "published",
) -> BarTuning:
    """Return how units are tuned to length, width, orientation, polarity and contrast of bars.

    The bars of a set are shown all over the receptive field, and the unit's best bar is then shown
    with one parameter changed at a time. Responses are those of the layer, before any nonlinearity
    that follows it.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        stimulus: ``bars_on_stride``; or ``bars_4a`` or ``bars_4b``, whose positions are finer for
            short bars and which take far longer.
        colors: ``published`` (black -1, white 1 and gray 0 in network-input space), ``bounds`` (the
            darkest and brightest pixels after the network's preprocessing, on its mean color), or
            a ``pipeline.stimuli.field.Colors``.

    Raises:
        ConfigError: there is no such layer, unit, set or color, or the responses take too much
            memory.

    >>> import pipeline
    >>> found = pipeline.bar_tuning(pipeline.network("miniature"), "conv1", units=[3, 5])
    >>> found.preferred[["unit", "orientation", "polarity"]].to_numpy().tolist()
    [[3.0, 0.0, 1.0], [5.0, 112.5, 1.0]]
    >>> found.curves.query("unit == 3 and parameter == 'orientation' and peak")["value"].tolist()
    [0.0]
    """
    if str(stimulus) not in BARS:
        raise ConfigError(
            f"stimulus: {stimulus!r} is not one of {', '.join(BARS)}{nearest(str(stimulus), BARS)}"
        )
    if not isinstance(colors, Colors):
        colors = Colors.named(colors, net.preprocessing.mean, net.preprocessing.std)
    curves: list[pd.DataFrame] = []
    prefer: list[pd.DataFrame] = []
    net.module.to(net.device)
    for layer in chosen_layers(net, layers):
        own = _tune(net, layer, chosen_units(units, layer), BARS[stimulus], colors)
        for tables, table in zip((curves, prefer), own, strict=True):
            table.insert(0, "layer", layer.name)
            tables.append(table)
    return BarTuning(*(pd.concat(tables, ignore_index=True) for tables in (curves, prefer)))


def _tune(
    net: Network,
    layer: Layer,
    units: list[int],
    bars: Callable[[Field], StimulusSet],
    colors: Colors,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    field = field_of(net.graph, layer, colors)

    def show(stimuli: StimulusSet) -> Any:
        found = all_responses(Presentation(net.graph, layer, stimuli, net.device), units)
        check_finite(found, units, layer.name)
        return found

    return tune_to_bars(bars(field), field, units, show)
