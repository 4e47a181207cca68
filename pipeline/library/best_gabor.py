"""The best Gabors of units, and how they compare with ascent images and top patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, nearest
from pipeline.images.any_images import finite_floats, plain_tensor
from pipeline.library.arguments import (
    chosen_layers,
    chosen_units,
    degrees,
    of_network,
    true_or_false,
    whole_number,
)
from pipeline.library.gabor_comparison import GaborComparison
from pipeline.library.patches import top_patches
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.stimuli.field import Screen
from pipeline.stimuli.parameters import PIXELS, in_degrees
from pipeline.store.summaries import short_repr
from pipeline.synthesis.gabor_search import RMS
from pipeline.synthesis.gabors import gabor_climb

RANKS = 10  # patches per unit, of which the first inside its image is compared
COLOR_CHOICES = ("gray", "free")
LENGTHS = (*PIXELS, "sigma_along", "sigma_across")


@dataclass(frozen=True)
class BestGabor:
    """The best Gabors of units, beside other images at the same contrast.

    Attributes:
        table: one row per layer and unit. ``x`` and ``y`` (pixels right and down from the center of
            the field), ``orientation`` (the direction in which the Gabor changes, degrees clockwise
            from rightward, from 0 to below 180), ``frequency`` (cycles per pixel), ``phase``
            (degrees of a cosine), ``sigma_along`` and ``sigma_across`` the orientation (standard
            deviations in pixels), all lengths also in degrees of visual angle (``x_degrees``,
            ``frequency_per_degree`` and so on); ``nx`` and ``ny``, both standard deviations in
            cycles; ``rms``; the responses ``blank`` (to the mean color), ``response`` (to the best
            Gabor), ``grid_response`` (to the best of the grid), ``patch_response`` and
            ``ascent_response``; ``gain`` (best Gabor over that of the grid), ``gabor_over_patch``
            and ``gabor_over_ascent``, ratios of responses less the blank; ``peak``, the largest
            value of the Gabor as a multiple of the largest that pixels can have, above 1 where no
            screen can show it, and ``patch_peak`` and ``ascent_peak`` likewise; ``at_bound``, the
            parameters that are at a bound of what was allowed; ``improved``, whether the climb
            found a better Gabor than the grid; and ``reason``: why numbers are missing, or an empty
            string. With images, ``patch_rank`` of the patch, from 0, and ``patch_inside``, whether
            it lies inside its image. With free
            colors, ``color_0`` and so on are the color by channel, of a mean square of 1.
        images: of each layer, the best Gabors as network input, NaN where there is none.
        patches: of each layer, the top patches at the same contrast, if images were searched.
        ascents: of each layer, the ascent images at the same contrast.
    """

    table: pd.DataFrame
    images: dict[str, Float[Tensor, "units c height width"]]
    patches: dict[str, Float[Tensor, "units c height width"]]
    ascents: dict[str, Float[Tensor, "units c height width"]]

    __repr__ = short_repr


@of_network
def best_gabor(
    net: Network,
    layers: str | Sequence[str],
    *,
    units: Any = "all",
    images: Any = None,
    ascents: Mapping[str, Tensor | np.ndarray] | None = None,
    rms: SupportsFloat | None = None,
    color: str = "gray",
    displayable: bool = False,
    steps: int = 100,
    visual_degrees: float = 8.0,
) -> BestGabor:
    """Find the Gabor that each unit responds to most, and compare it at equal RMS contrast.

    A coarse grid of Gabors is shown to all units of a layer. The five best of each unit are then
    climbed by Adam on place, orientation, frequency, phase and both widths, and the best Gabor
    that was ever seen is kept. Nothing is random, and on a CPU no result depends on which other
    units are chosen, to the last bit.

    Contrast is the root mean square of network input over all pixels and channels of the receptive
    field, so it is about the mean color of the preprocessing, which is 0, and the mean luminance of
    a photograph counts. It is the same for the Gabor, the top patch and the ascent image, which are
    scaled about the mean color to it. For a linear unit, ``gabor_over_ascent`` is then the cosine
    of the angle between its kernel and the Gabor. In a large field a small Gabor needs a high
    ``peak`` for the contrast of a photograph; ``displayable`` forbids what pixels cannot have.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes, in which the top
            patch of each unit is searched: of the best ten, each from another image, the first that
            lies inside its image, or else the best. Without images, there is no
            ``gabor_over_patch``.
        ascents: by layer, one image per unit in the order of the units, which is scaled to the
            contrast; by default those of ``pipeline.ascend`` with its defaults.
        rms: contrast of all images in network-input space; by default that of each unit's top
            patch, which is then shown as it is, or 1 without images.
        color: ``gray`` (the same change of all pixels' channels), or ``free`` to climb the color,
            too.
        displayable: whether Gabors keep to values that pixels can have. A small Gabor then has less
            contrast than the others had, and they are compared at its contrast.
        steps: of Adam.
        visual_degrees: width of the network's input in degrees of visual angle.

    Raises:
        ConfigError: there is no such layer or unit, or an argument is not as described.
        ImageError: no image can be read.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.best_gabor(net, "conv1", units=[3, 5], steps=30)
    >>> found.table[["layer", "unit", "reason"]].to_numpy().tolist()
    [['conv1', 3, ''], ['conv1', 5, '']]
    >>> tuple(found.images["conv1"].shape), bool((found.table["gain"] > 1).all())
    ((2, 3, 9, 9), True)
    """
    if color not in COLOR_CHOICES:
        raise ConfigError(
            f"color: {color!r} is not one of {', '.join(COLOR_CHOICES)}"
            f"{nearest(str(color), COLOR_CHOICES)}"
        )
    contrast = _contrast(rms)
    limited = true_or_false("displayable", displayable)
    climb = gabor_climb(whole_number("steps", steps))
    wanted = chosen_layers(net, layers)
    chosen = {layer.name: chosen_units(units, layer) for layer in wanted}
    density = Screen(*net.graph.input_size, degrees(visual_degrees)).pixels_per_degree
    given = _given(net, ascents, wanted, chosen)
    net.module.to(net.device)
    found = None if images is None else top_patches(net, images, list(chosen), keep=RANKS)
    traced = found.network if found else net
    compare = GaborComparison(traced, found, contrast, color == "free", limited, climb)
    done = {
        layer.name: compare.of_layer(layer, chosen[layer.name], given.get(layer.name))
        for layer in traced.find_layers(list(chosen))
    }
    tables = [each.table.assign(layer=name) for name, each in done.items()]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "layer", table.pop("layer"))
    return BestGabor(
        in_degrees(table, density, LENGTHS),
        {name: each.gabors for name, each in done.items()},
        {name: each.patches for name, each in done.items() if each.patches is not None},
        {name: each.ascents for name, each in done.items()},
    )


def _given(
    net: Network,
    ascents: Mapping[str, Tensor | np.ndarray] | None,
    layers: Sequence[Layer],
    units: Mapping[str, list[int]],
) -> dict[str, Float[Tensor, "units c height width"]]:
    """Return the given ascent images by layer."""
    if ascents is None:
        return {}
    given: dict[str, Tensor] = {}
    for layer in layers:
        if layer.name not in ascents:
            raise ConfigError(
                f"ascents: lacks the images of {layer.name}; give those of all layers"
            )
        found = finite_floats("ascents", plain_tensor("ascents", ascents[layer.name])).cpu()
        box = smallest_canvas(net.graph, layer.node).box
        channels = len(net.preprocessing.mean)
        expected = (len(units[layer.name]), channels, box.height, box.width)
        if tuple(found.shape) != expected:
            raise ConfigError(
                f"ascents: images of {layer.name} have the shape {tuple(found.shape)}; units,"
                f" channels, height and width must be {expected}"
            )
        given[layer.name] = found
    return given


def _contrast(rms: Any) -> float | None:
    if rms is None:
        return None
    number = isinstance(rms, SupportsFloat) and not isinstance(rms, bool | str)
    if not number or not 0 < float(rms) < np.inf:
        raise ConfigError(f"rms: {rms!r} is not a positive number; photographs have about {RMS:g}")
    return float(rms)
