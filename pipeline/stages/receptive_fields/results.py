"""Maps of the receptive fields of units, one result for each layer and method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import canvas_settings
from pipeline.search.field_mapping import NOISE, MappedFields
from pipeline.stages.receptive_fields import STAGE
from pipeline.stages.shown_sets import Shown, shown_set
from pipeline.stages.top_patches.results import find_search
from pipeline.store.identity import described
from pipeline.store.results import Result
from pipeline.store.stacked import StackedArray

SHOWN_TO = 2048  # units of a work item of a stimulus set, whose responses are held together
UNITS = 16  # of a work item of a method without stimuli; it is in the key
RESPONSES = "all_responses"  # the array of the responses to all stimuli, if they are kept


@dataclass(frozen=True)
class FieldMaps:
    """The maps of some units of a layer by one method.

    Attributes:
        layer: the layer.
        method: name of the stimulus set in this run, or of the method.
        blocks: the units of each work item.
        field: height and width of the maps, in pixels.
        result: the stored maps, an item for each block of units.
        ranks: top patches, and as many bottom patches, that are used; 0 if none.
    """

    layer: Layer
    method: str
    blocks: dict[str, list[int]]
    field: tuple[int, int]
    result: Result
    ranks: int

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the stored arrays that describe what was found."""
        return ("maps",)

    @property
    def of_figures(self) -> bool:
        """Whether there are non-overlapping maps too."""
        return "apart" in self.arrays

    @property
    def units(self) -> list[int]:
        """The rows of every array, in order."""
        return [unit for block in self.blocks.values() for unit in block]

    def read(self, rows: slice = slice(None)) -> MappedFields:
        """Read what was found for all units, or for some rows of them."""
        paths = [self.result.paths.item(item) for item in self.result.items]
        return MappedFields(**{name: StackedArray(paths, name)[rows] for name in self.arrays})


@dataclass(frozen=True)
class SetMaps(FieldMaps):
    """The maps by a stimulus set.

    Attributes:
        shown: the set.
        keeps_responses: whether the responses to all stimuli are stored.
    """

    shown: Shown
    keeps_responses: bool

    @property
    def noise(self) -> bool:
        """Whether the set is noise, rather than figures at places."""
        return self.shown.kind in NOISE

    @property
    def arrays(self) -> tuple[str, ...]:
        """The names of the stored arrays that describe what was found."""
        shown = ("maps", "stimuli", "responses")
        return shown if self.noise else (*shown, "apart", "places", "chance")


def maps_by_stimuli(run: ActiveRun, layer: Layer, name: str) -> SetMaps:
    """Return the maps of a layer by a stimulus set.

    Raises:
        ArtiphysError: a set from elsewhere cannot be drawn.
    """
    parts, units = run.parts, run.parts.units[layer.name]
    shown, keep = shown_set(run, layer, name), parts.config.receptive_fields.keep_responses
    blocks = _blocks(units, SHOWN_TO)
    settings = {
        **canvas_settings(run, layer),
        "units": list(units),
        "block": len(blocks["block-0000"]),
        # Raise the version of the stage when sets of this package are drawn otherwise.
        "stimulus": described(parts.config.stimulus[name], shown.contents),
        **shown.settings,
        "keep_responses": keep,
    }
    result = run.result(STAGE, layer.name, f"{layer.name}/{name}", settings, list(blocks))
    return SetMaps(layer, name, blocks, shown.field.size, result, 0, shown, keep)


def maps_by_method(
    run: ActiveRun, layer: Layer, name: str, ranks: int, options: Mapping[str, Any]
) -> FieldMaps:
    """Return the maps of a layer by a method that needs no stimulus set.

    Args:
        run: the run.
        layer: the layer.
        name: of the method.
        ranks: top patches, and as many bottom patches, that it uses; 0 if none.
        options: of the method, as plain data.
    """
    units = run.parts.units[layer.name]
    blocks = _blocks(units, UNITS)
    settings: dict[str, Any] = {
        **canvas_settings(run, layer),
        "units": list(units),
        "block": UNITS,
        "method": name,
        "options": dict(options),
    }
    if ranks:
        preprocessing = run.parts.network.preprocessing.settings()
        settings |= {
            "patches": ranks,
            "top_patches": find_search(run, layer).result.key,
            "preprocessing": preprocessing,
        }
    result = run.result(STAGE, layer.name, f"{layer.name}/{name}", settings, list(blocks))
    box = run.parts.canvas(layer).box
    return FieldMaps(layer, name, blocks, (box.height, box.width), result, ranks)


def _blocks(units: Sequence[int], size: int) -> dict[str, list[int]]:
    starts = range(0, len(units), size)
    return {f"block-{n:04d}": list(units[at : at + size]) for n, at in enumerate(starts)}


def arrays_of(mapped: MappedFields) -> dict[str, np.ndarray]:
    """Return the arrays that are stored of what was found."""
    return {name: array for name, array in vars(mapped).items() if array is not None}
