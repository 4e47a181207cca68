"""A user's own network, made ready to be asked, whatever training has left of it."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from pipeline.errors import NetworkError
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import digest_weights

log = logging.getLogger(__name__)


def prepared(network: Network) -> Network:
    """Return a network in eval mode and single precision, without what training wrapped it in.

    Its digest is that of its weights as they are, whatever was given. What is changed is logged.

    Raises:
        NetworkError: it is of a kind whose layers cannot be asked one by one.
    """
    given: Any = network.module
    if not isinstance(given, nn.Module):
        raise NetworkError(f"model: {network.name} is a {type(given).__name__}, no torch.nn.Module")
    module = _unwrapped(given)
    for part in module.modules():
        setattr(part, "_compiled_call_impl", None)  # noqa: B010 - what module.compile() leaves
        for name, child in part.named_children():
            setattr(part, name, _unwrapped(child))
    _refuse_packed(network.name, module)
    if any(_trains(part) for part in module.modules()):
        log.warning(
            "model: %s was in training mode, in which batch normalization depends on the other"
            " images of a batch and dropout on chance; it is used in eval mode",
            network.name,
        )
    module.eval().requires_grad_(False)
    _make_single(network.name, module)
    missing = network.missing & module.state_dict().keys()
    return replace(network, module=module, digest=digest_weights(module, missing))


def _trains(part: nn.Module) -> bool:
    """Say whether a part is in training mode and may compute something else there."""
    is_own = not type(part).__module__.startswith("torch.nn")
    return part.training and (is_own or isinstance(part, _BatchNorm | _DropoutNd | nn.RReLU))


def _unwrapped(module: nn.Module) -> nn.Module:
    """Take off what parallel training, averaging of weights and compilation put around a module."""
    while True:
        # What torch.compile returns; importing its class would take a second.
        compiled = dict(module.named_children()).get("_orig_mod")
        if compiled is not None:
            module = compiled
        elif isinstance(module, nn.DataParallel | DistributedDataParallel | AveragedModel):
            module = module.module
        else:
            return module


def _refuse_packed(name: str, module: nn.Module) -> None:
    for path, part in module.named_modules():
        where = f"'{path}' of {name}" if path else name
        if isinstance(part, torch.jit.ScriptModule):
            raise NetworkError(
                f"model: {where} is a TorchScript module, whose layers cannot be asked one by one;"
                " give the Python module that it was made from"
            )
        if ".quantized" in type(part).__module__:
            raise NetworkError(
                f"model: {where} is quantized ({type(part).__name__}) and has no gradient;"
                " give the network as it was before"
            )


def _make_single(name: str, module: nn.Module) -> None:
    tensors = module.state_dict().values()
    if any(tensor.is_complex() for tensor in tensors):
        raise NetworkError(f"model: {name} has complex weights, which are not supported")
    kinds = {tensor.dtype for tensor in tensors if tensor.is_floating_point()} - {torch.float32}
    if kinds:
        given = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        log.warning("model: %s has weights in %s; it is used in float32", name, given)
        module.float()
