"""Effective receptive fields: where pixels matter to a unit on average over noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.analysis.field_maps import effective_sizes
from pipeline.errors import ConfigError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import unit_network
from pipeline.search.field_mapping import MappedFields
from pipeline.search.gradient_maps import at_once, in_full_batches, plain_gradients

EFFECTIVE = "effective"


@dataclass(frozen=True)
class NoiseImages:
    """Images of Gaussian noise with mean 0 and standard deviation 1, in network-input space.

    Attributes:
        count: number of images, the same for all units of a layer.
        seed: from which each image has its own numbers.

    Raises:
        ConfigError: there are none.
    """

    count: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(f"count: {self.count} images of noise are too few; use 1 or more")

    def draw(self, number: int, shape: tuple[int, ...]) -> Tensor:
        """Return one image, which does not depend on how many there are."""
        numbers = np.random.default_rng([self.seed, number]).standard_normal(shape, np.float32)
        return torch.from_numpy(numbers)


def map_effective_fields(
    graph: Graph,
    layer: Layer,
    units: Sequence[int],
    device: torch.device | str = "cpu",
    images: NoiseImages | None = None,
    check: Callable[[], None] = lambda: None,
) -> MappedFields:
    """Map effective receptive fields: the mean gradient of responses to noise.

    The gradient is averaged over channels; its positive part and its negative part are the two
    maps, each the mean over images, so that their sum is the mean absolute gradient.

    Source: Luo et al. 2016, Understanding the effective receptive field, NIPS.

    Args:
        graph: the traced network.
        layer: the layer.
        units: the units, in order.
        device: where the network is.
        images: the noise; 20 images by default.
        check: called between batches; raises an error to stop.

    >>> from pipeline.networks.layers import find_layers
    >>> convolution = torch.nn.Conv2d(3, 2, 5).requires_grad_(False)
    >>> graph = Graph(torch.nn.Sequential(convolution), (9, 9))
    >>> map_effective_fields(graph, find_layers(graph, "all", "net")[0], [1]).maps.shape
    (1, 2, 5, 5)
    """
    noise = images or NoiseImages()
    network = unit_network(graph, layer).to(device)
    shape = (traced_shape(graph.image)[1], *network.input_size)
    whose = torch.tensor([*units])
    total = np.zeros((len(units), 2, *network.input_size))

    def run(some: Tensor, of: Tensor) -> Float[Tensor, "batch c height width"]:
        check()
        return plain_gradients(network, some.to(device), of.to(device))

    for number in range(noise.count):
        image = noise.draw(number, shape).expand(len(units), -1, -1, -1)
        batches = in_full_batches(run, image, whose, at_once(network))
        gradient = torch.cat([batch.double().mean(1).cpu() for batch in batches])
        total += torch.stack([gradient.clamp(min=0), (-gradient).clamp(min=0)], 1).numpy()
    return MappedFields((total / noise.count).astype(np.float32))


def with_effective_sizes(
    summary: pd.DataFrame, effective: MappedFields, units: Sequence[int]
) -> pd.DataFrame:
    """Return a summary of one layer with the side of each unit's effective field in pixels.

    Args:
        summary: by any methods, with a column ``unit``.
        effective: the effective fields of the layer.
        units: those of the effective fields, in order.

    Returns:
        The summary with a column ``effective_size``.
    """
    sizes = effective_sizes(effective.maps.astype(np.float64).sum(axis=1))
    of_unit = pd.Series(sizes, index=list(units))
    return summary.assign(effective_size=of_unit.loc[summary["unit"]].to_numpy())
