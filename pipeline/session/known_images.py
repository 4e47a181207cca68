"""Image lists that were searched before, known again by their contents.

A list of files is looked up by names, sizes and times, which is quick. Where the same files lie
there under other times (copied, unpacked, touched), their contents are compared with the digests
that the search took as it read them; if all are equal, the list is the one that was searched.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from pipeline.images.image_sets import ImageSet
from pipeline.store.layout import Layout
from pipeline.store.sealed import DamagedError, read_arrays, write_arrays

log = logging.getLogger(__name__)
Digests = Int[np.ndarray, " images"]


def known_images(layout: Layout, images: ImageSet) -> ImageSet:
    """Return an image set under the identity that it was first searched with, if it was."""
    if images.like is None:
        return images
    path = _path(layout, images)
    identity = _identity(path) if path.is_file() else None
    if identity is not None:
        return _renamed(images, identity)
    for other in layout.image_lists(images.like):
        with suppress(OSError, DamagedError):
            arrays, notes = read_arrays(other)
            log.info("images: comparing %d files with those searched before", len(images))
            if _same(images, arrays["digests"]):
                _write(path, notes["identity"], arrays["digests"])
                return _renamed(images, notes["identity"])
    return images


def remember_images(layout: Layout, images: ImageSet, digests: Digests) -> None:
    """Note the contents of an image list that has been searched."""
    if images.like is not None and not (path := _path(layout, images)).is_file():
        _write(path, images.settings["images"], digests)


def _path(layout: Layout, images: ImageSet) -> Path:
    return layout.image_list(str(images.like), images.settings["images"])


def _write(path: Path, identity: str, digests: Digests) -> None:
    write_arrays(path, {"digests": digests}, {"identity": identity})


def _identity(path: Path) -> str | None:
    try:
        return read_arrays(path)[1]["identity"]
    except (OSError, DamagedError) as error:
        log.warning("store: '%s' is damaged (%s) and is written again", path, error)
        path.unlink(missing_ok=True)
        return None


def _renamed(images: ImageSet, identity: str | None) -> ImageSet:
    if identity is None:
        return images
    return replace(images, settings=images.settings | {"images": identity})


def _same(images: ImageSet, digests: Digests) -> bool:
    """Say whether all contents are as noted, reading no further than the first that is not."""
    with ThreadPoolExecutor(8) as pool:
        for start in range(0, len(digests), 256):
            some = range(start, min(start + 256, len(digests)))
            found = np.array(list(pool.map(images.digest, some)), dtype=np.int64)
            if not np.array_equal(found, digests[start : start + 256]):
                return False
    return True
