"""The reference images of an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.folders import files_below, not_hidden
from pipeline.images.pictures import chosen_picture, cover
from pipeline.images.preprocessing import Preprocessing

KEY = "evolution.references"
ENDINGS = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True, eq=False)
class References:
    """Pictures that are shown again and again.

    Attributes:
        names: of their files.
        pictures: as bytes, of any size.
        digests: of their pixels.
    """

    names: list[str]
    pictures: list[Tensor]
    digests: list[str]

    def covering(self, size: tuple[int, int]) -> Float[Tensor, "references c height width"]:
        """Return them in pixels 0..1, covering a size."""
        return torch.stack([cover(picture, size).float() / 255 for picture in self.pictures])


def read_references(path: str | None, preprocessing: Preprocessing) -> References | None:
    """Return the reference images of a setting.

    Args:
        path: of a picture, or of a folder of pictures, which are taken in the order of their names.
        preprocessing: of the network; one of one channel sees pictures in gray.

    Raises:
        ConfigError: there is none, or one cannot be read or shown.
    """
    if path is None:
        return None
    if (channels := len(preprocessing.mean)) not in (1, 3):
        raise ConfigError(
            f"{KEY}: pictures have 1 or 3 channels, and the network has {channels}; leave it out"
        )
    given = Path(path).expanduser()
    files = [given]
    if given.is_dir():
        found = not_hidden(files_below(given), given)
        files = sorted(file for file in found if file.suffix.lower() in ENDINGS)
        if not files:
            raise ConfigError(
                f"{KEY}: the folder '{path}' holds no pictures ({', '.join(ENDINGS)})"
            )
    read = [chosen_picture(KEY, str(file)) for file in files]
    top = given if given.is_dir() else given.parent
    names = [file.relative_to(top).as_posix() for file in files]
    pictures = [preprocessing.in_channels(picture) for picture, _ in read]
    return References(names, pictures, [digest for _, digest in read])
