"""What a search leaves: extremes of every unit, patches cut at them, and their table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor, stack

from pipeline.config.build import Parts
from pipeline.errors import StoreError
from pipeline.images.patches import cut_patch
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import receptive_fields
from pipeline.session.session import Session
from pipeline.store.results import Result
from pipeline.store.tables import COLUMNS

SIGNS = {1: "top", -1: "bottom"}


def extremes_result(session: Session, layer: Layer) -> Result:
    """Return the place of one layer's extremes, for all of its units."""
    settings = {
        "weights": session.parts.network.digest,
        "module": layer.module,
        "images": dict(session.parts.images.settings),
        "keep": session.parts.config.search.keep,
        "batch_size": session.parts.config.search.batch_size,
    }
    return session.result("top_patches", layer.name, layer.name, settings, ["extremes"])


def read_patches(
    session: Session, layer: Layer, units: Sequence[int], rank: int, sign: int
) -> Tensor:
    """Return the patches of some units at one rank, [units, 3, height, width].

    Raises:
        StoreError: the layer has not been searched, or not so many patches were kept.
    """
    result = extremes_result(session, layer)
    if result.missing():
        raise StoreError(
            f"init.top_patch: the store holds no top patches of {layer.name} for these weights and"
            " images; add top_patches to stages"
        )
    prefix = SIGNS[sign]
    arrays, _ = result.read("extremes", (f"{prefix}_images", f"{prefix}_positions"))
    kept = arrays[f"{prefix}_images"].shape[1]
    if rank >= kept:
        raise StoreError(
            f"init.top_patch.rank: {rank} is beyond the {kept} patches kept per unit; ranks count"
            " from 0 (search.keep sets how many are kept)"
        )
    images = arrays[f"{prefix}_images"][units, rank]
    rows, columns = layer.place(arrays[f"{prefix}_positions"][units, rank])
    boxes = receptive_fields(session.parts.graph, layer.node, rows, columns).T
    read = {index: session.parts.images.read(int(index)) for index in np.unique(images)}
    patches = [
        cut_patch(read[index], (int(box[0]), int(box[1]), int(box[2]), int(box[3])))
        for index, box in zip(images, boxes, strict=True)
    ]
    return stack(patches)


def top_patches(session: Session) -> pd.DataFrame:
    """Return the table of patches: one row per layer, unit, sign and rank."""
    parts = session.parts
    tables = [_table(parts, layer, extremes_result(session, layer)) for layer in parts.layers]
    return pd.concat(tables, ignore_index=True)


def _table(parts: Parts, layer: Layer, result: Result) -> pd.DataFrame:
    arrays, _ = result.read("extremes")
    units = np.array(parts.units[layer.name])
    names = np.array(parts.images.names, dtype=object)
    frames = []
    for sign, prefix in SIGNS.items():
        images = arrays[f"{prefix}_images"][units]
        rows, columns = layer.place(arrays[f"{prefix}_positions"][units])
        top, left, bottom, right = receptive_fields(parts.graph, layer.node, rows, columns)
        height, width = parts.images.size
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
            "response": arrays[f"{prefix}_responses"][units].ravel(),
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
