"""Fitting pictures of a generator's own size to the size that is shown, and back."""

from __future__ import annotations

from math import ceil

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipeline.errors import ConfigError, nearest
from pipeline.images.resize import center_crop, resize

FITS = ("crop", "resize")


def check_fit(key: str, fit: str) -> None:
    """Check the name of a way to fit.

    Raises:
        ConfigError: there is no such way.
    """
    if fit not in FITS:
        raise ConfigError(
            f"{key}.fit: '{fit}' is neither 'crop' nor 'resize'{nearest(str(fit), FITS)}"
        )


def fitted(
    pictures: Float[Tensor, "batch c _ _"], size: tuple[int, int], fit: str
) -> Float[Tensor, "batch c height width"]:
    """Return pictures, in pixels 0..1, in another size.

    Args:
        pictures: in the generator's own size.
        size: height and width.
        fit: ``crop`` cuts out the middle, after enlarging pictures that are smaller, with the
            same proportions, until they cover the size; ``resize`` resizes the whole picture,
            whose proportions may change.
    """
    if fit == "resize":
        return _resized(pictures, size)
    enlarged = _resized(pictures, _covering(_size(pictures), size))
    return _joined(center_crop(_apart(enlarged), size), pictures)


def unfitted(
    pictures: Float[Tensor, "batch c height width"], size: tuple[int, int], fit: str
) -> Float[Tensor, "batch c _ _"]:
    """Return pictures in a generator's own size: those that ``fitted`` would show as given.

    Around what was cut out, the color of the edge goes on.
    """
    if fit == "resize":
        return _resized(pictures, size)
    shown = _size(pictures)
    height, width = _covering(size, shown)
    top, left = round((height - shown[0]) / 2), round((width - shown[1]) / 2)
    around = (left, width - shown[1] - left, top, height - shown[0] - top)
    return _resized(functional.pad(pictures, around, mode="replicate"), size)


def _covering(own: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest size of the own proportions, not below the own, that covers a size."""
    height, width = own
    factor = max(1.0, size[0] / height, size[1] / width)
    # Products such as 96 * (195 / 96) may be a little above the whole number that is meant.
    rows, columns = ceil(height * factor - 1e-9), ceil(width * factor - 1e-9)
    return max(size[0], rows), max(size[1], columns)


def _resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    if _size(pictures) == size:
        return pictures
    # Rounding can lead out of the range.
    return _joined(resize(_apart(pictures), size), pictures).clamp(0, 1)


def _size(pictures: Tensor) -> tuple[int, int]:
    return pictures.shape[2], pictures.shape[3]


def _apart(pictures: Tensor) -> Tensor:
    """Return all channels of all pictures as those of one."""
    return pictures.flatten(0, 1)


def _joined(channels: Tensor, like: Tensor) -> Tensor:
    return channels.unflatten(0, like.shape[:2])
