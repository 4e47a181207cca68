"""Images that are similar by chance alone: of other units, with scrambled phases, of noise.

A null asks how similar two images would be if one of them shared with its rival only what the null
keeps. Each is drawn several times, so that every unit has a permutation p of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

Images = Float[np.ndarray, "images channels height width"]
UNITS, PHASE, NOISE, TWIN = "units", "phase", "noise", "twin"
NULLS = {
    UNITS: "the second image is that of another unit of the layer",
    PHASE: "the second image has random phases, and its own amplitudes at all frequencies",
    NOISE: "the second image is Gaussian noise with its own power spectrum on average",
    TWIN: "both images are those of units of a network with random or shuffled weights",
}
DRAWN = (UNITS, PHASE, NOISE)
TOLERANCE = 1e-9  # draws that are equal but for rounding count as equal


def other_units(
    units: Int[np.ndarray, " images"],
    copies: Int[np.ndarray, " images"],
    usable: Bool[np.ndarray, " images"],
    draws: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "draws images"]:
    """Return for each draw and image the index of the same copy of another unit.

    The units are set in a random circle, and in each draw all take the unit as many places ahead; a
    unit meets another at most once. Together with standing still, these turns are a group, so that
    tests by them are exact (Hemerik & Goeman 2018, TEST 27:811).

    Args:
        units: unit of each image, copies adjacent.
        copies: number of each image among those of its unit.
        usable: which images are defined; a unit takes part if all its images are.
        draws: how many; at most the number of units less one are made.
        rng: draws the circle, and which turns are made.

    Returns:
        Indices; -1 for images of units that do not take part.

    >>> units, copies = np.array([4, 7, 9]), np.zeros(3, int)
    >>> found = other_units(units, copies, np.ones(3, bool), 9, np.random.default_rng(0))
    >>> found.shape, sorted(found[:, 0].tolist())
    ((2, 3), [1, 2])
    """
    names = list(dict.fromkeys(units.tolist()))
    part = np.array([u for u in names if usable[units == u].all()])
    images = zip(units.tolist(), copies.tolist(), strict=True)
    place = {image: row for row, image in enumerate(images)}
    count = min(draws, max(len(part) - 1, 0))
    circle = part[rng.permutation(len(part))]
    turns = 1 + rng.permutation(max(len(part) - 1, 0))[:count]
    found = np.full((count, len(units)), -1)
    for draw, turn in enumerate(turns.tolist()):
        partner = dict(zip(circle.tolist(), np.roll(circle, -turn).tolist(), strict=True))
        for (unit, copy), row in place.items():
            if unit in partner:
                found[draw, row] = place[(partner[unit], copy)]
    return found


def phase_scrambled(images: Images, rngs: Sequence[np.random.Generator]) -> Images:
    """Return images with the same amplitudes at every frequency and random phases.

    The same random phases are added in all channels, so that colors keep their relations: a random
    phase noise. Phases are those of white noise, so that the images are real. The mean is kept.

    Source: Galerne, Gousseau & Morel (2011), IEEE Trans Image Process 20:257.

    Args:
        images: images, treated as periodic.
        rngs: one for each image, or one for all in turn.

    >>> image = np.random.default_rng(0).normal(size=(1, 3, 5, 6))
    >>> scrambled = phase_scrambled(image, [np.random.default_rng(1)])
    >>> bool(np.allclose(np.abs(np.fft.fft2(scrambled)), np.abs(np.fft.fft2(image))))
    True
    """
    return _filtered(images, rngs, unit_amplitude=True)


def matched_noise(images: Images, rngs: Sequence[np.random.Generator]) -> Images:
    """Return Gaussian noise with the power spectra and colors of images, on average over draws.

    White noise, the same for all channels, is convolved with each image less its mean, periodically
    (asymptotic discrete spot noise; Galerne, Gousseau & Morel 2011). Other than with scrambled
    phases, amplitudes vary from draw to draw. The mean is kept.

    Args:
        images: images, treated as periodic.
        rngs: one for each image, or one for all in turn.
    """
    return _filtered(images, rngs, unit_amplitude=False)


def _filtered(
    images: Images, rngs: Sequence[np.random.Generator], *, unit_amplitude: bool
) -> Images:
    height, width = images.shape[2:]
    each = rngs if len(rngs) == len(images) else [rngs[0]] * len(images)
    white = np.stack([rng.standard_normal((height, width)) for rng in each] or [np.empty((0, 0))])
    if not len(images):
        return images.astype(np.float64)
    noise = np.fft.rfft2(white)
    noise /= np.abs(noise) if unit_amplitude else np.sqrt(height * width)
    noise[:, 0, 0] = 1.0  # the mean
    spectra = np.fft.rfft2(images.astype(np.float64)) * noise[:, None]
    return np.fft.irfft2(spectra, (height, width))


def permutation_p(
    values: Float[np.ndarray, " units"], draws: Float[np.ndarray, "draws units"]
) -> Float[np.ndarray, " units"]:
    """Return one-sided permutation p values: how often chance is as similar.

    p = (1 + draws at least as large) / (1 + draws), which is never 0 (Phipson & Smyth 2010, Stat
    Appl Genet Mol Biol 9:39). Draws that are not finite are left out; NaN where the value is not
    finite or no draw is.

    >>> permutation_p(np.array([0.9, 0.1]), np.array([[0.2, 0.1], [0.3, 0.4], [0.1, 0.0]])).tolist()
    [0.25, 0.75]
    """
    defined = np.isfinite(draws)
    count = defined.sum(axis=0)
    near = TOLERANCE * np.maximum(np.abs(values), 1.0)
    above = ((draws >= values - near) & defined).sum(axis=0)
    p = (1 + above) / (1 + count)
    return np.where(np.isfinite(values) & (count > 0), p, np.nan)
