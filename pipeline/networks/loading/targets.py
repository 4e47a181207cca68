"""Modules of PyTorch that a user names: a dotted name, and the arguments that it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from torch import nn

from pipeline.errors import ArtiphysError, ConfigError, first_line, nearest
from pipeline.networks.loading.weights import seeded


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
    make = _found(target, key)
    try:
        with seeded(seed):
            module = make(**arguments)
    except ArtiphysError:
        raise
    except Exception as error:  # a user's own code may raise anything
        raise ConfigError(
            f"{key}.target: '{target}' cannot be called with the given arguments"
            f" ({first_line(error)})"
        ) from error
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"{key}.target: '{target}' returns {type(module).__name__}, no torch.nn.Module"
        )
    return module


def _found(target: str, key: str) -> Callable[..., Any]:
    path, _, name = target.rpartition(".")
    if not path:
        raise ConfigError(
            f"{key}.target: '{target}' is not a dotted name, such as my_net.MyNet for the class"
            " MyNet in my_net.py"
        )
    try:
        place = import_module(path)
    except Exception as error:  # importing a user's file runs it
        raise ConfigError(
            f"{key}.target: '{path}' cannot be imported ({first_line(error)}); is it in the current"
            " folder, or is its folder on PYTHONPATH?"
        ) from error
    make = getattr(place, name, None)
    if not callable(make):
        raise ConfigError(
            f"{key}.target: '{path}' has no class or function '{name}'{nearest(name, dir(place))}"
        )
    return make
