"""The section of a unit's page about its best Gabor, beside its ascent image and its top patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.pages.sections import Maps, Number, Numbers, Part, Picture, Section, Words

TITLE = "Best Gabor"
ABOUT = (
    "The Gabor that the unit responds to most, found from a grid and by gradients on its place,"
    " orientation, frequency, phase and widths, beside the ascent image and the top patch of the"
    " unit. All have the same RMS contrast {rms:.3g} in network-input space. Indices are ratios of"
    " responses less that to the mean color ({blank:.3g}). Places are x right and y down from the"
    " center of the field; the orientation is the direction in which the Gabor changes, clockwise"
    " from rightward."
)
FAINTEST = 1 / 4  # of the contrast, at which images can still be seen
NAMES = {"": "best Gabor", "ascent_": "ascent image", "patch_": "top patch"}
RATIOS = {
    "gabor_over_ascent": "best Gabor / ascent image",
    "gabor_over_patch": "best Gabor / top patch",
    "gain": "best Gabor / best of the grid",
}


@dataclass(frozen=True, eq=False)
class ShownGabor:
    """What the section shows of one unit.

    Attributes:
        row: its row of the table ``best_gabor``.
        images: in network-input space at the contrast of the row, by the prefix of their columns in
            the table; an empty prefix is that of the best Gabor.
        mean: pixel values of the mean color.
        std: pixel values of 1 in network-input space.
    """

    row: Mapping[str, Any]
    images: Mapping[str, Float[np.ndarray, "channels height width"]]
    mean: Sequence[float]
    std: Sequence[float]


def gabor_section(shown: ShownGabor) -> Section:
    """Return the section of one unit."""
    row, parts = shown.row, list[Part]()
    reasons = [reason for reason in str(row["reason"]).split("; ") if reason]
    parts += [Words(f"{reason[0].upper()}{reason[1:]}.") for reason in reasons]
    if shown.images:
        parts.append(_pictures(shown))
    if np.isfinite(row["response"]):
        parts += [Numbers(_indices(row), "Responses"), Numbers(_parameters(row), "Parameters")]
    return Section(TITLE, parts, ABOUT.format(rms=row["rms"], blank=row["blank"]))


def _pictures(shown: ShownGabor) -> Maps:
    """Return all images, with the same factor about the mean color."""
    row = shown.row
    largest = max(1.0, *(float(row[f"{prefix}peak"]) for prefix in shown.images))
    scale = max(1 / largest, FAINTEST)
    shares = "" if largest == 1 else f", drawn at {100 * scale:.0f} % of it"
    shares += "; what is still beyond pixels is cut off" if scale * largest > 1 else ""
    images: list[Picture] = []
    for prefix, image in shown.images.items():
        captions = [f"response {_rounded(row[f'{prefix}response'])}"]
        if prefix == "ascent_":
            copy = f", copy {row['ascent_copy']:.0f}" if row["ascent_copy"] else ""
            captions.append(f"from {row['ascent_init']}{copy}")
        if prefix == "patch_":
            outside = "" if row["patch_inside"] else ", not all inside its image"
            captions.append(f"rank {row['patch_rank']:.0f}{outside}")
        captions.append(f"highest value {row[f'{prefix}peak']:.2f} of a pixel's highest")
        images.append(Picture(NAMES[prefix], _pixels(shown, image * scale), captions))
    return Maps(f"At equal contrast{shares}", images)


def _pixels(
    shown: ShownGabor, image: Float[np.ndarray, "channels height width"]
) -> Float[np.ndarray, "height width channels"]:
    colors = [np.asarray(values, np.float32)[:, None, None] for values in (shown.std, shown.mean)]
    return np.moveaxis(image * colors[0] + colors[1], 0, -1)


def _rounded(value: float) -> str:
    return f"{value:.4g}".replace("-", "\u2212")


def _indices(row: Mapping[str, Any]) -> list[Number]:
    said = {
        prefix: Number(name, row[f"{prefix}response"])
        for prefix, name in NAMES.items()
        if np.isfinite(row[f"{prefix}response"])
    }
    ratios = [Number(name, row[column]) for column, name in RATIOS.items()]
    names = row["at_bound"].replace("_", " ") or "none"
    bound = Number("parameters at a bound", names, note="of what the search allows")
    return [*said.values(), *ratios, bound]


def _parameters(row: Mapping[str, Any]) -> list[Number]:
    def length(name: str, column: str, note: str = "") -> Number:
        degrees = f"{_rounded(row[f'{column}_degrees'])}°"
        return Number(name, row[column], "px", f"{degrees}; {note}" if note else degrees)

    per_degree = f"{row['frequency_per_degree']:.3g} cycles per degree"
    return [
        length("center, right", "x"),
        length("center, down", "y"),
        Number("orientation", row["orientation"], "°"),
        Number("frequency", row["frequency"], "cycles/px", per_degree),
        Number("phase", row["phase"], "°", "of a cosine at the center"),
        length("standard deviation along", "sigma_along", f"{row['nx']:.2f} cycles"),
        length("standard deviation across", "sigma_across", f"{row['ny']:.2f} cycles"),
    ]
