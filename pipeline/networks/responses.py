"""The responses of many layers to whole images, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, fx

from pipeline.errors import ConfigError, nearest
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer


class LayerResponses(fx.Interpreter):
    """Run a network up to the last of some layers, passing on each layer as it is computed.

    A layer's output is passed on before the next operation runs, so that a following in-place
    nonlinearity cannot change it, and is dropped as soon as it is no longer needed.

    Args:
        graph: the traced network.
        layers: the layers.
        whole: whether whole maps are passed on, even where only the center is searched and climbed.
    """

    def __init__(self, graph: Graph, layers: Sequence[Layer], *, whole: bool = False) -> None:
        truncated = graph.truncated([layer.node for layer in layers])
        output = truncated.graph.output_node()
        copies = output.args[0] if len(layers) > 1 else output.args
        self._layers = dict(zip(cast("tuple[fx.Node, ...]", copies), layers, strict=True))
        output.args = ((),)  # so that no layer is kept until the end of the pass
        super().__init__(truncated)
        self.extra_traceback = False  # errors keep their original messages
        self._whole = whole
        self._take: Callable[[Layer, Tensor], None] = lambda _layer, _responses: None

    def visit(
        self,
        images: Float[Tensor, "batch c height width"],
        take: Callable[[Layer, Tensor], None],
    ) -> None:
        """Call ``take(layer, responses)`` for every layer.

        Responses are ``[batch, units, rows, columns]``, with one row and column for a layer without
        a map or, unless whole maps are asked for, with a center; they must be used immediately and
        not kept. Several threads may do so at the same time.
        """
        visitor = copy(self)
        visitor._take = take
        visitor.run(images)

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and pass on its output if it is a layer."""
        if n.op == "output":
            return None
        result = super().run_node(n)
        layer = self._layers.get(n)
        if layer is not None:
            responses = result if result.ndim == 4 else result[:, :, None, None]
            self._take(layer, responses if self._whole else layer.looked_at(responses))
        return result


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda maps: maps.amax((2, 3)),
    "mean": lambda maps: maps.mean((2, 3)),
    "center": lambda maps: maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2],
    "all": lambda maps: maps.clone(),
}


def read_map(
    maps: Float[Tensor, "batch units rows columns"], at: Any
) -> Float[Tensor, "batch units *map"]:
    """Reduce every map to one number, or return all of them.

    Args:
        maps: maps of the units of a layer.
        at: ``max``, ``mean``, ``center`` (row n // 2 and column m // 2), or ``all``.

    Raises:
        ConfigError: it is none of these.
    """
    if not isinstance(at, str) or at not in REDUCTIONS:
        raise ConfigError(
            f"responses.at: {at!r} is not one of {', '.join(REDUCTIONS)}"
            f"{nearest(str(at), REDUCTIONS)}"
        )
    return REDUCTIONS[at](maps)
