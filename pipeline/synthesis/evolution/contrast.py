"""The contrast of pictures: all are shown at the same one, or evolution would compare contrasts.

Contrast is the root mean square of the network input over pixels and channels, in standard
deviations of the preprocessing, about the mean color, which is 0 there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.constraints.constraint import is_finite

NO_PICTURE = 1e-5  # network input this close to 0 everywhere is the mean color, but for rounding
_EXACT = 1e-6  # relative, of the mean square: half of that of the contrast
CACHED = 2**19  # numbers of pictures that are amplified together on a CPU, for its caches
SHORT = 2**12  # numbers whose squares float32 adds exactly enough
_ROUNDS = 100  # of the secant method; pictures take two to four


def contrasts(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    """Return the contrast of network input, in float64; not finite if an image is not."""
    return torch.from_numpy(np.sqrt(_powers(images) / images[0].numel()))


def pixel_bounds(preprocessing: Preprocessing) -> list[tuple[float, float]]:
    """Return black and white, the pixels 0 and 1, as network input, of each channel."""
    scale = zip(preprocessing.mean, preprocessing.std, strict=True)
    return [(-mean / std, (1 - mean) / std) for mean, std in scale]


def at_contrast(
    images: Float[Tensor, "batch c height width"],
    value: float | None,
    preprocessing: Preprocessing,
) -> Float[Tensor, "batch c height width"]:
    """Return network input at one contrast, within pixels of 0..1; as it is without one.

    >>> gray = Preprocessing(None, 2, mean=(0.5,), std=(0.25,))
    >>> at_contrast(torch.tensor([[[[400.0, 100.0]]]]), 1.2, gray).square().mean().sqrt().item()
    1.19999...
    """
    if value is None:
        return images
    return Contrast(value, preprocessing)(preprocessing.pixels(images))


class Contrast:
    """Brings pictures to one contrast, within pixels of 0..1, as network input.

    An image is multiplied by a gain and cut to black and white; the gain is the one that gives the
    contrast after cutting. Where no gain does, because too few pixels differ from the mean color,
    all that differ are black or white in their channel, and the contrast is the largest there is.
    The mean color alone has no contrast, and stays as it is; any other uniform color is made
    lighter, darker or more saturated, since contrast is that about the mean color. An image that is
    not finite stays so.

    Args:
        value: the contrast; ``None`` only cuts to pixels of 0..1.
        preprocessing: of the network.

    Raises:
        ConfigError: the contrast is not a positive number, or black and white do not lie on both
            sides of the mean color.

    >>> gray = Preprocessing(None, 2, mean=(0.5,), std=(0.25,))
    >>> picture = torch.tensor([[[[0.6, 0.4], [0.6, 0.5]]]])
    >>> image = Contrast(1.2, gray)(picture)
    >>> image.square().mean().sqrt().item(), image.amin().item()
    (1.2..., -1.385...)
    """

    def __init__(self, value: float | None, preprocessing: Preprocessing) -> None:
        self.scale = [
            torch.tensor(numbers)[:, None, None]
            for numbers in (preprocessing.mean, preprocessing.std)
        ]
        self.value, self.bounds = _checked(value), pixel_bounds(preprocessing)
        if value is not None and any(black > 0 or white < 0 for black, white in self.bounds):
            raise ConfigError(
                f"contrast: the mean {list(preprocessing.mean)} of the preprocessing is no pixel in"
                " 0..1, so there is no contrast about it; give contrast=None to show pictures as"
                " they are"
            )

    def __call__(
        self, pictures: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c height width"]:
        """Return pictures in pixels 0..1 as network input at the contrast; each for itself."""
        images = self._network_input(pictures)
        if self.value is None:
            return self._cut(images)
        shown = torch.empty_like(images)
        together = len(images) if images.is_cuda else max(1, CACHED // images[0].numel())
        for some, out in zip(images.split(together), shown.split(together), strict=True):
            self._amplify(some, self.value**2 * images[0].numel(), out)
        return shown

    def _network_input(self, pictures: Tensor) -> Tensor:
        """Return network input, as ``Preprocessing.normalize`` does, with one new tensor."""
        mean, std = (numbers.to(pictures) for numbers in self.scale)
        return (pictures - mean).div_(std)

    def _amplify(
        self,
        images: Float[Tensor, "batch c height width"],
        wanted: float,
        out: Float[Tensor, "batch c height width"],
    ) -> None:
        """Write images with the power wanted after cutting, or the largest that there is.

        The power is a concave function of the squared gain, 0 at 0, and linear between gains at
        which pixels reach black or white. The secant method, started below, stays below, but for
        rounding, and ends.

        Args:
            images: network input.
            wanted: the power: the sum of squares over pixels and channels.
            out: what is written.
        """
        powers = _powers(images)
        pictured = powers > NO_PICTURE**2 * images[0].numel()
        squares = np.divide(wanted, powers, out=np.ones_like(powers), where=pictured)
        powers = self._multiply(images, squares, out)
        slopes = powers / squares
        for _ in range(_ROUNDS):
            going = pictured & (np.abs(powers - wanted) > wanted * _EXACT) & (slopes > 0)
            if not going.any():
                break
            steps = np.divide(wanted - powers, slopes, out=np.zeros_like(powers), where=going)
            steps[~np.isfinite(steps)] = 0
            squares, before = squares + steps, powers
            powers = self._multiply(images, squares, out)
            slopes = np.divide(powers - before, steps, out=slopes * 0, where=steps != 0)
        rows = np.flatnonzero(pictured & (powers < wanted * (1 - _EXACT)))
        if len(rows):  # no gain is large enough: all pixels become black or white
            largest = images[rows].sign() * torch.finfo(images.dtype).max
            out[rows] = self._cut(largest)

    def _multiply(
        self, images: Tensor, squares: Float[np.ndarray, " batch"], out: Tensor
    ) -> Float[np.ndarray, " batch"]:
        """Write images times gains, given squared, after cutting, and return their power."""
        gains = torch.from_numpy(np.sqrt(squares).clip(max=1e30)).to(images)
        torch.mul(images, gains[:, None, None, None], out=out)
        return _powers(self._cut(out))

    def _cut(
        self, images: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c height width"]:
        """Cut images to black and white, in place; by channels, which is many times faster."""
        for channel, (black, white) in zip(images.unbind(1), self.bounds, strict=True):
            channel.clamp_(black, white)
        return images


def _powers(images: Float[Tensor, "batch c height width"]) -> Float[np.ndarray, " batch"]:
    """Return the sum of squares of each image: of short runs in its type, of these in float64."""
    short = images.flatten(2) if images[0, 0].numel() <= SHORT else images
    norms = torch.linalg.vector_norm(short, dim=-1).flatten(1).cpu().numpy()
    return np.square(norms, dtype=np.float64).sum(1)


def _checked(value: Any) -> float | None:
    if value is not None and not (is_finite(value) and value > 0):
        raise ConfigError(
            f"contrast: {value!r} is not a positive number; photographs have about 1, and None"
            " shows pictures as they are"
        )
    return value
