"""Indices of tars in the webdataset format: where the picture of every sample lies.

Files of one tar that have the same name up to the first dot are one sample: ``0001.jpg``,
``0001.cls`` and ``0001.json``. Only the headers of a tar and its small files are read, and the
index is kept in a cache by the tar's stamp. The format: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from jaxtyping import Int

from pipeline.errors import ConfigError, StoreError, first_line, listed
from pipeline.images.shards import KEY
from pipeline.store.checksummed import DamagedError, read_arrays, write_arrays
from pipeline.store.files import file_stamp

# Endings of files that hold one value of a sample, as the webdataset package decodes them.
WHOLE_NUMBERS = ("cls", "cls2", "class", "count", "index", "inx", "id")
TEXTS = ("txt", "text", "transcript")
OBJECTS = ("json", "jsn")
LARGEST_VALUE = 1 << 20  # bytes of such a file; larger ones are left out

_VERSION = 1  # of kept indices
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}

log = logging.getLogger(__name__)


class Part(NamedTuple):
    """A file in a tar: where its bytes start, and how many there are."""

    offset: int
    size: int


Samples = dict[str, dict[str, Part]]  # files by ending, by the key of their sample


@dataclass(frozen=True)
class TarIndex:
    """The pictures of one tar.

    Attributes:
        keys: of the samples with a picture, in the order of the tar.
        offsets: where their bytes start.
        sizes: their numbers of bytes.
        columns: what else is known of each sample, by the ending of the file that tells it, or by
            the name of a field of a JSON file; ``None`` where nothing is known.
        stamp: of the tar.
    """

    keys: list[str]
    offsets: Int[np.ndarray, " pictures"]
    sizes: Int[np.ndarray, " pictures"]
    columns: dict[str, list[Any]]
    stamp: tuple[int, ...]


def tar_index(
    path: Path, endings: Sequence[str], picture: str | None, cache: Path | None
) -> TarIndex:
    """Return the index of a tar, from the cache if it was made before.

    Args:
        path: the tar, which must not be compressed.
        endings: last parts of the names of pictures, such as ``.jpg``.
        picture: ending of the pictures, such as ``jpg`` or ``left.png``; ``None`` if every sample
            has one picture.
        cache: folder of kept indices.

    Raises:
        ConfigError: it is no tar or not a whole one, a file is in it twice, or a sample has several
            pictures.

    """
    try:
        stamp = file_stamp(path)
        asked = json.dumps([_VERSION, str(path.resolve()), stamp, [*endings], picture])
        kept = cache and cache / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.safetensors"
        if kept and (index := _kept(kept, stamp)) is not None:
            return index
        with path.open("rb") as file:
            samples = _samples(file, path)
            chosen = dict(_pictures(samples, endings, picture, path))
            columns = _columns([samples[key] for key in chosen], file, path)
    except OSError as error:
        raise ConfigError(
            f"{KEY}: '{path}' cannot be read ({error.strerror or error}); repeat the command when"
            " it can"
        ) from error
    places = np.array([*chosen.values()], dtype=np.int64).reshape(-1, 2)
    index = TarIndex([*chosen], places[:, 0], places[:, 1], columns, stamp)
    if kept:
        _keep(kept, index)
    return index


# What is in a tar.


def _samples(file: BinaryIO, path: Path) -> Samples:
    """Return the files of a tar by the key of their sample and their ending, in lower case."""
    samples: Samples = defaultdict(dict)
    hidden = 0
    for name, part in _members(file, path):
        folder, _, base = name.removeprefix("./").rpartition("/")
        stem, _, ending = base.partition(".")
        if not stem or any(each.startswith(".") for each in folder.split("/")):
            hidden += 1  # such as those of macOS (._1.jpg)
            continue
        key = f"{folder}/{stem}" if folder else stem
        if not key.isprintable():  # line breaks, or bytes that are not text
            raise ConfigError(
                f"{KEY}: '{path}' holds {name!r}, a name that cannot be stored; rename it"
            )
        if ending.lower() in samples[key]:
            raise ConfigError(
                f"{KEY}: '{path}' holds '{name}' twice; write the tar anew, with each file once"
            )
        samples[key][ending.lower()] = part
    if hidden:
        log.info("images: %d hidden files of '%s' are left out", hidden, path.name)
    return samples


def _members(file: BinaryIO, path: Path) -> Iterator[tuple[str, Part]]:
    """Yield name and place of every file of a tar, and of every hard link to one."""
    start = file.read(6)
    if packing := next((kind for mark, kind in _PACKED.items() if start.startswith(mark)), ""):
        raise ConfigError(
            f"{KEY}: '{path}' is compressed ({packing}), so its pictures cannot be read one by one;"
            " decompress it once and give the .tar"
        )
    file.seek(0)
    seen: dict[str, Part] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as tar:
            while (member := tar.next()) is not None:
                # Only plain files and links to them: what is sparse is not stored in one piece.
                if member.isreg() and not member.issparse():
                    seen[member.name] = Part(member.offset_data, member.size)
                    yield member.name, seen[member.name]
                elif member.islnk() and member.linkname in seen:
                    yield member.name, seen[member.linkname]
                # They would keep every header in memory.
                tar.members.clear()  # pyright: ignore[reportAttributeAccessIssue]
            end = tar.offset
    except tarfile.TarError as error:
        if file.seek(0, 2) > tarfile.BLOCKSIZE and "unexpected end" in str(error):
            raise _cut(path) from error
        raise ConfigError(
            f"{KEY}: '{path}' cannot be read as a tar ({first_line(error)})"
        ) from error
    _check_end(file, end, path)


def _check_end(file: BinaryIO, end: int, path: Path) -> None:
    """Check that a tar ends where its files do: with a block of zeros, and nothing behind it.

    Python's reader takes whatever it does not understand for the end.
    """
    file.seek(end)
    if len(block := file.read(tarfile.BLOCKSIZE)) < tarfile.BLOCKSIZE:
        raise _cut(path)
    while block:
        if any(block):
            raise ConfigError(
                f"{KEY}: '{path}' holds more after byte {end}, where its files end: it is damaged,"
                " or several tars were joined as they are; copy it again, or give them one by one"
            )
        block = file.read(1 << 20)


def _cut(path: Path) -> ConfigError:
    return ConfigError(
        f"{KEY}: '{path}' ends before its end mark, so files may be missing; copy it again"
    )


# Which file of a sample is its picture.


def _pictures(
    samples: Samples, endings: Sequence[str], picture: str | None, path: Path
) -> Iterator[tuple[str, Part]]:
    without = 0
    for key, files in samples.items():
        if picture is not None:
            found = [ending for ending in files if ending == picture.lower().removeprefix(".")]
        else:
            found = [ending for ending in files if f".{ending}".endswith(tuple(endings))]
        if len(found) > 1:
            raise ConfigError(
                f"{KEY}: the sample '{key}' of '{path}' has the pictures {', '.join(found)}; choose"
                f" one, as in images.picture={found[0]} (a sample is all files with the same name"
                " up to the first dot)"
            )
        if found:
            yield key, files[found[0]]
        without += not found
    if without:
        there = sorted({ending or "no ending" for files in samples.values() for ending in files})
        log.warning(
            "images: %d of %d samples of '%s' have no picture (its files end in %s)",
            without,
            len(samples),
            path.name,
            listed(there, 8),
        )


# What else is known of a sample.


def _columns(
    samples: Sequence[Mapping[str, Part]], file: BinaryIO, path: Path
) -> dict[str, list[Any]]:
    """Return the values of samples by column."""
    columns: dict[str, list[Any]] = {}
    bad: list[str] = []
    for row, files in enumerate(samples):
        for ending, part in files.items():
            if ending not in (*WHOLE_NUMBERS, *TEXTS, *OBJECTS):
                continue
            value = _value(file, ending, part)
            if value is None:
                bad.append(ending)
            for name, each in _facts(ending, value, files):
                columns.setdefault(name, [None] * len(samples))[row] = each
    if bad:
        log.warning(
            "images: %d files of '%s' (%s) hold no value that can be read, or more than %d bytes;"
            " they are left out",
            len(bad), path.name, ", ".join(sorted(set(bad))), LARGEST_VALUE,
        )  # fmt: skip
    return {name: _of_one_type(values) for name, values in columns.items()}


def _facts(ending: str, value: Any, files: Mapping[str, Part]) -> Iterator[tuple[str, Any]]:
    """Yield the columns of one file: its ending, or the names of the fields of an object."""
    fields = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {"": value}
    for field, each in fields.items():
        if isinstance(each, str | int | float):
            # Another file may tell what is named as a field.
            taken = not field or field.lower() in files
            yield (f"{ending}.{field}".rstrip(".") if taken else field), each


def _value(file: BinaryIO, ending: str, part: Part) -> Any:
    """Return the value that a file holds; ``None`` if there is none."""
    if part.size > LARGEST_VALUE:
        return None
    file.seek(part.offset)
    try:
        text = file.read(part.size).decode("utf-8").strip()
        if ending in OBJECTS:
            return json.loads(text)
    except (ValueError, RecursionError):
        return None
    with suppress(ValueError):  # text instead of a number stays text
        return int(text) if ending in WHOLE_NUMBERS else text
    return text or None


def _of_one_type(values: list[Any]) -> list[Any]:
    """Return values as they are if they have one type, or are all numbers, and else as text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) < 2 or kinds == {int, float}:
        return values
    return [None if value is None else str(value) for value in values]


# Kept indices.


def _kept(path: Path, stamp: tuple[int, ...]) -> TarIndex | None:
    try:
        arrays, notes = read_arrays(path)
        return TarIndex(notes["keys"], arrays["offsets"], arrays["sizes"], notes["columns"], stamp)
    except FileNotFoundError:
        return None
    except (OSError, DamagedError, KeyError, TypeError) as error:
        log.info("images: the index '%s' cannot be used (%s) and is made again", path, error)
        return None


def _keep(path: Path, index: TarIndex) -> None:
    arrays = {"offsets": index.offsets, "sizes": index.sizes}
    with suppress(StoreError):  # it is made again the next time
        write_arrays(path, arrays, {"keys": index.keys, "columns": index.columns})
