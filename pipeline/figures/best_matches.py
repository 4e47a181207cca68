"""Images made for units beside the photographs that the best matching units prefer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.evolution_images import MOST_ROWS, Cell, image_grid

Image = Float[np.ndarray, "height width channels"]


@dataclass(frozen=True, eq=False)
class Match:
    """A unit that responds most to an image.

    Attributes:
        name: its network.
        layer: its layer.
        unit: its number.
        z: of its response.
        percentile: of its response.
        patch: the photograph's patch that it responds to most, 0..1; ``None`` if unknown.
    """

    name: str
    layer: str
    unit: int
    z: float
    percentile: float
    patch: Image | None

    @property
    def lines(self) -> list[str]:
        """What is said of it."""
        return [f"{self.layer}/{self.unit}", f"z {self.z:.1f}", f"{self.percentile:.0f} %"]


@dataclass(frozen=True, eq=False)
class Matched:
    """An image with its matches.

    Attributes:
        name: of its unit.
        image: for display, 0..1.
        lines: what is said of it.
        matches: by network, in the order of all rows.
    """

    name: str
    image: Image
    lines: Sequence[str]
    matches: Sequence[Match]


@style.paper_style()
def best_matches(rows: Sequence[Matched], title: str, caption: str) -> Figure:
    """Return a row for each image: the image, and for each network the match's preferred patch.

    Args:
        rows: up to twelve, all with matches in the same networks.
        title: of the figure.
        caption: text below, which must state how images were scaled.

    Raises:
        ValueError: there are no rows or too many, or their networks differ.
    """
    if not 0 < len(rows) <= MOST_ROWS:
        raise ValueError(f"{len(rows)} rows do not fit on a page; give 1 to {MOST_ROWS}")
    names = [match.name for match in rows[0].matches]
    if any([match.name for match in row.matches] != names for row in rows):
        raise ValueError(f"all rows must have matches in {', '.join(names)}, as the first")
    cells = [
        (
            row.name,
            [
                Cell(row.image, row.lines),
                *(Cell(match.patch, match.lines) for match in row.matches),
            ],
        )
        for row in rows
    ]
    return image_grid(cells, ["image", *names], title, caption)
