"""Maps of receptive fields, by the methods of physiology."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, SupportsFloat, cast

import pandas as pd

from pipeline.analysis.map_agreement import agreement
from pipeline.errors import ConfigError, nearest
from pipeline.library.arguments import (
    chosen_layers,
    chosen_units,
    degrees,
    of_network,
    whole_number,
)
from pipeline.library.field_methods import DRAWN, METHODS, FieldMethods
from pipeline.library.patches import TopPatches, top_patches
from pipeline.networks.loading.network import Network
from pipeline.search.field_mapping import Maps
from pipeline.search.field_tables import PHOTOGRAPHS, with_degrees
from pipeline.search.patch_maps import PATCH_METHODS, PatchOptions
from pipeline.stimuli.sets import Builder
from pipeline.store.summaries import short_repr


@dataclass(frozen=True)
class ReceptiveFieldMaps:
    """Maps of receptive fields by several methods.

    Attributes:
        maps: by layer and method, ``[units, 2, height, width]``: what raises the response (for
            noise: light) and what lowers it (for noise: dark raises it). Sets of figures give a
            second map, ``bars_4a_non_overlapping`` for example. Methods that need images give a map
            from the top patches and one from the bottom patches, ``effective`` the positive and the
            negative part of the mean gradient.
        summary: one row per layer, method, sign and unit: the columns of
            ``pipeline.analysis.field_maps.summarize_maps``, in pixels from the center of the field
            (x to the right, y down); the mean position of the 1, 20 and 100 strongest stimuli
            (``tb1_x`` and so on); ``field_height`` and ``field_width`` of the theoretical field;
            with ``effective``, ``effective_size``, the side of a square as large as the effective
            field. Each of these is followed by the same in degrees, such as ``x_degrees``, and
            ``half_area`` by ``half_area_square_degrees``. With images, methods that show a set have
            ``fnat``, the best response to it as a fraction of the mean response to the best 10
            images (``pipeline.analysis.indices.fnat``), and ``fnat_reason``: why that is missing.
        responses: the 100 highest (sign 1) and lowest (sign -1) responses of each unit to each
            set, with the rows of the set's table.
        patches: what was found in the images, with a table and the images that cannot be read;
            ``None`` without images.
    """

    maps: dict[str, dict[str, Maps]]
    summary: pd.DataFrame
    responses: pd.DataFrame
    patches: TopPatches | None = None

    __repr__ = short_repr

    def agreement(self) -> pd.DataFrame:
        """Compare every method with every other, unit by unit.

        Returns:
            One row per layer, sign, pair of methods and unit: ``correlation`` after blur, ``iou``
            of the areas above half height, and ``distance`` (earth mover's, in pixels); see
            ``pipeline.analysis.map_agreement``. NaN where a map is flat.
        """
        parts = []
        for layer, by_method in self.maps.items():
            units = self.summary.loc[self.summary["layer"] == layer, "unit"].unique()
            table = agreement(by_method, combinations(by_method, 2), units.tolist())
            table.insert(0, "layer", layer)
            parts.append(table)
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@of_network
def map_receptive_fields(
    net: Network,
    layers: str | Sequence[str],
    methods: str | Callable[..., Any] | Sequence[Any] = ("bars_on_stride",),
    *,
    images: Any = None,
    patches: int = 10,
    patch_options: PatchOptions | None = None,
    units: Any = "all",
    frames: int = 10_000,
    seed: int = 0,
    visual_degrees: SupportsFloat = 8.0,
) -> ReceptiveFieldMaps:
    """Map the receptive fields of units with artificial stimuli and with images.

    Bars, gratings and shapes enter a map by the rules of tonyfu97/RF-Mapping, noise by reverse
    correlation. Stimuli are shown in the theoretical receptive field, and responses are those
    before any nonlinearity that follows the layer.

    ``gradient``, ``guided_backprop``, ``integrated_gradient`` and ``occlusion`` use the patches of
    images with the highest and the lowest responses of each unit: see
    ``pipeline.search.patch_maps.map_by_patches``. ``effective`` is the mean gradient over 20 images
    of Gaussian noise: see ``pipeline.search.effective_fields.map_effective_fields``.

    Args:
        net: the network.
        layers: names of layers, or ``all`` for those of ``net.layers``.
        methods: some of ``bars_on_stride``, ``bars_4a``, ``bars_4b``, ``bars_4c7o``, ``sin1``,
            ``shapes``, ``blocks``, ``sparse_noise``, ``dense_noise`` and
            ``marques_receptive_field``; ``gradient``, ``guided_backprop``, ``integrated_gradient``
            and ``occlusion``, which need images; ``effective``; and functions of your own from a
            ``pipeline.stimuli.field.Field`` to a set of figures with columns ``x`` and ``y``.
        images: anything that ``pipeline.top_patches`` takes. The network is traced at their size.
        patches: of each sign, each from a different image.
        patch_options: of the methods that need images.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        frames: of noise that is correlated with responses.
        seed: of noise.
        visual_degrees: width of the network's input in degrees of visual angle.

    Raises:
        ConfigError: there is no such layer, unit or method, there are too few images, an argument
            is not as described, or the responses take too much memory.
        ImageError: no image can be read.
        NetworkError: guided backpropagation is asked of a network without ReLU.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.map_receptive_fields(net, "conv1", units=[3, 5])
    >>> found.maps["conv1"]["bars_on_stride"].shape
    (2, 2, 9, 9)
    """
    chosen, width = _methods(methods), degrees(visual_degrees)
    mapping = FieldMethods(
        net,
        _search(net, layers, [*chosen], images, whole_number("patches", patches)),
        patches,
        patch_options or PatchOptions(),
        whole_number("frames", frames),
        whole_number("seed", seed, 0),
        width,
    )
    traced = mapping.traced
    pixels_per_degree = traced.graph.input_size[1] / width
    found: dict[str, dict[str, Maps]] = {}
    summaries: list[pd.DataFrame] = []
    responses: list[pd.DataFrame] = []
    for layer in chosen_layers(traced, layers):
        own = mapping.layer(layer, chosen, chosen_units(units, layer))
        found[layer.name] = own.maps
        summaries.append(with_degrees(own.summary, pixels_per_degree).assign(layer=layer.name))
        responses.append(own.responses.assign(layer=layer.name))
    return ReceptiveFieldMaps(found, _joined(summaries), _joined(responses), mapping.found)


def _search(
    net: Network, layers: Any, names: list[str], images: Any, patches: int
) -> TopPatches | None:
    """Return the patches of images, if there are some."""
    needy = [name for name in names if name in PATCH_METHODS]
    if images is None:
        if needy:
            raise ConfigError(
                f"images: {needy[0]} maps fields by the patches of images to which units respond"
                " most and least, so give some, such as a folder of photographs"
            )
        return None
    found = top_patches(net, images, layers, keep=max(patches, PHOTOGRAPHS), units=[0])
    usable = len(found.images) - len(found.unreadable)
    if needy and usable < patches:
        raise ConfigError(
            f"patches: {patches} of each sign are needed, each from a different image, and"
            f" {usable} can be read; ask for fewer patches, or give more images"
        )
    return found


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Join tables, with the names of what each row is about first."""
    whole = pd.concat(tables, ignore_index=True)
    first = ["layer", "method", "sign", "unit"]
    return cast("pd.DataFrame", whole[[*first, *whole.columns.difference(first, sort=False)]])


def _methods(methods: str | Callable[..., Any] | Sequence[Any]) -> dict[str, Builder | None]:
    """Return what draws the set of each method, by its name; nothing for those without a set."""
    given = [methods] if isinstance(methods, str) or callable(methods) else list(methods)
    found: dict[str, Builder | None] = {}
    for method in given:
        own = callable(method)
        name = str(getattr(method, "__name__", "own")) if own else str(method)
        if not own and name not in METHODS:
            raise ConfigError(
                f"methods: {name!r} is not one of {', '.join(METHODS)}{nearest(name, METHODS)}"
            )
        if name in found:
            raise ConfigError(f"methods: {name} is there twice")
        found[name] = cast("Builder", method) if own else DRAWN.get(name)
    if not found:
        raise ConfigError("methods: there are none; use bars_on_stride, for example")
    return found
