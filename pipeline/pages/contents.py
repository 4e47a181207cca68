"""The contents of a site as plain data, independent of network, store and configuration.

Images are raw, in network-input space; ``ShownPreprocessing`` converts them to pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from pipeline.figures.scaling import in_color
from pipeline.pages.sections import UnitSections


@dataclass(frozen=True)
class ShownPreprocessing:
    """How a picture becomes network input: resized, cropped, then (pixel - mean) / std."""

    resize: int | None
    crop: int | tuple[int, int]
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def to_pixels(
        self, images: Float[np.ndarray, "*batch c height width"], *, shift: bool = True
    ) -> Float[np.ndarray, "*batch height width 3"]:
        """Return pixels in color (``in_color``), unclipped.

        Without ``shift``, that is for the difference of two images.
        """
        std = np.asarray(self.std, np.float32)
        mean = np.asarray(self.mean if shift else np.zeros_like(std), np.float32)
        return in_color(np.moveaxis(images, -3, -1) * std + mean)


@dataclass(frozen=True)
class Picture:
    """A preprocessed source image: byte b stands for ``low + b / 255 * (high - low)``."""

    pixels: UInt8[np.ndarray, "height width 3"]
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class ShownAscent:
    """One climbed image.

    Attributes:
        init: init of the ascent.
        copy: its number among those of its unit.
        image: image after the last step.
        start: image before the first.
        responses: the score before every step and after the last.
        status: as in the table of ascents.
        transformed: whether all but the first and the last response are those of transformed
            images.
    """

    init: str
    copy: int
    image: Float[np.ndarray, "c height width"]
    start: Float[np.ndarray, "c height width"]
    responses: Float[np.ndarray, " steps_and_one"]
    status: str
    transformed: bool = False


@dataclass(frozen=True)
class Networks:
    """The networks of one layer as ONNX.

    Attributes:
        forward: from images to the responses of all units.
        gradient: from images and a unit to its response and input gradient.
        units: number of units of the layer.
        size: height and width of the images.
    """

    forward: bytes
    gradient: bytes
    units: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        name: name of the layer.
        module: torch's name for it.
        units: the displayed units, in order; ``WHOLE_LAYER`` for the layer as a whole.
        field: height and width of the receptive field in pixels.
        image: height and width of climbed images.
        searched: whether there are top patches.
        climbed: whether there are ascents, by init.
        correlated: whether all pairs of inits are correlated.
        top_patches: rows of that table with the displayed ranks.
        ascents: likewise.
        correlations: likewise.
        correlation_summary: likewise.
        read: yields the ascents of the layer, a few units at a time, by unit.
        sections: reads what gives the sections that stages add to the pages of units, if any do.
    """

    name: str
    module: str
    units: Sequence[int]
    field: tuple[int, int]
    image: tuple[int, int]
    searched: bool
    climbed: Mapping[str, bool]
    correlated: bool
    top_patches: pd.DataFrame
    ascents: pd.DataFrame
    correlations: pd.DataFrame
    correlation_summary: pd.DataFrame
    read: Callable[[], Iterable[Mapping[int, Sequence[ShownAscent]]]]
    sections: Callable[[], UnitSections] | None = None


@dataclass(frozen=True)
class Site:
    """The contents of a run's pages.

    Attributes:
        facts: model, seed, objective and the like, for display.
        preprocessing: preprocessing of the network.
        inits: names of the inits.
        copies: images per unit and init.
        layers: layers in call order.
        picture: returns the pixels of a source image by its number; raises ``ValueError`` with the
            reason if it cannot be read.
        numbers: numbers of the source images, by name.
        headline: a figure in PNG for the first page, if there is one.
    """

    facts: Mapping[str, Any]
    preprocessing: ShownPreprocessing
    inits: Sequence[str]
    copies: int
    layers: Sequence[Layer]
    picture: Callable[[int], Picture]
    numbers: Mapping[str, int]
    headline: Path | None = None
