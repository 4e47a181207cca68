"""Stimulus sets for a layer of a network."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, nearest
from pipeline.library.arguments import chosen_layer, of_network
from pipeline.networks.loading.network import Network
from pipeline.search.presentation import field_of
from pipeline.stimuli.field import Colors, Screen
from pipeline.stimuli.sets import BUILDERS, Builder
from pipeline.stimuli.stimulus_set import StimulusSet


@of_network
def stimulus_set(
    net: Network,
    stimulus: str | Path | Builder,
    layer: str,
    *,
    colors: str | Colors = "published",
    visual_degrees: float = 8.0,
    center: tuple[float, float] | None = None,
    **options: Any,
) -> StimulusSet:
    """Return a set of stimuli, drawn on the receptive field of a layer.

    Args:
        net: the network.
        stimulus: name of a set, such as ``bars_4a``; a folder of pictures with the table
            ``stimuli.csv``; or a function from a ``pipeline.stimuli.field.Field`` to a set.
        layer: name of the layer.
        colors: ``published`` (black -1, white 1 and gray 0 in network-input space), ``bounds`` (the
            darkest and brightest pixels after the network's preprocessing, on its mean color), or
            a ``pipeline.stimuli.field.Colors``.
        visual_degrees: width of the network's input in degrees of visual angle, for sets in
            degrees.
        center: where stimuli in degrees are centered, in degrees right of and below the center of
            the input, as the unit whose field is nearest sees them; ``None``: on the center of each
            unit's own field.
        options: arguments of the set, such as ``divider`` of ``bars_4b``.

    Raises:
        ConfigError: there is no such set, layer, color or option.
        ImageError: the pictures of a folder cannot be used.

    >>> import pipeline
    >>> bars = pipeline.stimulus_set(pipeline.network("miniature"), "bars_4a", "conv2")
    >>> len(bars), bars.size, bars.draw([0, 1]).shape
    (33984, (29, 29), torch.Size([2, 3, 29, 29]))
    """
    builder, options = _chosen(stimulus, options)
    found = chosen_layer(net, layer)
    if not isinstance(colors, Colors):
        seen = net.preprocessing
        colors = Colors.named(colors, seen.mean, seen.std)
    screen = Screen(*net.graph.input_size, visual_degrees, center)
    field = field_of(net.graph, found, colors, screen)
    _check_options(builder, options)
    made: Any = builder(field, **options)
    if not isinstance(made, StimulusSet):
        raise ConfigError(
            f"stimulus: {_name(builder)} returned a {type(made).__name__}, and must return a"
            " pipeline.stimuli.stimulus_set.StimulusSet, as compose there makes one"
        )
    return made


def _chosen(stimulus: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return what builds a set, and its options, among which is the folder of pictures."""
    if isinstance(stimulus, str) and stimulus in BUILDERS:
        return BUILDERS[stimulus], options
    if isinstance(stimulus, str | Path) and Path(stimulus).expanduser().is_dir():
        return BUILDERS["pictures"], {"folder": Path(stimulus).expanduser(), **options}
    if callable(stimulus) and not isinstance(stimulus, type):
        return stimulus, options
    raise ConfigError(
        f"stimulus: {str(stimulus)!r} is neither a set ({', '.join(BUILDERS)}), a folder of"
        f" pictures nor a function{nearest(str(stimulus), BUILDERS)}"
    )


def _name(builder: Builder) -> str:
    return getattr(builder, "__name__", "the function")  # a functools.partial has none


def _check_options(builder: Builder, options: dict[str, Any]) -> None:
    parameters = list(inspect.signature(builder).parameters.values())
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters[1:]]
    name = _name(builder)
    for option in options:
        if option not in known:
            raise ConfigError(
                f"{option}: {name} takes no such option; it takes {', '.join(known) or 'none'}"
                f"{nearest(option, known)}"
            )
    for parameter in parameters[1:]:
        if parameter.default is parameter.empty and parameter.name not in options:
            raise ConfigError(f"{parameter.name}: must be given for {name}")
