"""Videos as frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pipeline.errors import ConfigError, first_line


def read_video(key: str, path: str, most: int) -> list[UInt8[Tensor, "c height width"]]:
    """Return the first frames of a video or an animation, RGB.

    Args:
        key: key of the setting, for messages.
        path: a file that ffmpeg or Pillow reads: MP4, GIF ...
        most: largest number of frames.

    Raises:
        ConfigError: it does not exist or contains no frame.
    """
    import imageio.v3 as imageio  # slow to load, and rarely needed

    if not Path(path).expanduser().is_file():
        raise ConfigError(f"{key}: there is no file '{path}'; give the path of a video")
    frames: list[Tensor] = []
    try:
        with Path(path).expanduser().open("rb") as file:
            if file.read(4) in (b"%!PS", b"\xc5\xd0\xd3\xc6"):  # Pillow would run Ghostscript
                raise ValueError("it is PostScript")
        for number, frame in enumerate(imageio.imiter(Path(path).expanduser())):
            if number == most:
                break
            pixels = np.asarray(frame)
            pixels = np.stack([pixels] * 3, -1) if pixels.ndim == 2 else pixels[:, :, :3]
            frames.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
    except Exception as error:  # a damaged file may raise anything
        reason = first_line(error)
        raise ConfigError(f"{key}: '{path}' cannot be read as a video ({reason})") from error
    if not frames:
        raise ConfigError(f"{key}: '{path}' holds no frame")
    return frames
