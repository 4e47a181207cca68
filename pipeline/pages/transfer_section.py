"""The section of a unit's page about who else responds to its images, and how robust they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.pages.sections import Curve, Maps, Part, Picture, Plot, Section

TITLE = "Transfer"
_AXES = {
    "crop": "share of the sides that is left",
    "jpeg": "JPEG quality",
    "noise": "standard deviation of noise on pixels",
    "shift": "shift (pixels)",
}
_NAMES = {"jpeg": "JPEG"}


def transfer_section(
    title: str,
    pictures: Sequence[tuple[str, Float[np.ndarray, "*_"] | None, list[str]]],
    changed: pd.DataFrame,
    about: str,
) -> Section:
    """Return the section of one unit.

    Args:
        title: of its images, such as "ascent from zeros".
        pictures: name, picture (0..1) and captions of the image and of what its best matches
            prefer.
        changed: rows of ``transfer_robustness`` of this image: ``network``, ``layer_b``,
            ``perturbation``, ``level`` and ``share``.
        about: how this was measured.
    """
    parts: list[Part] = [Maps("Who responds most", [Picture(*each) for each in pictures])]
    for kind, x_name in _AXES.items():
        own = changed.loc[changed["perturbation"] == kind].dropna(subset=["share"])
        curves = [
            Curve(f"{name} {layer}", *_points(rows), points=True)
            for (name, layer), rows in own.groupby(["network", "layer_b"], sort=False)
        ]
        if curves:
            y_name = "response / clean"
            parts.append(
                Plot(
                    f"After {_NAMES.get(kind, kind)}",
                    x_name,
                    y_name,
                    curves[:6],
                    y_range=(0.0, 1.0),
                )
            )
    return Section(f"{TITLE}: {title}", parts, about)


def _points(rows: pd.DataFrame) -> tuple[list[float], list[float]]:
    levels, shares = rows["level"].to_numpy(np.float64), rows["share"].to_numpy(np.float64)
    different = np.unique(levels)
    means = [float(shares[levels == level].mean()) for level in different]
    return different.tolist(), means
