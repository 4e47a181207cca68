"""Text in pictures that Pillow composes, in the font of all figures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of all figures, so many pixels high."""
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)


def width(text: str, size: int) -> int:
    """Return the pixels that a line of text takes."""
    return int(np.ceil(font(size).getlength(text)))


def wrapped(text: str, within: int, size: int) -> list[str]:
    """Return the text broken between words into lines of at most so many pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, size) > within:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
