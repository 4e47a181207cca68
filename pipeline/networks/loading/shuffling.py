"""A control: the weights of a trained network, shuffled within each layer."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]

from pipeline.errors import NetworkError, listed

log = logging.getLogger(__name__)
# The weights of modules that take weighted sums; attention keeps those of its inputs by itself.
_WEIGHTS = ("weight", "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def shuffle_weights(name: str, module: nn.Module, seed: int) -> None:
    """Permute the weights of every convolution and linear layer of a network, in place.

    All numbers of a weight tensor change places within it: between units, inputs and positions. How
    strong the weights of a layer are is kept; what they are tuned to is lost. Biases and the
    parameters of normalization stay: as weights move between units, permuting these too would only
    renumber the units. A tensor's order depends on the seed and on its name alone. Weights that
    several layers share are permuted once.

    Source: a control of Pospisil, Pasupathy & Bair (2018), eLife 7:e38242.

    Args:
        name: of the network, for messages.
        module: the network.
        seed: of the permutations.

    Raises:
        NetworkError: the network has no such weights, or computes some of them from others.

    >>> net = nn.Linear(4, 1, bias=False)
    >>> before = net.weight.detach().clone()
    >>> shuffle_weights("linear", net, seed=0)
    >>> torch.equal(net.weight.sort().values, before.sort().values)
    True
    """
    weights = dict(_weights(name, module))
    if not weights:
        raise NetworkError(
            f"model.shuffled: {name} has no convolution or linear layer whose weights could be"
            " shuffled"
        )
    with torch.no_grad():
        for path, weight in weights.items():
            order = _generator(seed, path).permutation(weight.numel())
            numbers = weight.detach().flatten()
            weight.copy_(numbers[torch.from_numpy(order).to(weight.device)].view_as(weight))
    shuffled = {id(weight) for weight in weights.values()}
    kept = [
        f"'{path}'"
        for path, parameter in module.named_parameters()
        if parameter.ndim > 1 and id(parameter) not in shuffled
    ]
    if kept:
        log.info(
            "model.shuffled: %s keeps %s, which no convolution or linear layer has as its weights",
            name,
            listed(kept, 3),
        )


def _weights(name: str, module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the weight tensors of a network by name, each once."""
    seen: set[int] = set()
    for path, part in module.named_modules():
        if not isinstance(part, _ConvNd | nn.Linear | nn.MultiheadAttention):
            continue
        own: dict[str, Any] = dict(part.named_parameters(recurse=False))
        if "weight" not in own and not isinstance(part, nn.MultiheadAttention):
            raise NetworkError(
                f"model.shuffled: the weight of '{path}' of {name} is computed from other"
                " parameters; remove its parametrization first"
            )
        for key in _WEIGHTS:
            weight = own.get(key)
            if weight is not None and id(weight) not in seen:
                seen.add(id(weight))
                yield f"{path}.{key}".lstrip("."), weight


def _generator(seed: int, path: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{path}/shuffled".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
