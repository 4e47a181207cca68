"""All methods that map the receptive fields of a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pipeline.library.patches import TopPatches
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.search.effective_fields import (
    EFFECTIVE,
    NoiseImages,
    map_effective_fields,
    with_effective_sizes,
)
from pipeline.search.field_mapping import (
    NOISE,
    PHOTOGRAPHS,
    SIGNS,
    MappedFields,
    Maps,
    map_by_stimuli,
    strongest_stimuli,
    summarize,
    with_fnat,
)
from pipeline.search.patch_maps import PATCH_METHODS, PatchMapper, PatchOptions, map_by_patches
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.shapes import shapes
from pipeline.stimuli.stimulus_set import StimulusSet

DRAWN: dict[str, Callable[..., StimulusSet]] = {
    "bars_on_stride": bars_on_stride,
    "bars_4a": bars_4a,
    "sin1": sin1,
    "shapes": shapes,
    "sparse_noise": sparse_noise,
    "dense_noise": dense_noise,
}
METHODS = (*DRAWN, *PATCH_METHODS, EFFECTIVE)


@dataclass(frozen=True)
class LayerMaps:
    """Maps, summary and strongest responses of one layer: see ``ReceptiveFieldMaps``."""

    maps: dict[str, Maps]
    summary: pd.DataFrame
    responses: pd.DataFrame


@dataclass(frozen=True)
class FieldMethods:
    """All methods that map receptive fields, for the layers of a network.

    Attributes:
        net: the network.
        found: patches of the images, if there are some.
        patches: how many of each sign are used.
        options: of methods by patches.
        frames: of noise.
        seed: of noise.
    """

    net: Network
    found: TopPatches | None
    patches: int
    options: PatchOptions
    frames: int
    seed: int

    @property
    def traced(self) -> Network:
        """The network at the size of the images."""
        return self.found.network if self.found else self.net

    def layer(self, layer: Layer, names: list[str], units: list[int]) -> LayerMaps:
        """Map the fields of some units of a layer by all methods."""
        found: dict[str, MappedFields] = {}
        summaries: list[pd.DataFrame] = []
        responses: list[pd.DataFrame] = []
        natural = self._natural(layer, units)
        for name in names:
            if name in DRAWN:
                found[name], table = self._by_stimuli(layer, name, units)
                responses.append(strongest_stimuli(found[name], name, units, table))
            elif name == EFFECTIVE:
                found[name] = self._effective(layer, units)
            else:
                found[name] = self._by_patches(layer, name, units)
            own = summarize(found[name], name, units)
            summaries.append(with_fnat(own, found[name], units, natural) if natural else own)
        summary = pd.concat(summaries, ignore_index=True)
        if EFFECTIVE in found:
            summary = with_effective_sizes(summary, found[EFFECTIVE], units)
        maps = {key: maps for name in names for key, maps in found[name].named(name).items()}
        nothing = pd.DataFrame(columns=["method", "sign", "unit", "rank", "stimulus", "response"])
        shown = pd.concat(responses, ignore_index=True) if responses else nothing
        return LayerMaps(maps, summary, shown)

    def _by_stimuli(
        self, layer: Layer, name: str, units: list[int]
    ) -> tuple[MappedFields, pd.DataFrame]:
        noise = {"stimuli": self.frames, "seed": self.seed} if name in NOISE else {}
        stimuli = DRAWN[name](field_of(self.traced.graph, layer), **noise)
        presentation = Presentation(self.traced.graph, layer, stimuli, self.net.device)
        return map_by_stimuli(presentation, units), stimuli.table

    def _by_patches(self, layer: Layer, name: str, units: list[int]) -> MappedFields:
        found = cast("TopPatches", self.found)
        graph, device = self.traced.graph, self.net.device
        mapper = PatchMapper(graph, layer, name, device, self.options, self.seed)

        def patches(rank: int, sign: int) -> Float[Tensor, "units c height width"]:
            return found.patches(layer.name, units, rank=rank, sign=sign)

        return map_by_patches(mapper, units, patches, self.patches)

    def _effective(self, layer: Layer, units: list[int]) -> MappedFields:
        noise = NoiseImages(seed=self.seed)
        return map_effective_fields(self.traced.graph, layer, units, self.net.device, noise)

    def _natural(self, layer: Layer, units: list[int]) -> dict[int, np.ndarray]:
        """Return the most extreme responses to images, by sign; nothing without images."""
        if self.found is None:
            return {}
        kept = self.found.kept[layer.name][1]
        return {sign: kept[sign].responses[units, :PHOTOGRAPHS].numpy() for sign in SIGNS}
