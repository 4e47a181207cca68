"""Image sets from any ``torch.utils.data.Dataset`` of a user's own.

Its items are computed by code, so they are known by what comes out: every item is digested, and an
item that comes out otherwise when it is read again is an error. A dataset may not be safe to read
from several threads, so one thread reads it at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, overload

from torch import Tensor
from torch.utils.data import IterableDataset

from pipeline.errors import ArtiphysError, ConfigError, ImageError, first_line
from pipeline.images.files import (
    UNREADABLE,
    Loaded,
    content_digest,
    digest_list,
    lasting_reason,
    retried,
)
from pipeline.images.image_sets import ImageSet, fitted
from pipeline.images.items import Facts, network_input, plain_picture, taken
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.subsets import kept_indices
from pipeline.store.targets import call_target

log = logging.getLogger(__name__)


def dataset(
    preprocessing: Preprocessing,
    *,
    target: str,
    arguments: Mapping[str, Any] | None = None,
    item: int | str | None = None,
    values: str | None = None,
    resize: int | str | None = "default",
    crop: Crop = "default",
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return the pictures of a ``torch.utils.data.Dataset``, each of which is read once before.

    An image is named by the index of its item. Numbers and texts beside the picture are carried as
    columns: of a tuple the first as ``label``, of a dict each by its own name.

    Args:
        preprocessing: resizing, center crop and normalization of pixels.
        target: dotted name of the class, or of a function that returns a dataset, such as
            ``my_data.MyDataset``.
        arguments: what it is called with.
        item: where the picture stands in an item: an index of a tuple or a key of a dict; ``None``
            for an item that is a picture, the first of a tuple, or ``image`` of a dict.
        values: what floats are: ``input`` for network input, which is taken as it is, or ``pixels``
            for bytes divided by 255, as torchvision's ``ToTensor`` makes them. Bytes and PIL
            pictures are always pixels.
        resize: length of the short side in pixels; ``None`` for no resizing.
        crop: side of the center crop in pixels.
        limit: number of items to keep; ``None`` for all.
        seed: of a random choice of them; ``None`` for the first ones.

    Raises:
        ConfigError: the dataset cannot be made or has no items by index, its items hold no picture
            or floats of unknown values, or an item comes out otherwise when it is read again.
    """
    made = call_target(target, dict(arguments or {}), "images", "my_data.MyDataset")
    preprocessing = fitted(preprocessing, resize, crop)
    items = DatasetItems.of(made, target, preprocessing, (item, values), (limit, seed))
    log.info("images: reading the %d items of %s to know them by contents", len(items), target)
    digests = [str(items.digest(index)).encode() for index in range(len(items))]
    return items.image_set(digest_list(items.names, digests))


def dataset_images(
    dataset: Any,
    preprocessing: Preprocessing,
    *,
    item: int | str | None = None,
    values: str | None = None,
) -> ImageSet:
    """Return the pictures of a dataset as an image set for a network, without reading them all.

    Args:
        dataset: has a length and items by index.
        preprocessing: of the network.
        item: as of ``dataset``.
        values: as of ``dataset``.

    Raises:
        ConfigError: as of ``dataset``.

    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> from pipeline.images.preprocessing import Crop, Preprocessing
    >>> tensors = TensorDataset(torch.zeros(5, 3, 8, 8), torch.arange(5))
    >>> small = Preprocessing(None, 8, mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> images = dataset_images(tensors, small, values="input")
    >>> len(images), images.size, list(images.columns["label"])
    (5, (8, 8), [0, 1, 2, 3, 4])
    """
    name = type(dataset).__name__
    items = DatasetItems.of(dataset, name, preprocessing, (item, values), (None, None))
    return items.image_set(name)


@dataclass(frozen=True)
class DatasetItems:
    """Images that are items of a dataset.

    Attributes:
        dataset: has a length and items by index.
        name: of the dataset, for messages.
        preprocessing: of pixels.
        item: where the picture stands in an item.
        values: what floats are.
        kept: the item of each image.
    """

    dataset: Any
    name: str
    preprocessing: Preprocessing
    item: int | str | None
    values: str | None
    kept: Sequence[int]
    _lock: Any = field(default_factory=Lock, repr=False)
    _digests: dict[int, int] = field(default_factory=dict[int, int], repr=False)
    _facts: dict[int, Facts] = field(default_factory=dict[int, Facts], repr=False)

    @classmethod
    def of(
        cls,
        dataset: Any,
        name: str,
        preprocessing: Preprocessing,
        which: tuple[int | str | None, str | None],
        some: tuple[int | None, int | None],
    ) -> DatasetItems:
        """Return the images of a dataset.

        Args:
            dataset: the dataset.
            name: its name, for messages.
            preprocessing: of pixels.
            which: where the picture stands in an item, and what floats are.
            some: the limit of images, and the seed of their choice.

        Raises:
            ConfigError: it has no items by index, or none at all.
        """
        item, values = which
        if values not in (None, "input", "pixels"):
            raise ConfigError(f"images.values: '{values}' is not null, input or pixels")
        return cls(
            dataset, name, preprocessing, item, values, kept_indices(_length(dataset, name), *some)
        )

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def names(self) -> list[str]:
        """The names of the images: the indices of their items."""
        return [str(index) for index in self.kept]

    def image_set(self, identity: str) -> ImageSet:
        """Return the image set.

        Args:
            identity: of all contents.
        """
        size = self.size
        known = self._facts[min(self._facts)] if self._facts else {}
        columns = {name: FactColumn(self, name) for name in known}
        settings = {
            "kind": "dataset",
            "preprocessing": self.preprocessing.settings(),
            "values": self.values,
            "images": identity,
        }
        scale = (self.preprocessing.mean, self.preprocessing.std)
        return ImageSet(self.names, size, settings, self.load, self.digest, None, scale, columns)

    def load(self, index: int) -> Loaded:
        """Return one image, and the digest of its numbers.

        Raises:
            ImageError: its item cannot be read, or holds no picture; the message is without its
                name.
            TransientError: it cannot be read now.
            ConfigError: it came out otherwise when it was read before.
        """
        picture, digest = self._picture(index)
        image = network_input(picture, self.preprocessing, self.values)
        if image.shape[1:] != self.size:
            raise ImageError(
                f"is network input of {image.shape[1]} x {image.shape[2]} pixels, not"
                f" {self.size[0]} x {self.size[1]} as the others"
            )
        return Loaded(image, digest)

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width of the first image that can be read, which all others must have."""
        for index in range(len(self)):
            try:
                picture, _ = self._picture(index)
                image = network_input(picture, self.preprocessing, self.values)
            except ImageError:
                continue
            return image.shape[1], image.shape[2]
        return self.preprocessing.input_size

    def digest(self, index: int) -> int:
        """Return the digest of the numbers of one picture; ``UNREADABLE`` if there are none.

        Raises:
            TransientError, ConfigError: as of ``load``.
        """
        try:
            return self._picture(index)[1]
        except ImageError:
            return UNREADABLE

    def facts(self, index: int) -> Facts:
        """Return what an item tells beside its picture; it is read if it has not been."""
        if index not in self._digests:
            self.digest(index)
        return self._facts.get(index, {})

    def _picture(self, index: int) -> tuple[Tensor, int]:
        """Return the picture of an item as it is, and its digest."""
        try:
            with self._lock:
                item = retried(lambda: self._read(self.kept[index]))
            found, facts = taken(item, self.item)
            picture = plain_picture(found, self.preprocessing)
        except ImageError:
            self._compare(index, UNREADABLE)
            raise
        shape = f"{picture.dtype} {tuple(picture.shape)}".encode()
        digest = content_digest(shape + picture.contiguous().numpy().tobytes())
        self._compare(index, digest)
        self._facts.setdefault(index, facts)
        return picture, digest

    def _read(self, item: int) -> Any:
        try:
            return self.dataset[item]
        except (ArtiphysError, MemoryError):
            raise
        except Exception as error:  # a user's own code may raise anything
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the fault may be one of the disk
            raise ImageError(
                f"cannot be read ({type(error).__name__}: {lasting_reason(error)})"
            ) from error

    def _compare(self, index: int, digest: int) -> None:
        if self._digests.setdefault(index, digest) != digest:
            raise ConfigError(
                f"images: item {self.kept[index]} of {self.name} came out otherwise when it was"
                " read again; its items must be the same every time, so leave out random"
                " augmentation, or seed it by the index"
            )


@dataclass(frozen=True)
class FactColumn(Sequence[Any]):
    """What the items of a dataset tell beside their pictures, under one name.

    Values are known once an item has been read; others are read when they are asked for.
    """

    items: DatasetItems
    name: str

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        return self.items.facts(range(len(self))[index]).get(self.name)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))


def _length(dataset: Any, name: str) -> int:
    by_index = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
    if isinstance(dataset, IterableDataset) or not by_index:
        raise ConfigError(
            f"images: {name} has no items by index and no length, as images are read in any order"
            " and more than once; give a map-style Dataset, or write the pictures to tars"
            " (images=webdataset)"
        )
    try:
        length = len(dataset)
    except Exception as error:  # a user's own code may raise anything
        raise ConfigError(f"images: the length of {name} fails ({first_line(error)})") from error
    if not length:
        raise ConfigError(f"images: {name} has no items")
    return length
