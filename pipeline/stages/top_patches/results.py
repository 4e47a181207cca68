"""Results of a search: the extreme responses of every unit, their patches, and their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import StoreError
from pipeline.figures import scaling
from pipeline.images.batches import sample
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.run.image_blocks import check_unreadable, image_blocks
from pipeline.search.extremes import Kept, at_rank, merged
from pipeline.search.patches import PATCH_COLUMNS, cut_patches, patch_table
from pipeline.stages.stage import Plan
from pipeline.stages.top_patches import STAGE
from pipeline.store.results import Result

SIGNS = {1: "top", -1: "bottom"}


class Extremes:
    """The extremes of one layer: the merged blocks of its result.

    Attributes:
        by_sign: top (+1) and bottom (-1) patches of every unit.
        digests: digests of the searched images, by index.
    """

    def __init__(self, blocks: Sequence[dict[str, np.ndarray]], keep: int) -> None:
        self.by_sign = {sign: merged(_kept(blocks, sign), keep, sign) for sign in SIGNS}
        self.digests: Int[np.ndarray, " images"] = np.concatenate([b["digests"] for b in blocks])


@dataclass(frozen=True)
class Search:
    """The search for all units of one layer.

    Attributes:
        layer: the layer.
        keep: patches of each sign kept per unit.
        result: the stored result, each item of which is a block of images.
    """

    layer: Layer
    keep: int
    result: Result

    @cached_property
    def extremes(self) -> Extremes:
        """The extremes of all blocks, merged once per run.

        Raises:
            StoreError: the layer has not been searched, or a block is damaged.
        """
        return Extremes([self.result.read(item)[0] for item in self.result.items], self.keep)


def plan_searches(run: ActiveRun) -> Plan[Search]:
    """Return the searches of a run, one for each of its layers."""
    config, blocks = run.parts.config.search, image_blocks(run)

    def search(layer: Layer) -> Search:
        settings = {
            **network_settings(run),
            "layer": layer.identity,
            "images": dict(run.images.settings),
            "keep": config.keep,
            "batch_size": config.batch_size,
            "block": len(blocks["block-0000"]),
        }
        result = run.result(STAGE, layer.name, layer.name, settings, list(blocks))
        return Search(layer, config.keep, result)

    return Plan(map(search, run.parts.layers))


def find_search(run: ActiveRun, layer: Layer) -> Search:
    """Return the search of one layer of a run."""
    return next(search for search in run.plan(STAGE) if search.layer.name == layer.name)


def read_unreadable(run: ActiveRun) -> dict[str, str]:
    """Return the images that the searches could not read, with the reasons.

    Raises:
        ImageError: there are more than ``search.max_unreadable`` allows.
    """
    unreadable: dict[str, str] = {}
    for search in run.plan(STAGE):
        for item in search.result.items:
            unreadable.update(search.result.read(item, ())[1]["unreadable"])
    check_unreadable(run, unreadable)
    return unreadable


def read_patches(
    run: ActiveRun,
    layer: Layer,
    units: Sequence[int],
    rank: int,
    sign: int,
    size: tuple[int, int] | None = None,
) -> Float[Tensor, "units 3 height width"]:
    """Return the patches of some units at one rank.

    They have the size of the receptive field or a given size, with the same center.

    Raises:
        StoreError: the layer has not been searched, or the rank is beyond the patches kept.
        ImageError: an image has changed since it was searched, or can no longer be read.
    """
    search = find_search(run, layer)
    if search.result.missing():
        raise StoreError(
            f"top_patches: the store holds no patches of {layer.name} for these weights and images;"
            " add top_patches to stages"
        )
    kept, digests = search.extremes.by_sign[sign], search.extremes.digests
    if rank >= kept.images.shape[1]:
        raise StoreError(
            f"init: rank {rank} is beyond the {kept.images.shape[1]} patches kept per"
            " unit; ranks count from 0 (search.keep sets how many are kept)"
        )
    read = partial(_read, run, digests)
    return cut_patches(read, run.parts.graph, layer, at_rank(kept, units, rank), size)


def shown_patches(
    run: ActiveRun, layer: Layer, units: Sequence[int], rank: int, sign: int
) -> Float[np.ndarray, "units height width 3"]:
    """Return patches for display: in their own colors if known, or else scaled by range.

    Raises:
        ArtiphysError: as in ``read_patches``.
    """
    patches = read_patches(run, layer, units, rank, sign).numpy()
    scale = run.parts.images.pixel_scale
    if scale is None:
        return np.stack([scaling.to_display(patch) for patch in patches])
    return np.stack([scaling.to_pixels(patch, *scale) for patch in patches])


def _read(run: ActiveRun, digests: Int[np.ndarray, " images"], index: int) -> Tensor:
    return run.images.read(index, int(digests[index]))


class StoredSources:
    """The patches and pictures that ascents of a run need (``synthesis.recipe.Sources``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run

    def patches(
        self, layer: Layer, units: Sequence[int], rank: int, sign: int, size: tuple[int, int]
    ) -> Float[Tensor, "units 3 height width"]:
        """Return the patches of some units at one rank; errors as in ``read_patches``."""
        return read_patches(self.active, layer, units, rank, sign, size)

    def pictures(
        self, size: tuple[int, int], count: int
    ) -> Float[Tensor, "pictures 3 height width"]:
        """Return some of the image set; errors as in ``images.batches.sample``."""
        return sample(self.active.images, size, count)


def top_patches(run: ActiveRun, searches: Sequence[Search]) -> pd.DataFrame:
    """Return the table ``top_patches``: one row per layer, unit, sign and rank."""
    parts, images = run.parts, run.images
    tables = [
        patch_table(
            parts.network.name,
            parts.graph,
            search.layer,
            parts.units[search.layer.name],
            search.extremes.by_sign,
            images,
        )
        for search in searches
    ]
    return pd.concat(tables or [pd.DataFrame(columns=list(PATCH_COLUMNS))], ignore_index=True)


def _kept(blocks: Sequence[dict[str, np.ndarray]], sign: int) -> list[Kept]:
    fields = [[b[f"{SIGNS[sign]}_{field}"] for field in Kept._fields] for b in blocks]
    return [Kept(*map(torch.from_numpy, block)) for block in fields]
