"""What is shown to measure tuning: groups of properties, and the stimulus sets that each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.analysis.cone_colors import GRAY, cone_contrasts, isoluminant, rms
from pipeline.analysis.tuning.properties import PROPERTIES
from pipeline.errors import ConfigError, nearest
from pipeline.networks.loading.network import Network
from pipeline.stimuli.color_gratings import cone_gratings, isoluminant_gratings
from pipeline.stimuli.degree_gratings import CONTRASTS
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.marques import (
    blank,
    marques_orientation,
    marques_receptive_field,
    marques_size,
    marques_spatial_frequency,
)
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.stimuli.textures import textures
from pipeline.stimuli.uniform_colors import isoluminant_discs

PHASES = 8
BACKGROUND = 0.5  # pixel value of the gray screen
# RMS cone contrasts of the cardinal axes L - M and S, at the largest contrast that all hues have.
_AXES = rms(cone_contrasts(GRAY + isoluminant(np.array([0.0, 90.0])), "smith_pokorny")).tolist()
EQUAL = _AXES[0]  # RMS cone contrast at which colors and gray are compared


@dataclass(frozen=True)
class ShownSet:
    """A stimulus set that is shown to a layer as it is.

    Attributes:
        builder: of the set, from the field.
        options: its arguments, as plain data.
        every: whether the responses of all units of the layer are kept, as the rate map needs.
        colored: whether it needs a network of three channels.
    """

    builder: Callable[..., StimulusSet]
    options: Mapping[str, Any]
    every: bool = False
    colored: bool = False

    def build(self, field: Field) -> StimulusSet:
        """Return the set on a field."""
        return self.builder(field, **self.options)

    def settings(self) -> dict[str, Any]:
        """Return what determines the set besides the field, as plain data."""
        return {"set": self.builder.__name__, **self.options}


SETS = {
    "blank": ShownSet(blank, {}, every=True),
    "receptive_field": ShownSet(marques_receptive_field, {}),
    "orientation": ShownSet(marques_orientation, {"phases": PHASES}, every=True),
    "spatial_frequency": ShownSet(marques_spatial_frequency, {"phases": PHASES}),
    "size": ShownSet(marques_size, {"phases": PHASES}),
    "texture": ShownSet(textures, {"samples": 15, "size": 4.0, "seed": 0}),
    "hue": ShownSet(
        isoluminant_discs, {"hues": 24, "contrasts": [1.0], "diameter": 2.0}, colored=True
    ),
    "isoluminant": ShownSet(
        isoluminant_gratings,
        {"hues": 4, "contrasts": [_AXES[0] / _AXES[1], 1.0], "phases": PHASES},
        colored=True,
    ),
    "cones": ShownSet(
        cone_gratings, {"contrasts": [EQUAL, 0.5, 1.0], "phases": PHASES}, colored=True
    ),
}
# The set of each unit's own best grating, whose rows follow from the set of orientations.
CONTRAST = "contrast"
CONTRAST_SETTINGS: dict[str, Any] = {
    "set": "gratings",
    "contrasts": CONTRASTS.tolist(),
    "phases": PHASES,
}

_NAMES = list(PROPERTIES)


def _through(first: str, last: str) -> tuple[str, ...]:
    return tuple(_NAMES[_NAMES.index(first) : _NAMES.index(last) + 1])


# The properties of each group, and the sets that it needs besides blank and orientation, which the
# rate map needs.
GROUPS: dict[str, tuple[str, ...]] = {
    "receptive_field": _through("field_x", "field_area"),
    "orientation": ("fraction_rectified", *_through("circular_variance", "max_ac")),
    "spatial_frequency": _through("peak_frequency", "frequency_pass"),
    "size": _through("suppression_index", "surround_field_ratio_interpolated"),
    "contrast": _through("half_contrast", "contrast_monotonicity"),
    "texture": _through("texture_modulation", "max_noise"),
    "hue": _through("preferred_hue", "hue_selectivity"),
    "cones": _through("cone_weight_l", "chromatic_preference"),
}
_NEEDED = {"cones": ("isoluminant", "cones"), "orientation": ()}
MEASURED = tuple(name for names in GROUPS.values() for name in names)


def sets_of(groups: Sequence[str], channels: int) -> list[str]:
    """Return the sets that groups need, without those in color for a network without colors.

    >>> sets_of(["size", "hue"], channels=1)
    ['blank', 'orientation', 'size']
    """
    needed = [name for group in groups for name in _NEEDED.get(group, (group,))]
    names = dict.fromkeys(["blank", "orientation", *needed])
    return [name for name in names if name == CONTRAST or channels == 3 or not SETS[name].colored]


def chosen_properties(properties: Any) -> list[str]:
    """Return properties by their names or by those of their groups.

    Args:
        properties: ``all``, or one or several names.

    Raises:
        ConfigError: there is none of a name, or it cannot be measured.

    >>> chosen_properties(["hue", "peak_frequency"])
    ['peak_frequency', 'preferred_hue', 'hue_selectivity']
    """
    given = [properties] if isinstance(properties, str) else list(properties)
    chosen: set[str] = set()
    for name in given:
        if name == "all":
            chosen |= {*MEASURED}
        elif name in GROUPS:
            chosen |= {*GROUPS[name]}
        elif name in MEASURED:
            chosen.add(name)
        elif name in PROPERTIES:
            raise ConfigError(
                f"tuning.properties: '{name}' needs gratings that drift, and gratings are shown to"
                " networks for single images at rest"
            )
        else:
            raise ConfigError(
                f"tuning.properties: {name!r} is neither a property nor one of the groups"
                f" {', '.join(GROUPS)}{nearest(str(name), [*GROUPS, *MEASURED])}"
            )
    if not chosen:
        raise ConfigError(
            "tuning.properties: the list is empty; choose 'all', or some of the groups"
            f" {', '.join(GROUPS)}"
        )
    return [name for name in MEASURED if name in chosen]


def groups_of(properties: Sequence[str]) -> list[str]:
    """Return the groups in which properties are.

    >>> groups_of(["preferred_hue"])
    ['hue']
    """
    return [group for group, names in GROUPS.items() if {*names} & {*properties}]


def screen_colors(net: Network) -> Colors:
    """Return the colors of tuning: pixel values from 0 to 1 around a gray screen of 0.5.

    Stimuli in color are shown on this gray, and so are all others.
    """
    seen = net.preprocessing
    return Colors.bounds(seen.mean, seen.std, BACKGROUND)
