"""Networks by name, or any module of your own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.library.arguments import chosen_layer, of_network, own_names, whole_number
from pipeline.networks.loading.module import OWN, of_module, preprocessing_of
from pipeline.networks.loading.network import Network, with_shuffled_weights
from pipeline.networks.receptive_fields import Box, smallest_canvas
from pipeline.networks.receptive_fields import receptive_field as field_at
from pipeline.networks.units.readouts import Readout
from pipeline.store.identity import SOURCES

MINIATURE = "miniature"
GABOR_BANK = "gabor_bank"


@own_names()
def network(
    model: str | nn.Module,
    *,
    weights: str | Path | None = None,
    weights_key: str | None = None,
    shuffled: bool = False,
    seed: int = 0,
    input_size: Sequence[int] | int | None = None,
    mean: Sequence[float] | float | None = None,
    std: Sequence[float] | float | None = None,
    resize: int | None = None,
    interpolation: str | None = None,
    name: str | None = None,
    readouts: Mapping[str, Readout] | None = None,
) -> Network:
    """Return a network ready for use: in eval mode, in float32, traced on first use.

    A module is not copied, unless its weights are shuffled: it is set to eval mode, and its
    parameters no longer require gradients.
    Pictures and uint8 pixels are resized, by default to just cover the input size, and
    center-cropped.

    Args:
        model: ``miniature`` (the embedded network), ``gabor_bank`` (cells of known tuning, in the
            layer ``cells``, or ``conv3``), the name of one of torchvision's classification
            networks, such as ``alexnet``, ``timm/NAME`` for one of timm's, ``huggingface/NAME`` for
            one of the Hugging Face hub or a folder of ``save_pretrained``, or a
            ``torch.nn.Module`` from ``[batch, channels, height, width]``.
        weights: of a network by name: ``default`` (its own, downloaded when needed), ``random``, or
            the path or URL of a file; of a module, a file to load into it, or ``None`` for those
            that it has.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.
        shuffled: whether the weights are shuffled within each convolution and linear layer: a
            control whose weights are as strong as those of the network, but not where training put
            them. Biases stay.
        seed: of random and of shuffled weights, and of the cells of ``gabor_bank``.
        input_size: of a module: height and width in pixels, a side, or channels, height and width.
        mean: of a module: what is subtracted from pixels in 0..1, one number per channel or one
            for all; zeros by default. Of a network of timm or Hugging Face, in place of its own.
        std: what they are divided by, likewise; ones by default.
        resize: of a module: length in pixels to which the short side of a picture is resized.
        interpolation: of a module: the resampling filter; ``bilinear`` by default.
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
    if isinstance(model, str):
        asked = {"weights": "default" if weights is None else str(weights), "seed": seed}
        asked |= {"shuffled": shuffled, "weights_key": weights_key}
        described = {"input_size": input_size, "resize": resize, "interpolation": interpolation}
        net = _by_name(model, asked, described | {"mean": mean, "std": std, "name": name})
        return net.with_readouts(readouts) if readouts else net
    given: Any = model
    if not isinstance(given, nn.Module):
        raise NetworkError(f"model: {type(given).__name__} is neither a torch.nn.Module nor a name")
    if input_size is None:
        raise NetworkError("input_size: must be given for a module, as in input_size=(3, 224, 224)")
    preprocessing = preprocessing_of(input_size, mean, std, resize, interpolation or "bilinear")
    source = OWN if weights is None else str(weights)
    if weights is None and weights_key is not None:
        raise ConfigError("weights_key: is a place in a weights file; give weights, too")
    model = copy.deepcopy(model) if shuffled else model
    net = of_module(model, preprocessing, name or type(model).__name__, source, weights_key)
    net = with_shuffled_weights(net, seed) if shuffled else net
    return net.with_readouts(readouts) if readouts else net


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


def _by_name(name: str, asked: dict[str, Any], described: dict[str, Any]) -> Network:
    """Return a network by its name.

    Args:
        name: of the network.
        asked: weights and seed.
        described: what is said about its input, most of which is known by its name.
    """
    source, _, inner = name.partition("/")
    if inner and source in SOURCES:
        own = {key: described.pop(key) for key in ("mean", "std")}
        _refuse_for_names(name, described)
        return _of_source(source)(inner, **asked, **own)
    _refuse_for_names(name, described)
    if name == MINIATURE:
        from pipeline.miniature.network import miniature

        return miniature(**asked)
    if name == GABOR_BANK:
        return _gabor_bank(asked)
    from pipeline.networks.loading.torchvision import torchvision_network

    return torchvision_network(name, **asked)


def _of_source(source: str) -> Callable[..., Network]:
    """Return what makes the networks of a library; these take seconds to import."""
    if source == "timm":
        from pipeline.networks.loading.timm import timm_network

        return timm_network
    from pipeline.networks.loading.huggingface import huggingface_network

    return huggingface_network


def _gabor_bank(asked: dict[str, Any]) -> Network:
    from pipeline.miniature.gabor_bank import gabor_bank

    wrong = [key for key in ("shuffled", "weights_key") if asked[key]]
    if asked["weights"] != "default" or wrong:
        raise ConfigError(
            f"{wrong[0] if wrong else 'weights'}: cannot be given for gabor_bank, whose"
            " weights are those of its cells; seed draws others, and"
            " pipeline.miniature.gabor_bank.gabor_bank takes a table of them"
        )
    return gabor_bank(seed=asked["seed"])


def _refuse_for_names(model: str, given: Mapping[str, Any]) -> None:
    """Refuse what is said about a network that is known by its name."""
    for argument, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{argument}: '{model}' has its own; for another give the module, as in"
                f" pipeline.network(pipeline.network('{model}').module, input_size=..., mean=...,"
                " std=..., name=...)"
            )
