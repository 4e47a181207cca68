"""Methods that need no stimulus set: from the top and bottom patches of units, or from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.errors import NetworkError
from pipeline.networks.gradient_rules import check_rule, guided
from pipeline.run.active_run import ActiveRun
from pipeline.search.effective_fields import EFFECTIVE, NoiseImages, map_effective_fields
from pipeline.search.field_mapping import SIGNS, MappedFields
from pipeline.search.occlusion import Occluders
from pipeline.search.patch_maps import PATCH_METHODS, PatchMapper, PatchOptions, map_by_patches
from pipeline.stages.receptive_fields.results import FieldMaps, arrays_of
from pipeline.stages.top_patches.results import read_patches

OPTIONS = PatchOptions()
NEED_PATCHES = PATCH_METHODS
METHODS = (*PATCH_METHODS, EFFECTIVE)
GUIDED = "guided_backprop"
GRADIENT = 2  # passes: forward, and as much for the gradient


def noise_images(run: ActiveRun) -> NoiseImages:
    """Return the images from which the effective fields of a run are made."""
    return NoiseImages(seed=run.parts.config.seed)


def method_settings(run: ActiveRun, method: str) -> dict[str, Any]:
    """Return the settings of a method that determine its maps."""
    return asdict(noise_images(run) if method == EFFECTIVE else OPTIONS)


def method_fault(run: ActiveRun, method: str) -> str:
    """Return why a method cannot be used with the network of a run, or an empty string."""
    if method == GUIDED:
        try:
            check_rule(run.parts.graph.traced, guided())
        except NetworkError:
            return (
                f"receptive_fields.methods: {GUIDED} changes gradients of ReLU, which the network"
                " does not have; use gradient"
            )
    return ""


def passes_of_unit(method: str, ranks: int, field: tuple[int, int]) -> int:
    """Return how many passes of a layer on its field one unit takes.

    >>> passes_of_unit("gradient", 10, (51, 51)), passes_of_unit("occlusion", 10, (51, 51))
    (40, 12520)
    """
    if method == EFFECTIVE:
        return GRADIENT * NoiseImages.count
    each = {
        "integrated_gradient": GRADIENT * OPTIONS.steps,
        "occlusion": len(Occluders.of_field(field, OPTIONS.spread)) + 1,
    }
    return each.get(method, GRADIENT) * len(SIGNS) * ranks


@dataclass(frozen=True)
class MethodBlock:
    """A work item: some units of a layer.

    Attributes:
        of: the maps.
        item: name of the item.
    """

    of: FieldMaps
    item: str

    @property
    def units(self) -> Sequence[int]:
        """The units, in order."""
        return self.of.blocks[self.item]


class MethodWork:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        run.parts.runner.place(run.parts.network.module)

    def needed(self, block: MethodBlock) -> bool:
        """Say whether an item is missing."""
        return not block.of.result.holds(block.item)

    def size(self, block: MethodBlock) -> int:
        """Return the number of units."""
        return len(block.units)

    def parts(self, block: MethodBlock) -> list[MethodBlock]:
        """Return the block itself: it is done as a whole."""
        return [block]

    def load(self, block: MethodBlock) -> MethodBlock:
        """Read nothing yet: patches are read rank by rank."""
        return block

    def run(self, block: MethodBlock) -> MappedFields:
        """Map the receptive fields of a block of units."""
        parts, layer, method = self.active.parts, block.of.layer, block.of.method
        device, check = parts.runner.device, parts.runner.check
        if method == EFFECTIVE:
            return map_effective_fields(
                parts.graph, layer, block.units, device, noise_images(self.active), check
            )

        def patches(rank: int, sign: int) -> Tensor:
            return read_patches(self.active, layer, block.units, rank, sign)

        mapper = PatchMapper(parts.graph, layer, method, device, OPTIONS)
        return map_by_patches(mapper, block.units, patches, block.of.ranks, check)

    def begin(self, block: MethodBlock) -> Written:
        """Return what writes the maps."""
        return Written(block, {})


@dataclass(frozen=True)
class Written:
    """The maps of one block."""

    block: MethodBlock
    arrays: dict[str, np.ndarray]

    def add(self, mapped: MappedFields) -> None:
        """Take in the maps."""
        self.arrays.update(arrays_of(mapped))

    def write(self) -> None:
        """Write them."""
        self.block.of.result.write(self.block.item, self.arrays)
