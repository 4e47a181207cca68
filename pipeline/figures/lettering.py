"""Text in pictures composed by Pillow, in the font of all figures."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font of all figures, at a height in pixels."""
    return ImageFont.truetype(str(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), size)


def width(text: str, size: int) -> int:
    """Return the width of a line of text in pixels."""
    return int(np.ceil(font(size).getlength(text)))


def wrapped(text: str, within: int, size: int) -> list[str]:
    """Return the text, broken between words into lines of limited width in pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, size) > within:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
