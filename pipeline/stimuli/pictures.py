"""A folder of pictures with a CSV of their parameters as a stimulus set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pipeline.errors import ImageError, listed
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks
from pipeline.stimuli.options import checks_options
from pipeline.stimuli.stimulus_set import StimulusSet, compose

EIGHT_BITS = ("1", "L", "P", "RGB")


@dataclass(frozen=True, eq=False)
class PicturePlanes:
    """Reads pictures as one plane per channel, black 0 and white 1, centered on gray.

    Attributes:
        files: of all pictures.
        gray: what is around a picture smaller than the canvas, one value per channel.
    """

    files: tuple[Path, ...]
    gray: tuple[float, ...]

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n k height width"]:
        """Return the pixels of every picture in 0..1."""
        planes = torch.tensor(self.gray)[:, None, None].repeat(len(geometries), 1, *canvas)
        for plane, number in zip(planes, geometries.tolist(), strict=True):
            pixels = torch.from_numpy(_read(self.files[number], len(self.gray)))
            height, width = pixels.shape[1:]
            top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
            plane[:, top : top + height, left : left + width] = pixels.float() / 255
        return planes.to(device)


@checks_options
def pictures(field: Field, folder: str | Path, table: str = "stimuli.csv") -> StimulusSet:
    r"""Return the pictures of a folder, in the order and with the parameters of a CSV file.

    Black pixels become the field's black and white pixels its white, channel by channel. A picture
    smaller than the canvas lies in its center, on gray.

    Args:
        field: the canvas and its colors, of 1 channel or 3.
        folder: of 8-bit pictures, gray or RGB.
        table: CSV file in the folder, with the column ``file`` and any others; ``aliased`` and
            ``clipped``, where it has them, are True or False.

    Raises:
        ImageError: the table, its column or a picture is missing or cannot be used, or a
            picture is larger than the canvas.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (4, 4), 255).save(folder / "white.png")
    >>> _ = (folder / "stimuli.csv").write_text("file,size\nwhite.png,4\n")
    >>> pictures(Field(4, 4), folder).draw([0]).unique().tolist()
    [1.0]
    """
    path = Path(folder) / table
    rows = _table(path)
    files = [path.parent / str(name) for name in rows["file"]]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ImageError(f"{path}: names pictures that are not in the folder: {listed(missing, 5)}")
    for file in files:
        _check(file, field)
    colors = zip(field.colors.black, field.colors.white, field.colors.gray, strict=True)
    gray = tuple((gray - black) / (white - black) for black, white, gray in colors)
    black, white = (
        torch.tensor(color, dtype=torch.float64)
        for color in (field.colors.black, field.colors.white)
    )
    looks = Looks({}, black.float()[None], (white - black).float().diag()[None])
    made = compose("pictures", field, rows, looks, PicturePlanes(tuple(files), gray))
    return replace(made, contents=contents_digest([path, *files]))


def contents_digest(files: Sequence[Path]) -> str:
    """Return a digest of the contents of files, in order.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     files = [Path(folder) / name for name in ("a", "b")]
    ...     lengths = [file.write_text(file.name) for file in files]
    ...     contents_digest(files) == contents_digest(files[::-1]), len(contents_digest(files))
    (False, 64)
    """
    whole = hashlib.sha256()
    for file in files:
        whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()


def _table(path: Path) -> pd.DataFrame:
    """Return the table of pictures with both flags: its own, or False."""
    if not path.is_file():
        raise ImageError(
            f"{path}: there is no such table; give a CSV file with the column 'file' and one row "
            "per picture"
        )
    rows = pd.read_csv(path)
    if "file" not in rows or rows.empty:
        raise ImageError(f"{path}: needs the column 'file' and one row per picture")
    for flag in ("aliased", "clipped"):
        if flag not in rows:
            rows = rows.assign(**{flag: False})
        elif rows[flag].dtype != bool:
            raise ImageError(
                f"{path}: the column '{flag}' is a flag; give True or False in each row"
            )
    return rows


def _check(file: Path, field: Field) -> None:
    if field.colors.channels not in (1, 3):
        raise ImageError(
            f"{file}: pictures are for networks of 1 or 3 channels, and this one has "
            f"{field.colors.channels}"
        )
    try:
        with Image.open(file) as picture:
            mode, (width, height) = picture.mode, picture.size
            see_through = "transparency" in picture.info
    except (UnidentifiedImageError, OSError) as error:
        raise ImageError(f"{file}: is not a picture that can be read ({error})") from error
    if mode not in EIGHT_BITS or see_through:
        raise ImageError(
            f"{file}: is of mode {mode}{', see-through' if see_through else ''}; save it as an "
            "8-bit gray or RGB picture without transparency"
        )
    if height > field.height or width > field.width:
        raise ImageError(
            f"{file}: has {height} x {width} pixels, more than the field's {field.height} x "
            f"{field.width}; make it smaller, or choose a layer with a larger field"
        )


def _read(file: Path, channels: int) -> np.ndarray:
    with Image.open(file) as picture:
        pixels = np.array(picture.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels).transpose(2, 0, 1)
