"""Preparing a user's own network for use, whatever state training left it in."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.modules.dropout import _DropoutNd  # pyright: ignore[reportPrivateUsage]
from torch.nn.parallel import DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.optim.swa_utils import AveragedModel
from torch.utils._pytree import tree_leaves

from pipeline.errors import NetworkError
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import digest_weights

log = logging.getLogger(__name__)


def prepared(network: Network) -> Network:
    """Return a network in eval mode and single precision, without the wrappers of training.

    Its digest is computed from its actual weights. Changes are logged.

    Raises:
        NetworkError: it is of a kind whose layers cannot be used separately.
    """
    given: Any = network.module
    if not isinstance(given, nn.Module):
        raise NetworkError(f"model: {network.name} is a {type(given).__name__}, no torch.nn.Module")
    module = _unwrapped(given)
    for part in module.modules():
        setattr(part, "_compiled_call_impl", None)  # noqa: B010 - set by module.compile()
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
    preprocessing = network.preprocessing
    shape = (len(preprocessing.mean), *preprocessing.input_size)
    _refuse_batch_dependence(network.name, module, shape)
    missing = network.missing & module.state_dict().keys()
    return replace(network, module=module, digest=digest_weights(module, missing))


def _trains(part: nn.Module) -> bool:
    """Return whether a part is in training mode and may compute something different in it."""
    is_own = not type(part).__module__.startswith("torch.nn")
    return part.training and (is_own or isinstance(part, _BatchNorm | _DropoutNd | nn.RReLU))


def _unwrapped(module: nn.Module) -> nn.Module:
    """Remove wrappers of parallel training, weight averaging and compilation from a module."""
    while True:
        # The class that torch.compile returns would take a second to import.
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
        tensors = [*part.parameters(recurse=False), *part.buffers(recurse=False)]
        if any(is_lazy(tensor) for tensor in tensors):
            raise NetworkError(
                f"model: {where} ({type(part).__name__}) is not initialized; run the network on one"
                " image before returning it"
            )
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


def _refuse_batch_dependence(name: str, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Reject a network whose response to an image depends on anything else."""
    pixels = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    pixels = pixels.to(next(module.parameters(), pixels).device)
    try:
        with torch.no_grad():
            together, again = _numbers(module(pixels)), _numbers(module(pixels))
            alone = [_numbers(module(pixels[n : n + 1])) for n in range(2)]
    except Exception:  # noqa: BLE001 - tracing reports it, at the size that is used
        return
    if not _close(together, again):
        raise NetworkError(
            f"model: {name} gives different responses to the same image, even in eval mode; its"
            " forward pass must neither draw random numbers nor update a state"
        )
    for number, own in enumerate(alone):
        if not _close([output[number : number + 1] for output in together], own):
            raise NetworkError(
                f"model: the response of {name} to an image depends on the other images in the"
                " batch, as it does with batch normalization without running statistics; its"
                " forward pass must treat every image independently"
            )


def _numbers(outputs: Any) -> list[torch.Tensor]:
    """Return the outputs of a network that have one row per image."""
    leaves = [output for output in tree_leaves(outputs) if isinstance(output, torch.Tensor)]
    return [output for output in leaves if output.is_floating_point() and output.ndim > 0]


def _close(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    """Return whether outputs are equal up to rounding, which depends on the batch size."""
    return all(
        one.shape != other.shape  # this output says nothing about single images
        or torch.allclose(one, other, 1e-3, 1e-3 * float(other.nan_to_num().abs().max()), True)
        for one, other in zip(ones, others, strict=True)
        if one.numel()
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
