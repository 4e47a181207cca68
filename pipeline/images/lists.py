"""The image set of a list: the pictures of a CSV file, whose other columns go into tables.

The function is named as its option, ``images=list``, and hides Python's type in this file.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.images.image_sets import ImageSet, fitted, picture_files
from pipeline.images.listings import Listing, read_listing
from pipeline.images.preprocessing import Crop, Preprocessing


def list(
    preprocessing: Preprocessing,
    *,
    file: str,
    column: str | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    upright: bool = False,
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the pictures that a CSV file lists, in the order of its rows.

    Its other columns (class, condition, subject ...) are columns of the image set.

    Args:
        preprocessing: resizing, center crop and normalization.
        file: the CSV, see ``read_listing``.
        column: name of the column of paths.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        upright: whether pictures are rotated according to their EXIF data.
        limit: number of pictures to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: it cannot be read as such a list, a picture is missing, or named twice.
    """
    listing = read_listing(file, column, limit, seed)
    return of_listing("list", fitted(preprocessing, resize, crop), listing, upright)


def of_listing(
    kind: str, preprocessing: Preprocessing, listing: Listing, upright: bool = False
) -> ImageSet:
    """Return the pictures of a list as an image set with columns.

    Args:
        kind: name of the kind of image set.
        preprocessing: resizing, center crop and normalization.
        listing: the pictures.
        upright: whether pictures are rotated according to their EXIF data.
    """
    _, names, paths, columns = listing
    return replace(picture_files(kind, preprocessing, names, paths, upright), columns=columns)
