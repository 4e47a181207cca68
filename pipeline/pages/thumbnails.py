"""Thumbnails: one small image of every unit of a layer, in one sheet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipeline.pages.data_scripts import data_url
from pipeline.pages.encoded_images import jpeg
from pipeline.pages.unit_images import UnitImage

SIDE = 64  # pixels of the longer side, at most
BLOCK = 8  # of JPEG; tiles made of whole blocks do not bleed into each other


@dataclass
class Sheet:
    """The thumbnails of one kind of image, as they are collected.

    Attributes:
        panel: the first image, whose name is used for all.
        tiles: tiles by unit, with the range of values that their bytes encode.
    """

    panel: UnitImage
    tiles: dict[int, tuple[UInt8[np.ndarray, "height width 3"], float, float]] = field(
        default_factory=dict[int, tuple[UInt8[np.ndarray, "height width 3"], float, float]]
    )

    def preview(self, wanted: int) -> UInt8[np.ndarray, "height width 4"]:
        """Return some of the thumbnails, evenly spread over the units, with gaps (alpha 0).

        Each is stretched to full contrast about mid-gray.
        """
        tiles = [_stretched(tile) for tile, _, _ in self.tiles.values()]
        some = min(wanted, len(tiles))
        chosen = np.stack([tiles[n * len(tiles) // some] for n in range(some)])
        opaque = np.pad(chosen, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=255)
        gap = max(1, chosen.shape[2] // 12)
        strip = np.pad(opaque, ((0, 0), (0, 0), (0, gap), (0, 0))).swapaxes(0, 1)
        # Fixed number of cells, so that all layers are shown at the same size.
        missing = (wanted - some) * (chosen.shape[2] + gap)
        row = strip.reshape(strip.shape[0], -1, 4)
        return np.pad(row, ((0, 0), (0, missing), (0, 0)))

    def describe(self) -> dict[str, Any]:
        """Return a description of the sheet as plain data."""
        panel = self.panel
        return {"name": panel.name, "init": panel.init, "copy": panel.copy, "kind": panel.kind}

    def data(self) -> dict[str, Any]:
        """Return the sheet as plain data: tiles row by row, in the order of ``units``."""
        tiles = [tile for tile, _, _ in self.tiles.values()]
        height, width = tiles[0].shape[:2]
        columns = int(np.ceil(np.sqrt(len(tiles))))
        down, across = (-(-side // BLOCK) * BLOCK for side in (height, width))
        sheet = np.zeros((-(-len(tiles) // columns) * down, columns * across, 3), np.uint8)
        for index, tile in enumerate(tiles):
            row, column = divmod(index, columns)
            whole = np.pad(tile, ((0, down - height), (0, across - width), (0, 0)), mode="edge")
            sheet[row * down : (row + 1) * down, column * across : (column + 1) * across] = whole
        return self.describe() | {
            "units": list(self.tiles),
            "low": [low for _, low, _ in self.tiles.values()],
            "high": [high for _, _, high in self.tiles.values()],
            "width": width,
            "height": height,
            "across": across,
            "down": down,
            "columns": columns,
            "sheet": {"width": sheet.shape[1], "height": sheet.shape[0]},
            "url": data_url(jpeg(sheet), "image/jpeg"),
        }


def thumbnail(pixels: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """Return an image, reduced if it is larger than a thumbnail."""
    height, width = pixels.shape[:2]
    if max(height, width) <= SIDE:
        return pixels
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _stretched(tile: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    about_gray = tile - 127.5
    return np.rint(127.5 + about_gray * 127.5 / np.abs(about_gray).max()).astype(np.uint8)
