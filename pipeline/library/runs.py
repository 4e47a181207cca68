"""Finished runs: their tables, images, patches and responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipeline.errors import StoreError
from pipeline.images.image_sets import ImageSet
from pipeline.images.patches import cut_patch
from pipeline.images.preprocessing import UNSIZED, Preprocessing
from pipeline.library.image_sets import described_set
from pipeline.store.records import read_config
from pipeline.store.runs import Run, find_run
from pipeline.store.stacked import StackedArray
from pipeline.store.summaries import short_repr


@dataclass(frozen=True)
class Responses:
    """The responses of units of one layer to all images of a run.

    Attributes:
        array: ``[images, units]``, or ``[images, units, rows, columns]``, memory-mapped: slices
            read only their rows, and ``numpy.asarray`` reads everything.
        images: names of the rows.
        units: numbers of the columns.
    """

    array: StackedArray
    images: list[str]
    units: Int[np.ndarray, " units"]

    __repr__ = short_repr


class OpenedRun(Run):
    """A run on disk: its configuration, its tables as DataFrames, and its arrays."""

    @property
    def mean(self) -> Float[np.ndarray, " channels"]:
        """The mean that preprocessing subtracted from pixels in 0..1, by channel.

        Raises:
            StoreError: the run has not recorded it.
        """
        return np.asarray(self._preprocessing.mean, np.float32)

    @property
    def std(self) -> Float[np.ndarray, " channels"]:
        """The standard deviation by which preprocessing divided pixels, by channel.

        Raises:
            StoreError: the run has not recorded it.
        """
        return np.asarray(self._preprocessing.std, np.float32)

    def pixels(
        self, images: Float[np.ndarray, "*batch channels height width"], *, clip: bool = True
    ) -> Float[np.ndarray, "*batch height width channels"]:
        """Return images in network-input space as pixels, ready for ``matplotlib``'s ``imshow``.

        Args:
            images: such as ``run.images("conv2", "zeros").image``. The *changes* made by an ascent
                are no images; scale them instead.
            clip: to 0..1, beyond which images without a constraint may reach.

        Raises:
            StoreError: the run has not recorded its preprocessing.
        """
        pixels = np.moveaxis(images, -3, -1) * self.std + self.mean
        return pixels.clip(0, 1) if clip else pixels

    @property
    def _preprocessing(self) -> Preprocessing:
        known = self.record.get("images", {}).get("preprocessing")
        if not known:
            raise StoreError(
                f"{self!r} has not recorded the preprocessing of its images; take it from the"
                " network, as in net.preprocessing.pixels(...)"
            )
        return Preprocessing.of(known)

    def responses(self, layer: str) -> Responses:
        """Return the responses of a layer's units to all images.

        Raises:
            StoreError: the run has not stored them, or the store was moved.
        """
        result = self.result("responses", layer)
        paths = [result.paths.item(item) for item in result.items]
        if lacking := [path for path in paths if not path.is_file()]:
            raise StoreError(f"out: '{lacking[0]}' is missing; run its stage again")
        units = self.response_units
        own = units.loc[units["layer"] == layer, "unit"].to_numpy()
        return Responses(
            StackedArray(paths, "responses"), self.response_images["image"].tolist(), own
        )

    def patches(
        self,
        layer: str,
        unit: int,
        rank: int = 0,
        sign: int = 1,
        *,
        images: ImageSet | None = None,
    ) -> Float[np.ndarray, "height width channels"]:
        """Return one patch as pixels; those of photographs are in 0..1.

        Args:
            layer: name of the layer.
            unit: unit of the patch.
            rank: 0 is the most extreme.
            sign: 1 for the top, -1 for the bottom.
            images: the images that the run searched; needed for your own image sets, whose code is
                never run from the files of a run.

        Raises:
            StoreError: the run has no such patch, or its images no longer exist.
        """
        table = self.top_patches
        wanted = {"layer": layer, "unit": unit, "sign": sign, "rank": rank}
        rows = table[(table[list(wanted)] == list(wanted.values())).all(axis=1)]
        if rows.empty:
            raise StoreError(
                f"{self!r} has no patch of {layer}/{unit} with rank {rank}, sign {sign}"
            )
        row = rows.iloc[0]
        images = images or self._images()
        if row["image"] not in images.names:
            raise StoreError(f"images: '{row['image']}' is not in the images of {self!r} any more")
        image = images.read(list(images.names).index(row["image"]))
        box = tuple(int(row[side]) for side in ("top", "left", "bottom", "right"))
        patch = cut_patch(image, (box[0], box[1], box[2], box[3])).numpy()
        mean, std = images.pixel_scale or ((0.0,), (1.0,))
        pixels = np.moveaxis(patch, 0, -1)
        return pixels * np.asarray(std, np.float32) + np.asarray(mean, np.float32)

    def _images(self) -> ImageSet:
        group: Mapping[str, Any] = read_config(self.paths).get("images", {})
        made = described_set(group)
        settings = self.record.get("images", {})
        if made is None:
            raise StoreError(
                f"{self!r} has searched images of one's own; give them, as in patches(...,"
                " images=pipeline.image_set(...))"
            )
        known = settings.get("preprocessing")
        channels = int(settings.get("channels", 3))
        unscaled = replace(UNSIZED, mean=(0.0,) * channels, std=(1.0,) * channels)
        return made(Preprocessing.of(known) if known else unscaled)


def open_run(path: str | Path) -> OpenedRun:
    """Open a run, from its folder or the folder of all runs with one name.

    Among several runs, the newest finished one is opened, or the newest if none has finished; runs
    that only collect others are ignored.

    Raises:
        StoreError: there is no run, or its record is damaged.
    """
    given: Any = path
    if not isinstance(given, str | Path):
        raise StoreError(f"path: {type(given).__name__} is not the path of a run")
    return find_run(path, OpenedRun)
