"""Maps of the receptive fields of a layer's units from their top and bottom patches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, NetworkError, nearest
from pipeline.networks.gradient_rules import PLAIN, check_rule, guided
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import unit_network
from pipeline.search.field_mapping import SIGNS, MappedFields
from pipeline.search.gradient_maps import (
    COLORS,
    at_most_one,
    at_once,
    guided_gradients,
    in_full_batches,
    integrated_gradients,
    plain_gradients,
    without_color,
)
from pipeline.search.occlusion import Noise, Occluders, occlusion_changes

PATCH_METHODS = ("gradient", "guided_backprop", "integrated_gradient", "occlusion")


@dataclass(frozen=True)
class PatchOptions:
    """How patches are turned into maps.

    Attributes:
        color: of gradients: ``mean``, the absolute value of the mean over channels, as
            tonyfu97/RF-Mapping does, in which opposite channels cancel; or ``sum`` of absolute
            values.
        steps: of the integrated gradient.
        draws: of noise for each occluder, uniform from -1 to 1 in every channel; 0 for occluders of
            the color 0, the mean color of the preprocessing.
        spread: of occlusion: a pixel has the mean change by all occluders that cover it. Otherwise
            the center pixel of each occluder has its change, and all others are 0, as
            tonyfu97/RF-Mapping does.

    Raises:
        ConfigError: an option is not one of these.
    """

    color: str = "mean"
    steps: int = 32
    draws: int = 0
    spread: bool = True

    def __post_init__(self) -> None:
        if self.color not in COLORS:
            raise ConfigError(f"color: {self.color!r} is not one of {', '.join(COLORS)}")
        for name, least in (("steps", 1), ("draws", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}: {value!r} is not a whole number of at least {least}")


class PatchMapper:
    """Maps receptive fields by patches: what one method needs, built once for a layer.

    Args:
        graph: the traced network.
        layer: the layer.
        method: one of ``PATCH_METHODS``.
        device: where the network is.
        options: see ``PatchOptions``.
        seed: of the noise of occluders.

    Attributes:
        size: height and width of the receptive field, in pixels.

    Raises:
        ConfigError: there is no such method.
        NetworkError: guided backpropagation is asked of a network without ReLU.
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        method: str,
        device: torch.device | str = "cpu",
        options: PatchOptions | None = None,
        seed: int = 0,
    ) -> None:
        if method not in PATCH_METHODS:
            raise ConfigError(
                f"methods: {method!r} is not one of {', '.join(PATCH_METHODS)}"
                f"{nearest(method, PATCH_METHODS)}"
            )
        self.method, self.device, self.seed = method, torch.device(device), seed
        self.options = options or PatchOptions()
        rule = guided() if method == "guided_backprop" else PLAIN
        try:
            check_rule(graph.traced, rule)
        except NetworkError as error:
            raise NetworkError(
                "methods: guided_backprop changes gradients of ReLU, which the network does not"
                " have; use gradient"
            ) from error
        self.network = unit_network(graph, layer, rule).to(self.device)
        self.size = self.network.input_size
        self.occluders = Occluders.of_field(self.size, self.options.spread)

    def maps(
        self,
        patches: Float[Tensor, "units c height width"],
        units: Sequence[int],
        rank: int,
        sign: int,
        check: Callable[[], None] = lambda: None,
    ) -> Float[Tensor, "units height width"]:
        """Return the map of each unit from one patch of each.

        Args:
            patches: of the size of the field, zeros outside of their image.
            units: whose they are.
            rank: of the patches, by which noise is drawn.
            sign: of the patches, likewise.
            check: called between batches; raises an error to stop.
        """
        if self.method in ("gradient", "guided_backprop"):
            return self._by_gradients(patches, units, check)
        found: list[Tensor] = []
        for patch, unit in zip(patches, units, strict=True):
            check()
            on_device = patch.to(self.device)
            if self.method == "occlusion":
                found.append(self._occluded(on_device, unit, rank, sign))
            else:
                shares = integrated_gradients(self.network, on_device, unit, self.options.steps)
                found.append(self._normalized(shares[None])[0])
        return torch.stack(found)

    def _by_gradients(
        self,
        patches: Float[Tensor, "units c height width"],
        units: Sequence[int],
        check: Callable[[], None],
    ) -> Float[Tensor, "units height width"]:
        gradients = guided_gradients if self.method == "guided_backprop" else plain_gradients

        def run(images: Tensor, whose: Tensor) -> Tensor:
            check()
            return gradients(self.network, images.to(self.device), whose.to(self.device))

        size = at_once(self.network)
        batches = in_full_batches(run, patches, torch.tensor([*units]), size)
        return torch.cat([self._normalized(batch) for batch in batches])

    def _normalized(
        self, gradients: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch height width"]:
        return at_most_one(without_color(gradients.double(), self.options.color)).cpu()

    def _occluded(
        self, patch: Float[Tensor, "c height width"], unit: int, rank: int, sign: int
    ) -> Float[Tensor, "height width"]:
        draws = self.options.draws
        noise = Noise.of_patch(draws, self.seed, unit, rank, sign) if draws else None
        changes = occlusion_changes(self.network, patch, unit, self.occluders, noise)
        return self.occluders.map(changes)


def map_by_patches(
    mapper: PatchMapper,
    units: Sequence[int],
    patches: Callable[[int, int], Float[Tensor, "units c height width"]],
    ranks: int,
    check: Callable[[], None] = lambda: None,
) -> MappedFields:
    """Map receptive fields by the patches of images to which units respond most and least.

    A map is the mean over patches of one map of each, where ``f`` is the response of the unit,
    before any nonlinearity that follows the layer:

    - ``gradient``: the absolute gradient of ``f``, divided by its maximum. Both signs are maps of
      where pixels matter, at the top and at the bottom patches.
    - ``guided_backprop``: likewise what guided backpropagation carries from the response itself to
      the pixels. At bottom patches the response is negative, and so is the start; as every ReLU
      passes positive numbers only, the map shows what lowers the response.
    - ``integrated_gradient``: likewise the integrated gradient from zeros, which are the mean color
      of the preprocessing.
    - ``occlusion``: by how much squares of a tenth of the field change the response.

    Where a patch reaches beyond its image it has zeros. Their gradients count, because leaving them
    out would move every field toward the inside of images; their integrated gradients are 0, and
    occluders there change nothing. A unit with no gradient at all has a map of zeros.

    Sources: tonyfu97/RF-Mapping (MIT), backprop_sum_script.py and occluder_discrepancy.py, less the
    division by the number of units; Springenberg et al. 2015; Sundararajan et al. 2017.

    Args:
        mapper: of the layer, by some method.
        units: the units, in order.
        patches: returns the patches of all of these units, of the size of the field, by rank (0 is
            the most extreme) and sign (1 for the top, -1 for the bottom).
        ranks: patches of each sign.
        check: called between batches; raises an error to stop.

    Raises:
        ConfigError: ``ranks`` is not positive.

    >>> from pipeline.networks.layers import find_layers
    >>> convolution = torch.nn.Conv2d(3, 2, 5).requires_grad_(False)
    >>> graph = Graph(torch.nn.Sequential(convolution), (9, 9))
    >>> mapper = PatchMapper(graph, find_layers(graph, "all", "net")[0], "gradient")
    >>> map_by_patches(mapper, [1], lambda rank, sign: torch.ones(1, 3, 5, 5), ranks=2).maps.shape
    (1, 2, 5, 5)
    """
    if ranks < 1:
        raise ConfigError(f"patches: {ranks} is not positive; use 1 or more")
    maps = np.zeros((len(units), len(SIGNS), *mapper.size))
    for k, sign in enumerate(SIGNS):
        for rank in range(ranks):
            maps[:, k] += mapper.maps(patches(rank, sign), units, rank, sign, check).numpy()
    return MappedFields((maps / ranks).astype(np.float32))
