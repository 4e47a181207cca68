"""Tars and pictures for tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.images.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(8, 6, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))


def picture(seed: int, kind: str = "JPEG") -> bytes:
    """Return the bytes of a file of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_tar(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a tar of some files."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
