"""Indices of single units: how artificial stimuli compare with photographs, and of color.

Source: tonyfu97/RF-Mapping (MIT), fnat/calculate_fnat.py and cri/color_rotation_index.py.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError

# Where the red, green and blue of an image go, with the image as it is first.
COLOR_ORDERS = tuple(permutations(range(3)))


def fnat(
    strongest: Float[np.ndarray, " units"],
    natural: Float[np.ndarray, "units images"],
    sign: int = 1,
    images: int = 10,
) -> Float[np.ndarray, " units"]:
    """Return the response to the best artificial stimulus as a fraction of that to photographs.

    Args:
        strongest: the highest response of each unit to any stimulus of a set; with ``sign`` -1 the
            lowest.
        natural: responses of each unit to photographs.
        sign: 1 for what excites the unit, -1 for what inhibits it.
        images: over how many of the highest (lowest) responses to photographs the mean is taken.

    Returns:
        ``strongest`` / mean. NaN where the mean is below 1 (above -1), where the ratio means
        nothing; 0 where ``strongest`` has the wrong sign.

    Raises:
        ConfigError: there are fewer than ``images`` photographs, or the sign is neither 1 nor -1.

    >>> fnat(np.array([6.0, -1.0, 6.0]), np.array([[12.0, 2], [12, 2], [0.5, 0.1]]), images=1)
    array([0.5, 0. , nan])
    """
    if sign not in (1, -1):
        raise ConfigError(f"fnat: sign must be 1 or -1, not {sign}")
    if natural.shape[1] < images:
        raise ConfigError(
            f"fnat: the mean over the {images} best photographs was asked for, but there are only "
            f"{natural.shape[1]}; ask for fewer"
        )
    best = np.sort(sign * natural.astype(np.float64), axis=1)[:, natural.shape[1] - images :]
    mean = best.mean(axis=1)
    ratio = np.divide(sign * strongest, mean, out=np.full(len(mean), np.nan), where=mean >= 1)
    return np.where(ratio <= 0, 0.0, ratio)


def color_rotation_index(
    responses: Float[np.ndarray, "units images orders"],
) -> Float[np.ndarray, " units"]:
    """Return how much the response of each unit depends on which color channel is which.

    The mean over images of the standard deviation over the six orders of the color channels,
    divided by the standard deviation over images of the response to the images as they are: 0 for a
    unit that is blind to color, about 1 for one that cares for nothing else.

    Args:
        responses: to each image with its channels in the orders of ``COLOR_ORDERS``.

    Returns:
        The index; NaN where responses to the images as they are do not vary.

    Raises:
        ConfigError: there are not six orders.

    >>> color_rotation_index(np.array([[[1.0, 1, 1, 1, 1, 1], [3, 3, 3, 3, 3, 3]]]))
    array([0.])
    """
    if responses.shape[2] != len(COLOR_ORDERS):
        raise ConfigError(
            f"color rotation index: responses to {len(COLOR_ORDERS)} orders of the color channels "
            f"are needed, not to {responses.shape[2]}"
        )
    over_orders = responses.std(axis=2, dtype=np.float64).mean(axis=1)
    plain = responses[:, :, 0]
    over_images = plain.std(axis=1, dtype=np.float64)
    varies = over_images > 1e-12 * np.abs(plain).max(axis=1, initial=0.0)
    return np.divide(over_orders, over_images, out=np.full(len(plain), np.nan), where=varies)
