"""Colors as the three kinds of cones see them: matrices, cone contrasts and cardinal directions.

Colors are linear RGB of the sRGB primaries, from 0 to 1. A screen's pixel values follow from them
by ``to_srgb``, or are the same where pixels are taken to be linear light.

Sources: IEC 61966-2-1 (sRGB); Smith & Pokorny (1975), Vision Res 15:161 (cones); Derrington,
Krauskopf & Lennie (1984), J Physiol 357:241 (cardinal directions).
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
)  # primaries of IEC 61966-2-1 at the white of D65
# Rows L, M and S, of XYZ. Smith and Pokorny's are, strictly, for the XYZ of Judd and Vos.
CONES = {
    "smith_pokorny": np.array(
        [[0.15514, 0.54312, -0.03286], [-0.15514, 0.45684, 0.03286], [0.0, 0.0, 0.01608]]
    ),
    "hunt_pointer_estevez": np.array(
        [[0.4002, 0.7076, -0.0808], [-0.2263, 1.1653, 0.0457], [0.0, 0.0, 0.9182]]
    ),
}
GRAY = 0.5  # linear value of the gray that colors are modulated about
AXES = ("luminance", "l_minus_m", "s")  # cardinal directions


def rgb_to_lms(cones: str = "smith_pokorny") -> Float[np.ndarray, "3 3"]:
    """Return the matrix from linear RGB to the responses of the L, M and S cones.

    Raises:
        ConfigError: there are no such cones.

    >>> rgb_to_lms().round(5).tolist()[0]
    [0.17886, 0.43997, 0.03597]
    """
    if cones not in CONES:
        raise ConfigError(
            f"cones: '{cones}' is not one of {', '.join(CONES)}{nearest(cones, CONES)}"
        )
    return CONES[cones] @ RGB_TO_XYZ


def from_srgb(pixels: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the linear values of sRGB pixels in 0..1.

    >>> from_srgb(np.array([0.0, 0.5, 1.0])).round(4).tolist()
    [0.0, 0.214, 1.0]
    """
    return np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the sRGB pixels of linear values in 0..1.

    >>> to_srgb(np.array([0.0, 0.5, 1.0])).round(4).tolist()
    [0.0, 0.7354, 1.0]
    """
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, bright)


def cone_contrasts(
    rgb: Float[np.ndarray, "*shape 3"], cones: str = "smith_pokorny", gray: float = GRAY
) -> Float[np.ndarray, "*shape 3"]:
    """Return how much more each cone is excited by colors than by gray, as a fraction of gray.

    Args:
        rgb: linear.
        cones: of ``CONES``.
        gray: linear value of the gray.

    >>> cone_contrasts(np.array([1.0, 1.0, 1.0])).round(9).tolist()
    [1.0, 1.0, 1.0]
    """
    matrix = rgb_to_lms(cones)
    ground = matrix.sum(1) * gray
    return (np.asarray(rgb) @ matrix.T - ground) / ground


def rms(contrasts: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape"]:
    """Return the root of the mean square of the contrasts of the three cones.

    >>> float(rms(np.array([1.0, -1.0, 1.0])))
    1.0
    """
    return np.asarray(np.sqrt(np.square(contrasts).mean(-1)))


def cardinal_directions(cones: str = "smith_pokorny") -> Float[np.ndarray, "3 3"]:
    """Return the RGB directions of the axes ``AXES``, as long as colors about gray .5 can be.

    Along luminance all guns rise alike; along L - M, L rises as M falls, and S stays; along S, only
    S changes. The sum of L and M stays along the last two: they are isoluminant.

    Returns:
        One row per axis: what is added to gray at the end of the axis.

    >>> cardinal_directions().round(4).tolist()[1]
    [0.5, -0.1496, 0.0086]
    """
    inverse = np.linalg.inv(rgb_to_lms(cones))
    along = np.stack([np.ones(3), inverse @ [1.0, -1.0, 0.0], inverse @ [0.0, 0.0, 1.0]])
    return _longest(along)


def cone_directions(cones: str = "smith_pokorny") -> Float[np.ndarray, "3 3"]:
    """Return the RGB directions that change only L, M or S, as long as they can be about gray .5.

    >>> (cone_directions() @ rgb_to_lms().T).round(12)[0, 1:].tolist()
    [0.0, 0.0]
    """
    return _longest(np.linalg.inv(rgb_to_lms(cones)).T)


def isoluminant(
    hues: Float[np.ndarray, " hues"], cones: str = "smith_pokorny"
) -> Float[np.ndarray, "hues 3"]:
    """Return the RGB directions of hues around the isoluminant circle about gray .5.

    Each axis is as long as it can be, and all hues are then shortened alike until every one can be
    shown: to .985 for Smith and Pokorny's cones.

    Args:
        hues: angles in degrees, from L - M towards S.
        cones: of ``CONES``.

    Returns:
        What is added to gray at contrast 1.

    >>> isoluminant(np.array([0.0])).round(4).tolist()
    [[0.4925, -0.1473, 0.0085]]
    """
    angles = np.deg2rad(hues)
    _, red, blue = cardinal_directions(cones)
    radius = GRAY / np.hypot(red, blue).max()
    return radius * (np.cos(angles)[:, None] * red + np.sin(angles)[:, None] * blue)


def _longest(directions: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Return directions scaled so that gray plus and minus them just stays within 0..1."""
    return directions * GRAY / np.abs(directions).max(1, keepdims=True)
