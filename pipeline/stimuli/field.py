"""Where stimuli are shown and in which colors: the receptive field of a layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError, nearest

Color = tuple[float, ...]  # one value per channel, in network-input space
COLORS = ("published", "bounds")


@dataclass(frozen=True)
class Colors:
    """Black, white and gray, one value per channel, in network-input space.

    Attributes:
        black: the darkest color that stimuli have.
        white: the brightest color.
        gray: the background of stimuli that are both brighter and darker than it.
    """

    black: Color
    white: Color
    gray: Color

    def __post_init__(self) -> None:
        if not self.black or not len(self.black) == len(self.white) == len(self.gray):
            raise ConfigError(
                f"stimulus.colors: black, white and gray have {len(self.black)}, {len(self.white)} "
                f"and {len(self.gray)} channels; give each one value per channel of the network"
            )

        colors = zip(self.black, self.gray, self.white, strict=True)
        if not all(black < white and black <= gray <= white for black, gray, white in colors):
            raise ConfigError(
                f"stimulus.colors: gray {self.gray} is not between black {self.black} and white "
                f"{self.white} in every channel"
            )

    @classmethod
    def published(cls, channels: int = 3) -> Colors:
        """Return the colors of the published protocols: -1, +1 and 0 in every channel.

        Source: tonyfu97/RF-Mapping, ``bar.py`` and ``grating.py``.

        >>> Colors.published(1)
        Colors(black=(-1.0,), white=(1.0,), gray=(0.0,))
        """
        return cls((-1.0,) * channels, (1.0,) * channels, (0.0,) * channels)

    @classmethod
    def bounds(
        cls, mean: Sequence[float], std: Sequence[float], gray: float | None = None
    ) -> Colors:
        """Return the darkest and brightest pixels that a network's preprocessing can produce.

        Args:
            mean: what preprocessing subtracts from each channel, of pixels in 0..1.
            std: what it then divides each channel by, positive.
            gray: the pixel value of gray, 0..1; without it, the mean color: 0 after preprocessing.

        >>> Colors.bounds([0.5], [0.25])
        Colors(black=(-2.0,), white=(2.0,), gray=(0.0,))
        """
        if len(mean) != len(std) or min(std, default=1.0) <= 0:
            raise ConfigError(
                f"stimulus.colors: the mean {tuple(mean)} and the std {tuple(std)} are not one "
                "number per channel with a positive std; give those of the preprocessing"
            )
        if gray is not None and not 0 <= gray <= 1:
            raise ConfigError(f"stimulus.colors.gray: {gray} is not a pixel value from 0 to 1")
        shown = mean if gray is None else [gray] * len(mean)
        black, white, middle = (
            tuple((pixel - m) / s for pixel, m, s in zip(pixels, mean, std, strict=True))
            for pixels in ([0.0] * len(mean), [1.0] * len(mean), shown)
        )
        return cls(black, white, middle)

    @classmethod
    def named(
        cls, name: str, mean: Sequence[float], std: Sequence[float], gray: float | None = None
    ) -> Colors:
        """Return ``published`` colors or ``bounds``, for a network by its preprocessing.

        Args:
            name: of the colors.
            mean: what preprocessing subtracts from each channel, of pixels in 0..1.
            std: what it then divides each channel by, positive.
            gray: the pixel value of the gray of ``bounds``, 0..1; the mean color if not given.

        Raises:
            ConfigError: there are no colors of that name.

        >>> Colors.named("published", [0.5], [0.25]).white
        (1.0,)
        """
        if name not in COLORS:
            raise ConfigError(
                f"screen.colors: '{name}' is not one of {', '.join(COLORS)}{nearest(name, COLORS)}"
            )
        return cls.published(len(mean)) if name == "published" else cls.bounds(mean, std, gray)

    @property
    def channels(self) -> int:
        """How many channels the colors have."""
        return len(self.black)

    def of_pixels(
        self, pixels: Float[np.ndarray, "*shape channels"]
    ) -> Float[np.ndarray, "*shape channels"]:
        """Return pixel values, 0 for black to 1 for white, as colors in network-input space.

        With ``bounds``, this is the network's preprocessing.

        >>> Colors.bounds([0.5], [0.25]).of_pixels(np.array([[0.0], [0.75]])).tolist()
        [[-2.0], [1.0]]
        """
        black, white = np.asarray(self.black), np.asarray(self.white)
        return black + pixels * (white - black)

    @property
    def swing(self) -> Color:
        """By how much a pattern of contrast 1 goes above and below gray in each channel.

        It is the largest swing that stays between black and white, the same in all channels as a
        share of the distance from black to white, so that a gray pattern stays gray.

        >>> Colors.bounds([0.5, 0.4], [0.25, 0.2]).swing
        (1.6, 2.0)
        """
        triples = list(zip(self.black, self.gray, self.white, strict=True))
        share = min(
            min(gray - black, white - gray) / (white - black) for black, gray, white in triples
        )
        return tuple(share * (white - black) for black, _, white in triples)


@dataclass(frozen=True)
class Screen:
    """How the network's input is seen, by which stimuli in degrees of visual angle have pixels.

    Attributes:
        height: of the network's input, in pixels.
        width: of the network's input, in pixels.
        visual_degrees: width of the input in degrees of visual angle.
        center: where stimuli are centered, in degrees right of and below the center of the input;
            without it, on the center of each unit's own field.

    >>> Screen(224, 224).pixels_per_degree
    28.0
    """

    height: int
    width: int
    visual_degrees: float = 8.0
    center: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.visual_degrees <= 180:
            raise ConfigError(
                f"screen.visual_degrees: {self.visual_degrees} is not above 0 and at most 180"
            )
        if self.center is not None and not all(abs(place) <= 90 for place in self.center):
            raise ConfigError(
                f"screen.center: {self.center} is not a place on the screen; give degrees to the"
                " right and down, as in (0.5, 0.5)"
            )
        if self.height < 1 or self.width < 1:
            raise ConfigError(
                f"screen: {self.height} x {self.width} is not a positive number of pixels"
            )

    @property
    def pixels_per_degree(self) -> float:
        """Pixels of the network's input per degree of visual angle."""
        return self.width / self.visual_degrees


@dataclass(frozen=True)
class Field:
    """The canvas that stimuli are drawn on: the receptive field of a layer.

    Attributes:
        height: in pixels.
        width: in pixels.
        stride: pixels between the fields of neighboring units.
        colors: in network-input space; those of the published protocols if not given.
        screen: how the network's input is seen; needed for stimuli in degrees.
        shift: pixels right and down from the center of the field to that of stimuli in degrees.
    """

    height: int
    width: int
    stride: int = 1
    colors: Colors = dataclasses.field(default_factory=Colors.published)
    screen: Screen | None = None
    shift: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        for name in ("height", "width", "stride"):
            length = getattr(self, name)
            if length < 1:
                raise ConfigError(
                    f"stimulus.field.{name}: {length} is not a positive number of pixels"
                )

    @property
    def side(self) -> int:
        """The shorter side in pixels, of which the sizes of figures are fractions."""
        return min(self.height, self.width)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width

    @property
    def seen(self) -> Screen:
        """The screen.

        Raises:
            ConfigError: there is none, so that degrees have no pixels.
        """
        if self.screen is None:
            raise ConfigError(
                "stimulus.field.screen: is needed for stimuli in degrees of visual angle; give the "
                "size of the network's input, as in Field(51, 51, screen=Screen(224, 224))"
            )
        return self.screen
