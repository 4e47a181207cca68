"""Results: responses to the image set, pairs of units by layer and init, and facets of units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.analysis.mantel import agreement
from pipeline.analysis.transfer import UnitNorms
from pipeline.analysis.unit_clusters import clusters
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.search.transfer import Viewer, Viewing
from pipeline.search.unit_similarity import (
    IMAGES,
    RESPONSES,
    WEIGHTS,
    Facets,
    pair_rows,
    unit_matrices,
)
from pipeline.stages.ascent.results import Climb
from pipeline.stages.set_responses import read_responses
from pipeline.stages.stored_tables import Tables, read_rows
from pipeline.store.results import Result
from pipeline.store.runs import read_images

ALL = "all"  # the only item of compared units
CENTER = "center"


@dataclass(frozen=True, eq=False)
class Norms:
    """The responses of all units of a layer to the image set.

    Attributes:
        layer: the layer.
        at: which part of a map is compared between units.
        result: the stored result, each item of which is a block of images.
    """

    layer: Layer
    at: str
    result: Result

    @property
    def reads(self) -> dict[str, str]:
        """Which parts of the maps are stored, by the name of their array."""
        return {at: at for at in dict.fromkeys((self.at, CENTER))}

    @cached_property
    def compared(self) -> Float[np.ndarray, "images units"]:
        """The responses by which units are compared, read once."""
        return read_responses(self, self.at)

    @cached_property
    def central(self) -> UnitNorms:
        """The responses at the center, where images of units are shown; read once."""
        return UnitNorms(read_responses(self, CENTER))


@dataclass(frozen=True, eq=False)
class ComparedUnits:
    """All pairs of units of a layer, by ascents from one init.

    Attributes:
        run: the run.
        layer: the layer.
        climb: the ascents.
        norms: the responses.
        result: the stored tables ``pairs``, ``agreement`` and ``clusters``.
    """

    run: ActiveRun
    layer: Layer
    climb: Climb
    norms: Norms
    result: Result

    @property
    def init(self) -> str:
        """The name of the init."""
        return self.climb.init

    def size(self, item: str) -> int:  # noqa: ARG002 - there is one item
        """Return the number of units."""
        return len(self.climb.units)

    def make(self, item: str) -> Tables:  # noqa: ARG002 - there is one item
        """Compare the first ascent of each unit with those of all others."""
        config, parts = self.run.parts.config, self.run.parts
        images = read_images(self.climb.result)
        firsts = np.sort(np.unique(images.units, return_index=True)[1])
        units = images.units[firsts].tolist()
        added = torch.from_numpy(images.added[firsts])
        seen = self.norms.compared[:, units]
        settings = config.unit_similarity
        module = parts.network.module
        found = unit_matrices(module, self.layer, units, added, seen, settings.shift)
        rng = np.random.default_rng(config.seed)
        by_measure = {name: clusters(each, settings.groups) for name, each in found.items()}
        missing = dict.fromkeys((IMAGES, WEIGHTS, RESPONSES), np.full(len(units), -1))
        return {
            "pairs": pd.DataFrame(pair_rows(units, found)),
            "agreement": agreement(found, rng, settings.permutations),
            "clusters": pd.DataFrame({"unit": units, **(missing | by_measure)}),
        }

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The stored tables, read once."""
        return read_rows(self.result)

    @property
    def units(self) -> list[int]:
        """The units, in the order of all matrices."""
        return self.tables["clusters"]["unit"].tolist()

    @cached_property
    def matrices(self) -> dict[str, Float[np.ndarray, "units units"]]:
        """The similarities, with 1 on the diagonal; without weights if all units lack them."""
        pairs, count = self.tables["pairs"], len(self.units)
        above, found = np.triu_indices(count, 1), {}
        for name in (IMAGES, WEIGHTS, RESPONSES):
            values = pairs[name].to_numpy(np.float64)
            if name == WEIGHTS and np.isnan(values).all():
                continue
            matrix = np.eye(count)
            matrix[above] = values
            matrix.T[above] = values
            undefined = np.isnan(matrix).sum(axis=1) >= count - 1
            matrix[undefined, undefined] = np.nan
            found[name] = matrix
        return found


@dataclass(frozen=True, eq=False)
class UnitImages:
    """The images of units of a layer, several of each.

    Attributes:
        kind: ``ascent`` or ``top_patch``.
        init: name of the init; empty for top patches.
        units: that have images.
        each: images of a unit, at most.
        of: the stored result that holds them, or says where they are.
        read: returns those of some units: for each its images, and their numbers among those of
            the unit.
    """

    kind: str
    init: str
    units: Sequence[int]
    each: int
    of: Result
    read: Callable[[Sequence[int]], Mapping[int, tuple[Tensor, list[int]]]]


@dataclass(frozen=True, eq=False)
class UnitFacets:
    """Groups among the images of each unit of a layer.

    Attributes:
        run: the run.
        layer: the layer.
        images: of its units.
        norms: the responses to the image set.
        blocks: the units of each work item.
        result: the stored tables ``facets`` and ``images``.
    """

    run: ActiveRun
    layer: Layer
    images: UnitImages
    norms: Norms
    blocks: Mapping[str, Sequence[int]]
    result: Result

    def size(self, item: str) -> int:
        """Return the number of units of an item."""
        return len(self.blocks[item])

    def make(self, item: str) -> Tables:
        """Seek groups among the images of each unit of an item."""
        parts, units = self.run.parts, self.blocks[item]
        config, network = parts.config.unit_similarity, parts.sized_network
        viewer = Viewer(network, self.layer, network.preprocessing, Viewing(), parts.runner.device)
        facets = Facets(viewer, self.norms.central, config.most, config.draws, parts.config.seed)
        rows: list[tuple[float, ...]] = []
        images: list[pd.DataFrame] = []
        for unit, (shown, numbers) in self.images.read(units).items():
            parts.runner.check()
            found = facets(shown, unit)
            rows.append((unit, len(shown), found.groups, *found[1:]))
            own = {"unit": unit, "copy": np.array(numbers, np.int64), "facet": found.labels}
            images.append(pd.DataFrame(own))
        columns = ["unit", "images", "groups", "silhouette", "null", "p"]
        return {
            "facets": pd.DataFrame(rows, columns=columns),
            "images": pd.concat(images, ignore_index=True),
        }

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The stored tables, read once."""
        return read_rows(self.result)
