"""The images of units whose images fall into groups, group by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.evolution_images import MOST_ROWS, Cell, image_grid

MOST_IMAGES = 8  # of a unit
CAPTION = (
    "At the left: sizes of the groups, and p. Below each image: its group, from 1, the largest."
    " {shown}"
)


@dataclass(frozen=True, eq=False)
class Faceted:
    """Images of a unit with their groups.

    Attributes:
        name: what stands at the left, such as the unit and its p.
        images: for display, 0..1; as many as groups.
        facets: group of each, from 0.
    """

    name: str
    images: Sequence[Float[np.ndarray, "height width channels"]]
    facets: Sequence[int]


@style.paper_style()
def facet_images(rows: Sequence[Faceted], title: str, caption: str) -> Figure:
    """Return a row for each unit: its images, group by group.

    Args:
        rows: up to twelve units, each with up to eight images.
        title: of the figure.
        caption: text below, which must state how images were scaled.

    Raises:
        ValueError: there are no rows or too many, or a unit has no images or too many.
    """
    if not 0 < len(rows) <= MOST_ROWS:
        raise ValueError(f"{len(rows)} rows do not fit on a page; give 1 to {MOST_ROWS}")
    counts = [len(row.images) for row in rows]
    if not 0 < min(counts) <= max(counts) <= MOST_IMAGES:
        raise ValueError(f"rows of {min(counts)} to {max(counts)} images; give 1 to {MOST_IMAGES}")
    cells = [
        (row.name, [Cell(i, [str(f + 1)]) for i, f in zip(row.images, row.facets, strict=True)])
        for row in rows
    ]
    heads = [""] * max(counts)
    return image_grid(cells, heads, title, CAPTION.format(shown=caption))


def chosen_images(facets: Int[np.ndarray, " n"], most: int = MOST_IMAGES) -> list[int]:
    """Return some images, group by group: the first of every group, then the second, and so on.

    >>> chosen_images(np.array([0, 1, 0, 0, 1, 0]), 4)
    [0, 2, 1, 4]
    """
    turns = np.array([(facets[:n] == facet).sum() for n, facet in enumerate(facets)])
    kept = np.lexsort((facets, turns))[:most]
    return kept[np.lexsort((kept, facets[kept]))].tolist()
