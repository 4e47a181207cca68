"""Cones and the isoluminant plane: linear RGB of a display to L, M and S, and back.

Linear sRGB to XYZ is IEC 61966-2-1 (D65); XYZ to cones is Smith & Pokorny (1975), strictly for Judd
and Vos' XYZ, or Hunt, Pointer & Estevez. The axes through gray are those of Derrington, Krauskopf &
Lennie (1984): luminance, L - M at constant L + M, and S alone.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError, nearest

RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
XYZ_TO_LMS = {
    "smith_pokorny": np.array(
        [[0.15514, 0.54312, -0.03286], [-0.15514, 0.45684, 0.03286], [0.0, 0.0, 0.01608]]
    ),
    "hunt_pointer_estevez": np.array(
        [[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0.0, 0.0, 1.0]]
    ),
}
GRAY = 0.5  # linear
AXES = ("l_minus_m", "s", "luminance")


def rgb_to_lms(cones: str = "smith_pokorny") -> Float[np.ndarray, "3 3"]:
    """Return the matrix from linear RGB to L, M and S.

    Raises:
        ConfigError: there are no such cones.

    >>> (rgb_to_lms() @ np.full(3, 0.5)).round(4)
    array([0.3274, 0.1726, 0.0088])
    """
    if cones not in XYZ_TO_LMS:
        raise ConfigError(
            f"cones: {cones!r} is not known; allowed are {', '.join(XYZ_TO_LMS)}"
            f"{nearest(cones, XYZ_TO_LMS)}"
        )
    return XYZ_TO_LMS[cones] @ RGB_TO_XYZ


def cardinal_axes(
    cones: str = "smith_pokorny", gray: float = GRAY
) -> Float[np.ndarray, "axes rgb"]:
    """Return the L - M, S and luminance axes in linear RGB, as long as the gamut allows.

    ``gray`` plus and minus each axis lies in 0..1, one channel of one of them at its end. Red and
    violet are positive. L - M keeps L + M and S, S keeps L and M, and luminance keeps all ratios.

    >>> cardinal_axes()[0].round(4)
    array([ 0.5   , -0.1496,  0.0086])
    """
    directions = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    rgb = np.linalg.solve(rgb_to_lms(cones), directions.T).T
    rgb = np.concatenate([rgb, np.ones((1, 3))])
    return rgb / np.abs(rgb).max(axis=1, keepdims=True) * min(gray, 1 - gray)


def isoluminant_rgb(
    hues: Float[np.ndarray, " hues"],
    contrast: float = 1.0,
    cones: str = "smith_pokorny",
    gray: float = GRAY,
) -> Float[np.ndarray, "hues rgb"]:
    """Return colors of one circle around gray at constant L + M, in linear RGB within 0..1.

    Both axes have the length that the gamut allows, and the circle the largest common radius
    (0.985 of it around gray 0.5). 0 degrees is +L - M, 90 is +S.

    Args:
        hues: degrees.
        contrast: of the largest circle, 0..1.
        cones: a key of ``XYZ_TO_LMS``.
        gray: linear, within 0..1.

    Raises:
        ConfigError: the contrast lies outside 0..1.

    >>> isoluminant_rgb(np.array([0.0, 180.0])).round(3).tolist()
    [[0.992, 0.353, 0.508], [0.008, 0.647, 0.492]]
    """
    if not 0 <= contrast <= 1:
        raise ConfigError(f"contrast: of isoluminant colors it is between 0 and 1, not {contrast}")
    turn = np.deg2rad(hues)
    first, second, _ = cardinal_axes(cones, gray)
    plane = np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second
    return gray + contrast * isoluminant_radius(cones, gray) * plane


def isoluminant_radius(cones: str = "smith_pokorny", gray: float = GRAY) -> float:
    """Return the radius of the largest circle within the gamut, in units of the cardinal axes.

    >>> round(isoluminant_radius(), 3)
    0.985
    """
    # Each channel is a sinusoid of the hue, whose amplitude is the length of its two components.
    first, second, _ = cardinal_axes(cones, gray)
    return float(min(1.0, min(gray, 1 - gray) / np.hypot(first, second).max()))


def cone_contrasts(
    rgb: Float[np.ndarray, "colors 3"], cones: str = "smith_pokorny", gray: float = GRAY
) -> Float[np.ndarray, "colors 3"]:
    """Return the contrasts of L, M and S against gray, of colors in linear RGB.

    >>> cone_contrasts(np.array([[0.55, 0.55, 0.55]])).round(6)
    array([[0.1, 0.1, 0.1]])
    """
    matrix = rgb_to_lms(cones)
    # A sum of terms rather than a matrix product, whose rounding depends on the number of colors.
    background = matrix.sum(axis=1) * gray
    return (rgb[:, None, :] * matrix).sum(axis=2) / background - 1


def encoded(linear: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return sRGB values of linear ones, both in 0..1 (IEC 61966-2-1).

    >>> encoded(np.array([0.0, 0.5, 1.0])).round(4)
    array([0.    , 0.7354, 1.    ])
    """
    return np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055
    )


def decoded(encoded_values: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Return linear values of sRGB ones, both in 0..1.

    >>> decoded(encoded(np.array([0.001, 0.3]))).round(6)
    array([0.001, 0.3  ])
    """
    low = encoded_values <= 0.04045
    power = ((np.maximum(encoded_values, 0.0) + 0.055) / 1.055) ** 2.4
    return np.where(low, encoded_values / 12.92, power)
