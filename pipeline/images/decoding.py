"""From the bytes of a picture's file to network input, and the settings that determine that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pipeline.images.files import FORMATS, decode_picture
from pipeline.images.preprocessing import Preprocessing


@dataclass(frozen=True)
class PictureDecoder:
    """What makes network input of the bytes of a picture's file, wherever they come from.

    Attributes:
        preprocessing: resizing, center crop and normalization.
        upright: whether pictures are rotated according to their EXIF data.
    """

    preprocessing: Preprocessing
    upright: bool = False

    def __call__(self, content: bytes) -> Float[Tensor, "c height width"]:
        """Return network input.

        Raises:
            ImageError: the picture cannot be decoded or preprocessed.
            TransientError: there is not enough memory.
        """
        return self.preprocessing(decode_picture(content, upright=self.upright))

    def settings(self, kind: str) -> dict[str, Any]:
        """Return what determines the images besides the pictures, as plain data.

        Args:
            kind: name of the kind of image set.
        """
        found = {"kind": kind, "preprocessing": self.preprocessing.settings()}
        # Which pictures are readable, and so count, depends on the formats.
        found |= {"formats": list(FORMATS)}
        return found | ({"upright": True} if self.upright else {})
