"""Maps of the receptive fields of a layer's units by a stimulus set, and their summary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int

from pipeline.analysis.field_maps import summarize_maps
from pipeline.analysis.map_agreement import SIGNS
from pipeline.analysis.place_dependence import ALPHA, place_p_values
from pipeline.analysis.stimulus_maps import (
    Rule,
    bars_entering,
    gratings_entering,
    mean_positions,
    ranked,
    shapes_entering,
)
from pipeline.errors import ConfigError
from pipeline.search.presentation import Presentation
from pipeline.search.stimulus_responses import (
    all_responses,
    check_finite,
    is_constant,
    reverse_correlation,
    stimulus_maps,
)
from pipeline.stimuli.stimulus_set import StimulusSet

KEPT = 100  # stimuli of each sign that are listed
COUNTS = (1, 20, 100)  # stimuli whose mean position is taken
NON_OVERLAPPING = "_non_overlapping"  # ends the name of the second map of figures
NOISE = ("sparse_noise", "dense_noise")  # mapped by reverse correlation
RULES: dict[str, Rule] = {
    "sin1": gratings_entering,
    "sine_1": gratings_entering,
    "sine_2": gratings_entering,
    "shapes": shapes_entering,
    "v4_shapes": shapes_entering,
}  # all other figures enter as bars do
Maps = Float[np.ndarray, "units 2 h w"]


@dataclass(frozen=True)
class MappedFields:
    """Maps of the receptive fields of some units of a layer by one method.

    Attributes:
        maps: what raises the response (for noise: light) and what lowers it (for noise: dark raises
            it); by patches, from the top ones and from the bottom ones.
        apart: non-overlapping maps, of methods that show figures.
        stimuli: numbers of the 100 stimuli with the highest responses and of those with the lowest,
            of methods that show a set; fewer if the set is smaller.
        responses: the responses to them.
        places: mean positions (x, y) of the 1, 20 and 100 strongest figures of each sign, in pixels
            from the center; NaN where there are fewer, or where the unit responds to all alike.
        chance: of figures, how probable responses that differ this much between places are if
            place does not matter (``pipeline.analysis.place_dependence``); NaN if it is not known.
    """

    maps: Maps
    apart: Maps | None = None
    stimuli: Int[np.ndarray, "units 2 k"] | None = None
    responses: Float[np.ndarray, "units 2 k"] | None = None
    places: Float[np.ndarray, "units 2 3 2"] | None = None
    chance: Float[np.ndarray, " units"] | None = None

    def named(self, method: str) -> dict[str, Maps]:
        """Return the maps by name."""
        apart = {} if self.apart is None else {f"{method}{NON_OVERLAPPING}": self.apart}
        return {method: self.maps, **apart}


def map_by_stimuli(
    presentation: Presentation, units: Sequence[int], check: Callable[[], None] = lambda: None
) -> MappedFields:
    """Map receptive fields by a stimulus set: figures by their coverage, noise by correlation.

    Bars, gratings and shapes enter by the rules of tonyfu97/RF-Mapping, all other figures as bars.

    Args:
        presentation: of the set to the layer.
        units: the units, in order.
        check: called between blocks of stimuli; raises an error to stop.

    Raises:
        ConfigError: the set has no figures at places, or the responses take too much memory.
    """
    check_mappable(presentation.stimuli.name, presentation.stimuli.table)
    responses = all_responses(presentation, units, check)
    check_finite(responses, units, presentation.layer)
    return map_responses(presentation.stimuli, responses, check)


def map_responses(
    stimuli: StimulusSet,
    responses: Float[np.ndarray, "units stimuli"],
    check: Callable[[], None] = lambda: None,
) -> MappedFields:
    """Map receptive fields from the responses of units to every stimulus of a set.

    Args:
        stimuli: a set that can be mapped (``check_mappable``).
        responses: of each unit to each stimulus.
        check: called now and then; raises an error to stop.
    """
    numbers, strongest = _strongest(responses)
    if stimuli.name in NOISE:
        maps = reverse_correlation(stimuli, responses, check)
        return MappedFields(maps, stimuli=numbers, responses=strongest)
    rule = RULES.get(stimuli.name, bars_entering)
    signs = [stimulus_maps(stimuli, responses, rule, sign, check) for sign in SIGNS]
    maps, apart = (np.stack(parts, axis=1) for parts in zip(*signs, strict=True))
    places, chance = _places(stimuli, responses), _chance(stimuli, responses)
    return MappedFields(maps, apart, numbers, strongest, places, chance)


def check_mappable(name: str, columns: Iterable[Any]) -> None:
    """Raise an error if a set has neither figures at places nor noise.

    Args:
        name: of the set.
        columns: of its table.

    Raises:
        ConfigError: it has not.
    """
    if name in NOISE or {"x", "y"} <= {*columns}:
        return
    raise ConfigError(
        f"stimulus.{name}: cannot map receptive fields, as its table has no columns x and"
        " y, the place of each figure; use figures at places, such as bars_on_stride, or noise"
    )


def summarize(
    mapped: MappedFields, method: str, units: Sequence[int], signs: Sequence[int] = SIGNS
) -> pd.DataFrame:
    """Return where the field of each unit is and how large, by each map of a method.

    Returns:
        One row per map, sign and unit: ``method``, ``sign`` and ``unit``; the columns of
        ``pipeline.analysis.field_maps.summarize_maps``; of figures ``tb1_x``, ``tb1_y`` and so on,
        the mean positions; and ``field_height`` and ``field_width``, the theoretical field. Units
        whose responses differ between places no more than by chance have a reason and no numbers.
    """
    chance = np.full(len(units), np.nan) if mapped.chance is None else mapped.chance
    by_chance = (chance > ALPHA) & (np.ptp(mapped.maps, axis=(1, 2, 3)) > 0)
    parts = []
    for name, maps in mapped.named(method).items():
        for k, sign in enumerate(SIGNS):
            if sign not in signs:
                continue
            table = _summarized(maps[:, k], by_chance, chance)
            table = table.assign(method=name, sign=sign, unit=list(units))
            if mapped.places is not None:
                places = np.where(by_chance[:, None, None], np.nan, mapped.places[:, k])
                for column, count in enumerate(COUNTS):
                    x, y = places[:, column].T
                    table = table.assign(**{f"tb{count}_x": x, f"tb{count}_y": y})
            parts.append(table.assign(field_height=maps.shape[2], field_width=maps.shape[3]))
    whole = pd.concat(parts, ignore_index=True)
    first = ["method", "sign", "unit"]
    return pd.DataFrame(whole[[*first, *whole.columns.difference(first, sort=False)]])


def _summarized(
    maps: Float[np.ndarray, "units h w"],
    by_chance: Bool[np.ndarray, " units"],
    chance: Float[np.ndarray, " units"],
) -> pd.DataFrame:
    """Return the summary of maps, without the numbers of those that are as they are by chance."""
    table = summarize_maps(np.where(by_chance[:, None, None], 0.0, maps))
    reasons = [f"responses do not depend on where figures are (p = {p:.2g})" for p in chance]
    return table.assign(reason=np.where(by_chance, reasons, table["reason"]))


def _strongest(
    responses: Float[np.ndarray, "units stimuli"],
) -> tuple[Int[np.ndarray, "units 2 k"], Float[np.ndarray, "units 2 k"]]:
    """Return the numbers of the strongest stimuli of each unit and sign, and the responses."""
    numbers = np.stack([ranked(responses, sign)[:, :KEPT] for sign in SIGNS], axis=1)
    return numbers, np.take_along_axis(responses[:, None], numbers, axis=2)


def _places(
    stimuli: StimulusSet, responses: Float[np.ndarray, "units stimuli"]
) -> Float[np.ndarray, "units 2 3 2"]:
    positions = stimuli.table[["x", "y"]].to_numpy(np.float64)
    counts = [count for count in COUNTS if count <= len(stimuli)]
    places = np.full((len(responses), len(SIGNS), len(COUNTS), 2), np.nan)
    for k, sign in enumerate(SIGNS):
        exact = responses.astype(np.float64)
        places[:, k, : len(counts)] = mean_positions(positions, exact, sign, counts)
    places[is_constant(responses)] = np.nan
    return places


def _chance(
    stimuli: StimulusSet, responses: Float[np.ndarray, "units stimuli"]
) -> Float[np.ndarray, " units"]:
    """Return how probable differences between places are by chance, look by look."""
    shown = torch.cat([stimuli.background, stimuli.weights.flatten(1)], dim=1)
    looks = torch.unique(shown, dim=0, return_inverse=True)[1].numpy()
    positions = stimuli.table[["x", "y"]].to_numpy(np.float64)
    places = np.unique(positions, axis=0, return_inverse=True)[1].ravel()
    return place_p_values(responses, looks, places)
