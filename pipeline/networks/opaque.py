"""Networks that cannot be traced: each layer is the whole network, run until the layer responds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from pipeline.errors import NetworkError


class Opaque(nn.Module):
    """One layer of a network that cannot be traced: the network, run until the layer responds."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def weights(self) -> int:
        """Return the number of weights of the network."""
        return sum(weight.numel() for weight in self.network.parameters())

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the layer's first call, for one image after the other.

        What the network decides by looking at its input must not depend on the rest of a batch.
        """
        return torch.cat([self._respond(image) for image in images.split(1)])

    def _respond(self, images: Tensor) -> Tensor:
        thread = threading.get_ident()

        def stop(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            if threading.get_ident() == thread:  # others may ask the same network meanwhile
                raise _ReachedError(output)

        hook = self.network.get_submodule(self.name).register_forward_hook(stop)
        try:
            self.network(images)
        except _ReachedError as reached:
            return reached.output
        finally:
            hook.remove()
        raise NetworkError(f"model: '{self.name}' was not called")


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
    names = list(dict.fromkeys(called))
    layers = [graph.call_module(name, (images,)) for name in names]
    graph.output(tuple(layers))
    return fx.GraphModule({name: Opaque(module, name) for name in names}, graph)


def _noting(called: list[str], name: str) -> Callable[..., None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            called.append(name)

    return note
