"""Patches of an image set at the extreme responses of units: their table and their pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.images.image_sets import ImageSet
from pipeline.images.patches import cut_patch
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.networks.receptive_fields import receptive_fields
from pipeline.search.extremes import Kept

PATCH_COLUMNS = (
    "model", "layer", "unit", "sign", "rank", "image", "row", "column", "response", "top", "left",
    "bottom", "right", "inside",
)  # fmt: skip


def patch_table(
    model: str,
    graph: Graph,
    layer: Layer,
    units: Sequence[int],
    by_sign: Mapping[int, Kept],
    images: ImageSet,
) -> pd.DataFrame:
    """Return the patches of some units of a layer: one row per unit, sign and rank.

    Args:
        model: name of the network.
        graph: graph traced at the size of the images.
        layer: the layer.
        units: units of the layer, in order.
        by_sign: extremes of all of its units: top (+1) and bottom (-1).
        images: the searched images.
    """
    numbers, names = np.array(units), np.array(images.names, dtype=object)
    height, width = images.size
    frames: list[pd.DataFrame] = []
    for sign, kept_of_all in by_sign.items():
        responses, found, positions = (field[numbers].numpy() for field in kept_of_all)
        rows, columns = layer.place(positions)
        top, left, bottom, right = receptive_fields(graph, layer.node, rows, columns)
        kept = found.shape[1]
        table = {
            "model": model,
            "layer": layer.name,
            "unit": numbers.repeat(kept),
            "sign": sign,
            "rank": np.tile(np.arange(kept), len(numbers)),
            "image": names[found].ravel(),
            "row": rows.ravel(),
            "column": columns.ravel(),
            "response": responses.ravel(),
            "top": top.ravel(),
            "left": left.ravel(),
            "bottom": bottom.ravel(),
            "right": right.ravel(),
            "inside": ((top >= 0) & (left >= 0) & (bottom <= height) & (right <= width)).ravel(),
        }
        frames.append(pd.DataFrame(table, columns=list(PATCH_COLUMNS)))
    whole = pd.concat(frames, ignore_index=True)
    order = ["unit", "sign", "rank"]
    return whole.sort_values(order, ascending=[True, False, True], ignore_index=True)


def first_inside(table: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Return which top patch of each unit is compared: the first inside its image, if any is.

    What lies beyond an image is the mean color in the patch, but padding to the network.

    Args:
        table: of ``patch_table``, with the ranks that may be chosen.
        layer: name of the layer.

    Returns:
        By unit, ``patch_rank``, and ``patch_inside``: whether it lies inside its image.

    >>> rows = {"unit": [4, 4, 5], "rank": [0, 1, 0], "inside": [False, True, False]}
    >>> first_inside(pd.DataFrame({"layer": "conv1", "sign": 1, **rows}), "conv1").to_numpy()
    array([[1, True],
           [0, False]], dtype=object)
    """
    own = pd.DataFrame(table[(table["layer"] == layer) & (table["sign"] == 1)])
    own = own.rename(columns={"rank": "patch_rank", "inside": "patch_inside"})
    order = own.sort_values(["unit", "patch_inside", "patch_rank"], ascending=[True, False, True])
    best = order.drop_duplicates("unit").set_index("unit")
    return pd.DataFrame(best, columns=["patch_rank", "patch_inside"])


def cut_patches(
    read: Callable[[int], Tensor],
    graph: Graph,
    layer: Layer,
    kept: Kept,
    size: tuple[int, int] | None = None,
) -> Float[Tensor, "units c height width"]:
    """Return one patch per unit.

    Args:
        read: returns an image by its index.
        graph: graph traced at the size of the images.
        layer: the layer.
        kept: response, image and position of one patch of each unit.
        size: height and width, centered on the receptive field; by default, those of the field.
    """
    images = kept.images.numpy()
    rows, columns = layer.place(kept.positions.numpy())
    boxes = receptive_fields(graph, layer.node, rows, columns).T
    pixels = {index: read(int(index)) for index in np.unique(images)}
    return torch.stack(
        [
            cut_patch(pixels[index], _resized(tuple(map(int, box)), size))
            for index, box in zip(images, boxes, strict=True)
        ]
    )


def _resized(box: tuple[int, ...], size: tuple[int, int] | None) -> tuple[int, int, int, int]:
    """Return a box of another size with the same center."""
    top, left, bottom, right = box
    height, width = size or (bottom - top, right - left)
    top, left = top + (bottom - top - height) // 2, left + (right - left - width) // 2
    return top, left, top + height, left + width
