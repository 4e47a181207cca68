"""The axes of an array of images: where channels are, and how large the images are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError

CHANNELS = ("first", "last", "none")


@dataclass(frozen=True)
class Axes:
    """The axes of an array of images.

    Attributes:
        channels: where the channels are: ``first``, ``last`` or ``none``.
        size: height and width of the images.
    """

    channels: str
    size: tuple[int, int]

    def channels_first(self, image: np.ndarray) -> np.ndarray:
        """Return one image as channels x height x width."""
        if self.channels == "none":
            return image[None]
        return np.moveaxis(image, -1, 0) if self.channels == "last" else image


def find_axes(
    shape: tuple[int, ...], wanted: str | None, count: int, values: str, what: str
) -> Axes:
    """Return the axes of an array of images.

    Args:
        shape: of the array.
        wanted: where the channels are; ``None``: by the shape, if it leaves no choice.
        count: channels of the network.
        values: ``pixels``, which may be gray or in color for a network of either, or ``input``.
        what: holds the array, for messages.

    Raises:
        ConfigError: the shape fits in no way, or in two.

    >>> find_axes((5, 3, 8, 9), None, 3, "pixels", "a")
    Axes(channels='first', size=(8, 9))
    >>> find_axes((5, 8, 9), None, 3, "pixels", "a")
    Axes(channels='none', size=(8, 9))
    """
    if wanted not in (None, *CHANNELS):
        raise ConfigError(f"images.channels: '{wanted}' is not null, first, last or none")
    said = " x ".join(map(str, shape)) or "a single number"
    allowed = {count, *((1, 3) if values == "pixels" and count in (1, 3) else ())}
    counts = _channel_counts(shape)
    able = [place for place, number in counts.items() if number in allowed]
    if not shape or not shape[0] or len(shape) not in (3, 4) or 0 in shape:
        raise ConfigError(
            f"images.file: {what} is {said}, not images x channels x height x width, images x"
            " height x width x channels or images x height x width"
        )
    if (wanted is not None and wanted not in able) or not able:
        several = "" if wanted is None else f" with images.channels={wanted}"
        raise ConfigError(
            f"images.file: {what} is {said}{several}, and the network takes"
            f" {' or '.join(map(str, sorted(allowed)))} channels; the others are images, height and"
            " width"
        )
    if wanted is None and len(able) > 1:
        raise ConfigError(
            f"images.channels: {what} is {said}, which can be read in two ways; give"
            " images.channels=first or images.channels=last"
        )
    if wanted is None and len(shape) == 3 and 3 in (shape[0], shape[2]):
        raise ConfigError(
            f"images.channels: {what} is {said}, which may be one picture in color; give it an axis"
            " of images, or images.channels=none for gray images"
        )
    place = wanted or able[0]
    rows = {"first": 2, "last": 1, "none": 1}[place]
    return Axes(place, (shape[rows], shape[rows + 1]))


def _channel_counts(shape: tuple[int, ...]) -> dict[str, int]:
    """Return the number of channels by each place where they may be."""
    if len(shape) == 4:
        return {"first": shape[1], "last": shape[3]}
    return {"none": 1} if len(shape) == 3 else {}
