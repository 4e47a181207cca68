"""Image lists that were searched before, recognized by their contents.

A list of files is looked up by names and stamps (sizes, times), which is quick. If the same files
have other stamps (because they were copied, unpacked or touched), their contents are compared with
the digests that the search recorded; if all are equal, the list is the one that was searched.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from pipeline.images.image_sets import ImageSet
from pipeline.store.checksummed import DamagedError, UnplacedError, read_arrays, write_arrays
from pipeline.store.layout import Layout

log = logging.getLogger(__name__)
Digests = Int[np.ndarray, " images"]


class Noted(NamedTuple):
    """An image list: its identity in settings, and the digests of its contents."""

    identity: str
    digests: Digests


def known_images(layout: Layout, images: ImageSet) -> ImageSet:
    """Return an image set with the identity under which it was first searched, if it was."""
    if images.like is None:
        return images
    path = _path(layout, images)
    noted = _read(layout, path)
    if noted is not None:
        return _renamed(images, noted.identity)
    for other in layout.image_lists(images.like):
        noted = _read(layout, other)
        if noted is not None and len(noted.digests) == len(images):
            log.info("images: comparing %d files with those searched before", len(images))
            if _same(images, noted.digests):
                _write(layout, path, noted)
                return _renamed(images, noted.identity)
    return images


def remember_images(layout: Layout, images: ImageSet, digests: Digests) -> None:
    """Record the contents of an image list that has been searched."""
    if images.like is not None and not (path := _path(layout, images)).is_file():
        _write(layout, path, Noted(images.settings["images"], digests))


def _path(layout: Layout, images: ImageSet) -> Path:
    return layout.image_list(str(images.like), images.settings["images"])


def _write(layout: Layout, path: Path, noted: Noted) -> None:
    arrays, notes = {"digests": noted.digests}, {"identity": noted.identity}
    write_arrays(path, arrays, notes, layout.place(path))


def _read(layout: Layout, path: Path) -> Noted | None:
    """Return the recorded entry of an image list, if there is one; a damaged entry is rewritten."""
    try:
        arrays, notes = read_arrays(path, layout.place(path))
        return Noted(str(notes["identity"]), arrays["digests"])
    except FileNotFoundError:
        return None
    except UnplacedError:
        return None  # written by an earlier version
    except (DamagedError, KeyError, TypeError) as error:
        log.warning("store: '%s' is damaged (%s) and will be rewritten", path, error)
        with suppress(OSError):
            path.unlink()
    except OSError as error:
        log.warning("store: '%s' cannot be read (%s) and is not used", path, error.strerror)
    return None


def _renamed(images: ImageSet, identity: str) -> ImageSet:
    return replace(images, settings=images.settings | {"images": identity})


def _same(images: ImageSet, digests: Digests) -> bool:
    """Return whether all contents are as recorded, reading up to the first that is not."""
    with ThreadPoolExecutor(8) as pool:
        for start in range(0, len(digests), 256):
            some = range(start, min(start + 256, len(digests)))
            found = np.array(list(pool.map(images.digest, some)), dtype=np.int64)
            if not np.array_equal(found, digests[start : start + 256]):
                return False
    return True
