"""Modules of PyTorch that a user names: a dotted name, and the arguments that it is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.loading.weights import seeded
from pipeline.store.targets import call_target


def made(target: str, arguments: Mapping[str, Any], key: str, seed: int = 0) -> nn.Module:
    """Return the module that a class or function makes.

    Args:
        target: dotted name of the class or function, such as ``my_net.MyNet``.
        arguments: what it is called with, by name.
        key: the option that asks for it, such as ``model``, for messages.
        seed: of the random numbers that PyTorch draws meanwhile, for initial weights.

    Raises:
        ConfigError: there is no such class or function, it rejects the arguments, or it returns
            something else.
    """
    with seeded(seed):
        module = call_target(target, arguments, key, "my_net.MyNet")
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{key}.target: '{target}' returns {type(module).__name__}, no torch.nn.Module"
        )
    return module
