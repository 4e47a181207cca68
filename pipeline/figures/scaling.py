"""Scaling of raw pixels for display; only copies of stored values are changed.

Everything that is shown, in figures and on pages, is shown in red, green and blue, by one rule
(``in_color``); captions say which channels those are where it is not obvious (``channel_note``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float

Mode = Literal["range", "symmetric"]

# Below this range an image is shown as mid-gray (as in tonyfu97/ActivationMaximization), because
# stretching it would show rounding noise.
SMALLEST_RANGE = 1e-5

# For captions; each fits on one line of a paper's column.
DESCRIPTIONS: dict[Mode, str] = {
    "range": "Optimized images are scaled, each to its own range of values.",
    "symmetric": "Optimized images are scaled to their largest magnitude; zero is gray.",
}
OF_VIDEOS = {
    "last": "Scaled to the largest magnitude of the last frame; zero is gray.",
    "frame": "Each frame is scaled to its own largest magnitude; zero is gray.",
    "pixels": "Own colors, clipped to black and white.",
}


def in_color(
    pixels: Float[np.ndarray, "*image channels"], dark: float = 0.0
) -> Float[np.ndarray, "*image 3"]:
    """Return pixels of any number of channels in red, green and blue.

    One channel is gray. Two are red and green, without blue. Of more than three, the first three
    are shown.

    Args:
        pixels: channels last.
        dark: value of blue where there are two channels.

    >>> in_color(np.array([0.2, 0.7])).tolist()
    [0.2, 0.7, 0.0]
    """
    channels = pixels.shape[-1]
    if channels == 1:
        return np.repeat(pixels, 3, axis=-1)
    if channels == 2:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], dark)], axis=-1)
    return pixels[..., :3]


def channel_note(channels: int) -> str:
    """Return a sentence for captions on what is shown of images; empty for one and for three.

    >>> channel_note(2), channel_note(13)[:35]
    ('Red and green are channels 0 and 1.', 'Red, green and blue are channels 0,')
    """
    if channels in (1, 3):
        return ""
    if channels == 2:
        return "Red and green are channels 0 and 1."
    return f"Red, green and blue are channels 0, 1 and 2 of {channels}."


def noted(caption: str, channels: int) -> str:
    """Return a caption that also says which channels are shown, where it is not obvious."""
    note = channel_note(channels)
    stop = "" if not note or not caption or caption.endswith(".") else "."
    return f"{caption}{stop} {note}".strip()


def to_display(
    image: Float[np.ndarray, "c height width"], mode: Mode = "range"
) -> Float[np.ndarray, "height width 3"]:
    """Return a copy for display, float32 in 0..1, in color (``in_color``).

    ``range`` maps the smallest value over all pixels and the channels shown to 0 and the largest to
    1, and an image whose range is below 1e-5 to 0.5. ``symmetric`` is ``0.5 + x / (2 max|x|)``:
    zero is mid-gray. Values that are not finite are ignored in the scaling and become NaN.
    """
    pixels = np.moveaxis(image[:3], 0, -1).astype(np.float64)
    pixels[~np.isfinite(pixels)] = np.nan
    if np.isnan(pixels).all():
        return in_color(pixels, np.nan).astype(np.float32)
    if mode == "range":
        return in_color(_by_range(pixels)).astype(np.float32)
    return in_color(_by_magnitude(pixels), 0.5).astype(np.float32)


def all_to_display(
    frames: Float[np.ndarray, "frames c height width"], by: Literal["last", "frame"]
) -> Float[np.ndarray, "frames height width 3"]:
    """Return copies of the frames of a video for display, float32 in 0..1; zero is mid-gray.

    ``last`` divides all by the largest magnitude of the last frame, beyond which values are
    clipped; ``frame`` divides each by its own, as ``symmetric`` does for one image.
    """
    pixels = np.moveaxis(frames[:, :3], 1, -1).astype(np.float64)
    largest = np.abs(pixels).max((1, 2, 3), keepdims=True)
    largest = largest[-1:] if by == "last" else largest
    shown = 0.5 + pixels / np.where(largest > 0, largest, 1) / 2
    return in_color(shown.clip(0, 1), 0.5).astype(np.float32)


def to_pixels(
    image: Float[np.ndarray, "c height width"],
    mean: Sequence[float],
    std: Sequence[float],
) -> Float[np.ndarray, "height width 3"]:
    """Return a natural image in its own colors: ``x * std + mean`` per channel, clipped to 0..1.

    Of other numbers of channels than three, what is shown is that of ``in_color``.
    """
    pixels = np.moveaxis(image, 0, -1).astype(np.float64)
    pixels = pixels * np.asarray(std, np.float64) + np.asarray(mean, np.float64)
    return in_color(pixels.clip(0.0, 1.0)).astype(np.float32)


def _by_range(pixels: np.ndarray) -> np.ndarray:
    low, high = np.nanmin(pixels), np.nanmax(pixels)
    if high - low < SMALLEST_RANGE:
        return np.where(np.isnan(pixels), np.nan, 0.5)
    return (pixels - low) / (high - low)


def _by_magnitude(pixels: np.ndarray) -> np.ndarray:
    largest = np.nanmax(np.abs(pixels))
    return pixels + 0.5 if largest == 0 else 0.5 + pixels / largest / 2
