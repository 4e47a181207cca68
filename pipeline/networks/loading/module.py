"""Any module of PyTorch as a network: a user's class or function by name, or a module itself."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from pipeline.errors import ConfigError, NetworkError, listed
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.resize import FILTERS
from pipeline.networks.loading.network import Network, refuse_key_alone, with_shuffled_weights
from pipeline.networks.loading.preparation import prepared
from pipeline.networks.loading.targets import made
from pipeline.networks.loading.weights import load_weights, read_weights
from pipeline.store.secrets import without_query

OWN = "its own"  # the weights that a module has
Numbers = Sequence[float] | float | None

log = logging.getLogger(__name__)


def module_network(
    target: str,
    input_size: Sequence[int] | int,
    weights: str,
    weights_key: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    resize: int | None = None,
    interpolation: str = "bilinear",
    name: str | None = None,
    seed: int = 0,
    shuffled: bool = False,
) -> Network:
    """Return a network that a user's class or function makes.

    Args:
        target: dotted name of a ``torch.nn.Module`` class, or of a function that returns a module,
            such as ``my_net.MyNet`` for the class ``MyNet`` in ``my_net.py``.
        input_size: channels, height and width of its images in pixels; height and width, or a
            side, for three channels.
        weights: the path or URL of a weights file, ``random`` (a seeded control), or ``default``,
            those with which the target returns the module, if they are not random.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.
        arguments: of the class or function, by name.
        mean: what is subtracted from pixels in 0..1, one number per channel or one for all; zeros
            by default.
        std: what they are divided by; ones by default.
        resize: length in pixels to which the short side of a picture is resized before it is
            center-cropped; by default, pictures just cover the input.
        interpolation: resampling filter, such as ``bilinear`` or ``bicubic``.
        name: of the network, in the store and in tables; by default, the last part of ``target``.
        seed: of random and of shuffled weights.
        shuffled: whether the weights are shuffled within each layer, as a control.

    Raises:
        ConfigError: there is no such target, or it cannot be called with these arguments.
        NetworkError: the weights cannot be loaded, are not the kind that was asked for, or the
            module is of a kind that cannot be used.
    """
    refuse_key_alone(weights, weights_key)
    preprocessing = preprocessing_of(input_size, mean, std, resize, interpolation)
    module = made(target, dict(arguments or {}), "model", seed)
    if weights in ("default", "random"):
        again = made(target, dict(arguments or {}), "model", seed + 1)
        _check_origin(target, weights, module, again)
    source = OWN if weights == "default" else weights
    module.eval()  # as it is used; nobody has said otherwise
    called = name or target.rpartition(".")[2]
    network = of_module(module, preprocessing, called, source, weights_key)
    return with_shuffled_weights(network, seed) if shuffled else network


def of_module(
    module: nn.Module,
    preprocessing: Preprocessing,
    name: str,
    weights: str = OWN,
    weights_key: str | None = None,
) -> Network:
    """Return a module as a network: in eval mode, in float32.

    Args:
        module: the module, which is not copied.
        preprocessing: what its weights expect of an image.
        name: name of the network.
        weights: path or URL of a file to load into it; ``OWN`` or ``random`` for those that it has.
        weights_key: dotted place in the file under which the weights are.

    Raises:
        NetworkError: the weights cannot be loaded, or it is of a kind that cannot be used.
    """
    missing = frozenset[str]()
    if weights not in (OWN, "random"):
        missing = load_weights(module, read_weights(weights), weights, weights_key)
    return prepared(Network(name, module, preprocessing, without_query(weights), "", missing))


def preprocessing_of(
    input_size: Sequence[int] | int,
    mean: Numbers = None,
    std: Numbers = None,
    resize: int | None = None,
    interpolation: str = "bilinear",
) -> Preprocessing:
    """Return the preprocessing that a user describes; arguments as those of ``module_network``.

    Raises:
        ConfigError: ``resize`` or ``interpolation`` cannot be used.
        NetworkError: the others are no numbers of pixels, or not one per channel.

    >>> preprocessing_of([3, 128, 192]).resize
    128
    >>> preprocessing_of([2, 64, 64], mean=0.5, std=[0.2, 0.3]).std
    (0.2, 0.3)
    """
    channels, size = _input(input_size)
    if resize is not None and (type(resize) is not int or resize < min(size)):
        raise ConfigError(
            f"model.resize: {resize!r} is not null or a number of pixels of at least {min(size)},"
            " the short side of the input"
        )
    if interpolation not in FILTERS:
        raise ConfigError(
            f"model.interpolation: '{interpolation}' is not one of {', '.join(FILTERS)}"
        )
    return Preprocessing(
        min(size) if resize is None else resize,
        size[0] if size[0] == size[1] else size,
        per_channel("mean", mean, 0.0, channels),
        per_channel("std", std, 1.0, channels),
        interpolation,
    )


def _check_origin(target: str, weights: str, module: nn.Module, again: nn.Module) -> None:
    """Refuse random weights where trained ones are asked for, and the other way round.

    Args:
        target: what made the modules, for messages.
        weights: ``default`` or ``random``.
        module: made with one seed.
        again: made with another.
    """
    drawn, kept = _told_apart(module, again)
    if weights == "default" and drawn and not kept:
        raise NetworkError(
            f"model.weights: the weights that {target} returns are random, as another seed gives"
            " others; give the path of a file, or model.weights=random if you want a random network"
        )
    if weights == "random" and kept and not drawn:
        raise NetworkError(
            f"model.weights: the weights that {target} returns are not random, as another seed"
            " gives the same; use model.weights=default for these, or let it draw them"
        )
    if drawn and kept:
        log.warning(
            "model.weights: of the weights that %s returns, %s are the same for every seed, and"
            " %s are random",
            target,
            _some(kept),
            _some(drawn),
        )


def _told_apart(module: nn.Module, again: nn.Module) -> tuple[list[str], list[str]]:
    """Return the names of the weights that depend on the seed, and of those that do not.

    Weights of one value alone, as those of normalizations before training, are left out.
    """
    others = dict(again.named_parameters())
    drawn: list[str] = []
    kept: list[str] = []
    for name, weight in module.named_parameters():
        other = others.get(name)
        if other is None or other.shape != weight.shape or not torch.equal(weight, other):
            drawn.append(name)
        elif weight.numel() and not bool((weight == weight.flatten()[0]).all()):
            kept.append(name)
    return drawn, kept


def _some(names: list[str]) -> str:
    return listed([f"'{name}'" for name in names], 1)


def _input(size: Any) -> tuple[int, tuple[int, int]]:
    """Return the channels, and height and width."""
    sides: list[Any] = [size, size] if isinstance(size, int) else _as_list(size)
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in sides)
    if not whole or len(sides) not in (2, 3):
        raise NetworkError(
            f"model.input_size: {size!r} is no side, height and width, or channels, height and"
            " width, in pixels"
        )
    channels, height, width = sides if len(sides) == 3 else (3, *sides)
    return channels, (height, width)


def _as_list(values: Any) -> list[Any]:
    """Return numbers as a list of Python's; of NumPy and torch too."""
    return list(values.tolist() if hasattr(values, "tolist") else values)


def per_channel(
    key: Literal["mean", "std"], values: Any, default: float, channels: int
) -> tuple[float, ...]:
    """Return a mean or standard deviation of pixels, one per channel.

    Raises:
        NetworkError: they are no numbers, not one per channel, or not above 0 for ``std``.
    """
    if values is None:
        return (default,) * channels
    try:
        given = [values] * channels if isinstance(values, int | float) else _as_list(values)
        numbers = tuple(map(float, given))
    except (TypeError, ValueError) as error:
        raise NetworkError(f"model.{key}: {values!r} are not numbers, one per channel") from error
    if not all(map(math.isfinite, numbers)) or (key == "std" and min(numbers, default=1) <= 0):
        raise NetworkError(f"model.{key}: {list(numbers)} are not finite numbers, above 0 for std")
    if len(numbers) != channels:
        raise NetworkError(
            f"model.{key}: {list(numbers)} are not {channels} numbers, one per channel"
        )
    return numbers
