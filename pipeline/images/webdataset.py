"""Image sets in tars of the webdataset format, which are read at random and never unpacked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, TransientError, listed
from pipeline.images.decoding import PictureDecoder
from pipeline.images.files import (
    LARGEST_FILE,
    UNREADABLE,
    Loaded,
    content_digest,
    digest_list,
    not_now,
    retried,
)
from pipeline.images.image_sets import PICTURES, ImageSet, fitted
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.shard_downloads import cache_folder, local_shard
from pipeline.images.shards import KEY, shard_names, shard_places
from pipeline.images.subsets import kept_indices
from pipeline.images.tar_index import TarIndex, tar_index
from pipeline.store.files import describe_bytes, file_stamp

_MANY = 20  # tars, from which on listing them is announced

log = logging.getLogger(__name__)


def webdataset(
    preprocessing: Preprocessing,
    *,
    shards: str | Sequence[str],
    picture: str | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    upright: bool = False,
    limit: int | None = None,
    seed: int | None = None,
    cache: str | None = None,
    cache_gigabytes: float = 100.0,
) -> ImageSet:
    """Return the pictures in tars of the webdataset format, in the order of the tars.

    A name is that of the tar and that of the sample: ``imagenet-000000/n01440764_10026``. What
    other files of a sample say is carried as columns: a number (``.cls``, ``.id``), a text
    (``.txt``), and the fields of an object (``.json``).

    Args:
        preprocessing: resizing, center crop and normalization.
        shards: paths or URLs of the tars, with braces (``imagenet-{000000..000009}.tar``) and
            wildcards. Those of URLs are downloaded first.
        picture: ending of the pictures, such as ``jpg`` or ``left.png``, where samples have
            several; ``None`` if they have one.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        upright: whether pictures are rotated according to their EXIF data.
        limit: number of pictures to keep; ``None`` for all.
        seed: of a random choice of them; ``None`` for the first ones.
        cache: folder of downloads and of the indices of tars; ``None`` for
            ``~/.cache/artiphys/shards``.
        cache_gigabytes: the most that downloads may take in that folder.

    Raises:
        ConfigError: a tar is missing, damaged, compressed or cannot be downloaded, or none holds a
            picture.
    """
    preprocessing = fitted(preprocessing, resize, crop)
    decode = PictureDecoder(preprocessing, upright)
    if not cache_gigabytes > 0:
        raise ConfigError(f"images.cache_gigabytes: {cache_gigabytes} is not a positive number")
    kept_indices(1, limit, seed)  # before anything is downloaded
    folder = cache_folder() if cache is None else Path(cache).expanduser()
    places = shard_places(shards)
    if len(places) > _MANY:
        log.info(
            "images: listing the files of %d tars, which takes longer the first time", len(places)
        )
    tars, indices, keys = [], [], []
    for place, name in zip(places, shard_names(places), strict=True):
        tars.append(local_shard(place, folder, cache_gigabytes * 1e9))
        indices.append(tar_index(tars[-1], PICTURES, picture, folder / "indices"))
        keys += [f"{name}/{key}" for key in indices[-1].keys]
        if limit is not None and seed is None and len(keys) >= limit:
            break  # the first images are there
    if not keys:
        what = " or ".join([picture] if picture else PICTURES)
        tried = listed([f"'{tar}'" for tar in tars], 2)
        raise ConfigError(f"{KEY}: {tried} holds no picture ending in {what}")
    kept = kept_indices(len(keys), limit, seed)
    names = [keys[number] for number in kept]
    members = TarMembers.of(tars, indices, kept, decode)
    like, stamps = members.stamps(names)
    settings = decode.settings("webdataset") | {"images": stamps}
    return ImageSet(
        names,
        preprocessing.input_size,
        settings,
        members.load,
        members.digest,
        like,
        (preprocessing.mean, preprocessing.std),
        _joined_columns(indices, kept),
    )


@dataclass(frozen=True)
class TarMembers:
    """Images that are files in tars.

    A tar is opened for every read, so threads and forked processes share nothing.

    Attributes:
        tars: paths of the tars.
        listed: their stamps when their files were listed.
        shards: the tar of each image.
        offsets: where the bytes of each image start.
        sizes: their numbers of bytes.
        decode: maps the bytes of a file to the image in network-input space; raises ``ImageError``
            with the reason.
    """

    tars: Sequence[Path]
    listed: Sequence[tuple[int, ...]]
    shards: Int[np.ndarray, " images"]
    offsets: Int[np.ndarray, " images"]
    sizes: Int[np.ndarray, " images"]
    decode: Callable[[bytes], Float[Tensor, "c height width"]]

    @classmethod
    def of(
        cls,
        tars: Sequence[Path],
        indices: Sequence[TarIndex],
        kept: Sequence[int],
        decode: Callable[[bytes], Float[Tensor, "c height width"]],
    ) -> TarMembers:
        """Return the images with some indices, counted through all tars."""
        shards = np.repeat(np.arange(len(indices)), [len(index.keys) for index in indices])
        offsets = np.concatenate([index.offsets for index in indices])
        sizes = np.concatenate([index.sizes for index in indices])
        stamps = [index.stamp for index in indices]
        return cls(tars, stamps, shards[kept], offsets[kept], sizes[kept], decode)

    def load(self, index: int) -> Loaded:
        """Return one image, and the digest of the bytes that it was decoded from.

        Raises:
            ImageError: it cannot be decoded; the message does not contain its name.
            TransientError: its tar cannot be read now, or has changed since it was listed.
        """
        content = self._content(index)
        return Loaded(self.decode(content), content_digest(content))

    def digest(self, index: int) -> int:
        """Return the digest of one file; ``UNREADABLE`` if it cannot be read."""
        try:
            return content_digest(self._content(index))
        except ImageError:
            return UNREADABLE

    def stamps(self, names: Sequence[str]) -> tuple[str, str]:
        """Return digests of names and sizes, and of names, places and the stamps of tars."""
        sizes = [f"{size}\n".encode() for size in self.sizes]
        tars = [" ".join(map(str, stamp)) for stamp in self.listed]
        places = zip(self.shards, self.offsets, self.sizes, strict=True)
        whole = [f"{tars[shard]} {offset} {size}\n".encode() for shard, offset, size in places]
        return digest_list(names, sizes), digest_list(names, whole)

    def _content(self, index: int) -> bytes:
        size = int(self.sizes[index])
        if size > LARGEST_FILE:
            raise ImageError(f"is larger than the {describe_bytes(LARGEST_FILE)} that are read")
        try:
            return retried(partial(self._read, index, size))
        except ImageError as error:  # the tar was there when it was listed
            if isinstance(error.__cause__, OSError):
                raise TransientError(not_now(error.__cause__)) from error
            raise

    def _read(self, index: int, size: int) -> bytes:
        shard = int(self.shards[index])
        path = self.tars[shard]
        # Time and size, as permissions and links may change too.
        if file_stamp(path)[:3] != tuple(self.listed[shard][:3]):
            raise TransientError(
                f"cannot be read, as '{path}' has changed since its files were listed; repeat the"
                " command, which lists them again"
            )
        with path.open("rb") as file:
            file.seek(int(self.offsets[index]))
            content = file.read(size)
        if len(content) != size:
            raise OSError(f"{len(content)} of {size} bytes came")
        return content


def _joined_columns(indices: Sequence[TarIndex], kept: Sequence[int]) -> dict[str, list[Any]]:
    """Return the columns of several tars for the images that are kept."""
    named = dict.fromkeys(name for index in indices for name in index.columns)
    joined: dict[str, list[Any]] = {}
    for name in named:
        whole: list[Any] = []
        for index in indices:
            whole += index.columns.get(name, [None] * len(index.keys))
        joined[name] = [whole[number] for number in kept]
    return joined
