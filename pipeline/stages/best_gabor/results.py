"""The stored results of a layer: starts of the grid, best Gabors, and responses to other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.stages.best_gabor.sources import AscentSource, PatchSource
from pipeline.stimuli.gabors import SMALLEST_FIELD
from pipeline.store.results import Arrays, Result
from pipeline.synthesis.gabor_search import GaborSearch
from pipeline.synthesis.gabors import STARTS
from pipeline.synthesis.optimizers import Optimizer

GRID = "grid"  # the item of a grid
NUMBERS = ("gabors", "colors", "rms", "blank", "response", "grid_response", "peak")


@dataclass(frozen=True, eq=False)
class Searched:
    """What is searched of a layer.

    Attributes:
        layer: the layer.
        units: whose Gabors are searched.
        search: what they may be.
        patches: that set the contrast of each unit; ``None`` if it is one number.
        rms: that number.
    """

    layer: Layer
    units: Sequence[int]
    search: GaborSearch
    patches: PatchSource | None
    rms: float

    @property
    def too_small(self) -> bool:
        """Whether the field is too small for a Gabor."""
        return self.search.field.side < SMALLEST_FIELD

    def contrasts(self) -> Float[np.ndarray, " units"]:
        """Return the contrasts of all units of the layer, NaN where there is none."""
        if self.patches is None or self.too_small:
            return np.full(self.layer.units, self.rms)
        return self.patches.contrasts()


@dataclass(frozen=True)
class Starts:
    """Where the climbs of some units start.

    Attributes:
        gabors: five of each unit, next to each other; none if nothing was shown.
        colors: of these.
        dead: which units respond to the whole grid alike.
        rms: contrast of each unit, NaN if there is none.
        reason: why no unit has any, or an empty string.
    """

    gabors: Float[Tensor, "starts 7"]
    colors: Float[Tensor, "starts channels"]
    dead: Bool[np.ndarray, " units"]
    rms: Float[np.ndarray, " units"]
    reason: str

    def taken(self, rows: Sequence[int]) -> Starts:
        """Return those of some of the units."""
        several = [STARTS * row + start for row in rows for start in range(STARTS)]
        own = list(rows)
        return Starts(
            self.gabors[several], self.colors[several], self.dead[own], self.rms[own], self.reason
        )


@dataclass(frozen=True, eq=False)
class GridStarts:
    """The best Gabors of the grid for each unit of a layer, from which its climbs start."""

    of: Searched
    result: Result

    def read(self) -> Starts:
        """Read them."""
        arrays, notes = self.result.read(GRID)
        gabors, colors = (torch.from_numpy(arrays[name]) for name in ("gabors", "colors"))
        return Starts(gabors, colors, arrays["dead"], arrays["rms"], notes["reason"])


@dataclass(frozen=True, eq=False)
class LayerGabors:
    """The best Gabors of the units of a layer, an item for each block of them.

    Attributes:
        of: what was searched.
        starts: where the climbs start.
        climb: optimizer of Gabors.
        block: units of an item.
        result: the stored Gabors.
    """

    of: Searched
    starts: GridStarts
    climb: Optimizer
    block: int
    result: Result

    def rows(self, item: str) -> range:
        """Return which of the units an item is made of."""
        first = self.result.items.index(item) * self.block
        return range(first, min(first + self.block, len(self.of.units)))

    def units(self, item: str) -> list[int]:
        """Return the units of an item."""
        return [self.of.units[row] for row in self.rows(item)]

    def read(self) -> tuple[Arrays, list[str]]:
        """Read the numbers of all units, and why some have no Gabor."""
        return joined(self.result)


@dataclass(frozen=True, eq=False)
class Compared:
    """The responses of the units of a layer to their images of one source, at equal contrast.

    Attributes:
        gabors: the best Gabors, whose contrasts and blocks these have.
        source: of the images.
        result: the stored responses.
    """

    gabors: LayerGabors
    source: PatchSource | AscentSource
    result: Result

    def read(self) -> tuple[Arrays, list[str]]:
        """Read the numbers of all units, and why some have none."""
        return joined(self.result)


def joined(result: Result) -> tuple[Arrays, list[str]]:
    """Return the arrays of all items, one after the other, and the reasons in their notes."""
    parts = [result.read(item) for item in result.items]
    names = parts[0][0]
    arrays = {name: np.concatenate([own[name] for own, _ in parts]) for name in names}
    return arrays, [reason for _, notes in parts for reason in notes["reasons"]]
