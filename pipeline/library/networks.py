"""Networks by name, or any module of your own."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.images.preprocessing import Preprocessing
from pipeline.library.arguments import chosen_layer, of_network, own_names, whole_number
from pipeline.networks.loading.network import Network, with_shuffled_weights
from pipeline.networks.loading.preparation import prepared
from pipeline.networks.loading.weights import load_weights, read_weights
from pipeline.networks.receptive_fields import Box, smallest_canvas
from pipeline.networks.receptive_fields import receptive_field as field_at
from pipeline.networks.units.readouts import Readout

MINIATURE = "miniature"
GABOR_BANK = "gabor_bank"


@own_names()
def network(
    model: str | nn.Module,
    *,
    weights: str | Path | None = None,
    shuffled: bool = False,
    seed: int = 0,
    input_size: Sequence[int] | int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    name: str | None = None,
    readouts: Mapping[str, Readout] | None = None,
) -> Network:
    """Return a network ready for use: in eval mode, in float32, traced on first use.

    A module is not copied, unless its weights are shuffled: it is set to eval mode, and its
    parameters no longer require gradients.
    Pictures and uint8 pixels are resized to just cover the input size, and center-cropped.

    Args:
        model: ``miniature`` (the embedded network), ``gabor_bank`` (cells of known tuning, in the
            layer ``cells``, or ``conv3``), the name of one of torchvision's classification
            networks, such as ``alexnet``, or a ``torch.nn.Module`` from
            ``[batch, channels, height, width]``.
        weights: of a network by name: ``default`` (its own, downloaded when needed), ``random``, or
            the path or URL of a file; of a module, a file to load into it, or ``None`` for those
            that it has.
        shuffled: whether the weights are shuffled within each convolution and linear layer: a
            control whose weights are as strong as those of the network, but not where training put
            them. Biases stay.
        seed: of random and of shuffled weights, and of the cells of ``gabor_bank``.
        input_size: of a module: height and width in pixels, a side, or channels, height and width.
        mean: of a module: what was subtracted from pixels in 0..1, one number per channel or one
            for all; zeros by default.
        std: of a module: what they were divided by; ones by default.
        name: of a module, in tables; its class by default.
        readouts: units that are computed from the channels of a layer, by the names that follow
            that of the layer and a colon, as in ``{"sae": pipeline.dictionary("sae.npz")}``.

    Raises:
        ConfigError: there is no network of that name, or it has an input of its own.
        NetworkError: the module has no input size, or is of a kind that cannot be used.

    >>> import pipeline
    >>> pipeline.network("miniature").layers.field.tolist()
    [(9, 9), (29, 29), (53, 53), (69, 69), (85, 85)]
    >>> from torch import nn
    >>> own = nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.Conv2d(4, 8, 3))
    >>> pipeline.network(own, input_size=(1, 20, 30)).layers.field.tolist()
    [(5, 5), (7, 7)]
    """
    seed = whole_number("seed", seed, 0)
    if readouts:
        given = {"input_size": input_size, "mean": mean, "std": std, "name": name}
        bare = network(model, weights=weights, shuffled=shuffled, seed=seed, **given)
        return bare.with_readouts(readouts)
    if isinstance(model, str):
        _refuse_for_names(model, input_size=input_size, mean=mean, std=std, name=name)
        return _by_name(model, "default" if weights is None else str(weights), seed, shuffled)
    given: Any = model
    if not isinstance(given, nn.Module):
        raise NetworkError(f"model: {type(given).__name__} is neither a torch.nn.Module nor a name")
    if input_size is None:
        raise NetworkError("input_size: must be given for a module, as in input_size=(3, 224, 224)")
    channels, size = _input(input_size)
    # Pictures are resized to just cover the input, and cropped.
    preprocessing = Preprocessing(
        min(size),
        size[0] if size[0] == size[1] else size,
        _per_channel("mean", mean, 0.0, channels),
        _per_channel("std", std, 1.0, channels),
    )
    called = name or type(model).__name__
    missing, source = frozenset[str](), "its own"
    model = copy.deepcopy(model) if shuffled else model
    if weights is not None:
        source = str(weights)
        missing = load_weights(model, read_weights(source), source)
    net = prepared(Network(called, model, preprocessing, source, "", missing))
    return with_shuffled_weights(net, seed) if shuffled else net


@of_network
def receptive_field(net: Network, layer: str, position: tuple[int, int] | None = None) -> Box:
    """Return the exact box of input pixels that a unit sees.

    Args:
        net: the network.
        layer: name of the layer.
        position: row and column of the unit on the layer's map; by default the unit that
            ascents and figures use, placed in the smallest input that holds its field.

    Returns:
        Top, left, bottom and right in pixels; the last two are exclusive. It may extend beyond the
        input if the network pads.

    Raises:
        ConfigError: there is no such layer or position.

    >>> import pipeline
    >>> pipeline.receptive_field(pipeline.network("miniature"), "conv2", (0, 0))[:2]
    (-12, -12)
    """
    found = chosen_layer(net, layer)
    if position is None:
        return smallest_canvas(net.graph, found.node).box
    try:
        row, column = (whole_number("position", n, 0) for n in position)
        on_map = row < found.map_size[0] and column < found.map_size[1]
    except (ConfigError, TypeError, ValueError):
        row, column, on_map = 0, 0, False
    if not on_map:
        raise ConfigError(
            f"position: {position!r} is not a row and a column of the map of {found.map_size}"
        )
    return field_at(net.graph, found.node, (row, column))


def _refuse_for_names(model: str, **given: Any) -> None:
    """Refuse what is said about a network that is known by its name."""
    for argument, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{argument}: '{model}' has its own; for another give the module, as in"
                f" pipeline.network(pipeline.network('{model}').module, input_size=..., mean=...,"
                " std=..., name=...)"
            )


def _by_name(name: str, weights: str, seed: int, shuffled: bool) -> Network:
    if name == MINIATURE:
        from pipeline.miniature.network import miniature

        return miniature(weights, seed, shuffled)
    if name == GABOR_BANK:
        from pipeline.miniature.gabor_bank import gabor_bank

        if weights != "default" or shuffled:
            raise ConfigError(
                f"{'shuffled' if shuffled else 'weights'}: cannot be given for gabor_bank, whose"
                " weights are those of its cells; seed draws others, and"
                " pipeline.miniature.gabor_bank.gabor_bank takes a table of them"
            )
        return gabor_bank(seed=seed)
    # torchvision takes a second to import, and is not needed for the user's own modules.
    from pipeline.networks.loading.torchvision import torchvision_network

    return torchvision_network(name, weights, seed, shuffled=shuffled)


def _input(size: Sequence[int] | int) -> tuple[int, tuple[int, int]]:
    """Return the channels, and height and width."""
    try:
        given: Any = [size, size] if isinstance(size, int) else size
        sides = [whole_number("input_size", n) for n in given]
        channels = sides.pop(0) if len(sides) == 3 else 3
        height, width = sides
    except (ConfigError, TypeError, ValueError) as error:
        raise NetworkError(
            f"input_size: {size!r} is no side, height and width, or channels, height and width"
        ) from error
    return channels, (height, width)


def _per_channel(
    key: str, values: Sequence[float] | float | None, default: float, channels: int
) -> tuple[float, ...]:
    if values is None:
        return (default,) * channels
    given: Any = [values] * channels if isinstance(values, int | float) else values
    try:
        numbers = tuple(map(float, given))
    except (TypeError, ValueError) as error:
        raise NetworkError(f"{key}: {values!r} are not numbers, one per channel") from error
    if not all(map(math.isfinite, numbers)) or (key == "std" and min(numbers) <= 0):
        raise NetworkError(f"{key}: {list(numbers)} are not finite numbers, above 0 for std")
    if len(numbers) != channels:
        raise NetworkError(f"{key}: {list(numbers)} are not {channels} numbers, one per channel")
    return numbers
