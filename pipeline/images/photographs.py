"""The image set of the bundled photographs: overlapping crops at several scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.files import Loaded, digest_list
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Crop, Preprocessing
from pipeline.images.resize import resize
from pipeline.images.subsets import kept_indices


def photographs(
    preprocessing: Preprocessing,
    *,
    crop: Crop = "default",
    stride: int | None = None,
    scales: Sequence[float] = (1.0, 0.5),
    limit: int | None = None,
    seed: int | None = None,
) -> ImageSet:
    """Return overlapping crops of the photographs bundled with scikit-image.

    Args:
        preprocessing: gives the crop's side and the normalization.
        crop: side in pixels that replaces the default, or height and width.
        stride: pixels from one crop to the next; by default three quarters of a crop, so that few
            patches are found twice.
        scales: scales of the photographs; a photograph that would be smaller than the crop is
            resized to the crop's size.
        limit: number of crops to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.
    """
    preprocessing = preprocessing.sized(crop=crop)
    preprocessing.check_pictures()
    rows, columns = preprocessing.input_size
    if stride is not None and stride < 1:
        raise ConfigError(f"images.stride: {stride} is not null or a positive number of pixels")
    if not scales or not all(0 < scale <= 10 for scale in scales):
        raise ConfigError(f"images.scales: {list(scales)} are not numbers above 0 and up to 10")
    down, across = (stride or max(1, 3 * side // 4) for side in (rows, columns))
    crops: dict[str, tuple[str, float, int, int]] = {}
    for name, picture in bundled_photographs().items():
        least = max(rows / picture.shape[0], columns / picture.shape[1])
        for scale in dict.fromkeys(max(s, least) for s in scales):
            height, width = (round(n * scale) for n in picture.shape[:2])
            for top in range(0, height - rows + 1, down):
                for left in range(0, width - columns + 1, across):
                    crops[f"{name}/{scale:.3g}/{top}-{left}"] = (name, scale, top, left)
    found = [*crops]
    names = [found[index] for index in kept_indices(len(found), limit, seed)]
    load = _Crop([crops[name] for name in names], preprocessing)
    settings = {
        "kind": "photographs",
        "preprocessing": preprocessing.settings(),
        "images": digest_list(names, [p.tobytes() for p in bundled_photographs().values()]),
    }
    scale_back = (preprocessing.mean, preprocessing.std)
    return ImageSet(names, preprocessing.input_size, settings, load, pixel_scale=scale_back)


@dataclass(frozen=True)
class _Crop:
    places: Sequence[tuple[str, float, int, int]]  # photograph, scale, top, left
    preprocessing: Preprocessing

    def __call__(self, index: int) -> Loaded:
        name, scale, top, left = self.places[index]
        rows, columns = self.preprocessing.input_size
        crop = _scaled_photograph(name, scale)[:, top : top + rows, left : left + columns]
        crop = self.preprocessing.in_channels(crop)
        return Loaded(self.preprocessing.normalize(crop.to(torch.float32) / 255), 0)


@cache
def _scaled_photograph(name: str, scale: float) -> Tensor:
    picture = torch.tensor(bundled_photographs()[name]).permute(2, 0, 1)
    height, width = (round(n * scale) for n in picture.shape[1:])
    return resize(picture, (height, width))
