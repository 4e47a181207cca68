"""Names of tuning properties as figures write them, and what kind of numbers they are."""

from __future__ import annotations

from pipeline.analysis.tuning.properties import PROPERTIES

_NAMES = {
    "frequency_bandwidth": "frequency bandwidth, low / high",
    "frequency_bandwidth_octaves": "frequency bandwidth",
    "frequency_selective": "frequency selective",
    "half_contrast": "half-saturation contrast c50",
    "max_ac": "highest F1",
    "max_dc": "highest F0",
    "modulation_ratio": "modulation ratio F1/F0",
    "orientation_bandwidth": "orientation bandwidth (half)",
    "orthogonal_preferred_ratio": "orthogonal / preferred",
    "peak_frequency": "peak spatial frequency",
    "ratio_variance_difference": "orthogonal / preferred less variance",
    "simple": "simple (F1/F0 > 1)",
    "summation_field": "grating summation field",
    "surround_field_ratio": "surround / summation field",
    "texture_modulation_size": "|texture modulation|",
    "variance_bandwidth_ratio": "variance / bandwidth",
}
_UNITS = {
    "deg": "degrees of visual angle",
    "c/deg": "cycles / degree",
    "deg²": "square degrees",
    "°": "degrees",
    "1/°": "1 / degree",
    "rate": "response",
}
# Properties that a unit has or has not.
YES_NO = ("simple", "frequency_selective", "strongly_suppressed", "cone_opponent")


def property_name(name: str) -> str:
    """Return a property as titles write it.

    >>> property_name("peak_frequency"), property_name("circular_variance")
    ('peak spatial frequency', 'circular variance')
    """
    return _NAMES.get(name, name.replace("_", " "))


def unit_name(name: str) -> str:
    """Return the unit of a property as axes write it, or an empty string.

    >>> unit_name("peak_frequency"), unit_name("circular_variance")
    ('cycles / degree', '')
    """
    measure = PROPERTIES[name].unit_of_measure
    return _UNITS.get(measure, measure)
