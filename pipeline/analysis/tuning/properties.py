"""All properties in one table: what they mean, in which unit, after whom, and in which bins.

Bins are those of the macaque distributions of Marques, Schrimpf & DiCarlo (2021), in which a
population of units is compared with the animals' (``populations``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RINGACH = "Ringach, Shapley & Hawken 2002"
DEVALOIS_A = "De Valois, Yund & Hepler 1982"
DEVALOIS_B = "De Valois, Albrecht & Thorell 1982"
SCHILLER = "Schiller, Finlay & Volman 1976"
CAVANAUGH = "Cavanaugh, Bair & Movshon 2002"
FREEMAN = "Freeman, Ziemba et al. 2013"
NAKA_RUSHTON = "Naka & Rushton 1966; Albrecht & Hamilton 1982"
DERRINGTON = "Derrington, Krauskopf & Lennie 1984"
OWN = "artiphys"


@dataclass(frozen=True)
class PropertyFacts:
    """What is known of a property before it is measured.

    Attributes:
        meaning: in one line.
        unit_of_measure: ``deg`` and ``deg²`` of the visual field, ``°`` of an angle, ``c/deg``,
            ``octaves``, ``%``, ``rate`` (of the rate map), or an empty string: a pure number.
        study: whose measure it is.
        bins: edges of its distribution, if animals were measured so.
        log: whether axes should be logarithmic.
    """

    meaning: str
    unit_of_measure: str
    study: str
    bins: tuple[float, ...] | None = None
    log: bool = False


def _linear(low: float | int, high: float | int, edges: int) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, edges).tolist())


def _log(low: int, high: int, edges: int) -> tuple[float, ...]:
    return tuple(np.logspace(low, high, edges).tolist())


_YES_NO = (0.0, 0.5, 1.0)
_DEGREES = tuple(2.0**power for power in range(-4, 5))
_PEAKS = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.2, 16.0, 22.4)

PROPERTIES = {
    "fraction_rectified": PropertyFacts(
        "fraction of the responses that are negative and count as 0", "", OWN),
    # Receptive field
    "field_x": PropertyFacts("center of the receptive field, to the right", "deg", OWN),
    "field_y": PropertyFacts("center of the receptive field, down", "deg", OWN),
    "field_width_long": PropertyFacts(
        "longer width of the receptive field at half height of a Gaussian fit", "deg", OWN,
        log=True),
    "field_width_short": PropertyFacts("shorter width likewise", "deg", OWN, log=True),
    "field_area": PropertyFacts(
        "area of the receptive field above half of its peak", "deg²", OWN, log=True),
    # Orientation
    "circular_variance": PropertyFacts(
        "1 - |sum r exp(2i orientation)| / sum |r|: 0 for one orientation alone, 1 untuned",
        "", RINGACH, _linear(0, 1, 14)),
    "orientation_selectivity": PropertyFacts("1 - circular variance", "", RINGACH),
    "orientation_index": PropertyFacts(
        "(preferred - orthogonal) / (preferred + orthogonal)", "", OWN),
    "orientation_bandwidth": PropertyFacts(
        "half width at 0.707 of the peak, curve smoothed (hanning), in steps of 0.5",
        "°", RINGACH, _linear(0, 90, 18)),
    "orientation_bandwidth_interpolated": PropertyFacts(
        "half width at 0.707 of the peak of the Fourier series through the curve", "°", OWN),
    "preferred_orientation": PropertyFacts(
        "direction of modulation at the peak of the smoothed curve, from -22.5 to 157.5; x right,"
        " y down", "°", DEVALOIS_A, _linear(-22.5, 157.5, 5)),
    "preferred_orientation_interpolated": PropertyFacts(
        "peak of the Fourier series through the curve, from -22.5 to 157.5", "°", OWN),
    "preferred_orientation_vector": PropertyFacts(
        "half the angle of the sum of r exp(2i orientation), from -22.5 to 157.5: also right where"
        " the curve is narrower than the step between orientations", "°",
        "Swindale 1998, Biol Cybern 78:45"),
    "orthogonal_preferred_ratio": PropertyFacts(
        "response at 90 degrees from the best orientation / best response",
        "", RINGACH, _linear(0, 1, 14)),
    "variance_bandwidth_ratio": PropertyFacts(
        "circular variance / bandwidth", "1/°", RINGACH, _log(-3, 0, 16), log=True),
    "ratio_variance_difference": PropertyFacts(
        "orthogonal / preferred ratio - circular variance", "", RINGACH, _linear(-1, 1, 20)),
    "ratio_bandwidth_ratio": PropertyFacts(
        "orthogonal / preferred ratio / bandwidth", "1/°", RINGACH, log=True),
    "modulation_ratio": PropertyFacts(
        "F1 / F0 over phases at the best grating", "", RINGACH, _linear(0, 2, 11)),
    "simple": PropertyFacts("1 if the modulation ratio is above 1 (simple), 0 (complex)", "", OWN),
    "max_dc": PropertyFacts(
        "mean over phases at the best grating", "rate", RINGACH, _log(0, 3, 10), log=True),
    "max_ac": PropertyFacts(
        "first harmonic over phases at the best grating", "rate", RINGACH, _log(0, 3, 10),
        log=True),
    "direction_selectivity": PropertyFacts(
        "|sum r exp(i direction)| / sum |r| over directions of drift", "", OWN),
    # Spatial frequency
    "peak_frequency": PropertyFacts(
        "spatial frequency of the highest response, curve smoothed", "c/deg", DEVALOIS_B, _PEAKS,
        log=True),
    "peak_frequency_interpolated": PropertyFacts(
        "peak of the spline through the unsmoothed curve", "c/deg", OWN, log=True),
    "frequency_bandwidth": PropertyFacts(
        "100 x low / high spatial frequency at 0.707 of the peak, curve smoothed",
        "%", SCHILLER, _linear(0, 100, 11)),
    "frequency_selective": PropertyFacts(
        "1 if the response falls to 0.707 of the peak on both sides, 0", "", SCHILLER, _YES_NO),
    "frequency_bandwidth_octaves": PropertyFacts(
        "log2(high / low) at 0.707 of the peak of the unsmoothed curve", "octaves", OWN),
    "frequency_low_cut": PropertyFacts(
        "spatial frequency below the peak at 0.707 of it", "c/deg", OWN, log=True),
    "frequency_high_cut": PropertyFacts(
        "spatial frequency above the peak at 0.707 of it", "c/deg", OWN, log=True),
    "frequency_pass": PropertyFacts(
        "0 low-pass, 1 band-pass, 2 high-pass, 3 all-pass", "", OWN),
    # Size
    "suppression_index": PropertyFacts(
        "(highest response - response to the largest grating) / highest response",
        "", CAVANAUGH, _linear(0, 2, 11)),
    "strongly_suppressed": PropertyFacts(
        "1 if the suppression index is at least 0.1, 0", "", CAVANAUGH, _YES_NO),
    "summation_field": PropertyFacts(
        "diameter of the smallest grating with 0.95 of the highest response",
        "deg", CAVANAUGH, _DEGREES, log=True),
    "surround_diameter": PropertyFacts(
        "diameter of the smallest grating beyond the best with at most 1.05 of the response to the"
        " largest", "deg", CAVANAUGH, _DEGREES, log=True),
    "surround_field_ratio": PropertyFacts(
        "surround diameter / summation field", "", CAVANAUGH, (1.0, 2.0, 4.0, 8.0, 16.0, 32.0),
        log=True),
    "suppression_index_interpolated": PropertyFacts(
        "suppression index with the peak of a spline over log radius", "", OWN),
    "summation_field_interpolated": PropertyFacts(
        "summation field on a spline over log radius", "deg", OWN, log=True),
    "surround_diameter_interpolated": PropertyFacts(
        "surround diameter on a spline over log radius", "deg", OWN, log=True),
    "surround_field_ratio_interpolated": PropertyFacts(
        "surround diameter / summation field, both on a spline", "", OWN, log=True),
    # Contrast
    "half_contrast": PropertyFacts(
        "contrast c50 of half the asymptote of the Naka-Rushton fit", "", NAKA_RUSHTON, log=True),
    "contrast_exponent": PropertyFacts("exponent n of the Naka-Rushton fit", "", NAKA_RUSHTON),
    "contrast_gain": PropertyFacts(
        "asymptote Rmax above R0 of the Naka-Rushton fit", "rate", NAKA_RUSHTON),
    "contrast_offset": PropertyFacts("R0 of the Naka-Rushton fit", "rate", NAKA_RUSHTON),
    "contrast_fit": PropertyFacts(
        "share of variance that the Naka-Rushton fit explains", "", NAKA_RUSHTON),
    "contrast_monotonicity": PropertyFacts(
        "response at the highest contrast / highest response", "", OWN),
    # Texture
    "texture_modulation": PropertyFacts(
        "mean over families of (texture - noise) / (texture + noise)",
        "", FREEMAN, _linear(-1, 1, 25)),
    "texture_modulation_size": PropertyFacts(
        "absolute value of the texture modulation", "", FREEMAN, _linear(0, 1, 13)),
    "texture_selectivity": PropertyFacts(
        "sparseness over the mean responses to texture families",
        "", FREEMAN, _linear(0, 1, 11)),
    "texture_sparseness": PropertyFacts(
        "sparseness over all samples of textures", "", FREEMAN, _linear(0, 1, 11)),
    "texture_variance_ratio": PropertyFacts(
        "variance over families / variance over samples, of stabilized responses",
        "", FREEMAN, _log(-2, 1, 13), log=True),
    "max_texture": PropertyFacts(
        "highest mean response to a texture family", "rate", FREEMAN, _log(-1, 3, 13), log=True),
    "max_noise": PropertyFacts(
        "highest mean response to the noise of a family", "rate", FREEMAN, _log(-1, 3, 13),
        log=True),
    # Color
    "preferred_hue": PropertyFacts(
        "angle of sum r exp(i hue), from 0 to 360", "°", DERRINGTON),
    "hue_selectivity": PropertyFacts("|sum r exp(i hue)| / sum |r|", "", OWN),
    "cone_weight_l": PropertyFacts(
        "weight of L cone contrast, sizes of the three add up to 1", "", DERRINGTON),
    "cone_weight_m": PropertyFacts("weight of M cone contrast, likewise", "", DERRINGTON),
    "cone_weight_s": PropertyFacts("weight of S cone contrast, likewise", "", DERRINGTON),
    "cone_fit": PropertyFacts(
        "share of variance that the three cone weights explain", "", DERRINGTON),
    "cone_opponent": PropertyFacts("1 if cone weights have different signs, 0", "", DERRINGTON),
    "chromatic_preference": PropertyFacts(
        "best chromatic / (best chromatic + best achromatic) response at equal RMS cone contrast",
        "", OWN),
}  # fmt: skip
# Those that go around a circle, with its period in degrees.
CIRCLES = {
    "preferred_orientation": 180.0,
    "preferred_orientation_interpolated": 180.0,
    "preferred_orientation_vector": 180.0,
    "preferred_hue": 360.0,
}

_SHARES = (
    "fraction_rectified", "circular_variance", "orientation_selectivity", "direction_selectivity",
    "orthogonal_preferred_ratio", "simple", "frequency_selective", "strongly_suppressed",
    "texture_selectivity", "texture_sparseness", "hue_selectivity", "cone_opponent",
    "chromatic_preference",
)  # fmt: skip
_LIMITS = {
    **dict.fromkeys(_SHARES, (0.0, 1.0)),
    "frequency_bandwidth": (0.0, 100.0),
    "orientation_bandwidth": (0.0, 90.0),
    "preferred_orientation": (-22.5, 157.5),
    "preferred_orientation_interpolated": (-22.5, 157.5),
    "preferred_orientation_vector": (-22.5, 157.5),
    "preferred_hue": (0.0, 360.0),
    "modulation_ratio": (0.0, np.inf),
    "suppression_index": (0.0, np.inf),
    "texture_modulation_size": (0.0, np.inf),
}
_LENGTHS = ("deg", "deg²", "c/deg")


def is_possible(name: str, value: float) -> bool:
    """Return whether a property can have a value at all: a share above 1, for one, is none.

    >>> is_possible("circular_variance", 1.2), is_possible("peak_frequency", 0.0)
    (False, False)
    """
    facts = PROPERTIES[name]
    low, high = _LIMITS.get(name, (0.0 if facts.log else -np.inf, np.inf))
    positive = value > 0 or not (facts.log and facts.unit_of_measure in _LENGTHS)
    return bool(np.isfinite(value) and low <= value <= high and positive)
