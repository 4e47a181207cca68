"""Similarity of the units of a layer by their images, their weights and their responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from pipeline.figures import style

COLORS = "RdBu_r"  # diverging, and readable with red-green blindness; white is 0
TITLES = {
    "images": "Preferred images (r)",
    "weights": "Weights (cosine)",
    "responses": "Responses (r)",
}
_WRITTEN = 16  # units at most whose numbers stand at the axes


@style.paper_style()
def similarity_matrices(
    units: Sequence[int],
    matrices: Mapping[str, Float[np.ndarray, "n n"]],
    agreement: pd.DataFrame,
    title: str = "",
) -> Figure:
    """Return the matrices side by side, with units in the order of a tree of the first.

    Below stands how far each two agree: r of the upper triangles, and p of the Mantel test.

    Args:
        units: numbers of the units, in the order of the matrices.
        matrices: by name, such as ``UnitSimilarity.matrices``.
        agreement: ``first``, ``second``, ``r`` and ``p``.
        title: of the figure.

    Raises:
        ValueError: there are fewer than three units.
    """
    if len(units) < 3:
        raise ValueError(f"{len(units)} units have no matrix worth a figure; give 3 or more")
    order = _order(next(iter(matrices.values())))
    norm = Normalize(-1, 1)
    width = style.DOUBLE_COLUMN if len(matrices) > 2 else style.SINGLE_COLUMN
    figure = style.new_figure(width, 0.8 + width / len(matrices))
    axes = [figure.add_subplot(1, len(matrices), number + 1) for number in range(len(matrices))]
    names = [str(units[n]) for n in order]
    for axis, (name, matrix) in zip(axes, matrices.items(), strict=True):
        style.settle_ticks(axis)
        axis.set_facecolor(str(style.MISSING_GRAY))
        shown = np.ma.masked_invalid(matrix[np.ix_(order, order)])
        axis.imshow(shown, cmap=COLORS, norm=norm, interpolation="nearest")
        said = TITLES.get(name, name)
        axis.set_title(said, fontsize=style.fitting(said, width / len(matrices) - 0.4, 8.0), pad=3)
        few = len(units) <= _WRITTEN
        axis.set_xticks(range(len(units)) if few else [], names if few else [], rotation=90)
        axis.set_yticks(range(len(units)) if few else [], names if few else [])
        axis.tick_params(length=0, labelsize=style.SMALL_TEXT)
        axis.set_xlabel("unit", fontsize=style.TEXT)
        axis.spines[:].set_visible(False)
    bar = figure.colorbar(ScalarMappable(norm, COLORS), ax=axes, fraction=0.03, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_ticks([-1, 0, 1])
    lines = [
        f"{row['first']} and {row['second']}: r = {row['r']:.2f}, p = {row['p']:.2g}"
        for row in agreement.to_dict("records")
    ]
    said = f"Agreement (Mantel test): {'; '.join(lines)}."
    figure.supxlabel(style.wrapped(said, width - 0.2, style.SMALL_TEXT), fontsize=style.SMALL_TEXT)
    if title:
        figure.suptitle(title, fontsize=style.fitting(title, width - 0.1))
    return figure


def _order(matrix: Float[np.ndarray, "n n"]) -> list[int]:
    """Return units as the leaves of a tree of average linkage; undefined ones come last."""
    defined = np.flatnonzero(np.isfinite(matrix).sum(axis=1) > 1)
    if len(defined) < 3:
        return list(range(len(matrix)))
    distance = 1 - matrix[np.ix_(defined, defined)]
    np.fill_diagonal(distance, 0.0)
    flat = squareform(((distance + distance.T) / 2).clip(min=0.0), checks=False)
    leaves = leaves_list(optimal_leaf_ordering(linkage(flat, "average"), flat))
    rest = [n for n in range(len(matrix)) if n not in set(defined.tolist())]
    return [*defined[leaves].tolist(), *rest]
