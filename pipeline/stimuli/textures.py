"""Textures, and noise with the same amplitude spectra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.parameters import in_degrees, leaves, leaves_screen, loops
from pipeline.stimuli.pictures import contents_digest
from pipeline.stimuli.stimulus_set import StimulusSet, compose
from pipeline.stimuli.texture_families import (
    drawn_texture,
    family_names,
    phase_randomized,
)
from pipeline.store.files import file_stamp

RMS = 0.25  # contrast before the window, less where a pixel would be beyond black or white
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
KINDS = ("noise", "texture")


@dataclass(frozen=True)
class TexturePlanes:
    """Draws textures and noise by turns, in -1..1, in a round window with soft borders.

    Attributes:
        side: of the square, in pixels, even.
        samples: of each family.
        seed: of the random numbers.
        files: pictures of which crops are shown, one per family; drawn families if there are none.
        shift: whole pixels right and down from the place nearest to the center of the canvas.
    """

    side: int
    samples: int
    seed: int
    files: tuple[Path, ...]
    shift: tuple[int, int]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 1 height width"]:
        """Return the pixels of every texture, 0 around it."""
        planes = np.zeros((len(geometries), *canvas), dtype=np.float32)
        top, left = ((canvas[axis] - self.side) // 2 + self.shift[1 - axis] for axis in (0, 1))
        rows, columns = _overlap(top, self.side, canvas[0]), _overlap(left, self.side, canvas[1])
        for plane, number in zip(planes, geometries.tolist(), strict=True):
            pair = self.pair(number // 2)
            plane[rows[0], columns[0]] = pair[number % 2][rows[1], columns[1]]
        return torch.from_numpy(planes)[:, None].to(device)

    def pair(self, number: int) -> Float[np.ndarray, "2 side side"]:
        """Return the noise and the texture of a sample, numbered family by family."""
        family, sample = divmod(number, self.samples)
        file = self.files[family] if self.files else None
        return texture_pair(family, sample, self.side, self.seed, file)[0] * window(self.side)


def _overlap(first: int, side: int, length: int) -> tuple[slice, slice]:
    """Return where a square lies on a canvas, and which part of it does."""
    start, stop = max(first, 0), max(min(first + side, length), 0)
    return slice(start, stop), slice(start - first, max(stop - first, 0))


def window(side: int) -> Float[np.ndarray, "side side"]:
    """Return a raised cosine: 1 in the middle of a square, 0 at half its side from there.

    >>> window(2).round(3).tolist()
    [[0.197, 0.197], [0.197, 0.197]]
    """
    axis = np.arange(side) - (side - 1) / 2
    away = np.hypot(axis[:, None], axis) / (side / 2)
    return np.where(away < 1, 0.5 * (1 + np.cos(np.pi * away)), 0.0)


def texture_pair(
    family: int, sample: int, side: int, seed: int, file: Path | None = None
) -> tuple[Float[np.ndarray, "2 side side"], float]:
    """Return noise and texture in -1..1, with the same amplitude spectrum, and their contrast.

    Both have a mean of 0 and the same root mean square, .25 or as much less as keeps both in -1..1.

    >>> pair, contrast = texture_pair(0, 0, 16, 0)
    >>> bool(np.allclose(np.square(pair).mean((1, 2)), contrast**2))
    True
    """
    return _texture_pair(family, sample, side, seed, file, file and file_stamp(file))


@lru_cache(maxsize=256)
def _texture_pair(
    family: int,
    sample: int,
    side: int,
    seed: int,
    file: Path | None,
    _stamp: tuple[int, ...] | None,
) -> tuple[Float[np.ndarray, "2 side side"], float]:
    rng = np.random.default_rng([seed, family, sample, 1])
    texture = drawn_texture(family, sample, side, seed) if file is None else _crop(file, side, rng)
    texture = texture - texture.mean()
    spread = float(texture.std())
    pair = np.stack([phase_randomized(texture, rng), texture])
    contrast = min(RMS, spread / float(np.abs(pair).max())) if spread else 0.0
    return (pair * (contrast / spread if spread else 0.0)).astype(np.float32), contrast


def _crop(file: Path, side: int, rng: np.random.Generator) -> Float[np.ndarray, "side side"]:
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("L"), dtype=np.float64) / 255
    top, left = (int(rng.integers(length - side + 1)) for length in pixels.shape)
    return pixels[top : top + side, left : left + side]


def _pictures(folder: str | Path, side: int) -> tuple[Path, ...]:
    path = Path(folder).expanduser()
    files = tuple(sorted(file for file in path.glob("*") if file.suffix.lower() in ENDINGS))
    if not files:
        raise ImageError(
            f"stimulus.textures.folder: {path} holds no pictures; give a folder with one picture of"
            f" each family, as {', '.join(ENDINGS)}"
        )
    for file in files:
        try:
            with Image.open(file) as picture:
                width, height = picture.size
        except (UnidentifiedImageError, OSError) as error:
            raise ImageError(f"{file}: is not a picture that can be read ({error})") from error
        if min(width, height) < side:
            raise ImageError(
                f"{file}: has {height} x {width} pixels, and textures have {side} x {side}; give a"
                " larger picture, or a smaller stimulus.textures.size"
            )
    return files


@checks_options
def textures(
    field: Field,
    samples: int = 15,
    size: float = 4.0,
    folder: str | Path | None = None,
    seed: int = 0,
) -> StimulusSet:
    """Return textures of 15 drawn families, and noise with the same amplitude spectra.

    What tells textures from noise is in the phases alone, as between textures and spectrally
    matched noise of Freeman, Ziemba et al. (2013), Nat Neurosci 16:974; theirs were synthesized by
    Portilla & Simoncelli's model of texture, and these are not. Loops, slowest first: family,
    sample, ``kind`` (noise, texture). They fade out from the middle to the border. They are drawn
    at whole pixels: ``x`` and ``y`` are the actual center. Frames of noise and texture have the
    same spectrum before they fade.

    Args:
        field: the canvas, its colors and the screen.
        samples: of each family.
        size: diameter of the window in degrees.
        folder: of pictures, one per family in the order of names, of which random crops in gray are
            shown, pixel by pixel, in place of drawn textures.
        seed: of the random numbers; a sample depends on it, on its family and its own number.

    >>> from pipeline.stimuli.field import Screen
    >>> len(textures(Field(51, 51, screen=Screen(224, 224))))
    450
    """
    scale = field.seen.pixels_per_degree
    side = 2 * round(size * scale / 2)
    if side < 8:
        raise ConfigError(
            f"stimulus.textures.size: {size} degrees are {side} pixels; give at least 8 pixels, of "
            f"which a degree has {scale:g}"
        )
    files = () if folder is None else _pictures(folder, side)
    shift = (round(field.shift[0]), round(field.shift[1]))
    planes = TexturePlanes(side, samples, seed, files, shift)
    table = _table(field, planes, [file.stem for file in files] or family_names(), size)
    swing, gray = torch.tensor(field.colors.swing), torch.tensor([field.colors.gray])
    made = compose("textures", field, table, Looks({}, gray, swing[None, None]), planes)
    return replace(made, contents=contents_digest(files)) if files else made


def _table(field: Field, planes: TexturePlanes, names: list[str], size: float) -> pd.DataFrame:
    table = loops(family=names, sample=np.arange(planes.samples), kind=KINDS)
    # A square of an even side lies half a pixel off the center of an odd canvas.
    x, y = (
        shift - (side % 2) / 2
        for shift, side in zip(planes.shift, (field.width, field.height), strict=True)
    )
    place = pd.DataFrame({"x": x, "y": y, "diameter": float(planes.side)}, index=table.index)
    table = pd.concat([table, in_degrees(place, field.seen.pixels_per_degree)], axis=1)
    reach = np.full(len(table), planes.side / 2)
    return table.assign(
        window_degrees=size,
        leaves_field=leaves(field, table, reach, reach),
        aliased=False,
        clipped=leaves_screen(field, table, reach, reach),
    )
