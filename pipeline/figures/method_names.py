"""Names for readers of the methods that map receptive fields."""

from __future__ import annotations

METHOD_NAMES = {
    "gradient": "gradient",
    "guided_backprop": "guided backprop",
    "integrated_gradient": "integrated gradient",
    "occlusion": "occlusion",
    "effective": "effective field",
    "bars_on_stride": "bars at strides",
    "bars_4a": "bars (4a)",
    "bars_4b": "bars (4b)",
    "bars_4c7o": "bars in eight colors (4c7o)",
    "sin1": "gratings",
    "shapes": "shapes",
    "sparse_noise": "sparse noise",
    "dense_noise": "dense noise",
}


def method_name(method: str) -> str:
    """Return the name of a method for readers.

    >>> method_name("bars_4a_non_overlapping")
    'bars (4a), non-overlapping'
    """
    plain = method.removesuffix("_non_overlapping")
    name = METHOD_NAMES.get(plain, plain.replace("_", " "))
    return name if plain == method else f"{name}, non-overlapping"
