"""All methods that map the receptive fields of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
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
    SIGNS,
    MappedFields,
    Maps,
    map_by_stimuli,
    summarize,
)
from pipeline.search.field_tables import PHOTOGRAPHS, strongest_stimuli, with_fnat
from pipeline.search.patch_maps import PATCH_METHODS, PatchMapper, PatchOptions, map_by_patches
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.field import Screen
from pipeline.stimuli.sets import BUILDERS, Builder
from pipeline.stimuli.stimulus_set import StimulusSet

# Sets of figures at places, and noise; bars_on_stride is the default.
MAPPABLE = (
    "bars_on_stride", "bars_4a", "bars_4b", "bars_4c7o", "sin1", "shapes", "blocks",
    "sparse_noise", "dense_noise", "marques_receptive_field",
)  # fmt: skip
DRAWN: dict[str, Builder] = {name: BUILDERS[name] for name in MAPPABLE}
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
        visual_degrees: width of the network's input.
    """

    net: Network
    found: TopPatches | None
    patches: int
    options: PatchOptions
    frames: int
    seed: int
    visual_degrees: float

    @property
    def traced(self) -> Network:
        """The network at the size of the images."""
        return self.found.network if self.found else self.net

    def layer(
        self, layer: Layer, methods: Mapping[str, Builder | None], units: list[int]
    ) -> LayerMaps:
        """Map the fields of some units of a layer by all methods.

        Args:
            layer: the layer.
            methods: by name, with the function that draws the set of those that show one.
            units: the units, in order.
        """
        found: dict[str, MappedFields] = {}
        summaries: list[pd.DataFrame] = []
        responses: list[pd.DataFrame] = []
        natural = self._natural(layer, units)
        for name, builder in methods.items():
            if builder is not None:
                found[name], table = self._by_stimuli(layer, builder, units)
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
        maps = {key: maps for name in methods for key, maps in found[name].named(name).items()}
        nothing = pd.DataFrame(columns=["method", "sign", "unit", "rank", "stimulus", "response"])
        shown = pd.concat(responses, ignore_index=True) if responses else nothing
        return LayerMaps(maps, summary, shown)

    def _by_stimuli(
        self, layer: Layer, builder: Builder, units: list[int]
    ) -> tuple[MappedFields, pd.DataFrame]:
        graph = self.traced.graph
        screen = Screen(*graph.input_size, self.visual_degrees)
        noise = builder in [BUILDERS[name] for name in NOISE]
        options = {"stimuli": self.frames, "seed": self.seed} if noise else {}
        stimuli: Any = builder(field_of(graph, layer, screen=screen), **options)
        if not isinstance(stimuli, StimulusSet):
            raise ConfigError(
                f"methods: a function returned a {type(stimuli).__name__}, and must return a"
                " pipeline.stimuli.stimulus_set.StimulusSet, as compose there makes one"
            )
        presentation = Presentation(graph, layer, stimuli, self.net.device)
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
