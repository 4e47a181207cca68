"""Readouts: modules behind a layer that make units of its channels.

``NAME:READOUT`` names the units of a readout of a layer; ``NAME:FIRST:SECOND`` those of one readout
after another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from pipeline.errors import ConfigError
from pipeline.networks.units.modules import MaxPool, MeanPool


@dataclass(frozen=True)
class Channels:
    """What a readout reads: the channels of a layer.

    Attributes:
        layer: name of the layer.
        count: number of channels.
        map_size: rows and columns of the layer's map; ``None`` for a vector.
    """

    layer: str
    count: int
    map_size: tuple[int, int] | None


@dataclass(frozen=True, eq=False)
class Readout:
    """Units that are computed from the channels of a layer.

    Attributes:
        build: returns a module from responses ``[batch, channels, rows, columns]``, or ``[batch,
            channels]`` of a layer without a map, to units ``[batch, units, rows, columns]`` or
            ``[batch, units]``. Of an ``nn.Sequential``, each part is an operation of its own: the
            receptive fields behind convolutions and pointwise parts stay exact.

    >>> from torch import nn
    >>> every_second = Readout(lambda channels: nn.AvgPool2d(2))
    >>> import pipeline
    >>> net = pipeline.network("miniature").with_readouts({"pooled": every_second})
    >>> net.layer("conv1:pooled").map_size
    (24, 24)
    """

    build: Callable[[Channels], nn.Module]


def channel_mean() -> Readout:
    """Return the mean of every channel over all positions: of a map, or of patch tokens.

    >>> import pipeline
    >>> pipeline.network("miniature").layer("conv2:channel_mean").units
    32
    """
    return Readout(lambda channels: _over_map(channels, "channel_mean", MeanPool()))


def channel_max() -> Readout:
    """Return the maximum of every channel over all positions: of a map, or of patch tokens.

    >>> import pipeline
    >>> pipeline.network("miniature").layer("conv2:channel_max").map_size
    (1, 1)
    """
    return Readout(lambda channels: _over_map(channels, "channel_max", MaxPool()))


def _over_map(channels: Channels, name: str, module: nn.Module) -> nn.Module:
    if channels.map_size is None:
        raise ConfigError(
            f"layers: '{channels.layer}' has a single response for each channel, so that there is"
            f" no {name}; name it without ':{name}'"
        )
    return module
