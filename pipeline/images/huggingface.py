"""Image sets from datasets of Hugging Face: saved folders, local files, or names on the Hub.

Pictures are decoded from their bytes as files of a folder are, so that equal ones give equal
numbers. No code that comes with a dataset is ever run.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, first_line, nearest
from pipeline.images.decoding import PictureDecoder
from pipeline.images.files import (
    UNREADABLE,
    Loaded,
    content_digest,
    digest_list,
    read_content,
)
from pipeline.images.image_sets import ImageSet, fitted
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.subsets import kept_indices
from pipeline.store.files import file_stamp

BUILDERS = ("imagefolder", "parquet", "arrow")  # of local files; others may run what they read
_ROWS = 1000  # that are looked at together


def huggingface(
    preprocessing: Preprocessing,
    *,
    path: str,
    split: str | None = None,
    column: str | None = None,
    subset: str | None = None,
    files: str | Sequence[str] | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    upright: bool = False,
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the pictures of a dataset of Hugging Face, in its order.

    A name is that of the split and the number of the row: ``train/17``. Columns of numbers, texts
    and class labels are carried, labels by their names.

    Args:
        preprocessing: resizing, center crop and normalization.
        path: a folder that ``save_to_disk`` wrote, another folder of data files, a name on the Hub,
            or, with ``files``, how they are read: ``imagefolder``, ``parquet`` or ``arrow``.
        split: such as ``train``; ``None`` if there is only one.
        column: of the pictures; ``None`` if there is only one.
        subset: configuration of a dataset on the Hub that has several.
        files: a folder, or paths of files, to read as ``path`` says.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        upright: whether pictures are rotated according to their EXIF data.
        limit: number of pictures to keep; ``None`` for all.
        seed: of a random choice of them; ``None`` for the first ones.

    Raises:
        ConfigError: the package ``datasets`` is missing, there is no such dataset, split or column,
            or it holds no picture.
    """
    preprocessing = fitted(preprocessing, resize, crop)
    decode = PictureDecoder(preprocessing, upright)
    kept_indices(1, limit, seed)  # before anything is downloaded
    datasets = _package()
    found = _loaded(datasets, path, split, subset, files)
    found = _split(found, path, split)
    named = _picture_column(datasets, found.features, column)
    pictures = found.select_columns([named]).cast_column(named, datasets.Image(decode=False))
    if not len(pictures):
        raise ConfigError(f"images.path: '{path}' has no rows{_of(split)}")
    kept = kept_indices(len(pictures), limit, seed)
    part = split or str(found.split or "")
    names = [f"{part}/{row}" if part else str(row) for row in kept]
    rows = Rows(pictures, named, kept, decode)
    like, identity = rows.stamps(names)
    settings = decode.settings("huggingface")
    return ImageSet(
        names,
        preprocessing.input_size,
        settings | {"images": identity},
        rows.load,
        rows.digest,
        like,
        (preprocessing.mean, preprocessing.std),
        _columns(datasets, found, kept),
    )


@dataclass(frozen=True)
class Rows:
    """Images that are rows of a dataset.

    Attributes:
        dataset: of the column of pictures alone, not decoded.
        column: its name.
        kept: the row of each image.
        decode: maps the bytes of a file to the image in network-input space; raises ``ImageError``
            with the reason.
    """

    dataset: Any
    column: str
    kept: Sequence[int]
    decode: Callable[[bytes], Float[Tensor, "c height width"]]

    def load(self, index: int) -> Loaded:
        """Return one image, and the digest of the bytes that it was decoded from.

        Raises:
            ImageError: there is none, or it cannot be decoded; the message is without its name.
            TransientError: it cannot be read now.
        """
        content = self._content(index)
        return Loaded(self.decode(content), content_digest(content))

    def digest(self, index: int) -> int:
        """Return the digest of the bytes of one picture; ``UNREADABLE`` if there are none."""
        try:
            return content_digest(self._content(index))
        except ImageError:
            return UNREADABLE

    def stamps(self, names: Sequence[str]) -> tuple[str | None, str]:
        """Return digests of names and sizes, and of names and the stamps of all files.

        Of a dataset in memory there is only one, of names and contents.
        """
        tables = [Path(file["filename"]) for file in self.dataset.cache_files]
        if not tables:
            contents = [str(self.digest(index)).encode() for index in range(len(self.kept))]
            return None, digest_list(names, contents)
        sizes, files = zip(*self._places(), strict=True)
        stamps = [f"{_stamp(path)}\n".encode() for path in sorted(tables)]
        stamps += [f"{path} {_stamp(Path(path))}\n".encode() for path in files if path]
        lengths = [f"{size}\n".encode() for size in sizes]
        return digest_list(names, lengths), digest_list(names, [*lengths, *stamps])

    def _places(self) -> Iterator[tuple[int, str]]:
        """Yield the number of bytes of each image, or the path of its file, from the offsets."""
        from pyarrow.compute import call_function

        plain = self.dataset.with_format("arrow")
        for start in range(0, len(self.kept), _ROWS):
            some = self.kept[start : start + _ROWS]
            wanted = range(some[0], some[-1] + 1) if some[-1] - some[0] < len(some) else some
            pictures = plain[wanted].column(self.column).combine_chunks()
            lengths = call_function("binary_length", [pictures.field("bytes")]).to_pylist()
            for length, path in zip(lengths, pictures.field("path").to_pylist(), strict=True):
                yield (length, "") if length is not None else (_size(path), path or "")

    def _content(self, index: int) -> bytes:
        picture: Any = self.dataset[self.kept[index]][self.column]
        if picture is None or (picture["bytes"] is None and picture["path"] is None):
            raise ImageError("is missing: its row holds no picture")
        if picture["bytes"] is not None:
            return picture["bytes"]
        return read_content(Path(picture["path"]))


def _package() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(
            "images: datasets of Hugging Face need the package datasets; pip install"
            " 'artiphys[datasets]'"
        ) from error
    return datasets


# Which dataset.


def _loaded(
    datasets: ModuleType,
    path: str,
    split: str | None,
    subset: str | None,
    files: str | Sequence[str] | None,
) -> Any:
    """Return a dataset, or several by split."""
    folder = Path(path).expanduser()
    if files is None and folder.is_dir():
        saved = any((folder / n).is_file() for n in ("dataset_dict.json", "dataset_info.json"))
        if saved:
            return _tried("path", path, lambda: datasets.load_from_disk(str(folder)))
    elif files is not None and path not in BUILDERS:
        raise ConfigError(
            f"images.path: with images.files it says how they are read: {', '.join(BUILDERS)}; not"
            f" '{path}'{nearest(path, BUILDERS)}"
        )
    elif files is None and (path in BUILDERS or path.count("/") > 1 or path[:1] in "/.~"):
        told = " to read; name them by images.files" if path in BUILDERS else f" '{path}'"
        raise ConfigError(f"images.path: there is no folder{told}")
    named = str(folder) if files is None and folder.is_dir() else path
    key, value = ("path", path) if files is None else ("files", files)

    def load(**how: str) -> Any:
        return datasets.load_dataset(named, subset, split=split, **_data(files), **how)

    found = _tried(key, value, load)
    if _is_outdated(found, _sources(named, files)):
        # What the cache knows of the sizes of splits is outdated, too.
        how = {"download_mode": "reuse_cache_if_exists", "verification_mode": "no_checks"}
        found = _tried(key, value, lambda: load(**how))
    return found


def _is_outdated(found: Any, sources: Iterator[Path]) -> bool:
    """Return whether local files have changed since their rows were cached.

    The package itself compares their modification times alone, which programs can set.
    """
    parts = found.values() if isinstance(found, Mapping) else [found]
    tables = [Path(file["filename"]) for part in parts for file in part.cache_files]
    if not tables:
        return False
    cached = min(path.stat().st_mtime_ns for path in tables)
    return any(path.stat().st_ctime_ns > cached for path in sources)


def _sources(named: str, files: str | Sequence[str] | None) -> Iterator[Path]:
    """Yield the local files that a dataset is made of."""
    given = [named] if files is None else [files] if isinstance(files, str) else files
    for each in given:
        path = Path(each).expanduser()
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from (inner for inner in path.rglob("*") if inner.is_file())
        elif files is not None:  # wildcards
            yield from map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute


def _data(files: str | Sequence[str] | None) -> dict[str, Any]:
    """Return the arguments of ``load_dataset`` for local files."""
    if files is None:
        return {}
    if isinstance(files, str):
        path = Path(files).expanduser()
        return {"data_dir": str(path)} if path.is_dir() else {"data_files": str(path)}
    return {"data_files": [str(Path(each).expanduser()) for each in files]}


def _tried(key: str, value: Any, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # the package and its formats may raise anything
        raise ConfigError(
            f"images.{key}: '{value}' cannot be loaded as a dataset ({first_line(error)}); give"
            " a folder written by save_to_disk, local files by images.files, or a name on the Hub,"
            " which must be reachable if the dataset is not in its cache"
        ) from error


def _split(found: Any, path: str, split: str | None) -> Any:
    """Return the dataset of a split."""
    if not isinstance(found, Mapping):
        own = str(found.split or "")
        if split and split.partition("[")[0] not in own:
            there = f"the split '{own}' alone" if own else "a dataset without splits"
            raise ConfigError(f"images.split: '{path}' holds {there}; leave images.split out")
        return found
    there = list(map(str, found))
    if split is None and len(there) == 1:
        return found[there[0]]
    if split not in there:
        asked = "choose one" if split is None else f"'{split}' is not one{nearest(split, there)}"
        raise ConfigError(f"images.split: '{path}' has {', '.join(there)}; {asked}")
    return found[split]


def _of(split: str | None) -> str:
    return f" in its split '{split}'" if split else ""


# Which columns.


def _picture_column(datasets: ModuleType, features: Mapping[str, Any], column: str | None) -> str:
    """Return the name of the column of pictures."""
    pictures = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    if column is None:
        if len(pictures) == 1:
            return pictures[0]
        if pictures:
            raise ConfigError(
                f"images.column: the dataset has pictures in {', '.join(pictures)}; choose one"
            )
        raise ConfigError(
            "images.column: no column of the dataset is known to hold pictures; it has"
            f" {', '.join(features)}; choose one whose values are the bytes of files"
        )
    if column not in features:
        raise ConfigError(
            f"images.column: the dataset has no column '{column}'; it has {', '.join(features)}"
            f"{nearest(column, features)}"
        )
    kind: Any = features[column]
    if not (
        column in pictures
        or (isinstance(kind, Mapping) and {*kind} == {"bytes", "path"})
        or getattr(kind, "dtype", "") in ("binary", "large_binary")
    ):
        raise ConfigError(
            f"images.column: '{column}' holds no pictures, but {first_line(ValueError(kind))}"
            + (f"; pictures are in {', '.join(pictures)}" if pictures else "")
        )
    return column


def _columns(datasets: ModuleType, found: Any, kept: Sequence[int]) -> dict[str, list[Any]]:
    """Return the columns of numbers, texts and labels, for the images that are kept."""
    scalars = {name: kind for name, kind in found.features.items() if _is_scalar(datasets, kind)}
    if not scalars:
        return {}
    table = found.select_columns([*scalars]).with_format("arrow")[:]
    columns: dict[str, list[Any]] = {}
    for name, kind in scalars.items():
        values = table.column(name).to_pylist()
        some = [values[row] for row in kept]
        if isinstance(kind, datasets.ClassLabel):
            known = range(len(kind.names))
            some = [kind.names[value] if value in known else None for value in some]
        columns[name] = some
    return columns


def _is_scalar(datasets: ModuleType, kind: Any) -> bool:
    if isinstance(kind, datasets.ClassLabel):
        return True
    words = ("bool", "int", "uint", "float", "string", "large_string")
    return isinstance(kind, datasets.Value) and kind.dtype.rstrip("0123456789") in words


# Files.


def _stamp(path: Path) -> str:
    try:
        return " ".join(map(str, file_stamp(path)))
    except OSError:
        return ""


def _size(path: str | None) -> int:
    with suppress(OSError):
        return Path(path).stat().st_size if path else 0
    return 0
