"""Classes and functions of a user: a dotted name, and the arguments that it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pipeline.errors import ArtiphysError, ConfigError, first_line, nearest


def call_target(target: str, arguments: Mapping[str, Any], key: str, example: str) -> Any:
    """Return what a class or function makes.

    Args:
        target: dotted name of the class or function, such as ``my_net.MyNet``.
        arguments: what it is called with, by name.
        key: the option that asks for it, such as ``model``, for messages.
        example: a dotted name of such a class, for messages.

    Raises:
        ConfigError: there is no such class or function, or it rejects the arguments.
    """
    make = _found(target, key, example)
    try:
        return make(**arguments)
    except ArtiphysError:
        raise
    except Exception as error:  # a user's own code may raise anything
        raise ConfigError(
            f"{key}.target: '{target}' cannot be called with the given arguments"
            f" ({first_line(error)})"
        ) from error


def _found(target: str, key: str, example: str) -> Callable[..., Any]:
    path, _, name = target.rpartition(".")
    if not path:
        file, _, kind = example.partition(".")
        raise ConfigError(
            f"{key}.target: '{target}' is not a dotted name, such as {example} for the class"
            f" {kind} in {file}.py"
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
