"""Where stimuli are shown and in which colors: the receptive field of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
class Field:
    """The canvas that stimuli are drawn on: the receptive field of a layer.

    Attributes:
        height: in pixels.
        width: in pixels.
        stride: pixels between the fields of neighboring units.
        colors: in network-input space; those of the published protocols if not given.
    """

    height: int
    width: int
    stride: int = 1
    colors: Colors = field(default_factory=Colors.published)

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
