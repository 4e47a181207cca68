"""Folders of images: their files, without hidden ones."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ConfigError

log = logging.getLogger(__name__)
# Endings of pictures that are not among torchvision's.
OTHER_PICTURES = frozenset(
    (
        ".apng", ".arw", ".avif", ".cr2", ".cr3", ".dng", ".eps", ".exr", ".gif", ".hdr", ".heic",
        ".heif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jxl", ".nef", ".orf", ".pbm", ".pcx",
        ".pfm", ".pnm", ".psd", ".raw", ".svg", ".tga", ".xcf",
    )
)  # fmt: skip


def existing_folder(root: str) -> Path:
    """Return the path of a folder.

    Raises:
        ConfigError: there is no such folder.

    """
    path = Path(root).expanduser()
    if not path.is_dir():
        raise ConfigError(f"images.root: there is no folder '{root}'; give the path of one")
    return path


def files_below(top: Path) -> list[Path]:
    """Return the files below a folder; links are followed, but not in circles.

    Raises:
        ConfigError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise ConfigError(
            f"images.root: the folder '{error.filename}' cannot be listed ({error.strerror}); "
            "correct its permissions or move it away"
        ) from error

    found: list[Path] = []
    above: dict[str, frozenset[str]] = {}  # the parents of each folder, with links resolved
    for parent, folders, names in os.walk(top, followlinks=True, onerror=refuse):
        inside = above.get(parent, frozenset()) | {os.path.realpath(parent)}
        folders[:] = [f for f in folders if os.path.realpath(Path(parent) / f) not in inside]
        above |= {os.path.join(parent, folder): inside for folder in folders}  # noqa: PTH118
        found += [Path(parent) / name for name in names]
    return found


def not_hidden(paths: list[Path], top: Path) -> list[Path]:
    """Leave out hidden files, such as those that macOS or notebooks create (``._1.jpg``)."""
    shown = [
        path
        for path in paths
        if not any(part.startswith(".") for part in path.relative_to(top).parts)
    ]
    if len(shown) < len(paths):
        log.info("images: %d hidden files are left out", len(paths) - len(shown))
    return shown


def tell_left_out(paths: Sequence[Path], read: Sequence[str]) -> str:
    """Log how many pictures are left out for their endings; return the same for an error.

    Args:
        paths: all files that are not hidden.
        read: endings of the pictures that are used.
    """
    endings = Counter(path.suffix.lower() for path in paths)
    others = {end: count for end, count in endings.items() if end in OTHER_PICTURES}
    if not others:
        return ""
    counts = ", ".join(f"{count} {end}" for end, count in sorted(others.items()))
    log.warning(
        "images: %d pictures are left out for their endings (%s); images.root takes %s",
        sum(others.values()),
        counts,
        ", ".join(read),
    )
    return f"; it holds others, which are left out: {counts}"
