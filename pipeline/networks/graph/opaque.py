"""Networks that cannot be traced: each layer is the whole network, run until the layer responds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import Any

import torch
from torch import Tensor, fx, nn

from pipeline.errors import NetworkError


class Opaque(nn.Module):
    """One layer of a network that cannot be traced: the network, run until the layer responds.

    Args:
        network: the whole network.
        name: dotted name of the layer's module.
        call: number of the module's call that is the layer, from 0.
    """

    def __init__(self, network: nn.Module, name: str, call: int = 0) -> None:
        super().__init__()
        self.network = network
        self.name = name
        self.call = call

    def weights(self) -> int:
        """Return the number of weights of the network."""
        return sum(weight.numel() for weight in self.network.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the layer's call, for one image at a time.

        Images are run separately, as data-dependent branches must not depend on the rest of the
        batch.
        """
        return torch.cat([self._respond(image) for image in images.split(1)])

    def _respond(self, images: Tensor) -> Tensor:
        thread, calls = threading.get_ident(), count()

        def stop(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            # Other threads may run the same network at the same time.
            if threading.get_ident() == thread and next(calls) == self.call:
                raise _ReachedError(output)

        hook = self.network.get_submodule(self.name).register_forward_hook(stop)
        try:
            self.network(images)
        except _ReachedError as reached:
            return reached.output
        finally:
            hook.remove()
        raise NetworkError(
            f"model: '{self.name}' was not called {self.call + 1} times for every image, as it was"
            " for an image of zeros; name another layer"
        )


class _ReachedError(Exception):
    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


def opaque_layers(module: nn.Module, image: Tensor) -> fx.GraphModule:
    """Return a graph of the layers that a network calls for an image, each of them opaque."""
    called: list[str] = []
    hooks = [
        part.register_forward_hook(_noting(called, name))
        for name, part in module.named_modules()
        if name and not list(part.children())
    ]
    try:
        with torch.no_grad():
            module(image)
    finally:
        for hook in hooks:
            hook.remove()
    graph = fx.Graph()
    images = graph.placeholder("images")
    layers: dict[str, Opaque] = {}
    for name in called:
        call = sum(layer.name == name for layer in layers.values())
        layers[f"{name}@{call}" if call else name] = Opaque(module, name, call)
    graph.output(tuple(graph.call_module(name, (images,)) for name in layers))
    return fx.GraphModule(layers, graph)


def _noting(called: list[str], name: str) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            called.append(name)

    return note
