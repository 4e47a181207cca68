"""Images of evolution as figures, animations and pages show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Image = Float[np.ndarray, "_ _ channels"]


@dataclass(frozen=True, eq=False)
class FilmStrip:
    """Generations of one search.

    Attributes:
        name: unit or method.
        images: best image so far at some generations, 0..1, scaled for display by
            ``figures.scaling`` (``to_pixels`` shows them as they were shown to the unit); of one or
            three channels. Images with NaN pixels are missing.
        queries: images shown until then, increasing.
        responses: to the images.
    """

    name: str
    images: Float[np.ndarray, "frames height width channels"]
    queries: Sequence[int]
    responses: Sequence[float] | Float[np.ndarray, " frames"]


@dataclass(frozen=True, eq=False)
class FinalImage:
    """One of several images of a unit.

    Attributes:
        name: what it is: "top patch", a method, "gradient ascent".
        image: 0..1, scaled for display like those of ``FilmStrip``; ``None`` if there is none.
        response: to the image, at the contrast of all.
    """

    name: str
    image: Image | None
    response: float


@dataclass(frozen=True, eq=False)
class FinalImages:
    """Images of one unit.

    Attributes:
        name: of the unit.
        images: what to show, in order; the same names for all units of a figure.
        top_patch: response to the unit's top patch at the same contrast; NaN if there is none.
    """

    name: str
    images: Sequence[FinalImage]
    top_patch: float
