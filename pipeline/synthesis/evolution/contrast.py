"""The contrast of pictures: all are shown at the same one, or evolution would compare contrasts.

Contrast is the root mean square of the network input over pixels and channels, in standard
deviations of the preprocessing, about the mean color, which is 0 there.
"""

from __future__ import annotations

from typing import Any

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
_ROUNDS = 100  # of the secant method; pictures take about six


def contrasts(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    """Return the contrast of network input, in float64; not finite if an image is not."""
    return (_powers(images) / images[0].numel()).sqrt()


def pixel_bounds(preprocessing: Preprocessing) -> list[tuple[float, float]]:
    """Return black and white, the pixels 0 and 1, as network input, of each channel."""
    scale = zip(preprocessing.mean, preprocessing.std, strict=True)
    return [(-mean / std, (1 - mean) / std) for mean, std in scale]


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
        wanted = self.value**2 * images[0].numel()
        powers = _powers(images)
        pictured = powers > NO_PICTURE**2 * images[0].numel()
        squares = torch.where(pictured, wanted / powers, 1.0)
        images.mul_(_gains(squares, images))
        # What is cut away of amplified images is made up for by a larger gain.
        amplified = (squares > 1).nonzero().flatten()
        together = len(images) if images.is_cuda else max(1, CACHED // images[0].numel())
        for rows in amplified.split(together) if len(amplified) else ():
            images[rows] = self._made_up(images[rows], wanted)
        return self._cut(images)

    def _network_input(self, pictures: Tensor) -> Tensor:
        """Return network input, as ``Preprocessing.normalize`` does, with one new tensor."""
        mean, std = (numbers.to(pictures) for numbers in self.scale)
        return (pictures - mean).div_(std)

    def _made_up(
        self, images: Float[Tensor, "batch c height width"], wanted: float
    ) -> Float[Tensor, "batch c height width"]:
        """Return images with the power wanted after cutting, or the largest that there is.

        The power is a concave function of the squared gain, 0 at 0, and linear between gains at
        which pixels reach black or white. The secant method, started below, stays below and ends.

        Args:
            images: images that have the power before cutting.
            wanted: the power: the sum of squares over pixels and channels.
        """
        enough = wanted * (1 - _EXACT)
        cut = self._cut(images.clone())
        powers = _powers(cut)
        squares, slopes = torch.ones_like(powers), powers
        for _ in range(_ROUNDS):
            steps = (wanted - powers) / slopes
            going = (powers < enough) & (slopes > 0) & steps.isfinite()
            if not bool(going.any()):
                break
            steps, before = torch.where(going, steps, 0.0), powers
            squares = squares + steps
            self._cut(torch.mul(images, _gains(squares, images), out=cut))
            powers = _powers(cut)
            slopes = torch.where(going, (powers - before) / steps, slopes)
        rows = (powers < enough).nonzero().flatten()
        if len(rows):  # no gain is large enough: all pixels become black or white
            cut[rows] = images[rows].sign() * torch.finfo(images.dtype).max
        return cut

    def _cut(
        self, images: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c height width"]:
        """Cut images to black and white, in place; by channels, which is many times faster."""
        for channel, (black, white) in enumerate(self.bounds):
            images[:, channel].clamp_(black, white)
        return images


def _powers(images: Float[Tensor, "batch c height width"]) -> Float[Tensor, " batch"]:
    """Return the sum of squares of each image: of short runs in its type, of these in float64."""
    short = images.flatten(2) if images[0, 0].numel() <= SHORT else images
    return torch.linalg.vector_norm(short, dim=-1).double().square().flatten(1).sum(1)


def _gains(squares: Tensor, images: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    """Return gains, given squared, in the type of the images."""
    return squares.sqrt().clamp(max=1e30).to(images.dtype)[:, None, None, None]


def _checked(value: Any) -> float | None:
    if value is not None and not (is_finite(value) and value > 0):
        raise ConfigError(
            f"contrast: {value!r} is not a positive number; photographs have about 1, and None"
            " shows pictures as they are"
        )
    return value
