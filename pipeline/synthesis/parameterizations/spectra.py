"""Spaces of Fourier coefficients (fourier), or of their phases only (maco).

Transforms are orthonormal and in the layout of ``rfft2``: of the frequencies of a real image, only
those with columns 0 to width // 2 are kept, the others being their complex conjugates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite
from pipeline.synthesis.parameterizations.constants import Constant
from pipeline.synthesis.parameterizations.pieces import Parameterization, Setting
from pipeline.synthesis.parameterizations.pixels import normal

CONTRAST = 4  # divisor used by lucent, so that coefficients of moderate size give moderate values
STILL = 1e-4  # added to standard deviations, as in Horama, so that constant values stay finite


@dataclass(frozen=True)
class Coefficients:
    """The space of real and imaginary parts, one tensor [batch, c, height, width // 2 + 1, 2].

    Attributes:
        size: height and width of the images in pixels.
        decay: exponent with which a coefficient's weight falls with its frequency.
        channels: of an image.
    """

    size: tuple[int, int]
    decay: float
    channels: int = 3
    invertible: bool = True
    is_image: bool = False

    @cached_property
    def scale(self) -> Constant:
        """Weights [height, columns]: 1 / frequency ** decay, at 0 as at the lowest frequency."""
        lowest = 1 / max(self.size)
        return Constant(1 / frequencies(self.size).clamp(min=lowest) ** self.decay)

    def encode(
        self, images: Float[Tensor, "batch c height width"]
    ) -> list[Float[Tensor, "batch c height columns 2"]]:
        """Return the coefficients of images: the exact inverse of ``decode``."""
        spectrum = spectrum_of(images * CONTRAST) / self.scale.like(images)
        return [torch.view_as_real(spectrum)]

    def decode(
        self, parameters: Sequence[Float[Tensor, "batch c height columns 2"]]
    ) -> Float[Tensor, "batch c height width"]:
        """Return the images of coefficients.

        The imaginary part of a coefficient that is its own conjugate has no effect.
        """
        (parts,) = parameters
        scaled = torch.view_as_complex(self.scale.like(parts)[..., None] * parts)
        spectrum = _on_mirrored_columns(_hermitian, scaled, self.size[1])
        return image_of(spectrum, self.size) / CONTRAST

    def draw(
        self, generators: Sequence[torch.Generator], std: float
    ) -> list[Float[Tensor, "batch c height columns 2"]]:
        """Return independent normal coefficients; lucent's ``std`` is 0.01."""
        height, width = self.size
        return [std * normal(generators, (self.channels, height, width // 2 + 1, 2))]


@dataclass(frozen=True)
class Phases:
    """The space of phases at fixed magnitudes: one tensor [batch, c, height, width // 2 + 1].

    Attributes:
        size: height and width of the images in pixels.
        magnitudes: absolute values of the coefficients, [channels, height, width // 2 + 1].
        standardize: whether phases and images are given the mean 0 and the standard deviation 1.
        channels: of an image.
    """

    size: tuple[int, int]
    magnitudes: Constant
    standardize: bool = False
    channels: int = 3
    is_image: bool = False

    @property
    def invertible(self) -> bool:
        """Whether an image can be turned into phases."""
        return not self.standardize

    def encode(
        self, images: Float[Tensor, "batch c height width"]
    ) -> list[Float[Tensor, "batch c height columns"]]:
        """Return the phases of images in radians; the magnitudes of the images are lost.

        Raises:
            ConfigError: phases are standardized, and the phases of an image are not.
        """
        if self.standardize:
            raise ConfigError(
                "parameterization.maco.standardize: standardized phases cannot start from an image;"
                " use init=[parameters]"
            )
        return [spectrum_of(images).angle()]

    def decode(
        self, parameters: Sequence[Float[Tensor, "batch c height columns"]]
    ) -> Float[Tensor, "batch c height width"]:
        """Return the images of phases at the fixed magnitudes.

        For the images to be real, coefficients that are their own conjugates only keep the sign of
        their phase, and in columns 0 and width / 2 only the upper half of the phases is free. If
        phases are standardized, the real parts of these waves are used instead, as inverse
        transforms do.
        """
        if self.standardize:
            phases = standardized(parameters[0])
            waves = torch.polar(self.magnitudes.like(phases).expand_as(phases), phases)
            waves = _on_mirrored_columns(_hermitian, waves, self.size[1])
            return standardized(image_of(waves, self.size))
        phases = _on_mirrored_columns(_antisymmetric, parameters[0], self.size[1])
        return image_of(torch.polar(self.magnitudes.like(phases), phases), self.size)

    def draw(
        self, generators: Sequence[torch.Generator], std: float
    ) -> list[Float[Tensor, "batch c height columns"]]:
        """Return phases uniform from -pi to pi, or standard normal, whatever ``std`` is."""
        del std
        height, width = self.size
        shape = (self.channels, height, width // 2 + 1)
        if self.standardize:
            return [normal(generators, shape)]
        drawn = [torch.rand(shape, generator=source, dtype=torch.float32) for source in generators]
        return [torch.pi * (2 * torch.stack(drawn) - 1)]


def fourier(decay: float = 1.0) -> Parameterization:
    """Parameterize images by Fourier coefficients, so that ascent does not favor high frequencies.

    image = irfft2(scale * coefficients) / 4, scale = 1 / max(f, 1 / max(height, width)) ** decay,
    f in cycles per pixel, with an orthonormal transform.

    Source: Olah et al. 2017, "Feature Visualization" (Distill); the formula is lucent's.

    Args:
        decay: 1 gives independent coefficients the spectrum of photographs, 0 that of white noise.

    Raises:
        ConfigError: ``decay`` is negative or not finite.
    """
    check_decay("parameterization.fourier.decay", decay)
    return Parameterization(
        "space", lambda setting: Coefficients(setting.size, decay, setting.channels)
    )


def check_decay(key: str, decay: float) -> None:
    """Check the exponent of Fourier coefficients.

    Raises:
        ConfigError: it is negative or not finite.
    """
    if not is_finite(decay) or decay < 0:
        raise ConfigError(
            f"{key}: {decay!r} is not 0 or a positive number; use 1 for the spectrum of photographs"
        )


def maco(images: int = 200, standardize: bool = False) -> Parameterization:
    """Parameterize images by Fourier phases, with the average magnitudes of the image set.

    Source: Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude
    Constrained Optimization".

    Args:
        images: largest number of pictures over which magnitudes are averaged.
        standardize: standardize the phases of every image, and then the image before colors and
            range, to mean 0 and standard deviation 1, as the authors' library Horama does. Such
            phases cannot start from an image.

    Raises:
        ConfigError: ``images`` is not positive.
    """
    if images < 1:
        raise ConfigError(
            f"parameterization.maco.images: {images} is not positive; use 1 or more, such as 200"
        )

    def build(setting: Setting) -> Phases:
        magnitudes = Constant(mean_magnitudes(setting.pictures()[:images]))
        return Phases(setting.size, magnitudes, standardize, setting.channels)

    return Parameterization("space", build, images=images, invertible=not standardize)


def standardized(values: Float[Tensor, "batch *_"]) -> Float[Tensor, "batch *_"]:
    """Return every sample with mean 0 and, except for a small constant, standard deviation 1."""
    axes = tuple(range(1, values.ndim))
    deviations = values - values.mean(axes, keepdim=True)
    return deviations / (deviations.std(axes, keepdim=True) + STILL)


def frequencies(size: tuple[int, int]) -> Float[Tensor, "height columns"]:
    """Return the frequencies of the coefficients in cycles per pixel, float64."""
    height, width = size
    rows = torch.fft.fftfreq(height, dtype=torch.float64)
    return torch.hypot(rows[:, None], torch.fft.rfftfreq(width, dtype=torch.float64))


def mean_magnitudes(
    pictures: Float[Tensor, "pictures c height width"],
) -> Float[Tensor, "c height columns"]:
    """Return the mean over pictures of the coefficients' absolute values, float64 on the CPU."""
    one_by_one = (spectrum_of(picture.double()).abs() for picture in pictures)
    first = next(one_by_one)
    return (sum(one_by_one, first) / len(pictures)).cpu()


def spectrum_of(
    images: Float[Tensor, "*batch height width"],
) -> Complex[Tensor, "*batch height columns"]:
    """Return the Fourier coefficients of real images."""
    return torch.fft.rfft2(images, norm="ortho")


def image_of(
    spectrum: Complex[Tensor, "*batch height columns"], size: tuple[int, int]
) -> Float[Tensor, "*batch height width"]:
    """Return the real images for Fourier coefficients."""
    return torch.fft.irfft2(spectrum, s=size, norm="ortho")


def _on_mirrored_columns(change: Callable[[Tensor], Tensor], values: Tensor, width: int) -> Tensor:
    """Change column 0 and, for even widths, width / 2, which contain both conjugate halves.

    In the spectrum of a real image, each of these columns mirrors itself; for other values, the
    result of an inverse transform depends on the device's library.
    """
    even = width % 2 == 0
    inner = values[..., 1:-1] if even else values[..., 1:]
    last = [change(values[..., -1:])] if even else []
    return torch.cat([change(values[..., :1]), inner, *last], dim=-1)


def _hermitian(
    column: Complex[Tensor, "batch c height 1"],
) -> Complex[Tensor, "batch c height 1"]:
    """Return the part of which row -k is the conjugate of row k."""
    return (column + column.flip(-2).roll(1, -2).conj()) / 2


def _antisymmetric(column: Float[Tensor, "batch c height 1"]) -> Float[Tensor, "batch c height 1"]:
    """Return phases of which row -k is the negative of row k, by the upper half of the rows."""
    height = column.shape[-2]
    upper = column[..., 1 : (height + 1) // 2, :]
    # These are their own conjugates: real numbers, with a sign instead of a phase.
    signs = torch.where(column.cos() < 0, torch.pi, 0.0)
    middle = [signs[..., height // 2 : height // 2 + 1, :]] if height % 2 == 0 else []
    return torch.cat([signs[..., :1, :], upper, *middle, -upper.flip(-2)], dim=-2)
