"""The tars of a sharded image set: names with braces and wildcards.

Braces are those of a shell and of the webdataset package: ``imagenet-{000000..000009}.tar``.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from pipeline.errors import ConfigError
from pipeline.store.natural_order import WHOLE, natural_order
from pipeline.store.secrets import without_query

KEY = "images.shards"
SCHEMES = ("http://", "https://")


def shard_places(shards: str | Sequence[str]) -> list[str]:
    """Return the paths and URLs that names with braces and wildcards stand for, in their order.

    Args:
        shards: one name or several. Braces are replaced in the order of their values, and the files
            that a wildcard matches are sorted by the numbers in their names.

    Raises:
        ConfigError: there is none, one is given twice, or a package is missing.

    >>> shard_places("https://host/a-{08..10}.tar")[1:]
    ['https://host/a-09.tar', 'https://host/a-10.tar']
    """
    given = [shards] if isinstance(shards, str) else list(shards)
    found = [place for name in given for part in _braces(str(name)) for place in _files(part)]
    if not found:
        raise ConfigError(f"{KEY}: no tar is named; give a path, such as imagenet-000000.tar")
    if twice := [place for place, count in Counter(found).items() if count > 1]:
        raise ConfigError(f"{KEY}: '{without_query(twice[0])}' is given twice; give each tar once")
    return found


def _braces(name: str) -> Iterator[str]:
    if "{" not in name or Path(name).exists():
        yield name
        return
    try:
        from braceexpand import braceexpand
    except ImportError as error:
        raise ConfigError(
            f"{KEY}: braces need the package braceexpand; pip install 'artiphys[datasets]', or use"
            " a wildcard, as in imagenet-*.tar"
        ) from error
    try:
        yield from braceexpand(name)
    except ValueError as error:
        raise ConfigError(f"{KEY}: '{name}' has a brace that is not closed") from error


def _files(name: str) -> list[str]:
    """Return a URL, a path, or the paths that a wildcard matches."""
    if name.startswith(SCHEMES):
        return [name]
    path = Path(name).expanduser()
    if path.is_file():
        return [str(path)]
    if path.is_dir():
        raise ConfigError(f"{KEY}: '{name}' is a folder; name its tars, as in '{name}/*.tar'")
    if not glob.has_magic(str(path)):
        raise ConfigError(f"{KEY}: there is no file '{name}'; give the paths or URLs of tars")
    found = [each for each in glob.glob(str(path), recursive=True) if Path(each).is_file()]  # noqa: PTH207
    if not found:
        raise ConfigError(f"{KEY}: no file matches '{name}'; give the paths or URLs of tars")
    return sorted(found, key=partial(natural_order, number=WHOLE))


def shard_files(images: Any) -> Iterator[Path]:
    """Yield the local tars among the settings of an image set, which may hold several sets.

    Names that stand for none are left to the run, which says so.
    """
    if not isinstance(images, Mapping):
        return
    settings = cast("Mapping[str, Any]", images)
    if settings.get("_target_") == "pipeline.images.webdataset.webdataset":
        with suppress(ConfigError, TypeError):
            places = shard_places(settings["shards"])
            yield from (Path(place) for place in places if not place.startswith(SCHEMES))
    for value in settings.values():
        yield from shard_files(value)


def shard_names(places: Sequence[str]) -> list[str]:
    """Return a name for each tar: its file name, with its folders if file names are not unique.

    Raises:
        ConfigError: two differ in their queries alone.

    >>> shard_names(["/data/a-0.tar", "/data/a-1.tar"])
    ['a-0', 'a-1']
    >>> shard_names(["/data/train/0.tar", "/data/val/0.tar"])
    ['train/0', 'val/0']
    """
    paths = [
        urlsplit(place).netloc + urlsplit(place).path
        if place.startswith(SCHEMES)
        else str(Path(place).absolute())
        for place in places
    ]
    parts = [path.removesuffix(".tar").split("/") for path in paths]
    if len({each[-1] for each in parts}) == len(parts):
        return [each[-1] for each in parts]
    levels = enumerate(zip(*parts, strict=False))
    differs = next((level for level, names in levels if len(set(names)) > 1), 0)
    names = ["/".join(each[differs:]) for each in parts]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigError(f"{KEY}: two tars are both named '{twice[0]}'; rename one of them")
    return names
