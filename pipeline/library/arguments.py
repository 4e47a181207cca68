"""Arguments as a notebook gives them: networks, layers, units and numbers, each checked here.

What is shared with stages names configuration keys in its errors; a function of the library names
its own arguments instead.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import wraps
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from pipeline.errors import ArtiphysError, ConfigError
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.units.selection import select_units

Given = ParamSpec("Given")
Returned = TypeVar("Returned")

# Keys of the command line, and what a function of the library calls the same.
_ARGUMENTS = (
    (r"(?<!\S)init\.copies(?=\s|:)", "copies"),
    (r"(?<!\S)search\.batch_size(?=\s|,)", "batch_size"),
    (r"^images\.(?:root|file):", "images:"),
    (r"^images\.(?=[\w.]+[:,])", ""),
    (r"\bimages\.(values|channels)=(\w+)", r"\1='\2'"),
    (r"\bimages\.(?=column\b)", ""),
    (r"\blower images\.crop or set images\.resize\b", "enlarge it"),
    (r"^model\.name:", "model:"),
    (r"^init:", "start:"),
    (r"\binit=\[(\w+)\]", r"start='\1'"),
    (r"^smoothing:", "smoothings:"),
    (r"\bsmoothing=\[\]", "smoothings=[]"),
    (r"\bparameterization=\[(\w+)\]", r"parameterization='\1'"),
    (r"\bgradient=plain\b", "gradient='plain'"),
    (r"\blayers=\[output\]", "layer='output'"),
    (r"^stimulus\.v4_shapes\.(?=\w+:)", ""),
    (r"^(?:ascent|dream|model|responses|screen|search|stimuli|tuning)\.(?=\w+:)", ""),
    # Options are given as functions: transform.jitter.pixels is an argument of jitter.
    (r"^(?:init|objective|parameterization|smoothing|stimulus|transform)\.(?=[\w.]+:)", ""),
)


def of_network(
    function: Callable[Concatenate[Network, Given], Returned],
) -> Callable[Concatenate[Network, Given], Returned]:
    """Let a function refuse what is no network, or is not any more what was made ready.

    Its errors name its own arguments.
    """
    arguments = inspect.signature(function).parameters
    single = {f"{name}s": name for name in ("layer", "unit") if name in arguments}

    @wraps(function)
    def call(net: Any, *args: Given.args, **kwargs: Given.kwargs) -> Returned:
        if not isinstance(net, Network):
            raise ConfigError(
                f"net: {type(net).__name__} is not what pipeline.network returns; call it first, as"
                " in net = pipeline.network(module, input_size=(3, 224, 224))"
            )
        net.refuse_changes()
        with own_names(single):
            return function(net, *args, **kwargs)

    return call


@contextmanager
def own_names(single: Mapping[str, str] = MappingProxyType({})) -> Generator[None]:
    """Let errors name arguments of the library instead of keys of the command line.

    Args:
        single: names of arguments that are one of several elsewhere, such as ``layer``, by these.
    """
    try:
        yield
    except ArtiphysError as error:
        key, colon, rest = as_arguments(str(error)).partition(":")
        error.args = (f"{single.get(key, key)}{colon}{rest}",)
        raise


def as_arguments(message: str) -> str:
    """Return a message with the names of arguments in place of keys of the command line."""
    for key, argument in _ARGUMENTS:
        message = re.sub(key, argument, message)
    return message


def chosen_layers(net: Network, layers: Any) -> list[Layer]:
    """Return layers by name, in call order.

    Args:
        net: the network.
        layers: ``all`` for those of ``net.layers``, a name, or several.

    Raises:
        ConfigError: they are no names, or of no layers.
    """
    names = [*layers] if isinstance(layers, Iterable) else [layers]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"layers: {layers!r} is not 'all', the name of a layer or a list of names;"
            " net.layers lists them"
        )
    return net.find_layers(layers if isinstance(layers, str) else names)


def chosen_layer(net: Network, layer: Any) -> Layer:
    """Return one layer by its name.

    Raises:
        ConfigError: there is none.
    """
    if not isinstance(layer, str):
        raise ConfigError(f"layers: {layer!r} is not the name of a layer; net.layers lists them")
    return net.layer(layer)


def chosen_units(units: Any, layer: Layer) -> list[int]:
    """Return unit numbers in the order in which they are given.

    Args:
        units: ``all``, a number, a range such as ``0:64``, a list, an array or a tensor.
        layer: whose units they are.

    Raises:
        ConfigError: a unit is named twice, or is beyond the layer's last.
    """
    given = units.tolist() if hasattr(units, "tolist") else units
    if not isinstance(given, list | tuple | range):
        return select_units(given, layer)
    numbers = [int(n) if isinstance(n, np.integer) else n for n in given]
    known = select_units(numbers, layer)
    if len(known) < len(numbers):
        raise ConfigError(f"units: {numbers} names a unit twice")
    return numbers


def degrees(visual_degrees: Any) -> float:
    """Return the width of the network's input in degrees of visual angle.

    Raises:
        ConfigError: it is none.
    """
    try:
        width = float(visual_degrees)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"visual_degrees: {visual_degrees!r} is not a number of degrees"
        ) from error
    if not 0 < width <= 180:
        raise ConfigError(f"visual_degrees: {visual_degrees} is not above 0 and at most 180")
    return width


def true_or_false(key: str, value: Any) -> bool:
    """Return a truth value.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"{key}: {value!r} is neither True nor False")
    return bool(value)


def whole_number(key: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least 1, or another least.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ConfigError(f"{key}: {value!r} is not a whole number")
    if value < least:
        said = "positive" if least == 1 else f"at least {least}"
        raise ConfigError(f"{key}: {value} is not {said}; use {least} or more")
    return int(value)
