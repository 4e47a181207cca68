"""The folder of one showing: its pictures, and a manifest that is written last."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from pipeline.errors import StoreError
from pipeline.images.magnified import magnified_png
from pipeline.store.files import read_regular, write_bytes

MANIFEST, SCORES, DONE = "manifest.csv", "scores.csv", "done"
COLUMNS = ("generation", "kind", "unit", "restart", "candidate", "repeat")


@dataclass(frozen=True)
class ShowingFolder:
    """A folder in which pictures wait for their scores.

    Attributes:
        path: its path.
        pictures: the pictures, in the order of showing.
        shown: a row for each, as of ``Scorer``.
        magnify: side of the square of pixels that shows one pixel.
    """

    path: Path
    pictures: UInt8[np.ndarray, "pictures channels height width"]
    shown: pd.DataFrame
    magnify: int

    @cached_property
    def files(self) -> list[str]:
        """Names of the pictures' files, in the order of showing."""
        return [f"{number:05d}.png" for number in range(len(self.pictures))]

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """What each picture is, and the digest of its pixels, as they are in the file."""
        table = self.shown.reindex(columns=COLUMNS).reset_index(drop=True)
        table.insert(0, "picture", np.arange(len(table)))
        table.insert(1, "file", self.files)
        table["sha256"] = [self._digest(picture) for picture in self.pictures]
        return table

    def is_written(self) -> bool:
        """Say whether the pictures have been written before, all of them.

        Raises:
            StoreError: the folder holds others, or scores of no known pictures.
        """
        manifest, ours = self.path / MANIFEST, _rows(self._manifest_bytes())
        if not manifest.exists():
            self._refuse_lonely_scores()
            return False
        try:
            theirs = _rows(read_regular(manifest))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise StoreError(
                f"scorer: '{manifest}' cannot be read as CSV ({error}); put it back as it was"
            ) from error
        if ours == theirs:
            return True
        known = {tuple(row) for row in theirs}
        other = sum(tuple(row) not in known for row in ours[1:])
        raise StoreError(
            f"scorer: '{self.path}' holds other pictures than those to be shown ({other} of"
            f" {len(self.files)} are not in its {MANIFEST}), so it belongs to another experiment,"
            " or settings have changed; nothing in it was touched; give another path, or the"
            " settings of before"
        )

    def write(self) -> None:
        """Write what is missing, the manifest last, so that who sees it sees all pictures.

        Without a manifest nothing has been shown: pictures are then of a writing that was broken
        off, and are replaced.

        Raises:
            StoreError: a file cannot be written.
        """
        begun = (self.path / MANIFEST).exists()
        for name, picture in zip(self.files, self.pictures, strict=True):
            if not (begun and (self.path / name).exists()):
                write(self.path / name, magnified_png(picture, self.magnify))
        if not begun:
            write(self.path / MANIFEST, self._manifest_bytes())

    def _refuse_lonely_scores(self) -> None:
        for name in (SCORES, DONE):
            if (self.path / name).exists():
                raise StoreError(
                    f"scorer: '{self.path / name}' was there before any picture was shown; move it"
                    " away, or give another path"
                )

    def _manifest_bytes(self) -> bytes:
        return self.manifest.to_csv(index=False, lineterminator="\n").encode()

    def _digest(self, picture: UInt8[np.ndarray, "channels height width"]) -> str:
        large = picture.repeat(self.magnify, 1).repeat(self.magnify, 2).transpose(1, 2, 0)
        return hashlib.sha256(np.ascontiguousarray(large).tobytes()).hexdigest()


def write(path: Path, content: bytes) -> None:
    """Write a file of a rig's folder aside, sync it and rename it.

    Raises:
        StoreError: it cannot be written.
    """
    try:
        write_bytes(path, content)
    except StoreError as error:
        raise StoreError(f"scorer: {str(error).removeprefix('out: ')}") from error


def _rows(content: bytes) -> list[Sequence[str]]:
    """Return the rows of a CSV file; programs differ in line ends and quotes."""
    return [*csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)]
