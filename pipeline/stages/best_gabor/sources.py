"""The images with which best Gabors are compared: stored top patches, and stored ascents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.contrast import root_mean_squares
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.search.extremes import Kept
from pipeline.search.patches import first_inside, patch_table
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import Climb, find_climb
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search, read_patches
from pipeline.store.results import Result

RANKS = 10  # patches of each unit, of which the first inside its image is compared
TOGETHER = 16  # patches that are read at once for their contrasts


class Shown(NamedTuple):
    """One image of each of some units, NaN where it is not finite, and what it is."""

    init: str
    copy: int
    images: Float[np.ndarray, "units channels height width"]


@dataclass(frozen=True, eq=False)
class Source:
    """Images of the units of a layer that another stage has stored.

    Attributes:
        run: the run.
        layer: the layer.
        reason: why there are none, or an empty string.
        results: in which they are, if there are any.
    """

    run: ActiveRun
    layer: Layer
    reason: str
    results: Sequence[Result]


@dataclass(frozen=True, eq=False)
class PatchSource(Source):
    """The top patches of a layer."""

    name = "patch"

    @cached_property
    def ranks(self) -> pd.DataFrame:
        """Which patch of each unit of the layer is compared, as in ``search.patches``."""
        run, layer = self.run, self.layer
        top = find_search(run, layer).extremes.by_sign[1]
        best = Kept(*(values[:, :RANKS] for values in top))
        units = range(layer.units)
        model = run.parts.network.name
        table = patch_table(model, run.parts.graph, layer, units, {1: best}, run.images)
        return first_inside(table, layer.name)

    def shown(self, units: Sequence[int]) -> Iterator[Shown]:
        """Yield the patch of each unit."""
        ranks = self.ranks.loc[list(units), "patch_rank"].to_numpy()
        whole: np.ndarray | None = None
        for rank in np.unique(ranks).tolist():
            rows = np.flatnonzero(ranks == rank)
            own = [units[row] for row in rows.tolist()]
            cut = read_patches(self.run, self.layer, own, rank, 1).numpy()
            if whole is None:
                whole = np.empty((len(units), *cut.shape[1:]), cut.dtype)
            whole[rows] = cut
        if whole is not None:
            yield Shown("", 0, whole)

    def contrasts(self) -> Float[np.ndarray, " units"]:
        """Return the contrasts of the patches of all units of the layer, NaN where there is none.

        Patches are read a few at a time, as all of them may not fit into memory.
        """
        found = np.empty(self.layer.units)
        for first in range(0, self.layer.units, TOGETHER):
            some = range(first, min(first + TOGETHER, self.layer.units))
            (shown,) = self.shown(some)
            found[some.start : some.stop] = root_mean_squares(shown.images)
        return np.where(found > 0, found, np.nan)


@dataclass(frozen=True, eq=False)
class AscentSource(Source):
    """The ascents of a layer, from all inits.

    Attributes:
        climbs: one for each init.
    """

    climbs: Sequence[Climb]
    name = "ascent"

    @property
    def copies(self) -> int:
        """Images of each unit and init."""
        return self.run.parts.copies

    def shown(self, units: Sequence[int]) -> Iterator[Shown]:
        """Yield the image of each unit, for every init and copy."""
        for climb in self.climbs:
            by_unit: dict[tuple[int, int], np.ndarray] = {}
            for item, own in climb.blocks.items():
                if set(own) & set(units):
                    arrays, _ = climb.result.read(item, ("units", "copies", "images"))
                    keys = zip(arrays["units"].tolist(), arrays["copies"].tolist(), strict=True)
                    by_unit |= dict(zip(keys, arrays["images"], strict=True))
            for copy in range(self.copies):
                images = np.stack([by_unit[unit, copy] for unit in units]).astype(np.float32)
                images[~np.isfinite(images).all((1, 2, 3))] = np.nan
                yield Shown(climb.init, copy, images)


def patch_source(run: ActiveRun, layer: Layer) -> PatchSource:
    """Return the top patches of a layer: those of the run, or those that the store holds."""
    result = find_search(run, layer).result
    there = TOP_PATCHES.name in run.parts.config.stages or not result.missing()
    reason = "" if there else "the store holds no top patches of its layer"
    return PatchSource(run, layer, reason, [result])


def ascent_source(run: ActiveRun, layer: Layer) -> AscentSource:
    """Return the ascents of a layer: those of the run, or those that the store holds."""
    if not (run.parts.scoring.of_fields and run.parts.scoring.per_unit):
        return AscentSource(run, layer, "the ascents are not of receptive fields", [], [])
    climbs = [find_climb(run, layer, init) for init in run.parts.inits]
    results = [climb.result for climb in climbs]
    there = ASCENT.name in run.parts.config.stages or not any(map(Result.missing, results))
    reason = "" if there else "the store holds no ascents of its layer"
    return AscentSource(run, layer, reason, results, climbs)
