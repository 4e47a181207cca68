"""What image sets know of their images besides the name, as columns of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.images.image_sets import ImageSet

IMAGE = "image"  # the column of tables that names an image
PREFIX = "image_"  # so that no column of an image set can pass for one of a table


def with_image_columns(table: pd.DataFrame, images: ImageSet) -> pd.DataFrame:
    """Return a table with the columns of its images at the end, each named ``image_NAME``.

    A table without a column ``image`` is returned unchanged. Integers and booleans stay such
    where some are missing.

    Args:
        table: has one row per image, or several, or none.
        images: the image set that the column ``image`` names.

    Raises:
        ConfigError: the table has such a column already, or two images have one name.

    >>> from pipeline.images.files import Loaded
    >>> images = ImageSet(["a", "b"], (2, 2), {}, Loaded, columns={"class": [7, None]})
    >>> with_image_columns(pd.DataFrame({"image": ["b", "a", "a"]}), images)
      image  image_class
    0     b         <NA>
    1     a            7
    2     a            7
    """
    if IMAGE not in table.columns or not images.columns:
        return table
    names = pd.Index(list(images.names))
    if not names.is_unique:
        twice = names[names.duplicated()][0]
        raise ConfigError(f"images: two images are named '{twice}'; give each a name of its own")
    known = {f"{PREFIX}{name}": _array(values) for name, values in images.columns.items()}
    if clash := [name for name in known if name in table.columns]:
        name = clash[0].removeprefix(PREFIX)
        raise ConfigError(
            f"images: a column '{name}' of the images would be '{clash[0]}' in a table that has"
            " such a column; give it another name"
        )
    rows = pd.DataFrame(known, index=names).reindex(pd.Index(table[IMAGE]))
    return pd.concat([table.reset_index(drop=True), rows.reset_index(drop=True)], axis=1)


def _array(values: Sequence[Any]) -> Any:
    """Return values as pandas holds them; with missing ones, integers and booleans stay such."""
    given = {type(value) for value in values if value is not None}
    if None in values and given in ({int}, {bool}):
        return pd.array(list(values), dtype="Int64" if given == {int} else "boolean")
    return list(values)
