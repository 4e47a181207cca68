"""Several image sets as one, with a column that says from which set an image is."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

from pipeline.errors import ArtiphysError, ConfigError
from pipeline.images.files import Loaded, digest_list
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.subsets import check_names, kept_indices

SET = "set"  # the column of the sets' names


def several(
    preprocessing: Preprocessing,
    *,
    sets: Mapping[str, Any],
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return several image sets as one, one after the other.

    Args:
        preprocessing: of the network, which every set adapts to its settings.
        sets: by name, what returns each set.
        limit: number of images to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: there is no set, one is wrong, or they differ in size.
    """
    if not sets:
        raise ConfigError(
            "images.sets: there is no set; add one, as in +images@images.sets.natural=folder"
            " images.sets.natural.root=FOLDER"
        )
    made: dict[str, ImageSet] = {}
    for name, make in sets.items():
        if not callable(make):
            raise ConfigError(
                f"images.sets.{name}: is no image set; choose one, as in"
                f" +images@images.sets.{name}=folder"
            )
        try:
            made[name] = cast("ImageSet", make(preprocessing))
        except ArtiphysError as error:
            text = str(error).removeprefix("images")
            error.args = (f"images.sets.{name}{text}",)
            raise
    whole = joined(made, preprocessing)
    return whole.subset(kept_indices(len(whole), limit, seed))


def joined(sets: Mapping[str, ImageSet], preprocessing: Preprocessing) -> ImageSet:
    """Return image sets as one: names are ``SET/NAME``, and a column ``set`` is added.

    The other columns are those of all sets, with missing values where a set has none.

    Args:
        sets: the image sets by name.
        preprocessing: of the network.

    Raises:
        ConfigError: they differ in size, or a column cannot be added.
    """
    check_names("images.sets", sets)
    _refuse_other_sizes(sets)
    members = list(sets.values())
    ends = list(accumulate(map(len, members)))

    def member(index: int) -> tuple[ImageSet, int]:
        number = bisect_right(ends, index)
        return members[number], index - (ends[number] - len(members[number]))

    def load(index: int) -> Loaded:
        images, own = member(index)
        return images.load(own)

    def digest(index: int) -> int:
        images, own = member(index)
        return images.digest(own)

    names = [f"{name}/{each}" for name, images in sets.items() for each in images.names]
    scales = [images.pixel_scale for images in members]
    fixed = all(images.like is None for images in members)
    likes = [f"{images.like or images.settings.get('images')}\n".encode() for images in members]
    stamps = [f"{images.settings.get('images')}\n".encode() for images in members]
    settings = {
        "kind": "several",
        "preprocessing": preprocessing.settings(),
        "sets": [[name, len(images), _without_list(images)] for name, images in sets.items()],
        "images": digest_list(list(sets), stamps),
    }
    return ImageSet(
        names,
        members[0].size,
        settings,
        load,
        digest,
        None if fixed else digest_list(list(sets), likes),
        scales[0] if all(scale == scales[0] for scale in scales) else None,
        _columns(sets),
    )


def _without_list(images: ImageSet) -> dict[str, Any]:
    """Return settings without the list's identity, which is that of all lists together."""
    return {name: value for name, value in images.settings.items() if name != "images"}


def _refuse_other_sizes(sets: Mapping[str, ImageSet]) -> None:
    (first, images), *others = sets.items()
    for name, other in others:
        if other.size != images.size:
            (rows, columns), (height, width) = images.size, other.size
            raise ConfigError(
                f"images.sets: the images of {first} are {columns} x {rows} pixels, and those of"
                f" {name} {width} x {height}; give both one size with images.sets.NAME.crop"
            )


def _columns(sets: Mapping[str, ImageSet]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {SET: [n for n, images in sets.items() for _ in images.names]}
    for name, images in sets.items():
        if SET in images.columns:
            raise ConfigError(
                f"images.sets.{name}: has a column '{SET}' already, which is added to several sets;"
                " give it another name"
            )
        columns |= {column: [] for column in images.columns if column not in columns}
    for column in [*columns][1:]:
        for images in sets.values():
            columns[column] += images.columns.get(column, [None] * len(images))
        columns[column] = _of_one_type(columns[column])
    return columns


def _of_one_type(values: Sequence[Any]) -> list[Any]:
    """Return values as text if some are and some are not, as a column has one type."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        return [value if value is None else str(value) for value in values]
    return list(values)
