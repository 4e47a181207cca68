"""Random drawings labeled with their class, for training the embedded network.

Each image holds one shape of random place, size and contrast on a piece of a photograph. Its
intensity (the mean over the channels) has the same distribution for all colors, on either side of
the background's, so that color can only be recognized by comparing channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pipeline.miniature import drawings
from pipeline.miniature.backgrounds import random_backgrounds
from pipeline.miniature.network import COLORS, KINDS, ORIENTATIONS

HUES = {"red": 0.0, "yellow": 57.0, "green": 120.0, "blue": 232.0, "gray": 0.0}
HUE_JITTER = 8.0  # degrees to either side
ANGLE_JITTER = 12.0  # degrees to either side
INTENSITY = (0.2, 0.8)
# Distance of the intensity from the background's: colors may differ only in hue, but gray shapes
# would then be invisible.
COLOR_CONTRAST = (0.0, 0.4)
GRAY_CONTRAST = (0.2, 0.4)
SATURATION = (0.25, 1.0)
OPACITY = (0.6, 1.0)


def labeled_drawings(
    photographs: Sequence[Float[Tensor, "3 _ _"]],
    count: int,
    size: int,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "count 3 size size"], Int64[Tensor, " count"]]:
    """Return images in pixels 0..1 and the index of each one's class in ``CLASSES``.

    The result depends only on the generator and the photographs (pixels 0..1, at least ``size``
    pixels high and wide); shape sizes are set for images of 96 pixels and scale with ``size``.
    """
    backgrounds = random_backgrounds(photographs, count, size, generator)
    kinds = torch.randint(len(KINDS), (count,), generator=generator)
    orientations = torch.randint(len(ORIENTATIONS), (count,), generator=generator)
    colors = torch.randint(len(COLORS), (count,), generator=generator)

    masks = _random_masks(kinds, orientations, size, generator)
    masks = masks * _uniform(count, *OPACITY, generator)[:, None, None]
    images = drawings.cover(
        backgrounds, masks, _random_paint(colors, backgrounds, masks, generator)
    )
    labels = (kinds * len(ORIENTATIONS) + orientations) * len(COLORS) + colors
    return images, labels


def _random_masks(
    kinds: Int64[Tensor, " batch"],
    orientations: Int64[Tensor, " batch"],
    size: int,
    generator: torch.Generator,
) -> Float[Tensor, "batch size size"]:
    count, scale = len(kinds), size / 96

    def length(low: float, high: float) -> Float[Tensor, " batch"]:
        return scale * _uniform(count, low, high, generator)

    angles = torch.tensor(ORIENTATIONS, dtype=torch.float32)[orientations]
    angles = angles + _uniform(count, -ANGLE_JITTER, ANGLE_JITTER, generator)
    # Rotation by 180 degrees does not change gratings or bars, but lets arcs bulge to either side.
    angles = angles + 180 * torch.randint(2, (count,), generator=generator)
    place = drawings.shape_coordinates(size, length(30.0, 65.0), length(30.0, 65.0), angles)
    phases = _uniform(count, 0.0, 2 * math.pi, generator)
    half_angles = _uniform(count, 55.0, 90.0, generator)
    masks = torch.stack(
        [
            drawings.grating_mask(*place, length(14.0, 30.0), length(4.0, 14.0), phases),
            drawings.bar_mask(*place, length(12.0, 26.0), length(1.5, 4.5)),
            drawings.arc_mask(*place, length(11.0, 22.0), half_angles, length(1.5, 4.0)),
        ]
    )
    return masks[kinds, torch.arange(count)]


def _random_paint(
    colors: Int64[Tensor, " batch"],
    backgrounds: Float[Tensor, "batch 3 size size"],
    masks: Float[Tensor, "batch size size"],
    generator: torch.Generator,
) -> Float[Tensor, "batch 3"]:
    count, gray = len(colors), colors == COLORS.index("gray")
    behind = (backgrounds.mean(1) * masks).sum((1, 2)) / masks.sum((1, 2))
    contrast = torch.where(
        gray,
        _uniform(count, *GRAY_CONTRAST, generator),
        _uniform(count, *COLOR_CONTRAST, generator),
    )
    brighter, darker = behind + contrast, behind - contrast
    choose_brighter = torch.rand(count, generator=generator) < 0.5
    choose_brighter = (choose_brighter & (brighter <= INTENSITY[1])) | (darker < INTENSITY[0])
    intensity = torch.where(choose_brighter, brighter, darker).clamp(*INTENSITY)
    hue = torch.tensor([HUES[color] for color in COLORS])[colors]
    hue = hue + _uniform(count, -HUE_JITTER, HUE_JITTER, generator)
    saturation = _uniform(count, *SATURATION, generator).masked_fill(gray, 0.0)
    return drawings.paint(hue, saturation, intensity)


def _uniform(
    count: int, low: float, high: float, generator: torch.Generator
) -> Float[Tensor, " count"]:
    return low + (high - low) * torch.rand(count, generator=generator)
