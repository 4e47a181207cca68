"""Spectral, spatial and double opponency of the units of some layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.opponency_table import (
    BASELINES,
    POINTS,
    OpponencyResponses,
    OpponencyRules,
    opponency_table,
)
from pipeline.errors import ConfigError
from pipeline.library.arguments import (
    chosen_layers,
    chosen_units,
    of_network,
    true_or_false,
    whole_number,
)
from pipeline.networks.loading.network import Network
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.search.opponency import (
    SETS,
    OpponencyPresentation,
    OpponencyProtocol,
    groups,
)


@of_network
def opponency(
    net: Network,
    layers: str | Sequence[str],
    *,
    units: Any = "all",
    baseline: str | Sequence[str] = "black",
    require_positive_baseline: bool | Sequence[bool] | str = True,
    at: str | Sequence[str] = "published",
    where: str = "image",
    gray_hues: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Return which units are opponent: excited above their baseline and inhibited below it.

    Spectral opponency is found with 360 uniform hues, HSL(hue, 1, 0.5); spatial opponency with 960
    achromatic gratings of 1 to 16 cycles in the width of the input; and double-opponent units are
    both. Pixels are from 0 to 1 before the network's preprocessing. The baseline is the response to
    an empty field. A unit is ``unresponsive`` if all responses are its baseline, ``opponent`` if
    some are above and some below it, and, where that is demanded, if it is above 0; otherwise it is
    ``non-opponent``. Differences that rounding can make (up to a millionth of a unit's strongest
    response) count only if others of its responses are larger.

    Defaults are as published: a black field; the demand; spectral opponency before, spatial
    opponency after the nonlinearity; stimuli that fill the input, read at index n // 2 of the map.

    Source: Harris, Mihai & Hare (2019), ecs-vlc/opponency, after De Valois, Abramov & Jacobs
    (1966), J Opt Soc Am 56:966.

    Args:
        net: the network, of 3 channels.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        baseline: ``black``, ``gray`` or ``white``, several of them, or ``all``.
        require_positive_baseline: whether only units with a baseline above 0 may be opponent: True,
            False, or ``all`` for both.
        at: ``published``, ``pre`` or ``post`` (both kinds before, or both after the nonlinearity,
            with batch normalization), several of them, or ``all``.
        where: ``image``: stimuli fill the input, and zero padding has an effect where fields reach
            beyond it; or ``field``: they fill the receptive field, without padding.
        gray_hues: whether hues are shown in gray of the same luminance, as a null.
        seed: of the choice among hues with equal responses.

    Returns:
        One row per layer, kind, ``at``, baseline, demand and unit: ``layer``, ``unit``, ``kind``
        (spectral, spatial, double), ``class`` (unresponsive, non-opponent, opponent, undefined),
        ``baseline``, ``require_positive_baseline``, ``at`` (pre, post; pre+post of double opponency
        as published), ``baseline_response``, ``max_response`` and ``min_response``; of hues
        ``max_hue``, ``max_name``, ``min_hue`` and ``min_name``; of gratings ``max_orientation``
        (the direction in which it changes, degrees clockwise from rightward, as of tuning),
        ``max_cycles`` (in the input), ``max_phase`` (cycles from the center to a crest in that
        direction), and the same of ``min``; and ``reason``: why the class is undefined, such as
        that no nonlinearity follows the layer.

    Raises:
        ConfigError: the network does not have 3 channels, there is no such layer or unit, or an
            argument is not as described.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> table = pipeline.opponency(net, "conv1", units=[3, 11])
    >>> table.loc[table["kind"] == "spectral", ["unit", "class", "max_name"]].values.tolist()
    [[3, 'non-opponent', 'blue'], [11, 'opponent', 'green']]
    """
    rules = OpponencyRules(
        _several(baseline, BASELINES), _demands(require_positive_baseline), _several(at, POINTS)
    )
    protocol = OpponencyProtocol(where, true_or_false("gray_hues", gray_hues))
    start = whole_number("seed", seed, 0)
    _refuse_other_channels(net)
    found = chosen_layers(net, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in found}
    net.module.to(net.device)
    tables: dict[str, pd.DataFrame] = {}
    for group in groups(net.graph, found, protocol):
        presentation = OpponencyPresentation(
            net.graph, group, net.preprocessing, protocol, net.device
        )
        shown = {name: presentation.respond(name) for name in SETS}
        gratings = presentation.stimuli["gratings"].table
        for layer in group:
            own = chosen[layer.name]
            by_set = {name: responses[layer.name][:, :, own] for name, responses in shown.items()}
            reason = nonlinearity(net.graph, layer).reason
            responses = OpponencyResponses(**by_set, reason=reason)
            table = opponency_table(responses, gratings, own, rules, start, str(layer.identity))
            tables[layer.name] = table
            tables[layer.name].insert(0, "layer", layer.name)
    return pd.concat([tables[layer.name] for layer in found], ignore_index=True)


def _several(given: Any, known: Sequence[str]) -> tuple[str, ...]:
    """Return names that are given as one, as several, or as ``all``."""
    if isinstance(given, str):
        return tuple(known) if given == "all" else (given,)
    return tuple(given) if isinstance(given, Sequence) else (given,)


def _demands(given: Any) -> tuple[bool, ...]:
    values = (True, False) if isinstance(given, str) and given == "all" else given
    listed = [values] if isinstance(values, bool | np.bool_ | str) else values
    try:
        demands = list(listed)
    except TypeError:
        demands = [listed]
    if not demands or not all(isinstance(value, bool | np.bool_) for value in demands):
        raise ConfigError(
            f"require_positive_baseline: {given!r} is not True, False, or all for both"
        )
    return tuple(dict.fromkeys(map(bool, demands)))


def _refuse_other_channels(net: Network) -> None:
    channels = len(net.preprocessing.mean)
    if channels != 3:
        raise ConfigError(
            f"net: opponency is measured with colors and needs a network of 3 channels, and"
            f" {net.name} has {channels}"
        )
