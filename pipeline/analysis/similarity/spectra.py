"""Similarity in the frequency domain: coherence, and amplitudes without phases."""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float, Int

from pipeline.analysis.similarity.pixels import pearson

Images = Float[np.ndarray, "units channels height width"]
Spectra = Complex[np.ndarray, "units channels height half"]
FLOOR = 1e-5  # of the largest amplitude; float32 images hold nothing below


def ring_coherence(first: Images, second: Images) -> Float[np.ndarray, "units rings"]:
    """Return the magnitude-squared coherence of the images of each unit by spatial frequency.

    In each ring of frequencies, |sum A B*|² / (sum |A|² sum |B|²), the sums over the frequencies of
    the ring and over channels. This is the square of the Fourier ring correlation. Ring k holds
    frequencies nearest to k cycles in the shorter side, from 1 to the Nyquist frequency; the mean
    is left out. Of two unrelated images it is about 1 / n on average, with n the number of
    independent frequencies of the ring, so low rings need a null.

    Source: Saxton & Baumeister (1982), J Microsc 127:127; Bendat & Piersol, Random Data, for
    coherence.

    Returns:
        0 to 1; NaN where an image has no energy in a ring.

    >>> image = np.random.default_rng(0).normal(size=(1, 3, 8, 8))
    >>> ring_coherence(image, -2 * image).round(6).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    return coherence_of_spectra(spectra(first), spectra(second), first.shape[3])


def coherence(first: Images, second: Images) -> Float[np.ndarray, " units"]:
    """Return the mean over rings of the coherence (``ring_coherence``): each frequency counts.

    Unlike r, to which the strongest frequencies contribute most, and which a filter that changes
    amplitudes lowers, it asks at each frequency whether phases agree.

    Returns:
        0 to 1, mean over the rings in which both images have energy; NaN if there are none.
    """
    return mean_coherence(spectra(first), spectra(second), first.shape[3])


def amplitude_r(first: Images, second: Images) -> Float[np.ndarray, " units"]:
    """Return Pearson's r between log amplitudes of all frequencies and channels, but the mean's.

    It does not see phases: images that share orientations and scales are similar, wherever their
    features are. Amplitudes below a hundred-thousandth of the largest count as that.

    Returns:
        -1 to 1; NaN where an image is constant or not finite.

    >>> image = np.random.default_rng(0).normal(size=(1, 3, 8, 8))
    >>> amplitude_r(image, np.roll(image, 3, axis=2)).round(6).tolist()
    [1.0]
    """
    return pearson(log_amplitudes(first), log_amplitudes(second))


def spectra(images: Images) -> Spectra:
    """Return the Fourier transforms of images without their mean; half a plane suffices."""
    centered = images - images.mean(axis=(2, 3), keepdims=True, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        largest = np.abs(images).max(axis=(1, 2, 3), keepdims=True, initial=0.0)
        # What the mean's rounding leaves of a constant image is not a picture.
        nothing = np.abs(centered).max(axis=(1, 2, 3), keepdims=True, initial=0.0)
        centered[np.broadcast_to(nothing <= 1e-12 * largest, centered.shape)] = np.nan
        return np.fft.rfft2(centered)


def mean_coherence(first: Spectra, second: Spectra, width: int) -> Float[np.ndarray, " units"]:
    """Return the mean coherence from spectra of images of a width in pixels."""
    by_ring = coherence_of_spectra(first, second, width)
    defined = np.isfinite(by_ring)
    counts = defined.sum(axis=1)
    sums = np.where(defined, by_ring, 0.0).sum(axis=1)
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def coherence_of_spectra(
    first: Spectra, second: Spectra, width: int
) -> Float[np.ndarray, "units rings"]:
    """Return the coherence by ring from spectra of images of a width in pixels."""
    which, count = _rings(first.shape[2], width)
    twice = np.full(first.shape[3], 2.0)  # the other half of the plane has the conjugates
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        products = [np.real(first * second.conj()), np.abs(first) ** 2, np.abs(second) ** 2]
        cross, own_a, own_b = (_by_ring((p * twice).sum(axis=1), which, count) for p in products)
        largest = [own.max(axis=1, keepdims=True, initial=0.0) for own in (own_a, own_b)]
        silent = (own_a <= FLOOR**2 * largest[0]) | (own_b <= FLOOR**2 * largest[1])
        return np.where(silent, np.nan, np.clip(cross**2 / (own_a * own_b), 0.0, 1.0))


def _rings(height: int, width: int) -> tuple[Int[np.ndarray, " frequencies"], int]:
    """Return the ring of each frequency of half a plane, from 0; -1 of none, and their number."""
    side = min(height, width)
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    nearest = np.floor(np.hypot(y, x) * side + 0.5).astype(np.int64).ravel() - 1
    count = side // 2
    return np.where(nearest < count, nearest, -1), count


def _by_ring(
    plane: Float[np.ndarray, "units height half"],
    which: Int[np.ndarray, " frequencies"],
    count: int,
) -> Float[np.ndarray, "units rings"]:
    units, flat = len(plane), plane.reshape(len(plane), -1)
    used = which >= 0
    places = which[used] + count * np.arange(units)[:, None]
    sums = np.bincount(places.ravel(), flat[:, used].ravel(), minlength=units * count)
    return sums.astype(np.float64).reshape(units, count)  # counts, if there are no rings


def log_amplitudes(images: Images) -> Float[np.ndarray, "units frequencies"]:
    """Return the logarithms of all amplitudes but the mean's, of each channel."""
    amplitudes = np.abs(spectra(images))
    largest = amplitudes.max(axis=(1, 2, 3), keepdims=True, initial=0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(np.maximum(amplitudes, FLOOR * largest))
    return logs.reshape(*logs.shape[:2], -1)[:, :, 1:].reshape(len(logs), -1)
