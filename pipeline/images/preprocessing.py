"""From pixels to network input and back.

Pixel space is in 0..1, in RGB if there are three channels; in network-input space, as
in training, each channel has a mean subtracted and is divided by a standard deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.images.resize import center_crop, resize, with_short_side

Crop = int | str | Sequence[int]  # a side, height and width, or ``default``
LARGEST = 4096  # pixels; the activations of a larger image would not fit in memory


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that a network's weights expect.

    Attributes:
        resize: length of the short side in pixels before cropping; ``None`` keeps the size.
        crop: side in pixels of the center crop, or its height and width.
        mean: mean per channel, in pixel space; its length is the number of channels.
        std: standard deviation per channel, in pixel space.
        interpolation: name of the resampling filter (``bilinear`` or ``bicubic``), antialiased.
    """

    resize: int | None
    crop: int | tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bilinear"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Preprocessing:
        """Return the preprocessing from ``settings``, as read from a record."""
        crop = settings["crop"]
        return cls(
            settings["resize"],
            crop if isinstance(crop, int) else (crop[0], crop[1]),
            tuple(settings["mean"]),
            tuple(settings["std"]),
            settings["interpolation"],
        )

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return len(self.mean)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the network input."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    def sized(self, resize: int | str | None = "default", crop: Crop = "default") -> Preprocessing:
        """Return the preprocessing with another size; ``default`` keeps the declared one.

        Args:
            resize: length of the short side in pixels, or ``None`` for no resizing.
            crop: side of the crop in pixels, or its height and width.

        Raises:
            ConfigError: a size is neither ``default`` nor a positive number of pixels.

        >>> UNSIZED.sized(crop=[128, 192]).input_size
        (128, 192)
        """
        changed = self
        if resize != "default":
            changed = replace(changed, resize=None if resize is None else _side("resize", resize))
        if crop != "default":
            changed = replace(changed, crop=_crop(crop))
        return changed

    def check_pictures(self) -> None:
        """Refuse pictures, which are gray or RGB, for networks of other channels.

        Raises:
            ConfigError: the network takes neither 1 nor 3 channels.
        """
        if self.channels not in (1, 3):
            raise ConfigError(
                f"images: pictures are gray or red, green and blue, and the network takes"
                f" {self.channels} channels; give arrays of these, as in images=stack"
                " images.file=FILE.npy or images=arrays images.root=FOLDER"
            )

    def settings(self) -> dict[str, Any]:
        """Return the fields as plain data, for records and keys."""
        return asdict(self)

    def normalize(
        self, pixels: Float[Tensor, "*batch c height width"]
    ) -> Float[Tensor, "*batch c height width"]:
        """Return network input from pixels in 0..1."""
        mean, std = (pixels.new_tensor(value) for value in (self.mean, self.std))
        return (pixels - mean[:, None, None]) / std[:, None, None]

    def pixels(
        self, images: Float[Tensor, "*batch c height width"]
    ) -> Float[Tensor, "*batch c height width"]:
        """Return pixels from network input; those of photographs are in 0..1."""
        mean, std = (images.new_tensor(value) for value in (self.mean, self.std))
        return images * std[:, None, None] + mean[:, None, None]

    def __call__(
        self, picture: Num[Tensor, "given height width"]
    ) -> Float[Tensor, "c rows columns"]:
        """Return network input from a picture: resized, center-cropped, normalized.

        Args:
            picture: bytes, or floats in 0..1.

        Raises:
            ImageError: the picture is smaller than the crop, or has other channels.
        """
        picture = self.in_channels(picture)
        if self.resize is not None:
            size = self._resized((picture.shape[1], picture.shape[2]), self.resize)
            picture = resize(picture, size, self.interpolation)
        height, width = picture.shape[1:]
        rows, columns = self.input_size
        if height < rows or width < columns:
            raise ImageError(
                f"is {width} x {height} pixels, smaller than the crop of {_words(self.crop)}; lower"
                " images.crop or set images.resize"
            )
        picture = center_crop(picture, self.input_size)
        floats = picture.to(torch.float32)
        return self.normalize(floats / 255 if picture.dtype == torch.uint8 else floats)

    def in_channels(
        self, picture: Num[Tensor, "given height width"]
    ) -> Num[Tensor, "c height width"]:
        """Return a picture in the channels that the network takes: for one, RGB becomes gray.

        Gray is the luminance of ITU-R 601, of bytes to the bit as Pillow computes it.

        Raises:
            ImageError: it has other channels; the message is without its name.
        """
        given, wanted = len(picture), self.channels
        if given == wanted:
            return picture
        if (given, wanted) != (3, 1):
            hint = "" if wanted == 3 else "; give arrays of that many (images=arrays)"
            raise ImageError(f"has {given} channels, and the network takes {wanted}{hint}")
        if picture.is_floating_point():
            weights = picture.new_tensor((19595, 38470, 7471)) / 2**16
            return (weights[:, None, None] * picture).sum(0, keepdim=True)
        red, green, blue = picture.to(torch.int32)
        return ((19595 * red + 38470 * green + 7471 * blue + 2**15) >> 16).to(torch.uint8)[None]

    def _resized(self, size: tuple[int, int], side: int) -> tuple[int, int]:
        """Return the size to which a picture is resized, so that it covers the crop's shape.

        Args:
            size: height and width of the picture.
            side: shorter side of a box of the crop's shape, which the picture just covers.
        """
        rows, columns = self.input_size
        if rows == columns:
            return with_short_side(size, side)
        wanted = [side * each / min(rows, columns) for each in (rows, columns)]
        share = max(wanted[0] / size[0], wanted[1] / size[1])
        return round(size[0] * share), round(size[1] * share)


# For images that are network input already, or whose network is unknown.
UNSIZED = Preprocessing(None, 1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def _crop(crop: Any) -> int | tuple[int, int]:
    if isinstance(crop, int | str):
        return _side("crop", crop)
    if not isinstance(crop, Sequence) or len(crop) != 2:
        raise ConfigError(
            f"images.crop: {crop!r} is not 'default', a side, or height and width, as in"
            " images.crop=[128,192]"
        )
    height, width = (_side("crop", side) for side in crop)
    return height if height == width else (height, width)


def _words(crop: int | tuple[int, int]) -> str:
    return str(crop) if isinstance(crop, int) else f"{crop[1]} x {crop[0]}"


def _side(key: str, value: int | str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        allowed = "'default', null or a number" if key == "resize" else "'default' or a number"
        raise ConfigError(f"images.{key}: {value!r} is not {allowed} of pixels")
    if value > LARGEST:
        raise ConfigError(f"images.{key}: {value} is beyond the {LARGEST} pixels that are allowed")
    return value
