"""Tuning of the units of some layers to shapes, as in area V4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd

from pipeline.analysis.shape_tuning import ShapeResponses, tuning
from pipeline.library.arguments import chosen_layers, chosen_units, of_network, whole_number
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.search.shape_responses import (
    ShapePresentation,
    ShapeProtocol,
    as_color,
    measured_elements,
    shape_elements,
)
from pipeline.stimuli.shapes import named_shapes, rotations


@of_network
def shape_tuning(
    net: Network,
    layers: str | Sequence[str],
    *,
    units: Any = "all",
    width: SupportsFloat = 32.0,
    positions: Sequence[SupportsFloat] | None = None,
    figure: Sequence[SupportsFloat] | None = None,
    background: Sequence[SupportsFloat] | None = None,
    elements: pd.DataFrame | None = None,
    shuffles: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how units are tuned to the curvature of shapes, and how little position matters.

    362 shapes (51 in up to 8 rotations) are shown to the unit at the center of each map, white on
    the mean gray, at every position. To its responses at the center, before any nonlinearity, the
    models of V4 neurons that are tuned to curvature at an angular position (APC) are fitted:
    65,536, of which the one that correlates best is taken. Translation invariance compares the
    responses at the positions where the shapes lie inside the field.

    Source: Pospisil, Pasupathy & Bair (2018), eLife 7:e38242.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        width: pixels that all shapes together are wide.
        positions: pixels to the right of the center, ascending, with 0 among them; by default steps
            of 2 from -50 to 50, less those that lie outside the field.
        figure: color of the shapes in network-input space, one number per channel; by default
            white.
        background: color around them; by default 0, the mean color of the preprocessing.
        elements: boundary elements that were measured elsewhere: columns ``stimulus`` (0 to 361,
            by shape and rotation), ``angle`` (degrees) and ``curvature`` (-1 to 1); by default the
            extrema of curvature along the outlines.
        shuffles: how often the responses of each unit are shuffled and fitted again, for a null.
        seed: of the shuffles.

    Returns:
        One row per unit: ``layer``, ``unit``; ``apc_r`` and the parameters ``mu_angle`` and
        ``spread_angle`` (degrees), ``mu_curvature`` and ``spread_curvature``; ``null_r`` and
        ``null_r_95``, median and 95th percentile of r of shuffled responses;
        ``translation_invariance`` and ``positions_inside``, which count for it (0 where no model is
        fitted); ``kurtosis`` and ``sparseness`` (of responses above 0; NaN if there are none) over
        shapes; ``best_shape``, ``best_rotation``, ``worst_shape``, ``worst_rotation`` (degrees);
        and ``reason``: why the fit or the invariance is missing, such as a unit that does not
        respond, a kurtosis of 42 or more, or a field that is too small.

    Raises:
        ConfigError: there is no such layer or unit, or an argument is not as described.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> table = pipeline.shape_tuning(net, "conv2", units=[3, 17], width=12.0, positions=[-2, 0, 2])
    >>> table[["layer", "unit"]].to_numpy().tolist()
    [['conv2', 3], ['conv2', 17]]
    >>> bool((table["apc_r"] > 0.2).all())
    True
    """
    found = chosen_layers(net, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in found}
    places = None if positions is None else tuple(map(float, positions))
    protocol = ShapeProtocol(
        float(width), places, as_color("figure", figure), as_color("background", background)
    )
    used = shape_elements() if elements is None else measured_elements(elements)
    count, start = whole_number("shuffles", shuffles, 0), whole_number("seed", seed, 0)
    tables: list[pd.DataFrame] = []
    for layer in found:
        shown = _show(net, layer, chosen[layer.name], protocol)
        own = tuning(shown, used, chosen[layer.name], count, start)
        own.insert(0, "layer", layer.name)
        tables.append(named_shapes(own))
    return pd.concat(tables, ignore_index=True)


def _show(net: Network, layer: Layer, units: list[int], protocol: ShapeProtocol) -> ShapeResponses:
    """Return the responses of some units of a layer."""
    net.module.to(net.device)
    presentation = ShapePresentation(net.graph, layer, net.preprocessing, protocol, net.device)
    positions = np.array(presentation.positions)
    responses = np.empty((len(positions), len(rotations()), len(units)), np.float32)
    for number in range(len(positions)):
        responses[number] = presentation.at(number)[:, units].numpy()
    blank = presentation.blank()[units].numpy()
    return ShapeResponses(responses, blank, positions, protocol.width, presentation.field.width)
