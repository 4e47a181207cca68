"""What a search leaves: extremes of every unit, patches cut at them, and their table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int
from torch import Tensor, stack

from pipeline.errors import ImageError, StoreError
from pipeline.images.batches import split
from pipeline.images.patches import cut_patch
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import receptive_fields
from pipeline.search.extremes import Kept, merged
from pipeline.search.top_patches import block_images
from pipeline.session.session import Session
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS

SIGNS = {1: "top", -1: "bottom"}


class Searched:
    """The extremes of one layer: the merged blocks of its result.

    Attributes:
        by_sign: top (+1) and bottom (-1) patches of every unit.
        digests: of the images that were searched, by index.
    """

    def __init__(self, blocks: Sequence[dict[str, np.ndarray]], keep: int) -> None:
        self.by_sign = {sign: merged(_kept(blocks, sign), keep, sign) for sign in SIGNS}
        self.digests: Int[np.ndarray, " images"] = np.concatenate([b["digests"] for b in blocks])


def image_blocks(session: Session) -> dict[str, range]:
    """Return the blocks of images that are the work items of a search, by name."""
    total = len(session.images)
    size = block_images(total, session.parts.config.search.batch_size)
    return {f"block-{n:04d}": indices for n, indices in enumerate(split(total, size))}


def extremes_result(session: Session, layer: Layer) -> Result:
    """Return the place of one layer's extremes, for all of its units."""
    config, blocks = session.parts.config.search, image_blocks(session)
    settings = {
        **settings_of_network(session),
        "module": layer.call,
        "images": dict(session.images.settings),
        "keep": config.keep,
        "batch_size": config.batch_size,
        "block": len(blocks["block-0000"]),
    }
    return session.result("top_patches", layer.name, layer.name, settings, list(blocks))


def settings_of_network(session: Session) -> dict[str, str]:
    """Return what determines the network: its weights, and what it does with them."""
    parts = session.parts
    return {"weights": parts.network.digest, "network": parts.graph.digest}


def read_unreadable(session: Session) -> dict[str, str]:
    """Return the images that the searches could not read, with reasons.

    Raises:
        ImageError: they are more than ``search.max_unreadable`` allows.
    """
    unreadable: dict[str, str] = {}
    for layer in session.parts.layers:
        result = extremes_result(session, layer)
        for item in result.items:
            unreadable.update(result.read(item, ())[1]["unreadable"])
    check_unreadable(session, unreadable)
    return unreadable


def check_unreadable(session: Session, unreadable: dict[str, str]) -> None:
    """Refuse an image set of which too much cannot be read.

    Raises:
        ImageError: more than ``search.max_unreadable`` (and more than one image), or all.
    """
    total, count = len(session.images), len(unreadable)
    if count > max(1.0, session.parts.config.search.max_unreadable * total) or count == total:
        name, reason = next(iter(unreadable.items()))
        raise ImageError(
            f"images: {count} of {total} images cannot be used, the first is '{name}', which"
            f" {reason}; mend or remove them, or raise search.max_unreadable"
        )


def read_extremes(session: Session, layer: Layer) -> Searched:
    """Return the extremes of a layer, merged once in a run.

    Raises:
        StoreError: the layer has not been searched, or a block is damaged.
    """
    result = extremes_result(session, layer)
    if result.key not in session.searched:
        blocks = [result.read(item)[0] for item in result.items]
        session.searched[result.key] = Searched(blocks, session.parts.config.search.keep)
    return session.searched[result.key]


def read_patches(
    session: Session,
    layer: Layer,
    units: Sequence[int],
    rank: int,
    sign: int,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Return the patches of some units at one rank, [units, 3, height, width].

    They have the size of the receptive field, or another, about the same middle.

    Raises:
        StoreError: the layer has not been searched, or not so many patches were kept.
        ImageError: an image has changed since it was searched, or cannot be read any more.
    """
    if extremes_result(session, layer).missing():
        raise StoreError(
            f"ascent: the store holds no top patches of {layer.name} for these weights and images;"
            " add top_patches to stages"
        )
    searched = read_extremes(session, layer)
    kept = searched.by_sign[sign]
    if rank >= kept.images.shape[1]:
        raise StoreError(
            f"init: rank {rank} is beyond the {kept.images.shape[1]} patches kept per"
            " unit; ranks count from 0 (search.keep sets how many are kept)"
        )
    images = kept.images[units, rank].numpy()
    rows, columns = layer.place(kept.positions[units, rank].numpy())
    boxes = receptive_fields(session.parts.graph, layer.node, rows, columns).T
    read = {
        index: session.images.read(int(index), int(searched.digests[index]))
        for index in np.unique(images)
    }
    patches = [
        cut_patch(read[index], _resized(tuple(map(int, box)), size))
        for index, box in zip(images, boxes, strict=True)
    ]
    return stack(patches)


def _resized(box: tuple[int, ...], size: tuple[int, int] | None) -> tuple[int, int, int, int]:
    """Return a box of another size about the same middle."""
    top, left, bottom, right = box
    height, width = size or (bottom - top, right - left)
    top, left = top + (bottom - top - height) // 2, left + (right - left - width) // 2
    return top, left, top + height, left + width


def top_patches(session: Session, layers: Sequence[Layer] | None = None) -> pd.DataFrame:
    """Return the table of patches, or of some layers: one row per layer, unit, sign and rank."""
    tables = [pd.DataFrame(columns=list(COLUMNS["top_patches"]))]
    tables += [_table(session, x) for x in (session.parts.layers if layers is None else layers)]
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _kept(blocks: Sequence[dict[str, np.ndarray]], sign: int) -> list[Kept]:
    fields = [[b[f"{SIGNS[sign]}_{field}"] for field in Kept._fields] for b in blocks]
    return [Kept(*map(torch.from_numpy, block)) for block in fields]


def _table(session: Session, layer: Layer) -> pd.DataFrame:
    parts, searched = session.parts, read_extremes(session, layer)
    units = np.array(parts.units[layer.name])
    names = np.array(session.images.names, dtype=object)
    frames = []
    for sign in SIGNS:
        responses, images, positions = (field[units].numpy() for field in searched.by_sign[sign])
        rows, columns = layer.place(positions)
        top, left, bottom, right = receptive_fields(parts.graph, layer.node, rows, columns)
        height, width = session.images.size
        inside = (top >= 0) & (left >= 0) & (bottom <= height) & (right <= width)
        kept = images.shape[1]
        columns_of = {
            "model": parts.network.name,
            "layer": layer.name,
            "unit": units.repeat(kept),
            "sign": sign,
            "rank": np.tile(np.arange(kept), len(units)),
            "image": names[images].ravel(),
            "row": rows.ravel(),
            "column": columns.ravel(),
            "response": responses.ravel(),
            "top": top.ravel(),
            "left": left.ravel(),
            "bottom": bottom.ravel(),
            "right": right.ravel(),
            "inside": inside.ravel(),
        }
        frames.append(pd.DataFrame(columns_of, columns=list(COLUMNS["top_patches"])))
    table = pd.concat(frames, ignore_index=True)
    order = ["unit", "sign", "rank"]
    return table.sort_values(order, ascending=[True, False, True], ignore_index=True)
