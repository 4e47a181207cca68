"""Chains of readouts: from the output of a layer to units, by the names behind its colon."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import fx, nn

from pipeline.errors import ConfigError, first_line, nearest
from pipeline.networks.graph.geometry import POINTWISE
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.units.attention import head_outputs, heads
from pipeline.networks.units.modules import AT_POSITIONS
from pipeline.networks.units.outputs import Output
from pipeline.networks.units.readouts import Channels, Readout, channel_max, channel_mean
from pipeline.networks.units.tokens import as_units, class_token, patch_tokens

SEPARATOR = ":"  # between the name of a layer and those of its readouts

# Those that read the layer's own output, such as all tokens, and not its units.
OF_TOKENS: dict[str, Callable[[Graph, fx.Node, str], fx.Node]] = {
    "tokens": patch_tokens,
    "class_token": class_token,
}
OF_ATTENTION: dict[str, Callable[[Graph, str, Collection[fx.Node]], fx.Node]] = {
    "heads": heads,
    "head_outputs": head_outputs,
}
OF_UNITS = {"channel_mean": channel_mean(), "channel_max": channel_max()}
BUILT_IN = (*OF_TOKENS, *OF_ATTENTION, *OF_UNITS)


def read(graph: Graph, output: Output, readouts: Sequence[str]) -> fx.Node:
    """Return the node of the units of a layer.

    Args:
        graph: the traced network.
        output: of the layer.
        readouts: names of readouts, applied in order; without any, tokens are those of patches, and
            maps with channels last have them first.

    Raises:
        ConfigError: there is no such readout, or it cannot read what is before it.
    """
    node, name = output.node, output.name
    for place, readout in enumerate(readouts):
        if readout in OF_ATTENTION:
            if place:
                raise ConfigError(
                    f"layers: '{name}{SEPARATOR}{readout}' reads an attention, which is no readout;"
                    f" write {output.name}{SEPARATOR}{readout}"
                )
            node = OF_ATTENTION[readout](graph, name, output.nodes)
        elif readout in OF_TOKENS:
            node = OF_TOKENS[readout](graph, node, name)
        else:
            node = _of_units(graph, as_units(graph, node, name), name, readout)
        name = f"{name}{SEPARATOR}{readout}"
    return as_units(graph, node, name)


def _of_units(graph: Graph, node: fx.Node, name: str, readout: str) -> fx.Node:
    found = (graph.readouts | OF_UNITS).get(readout)
    if found is None:
        known = [*graph.readouts, *BUILT_IN]
        raise ConfigError(
            f"layers: '{name}{SEPARATOR}{readout}' names no readout; the readouts are"
            f" {', '.join(known)}{nearest(readout, known)}"
        )
    shape = traced_shape(node)
    if len(shape) not in (2, 4) or (len(shape) == 4 and graph.operations[node].axes != (2, 3)):
        raise ConfigError(
            f"layers: '{name}' has no units that '{readout}' could read, as its output has the"
            f" shape {shape}; name another layer"
        )
    size = (shape[2], shape[3]) if len(shape) == 4 else None
    parts = _parts(found, Channels(name, shape[1], size), readout)
    for number, part in enumerate(parts):
        node = _appended(graph, node, (found, number), part, f"{name}{SEPARATOR}{readout}")
    return node


def _parts(readout: Readout, channels: Channels, name: str) -> list[nn.Module]:
    module: Any = readout.build(channels)
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"readout.{name}: builds a {type(module).__name__}, not a torch.nn.Module from the"
            " channels of a layer to units"
        )
    return list(module) if type(module) is nn.Sequential else [module]


def _appended(graph: Graph, node: fx.Node, key: object, module: nn.Module, name: str) -> fx.Node:
    placed = (2, 3), (POINTWISE, POINTWISE)
    own = graph.operations[node].axes == (2, 3) and isinstance(module, AT_POSITIONS)
    try:
        found = graph.append([node], key, lambda: module, placed if own else None)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ConfigError(
            f"layers: '{name}' cannot be computed from {traced_shape(node)}: {first_line(error)}"
        ) from error
    return found


def check_readouts(readouts: Mapping[str, object]) -> None:
    """Check readouts of a user's own.

    Args:
        readouts: by name.

    Raises:
        ConfigError: one is none, or has a name that cannot be used.
    """
    for name, readout in readouts.items():
        if not isinstance(readout, Readout):
            raise ConfigError(
                f"readout.{name}: {type(readout).__name__} is no Readout; give what"
                " pipeline.dictionary or another function of readouts returns"
            )
        if name in BUILT_IN or not name.isidentifier():
            raise ConfigError(
                f"readout.{name}: is not a name of a readout of your own; use letters, digits and"
                f" underscores, and none of {', '.join(BUILT_IN)}"
            )
