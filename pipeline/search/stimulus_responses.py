"""Responses to a stimulus set, and the maps of receptive fields that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from pipeline.analysis.stimulus_maps import (
    Entering,
    NonOverlappingMaps,
    Rule,
    WeightedMaps,
    binarized,
    entering,
)
from pipeline.errors import ConfigError, NetworkError, listed
from pipeline.search.presentation import Presentation
from pipeline.stimuli.stimulus_set import StimulusSet

LARGEST = 1 << 32  # bytes of responses that are kept
PIXELS = 1 << 22  # pixels of masks that are drawn at once
ROUNDING = 1e-6  # of the strongest response: what rounding makes of a constant


def all_responses(
    presentation: Presentation, units: Sequence[int], check: Callable[[], None] = lambda: None
) -> Float[np.ndarray, "units stimuli"]:
    """Return the responses of some units to every stimulus of a set, in one pass.

    They take four bytes for each unit and stimulus: 52 MB for 384 units and the bars of 4a.

    Args:
        presentation: of the set to the layer.
        units: the units, in order.
        check: called before every block of stimuli; raises an error to stop.

    Raises:
        ConfigError: they would take more than 4 GiB.
    """
    shape = len(units), len(presentation.stimuli)
    check_memory(presentation.stimuli.name, *shape)
    responses = np.empty(shape, np.float32)
    for block in presentation.blocks:
        check()
        rows, some = presentation.respond(block)
        responses[:, rows.numpy()] = some[:, list(units)].numpy().T
    return responses


def check_memory(name: str, units: int, stimuli: int) -> None:
    """Raise an error if responses to a set take too much memory.

    Args:
        name: of the set.
        units: how many respond.
        stimuli: how many there are.

    Raises:
        ConfigError: they would take more than 4 GiB.
    """
    if (needed := 4 * units * stimuli) > LARGEST:
        raise ConfigError(
            f"units: the responses of {units} units to the {stimuli} stimuli of {name} take"
            f" {needed / 2**30:.1f} GiB, and at most {LARGEST / 2**30:.1f} are kept; map fewer"
            " units at a time"
        )


def check_finite(
    responses: Float[np.ndarray, "units stimuli"], units: Sequence[int], layer: str
) -> None:
    """Raise an error if a response is not finite.

    Raises:
        NetworkError: one is not, with the units.
    """
    wrong = np.flatnonzero(~np.isfinite(responses).all(axis=1)).tolist()
    if wrong:
        names = listed([str(units[row]) for row in wrong], 5)
        raise NetworkError(
            f"{layer}: responses of unit {names} are not finite; mend its weights, or leave it out"
            " of units"
        )


def is_constant(responses: Float[np.ndarray, "units stimuli"]) -> Bool[np.ndarray, " units"]:
    """Return which units respond to all stimuli alike, up to rounding.

    >>> is_constant(np.array([[3.0, 3.0], [3.0, 4.0]]))
    array([ True, False])
    """
    return np.ptp(responses, axis=1) <= ROUNDING * np.abs(responses).max(axis=1)


def stimulus_maps(
    stimuli: StimulusSet,
    responses: Float[np.ndarray, "units stimuli"],
    rule: Rule,
    sign: int,
    check: Callable[[], None] = lambda: None,
) -> tuple[Float[np.ndarray, "units h w"], Float[np.ndarray, "units h w"]]:
    """Return the weighted and the non-overlapping maps of units; masks are drawn in batches.

    A grating's mask is its disc. Masks are drawn on a canvas of twice the field, because stimuli
    may meet outside of it. Maps of units that respond to all stimuli alike are 0.

    Args:
        stimuli: bars, gratings or shapes.
        responses: of each unit to each stimulus.
        rule: which stimuli enter a map, and with what weights.
        sign: 1 for what raises the response, -1 for what lowers it.
        check: called before every batch of masks; raises an error to stop.
    """
    geometry = stimuli.geometry.numpy()
    units = [
        Entering(geometry[unit.stimuli], unit.weights)
        for unit in entering(rule, responses.astype(np.float64), sign)
    ]
    weighted = WeightedMaps(units, stimuli.geometries)
    apart = NonOverlappingMaps(units, stimuli.geometries)
    used = np.unique(np.concatenate([[0], *(unit.stimuli for unit in units)])).astype(np.int64)
    down, across = ((side + 1) // 2 for side in stimuli.size)
    inside = (slice(None), slice(down, -down), slice(across, -across))
    for numbers, planes in _planes(stimuli, used, (down, across)):
        check()
        masks = binarized(np.hypot.reduce(planes, axis=1))
        weighted.add(numbers, masks[inside])
        apart.add(numbers, masks)
    responding = ~is_constant(responses)[:, None, None]
    maps = weighted.maps * responding, apart.finish()[0][inside] & responding
    return maps[0].astype(np.float32), maps[1].astype(np.float32)


def reverse_correlation(
    stimuli: StimulusSet,
    responses: Float[np.ndarray, "units stimuli"],
    check: Callable[[], None] = lambda: None,
) -> Float[np.ndarray, "units 2 h w"]:
    """Return by how much light (ON) and dark (OFF) at each pixel raise the response on average.

    For noise of white and black squares the maps are the mean response to frames with a white, or
    black, square at the pixel, less the mean of all frames. For dense noise they are the positive
    and the negative part of the response-weighted mean frame, in which noise is -1..1. Where light
    or dark lowers the response the map is 0.

    Source: Jones & Palmer (1987), J. Neurophysiol. 58:1187; Chichilnisky (2001), Network 12:199.

    Args:
        stimuli: sparse noise, or dense noise without color.
        responses: of each unit to each frame.
        check: called before every batch of frames; raises an error to stop.
    """
    deviations = responses - responses.mean(axis=1, keepdims=True, dtype=np.float64)
    sums, shown = 0.0, 0.0
    # Noise has a geometry of its own in each row.
    for numbers, planes in _planes(stimuli, np.arange(len(stimuli)), (0, 0)):
        check()
        sums = sums + np.tensordot(deviations[:, numbers], planes.astype(np.float64), 1)
        shown = shown + np.square(planes, dtype=np.float64).sum(axis=0)
    sums = np.where(is_constant(responses)[:, None, None, None], 0.0, sums)
    means = sums / np.maximum(shown, 1.0)
    if means.shape[1] == 1:
        means = np.concatenate([means, -means], axis=1)
    return np.maximum(means, 0.0).astype(np.float32)


def _planes(
    stimuli: StimulusSet, geometries: Int[np.ndarray, " n"], margin: tuple[int, int]
) -> Iterator[tuple[Int[np.ndarray, " batch"], Float[np.ndarray, "batch k _ _"]]]:
    """Yield geometries and their planes in batches."""
    height, width = (side + 2 * more for side, more in zip(stimuli.size, margin, strict=True))
    step = max(1, PIXELS // (height * width))
    for first in range(0, len(geometries), step):
        numbers = geometries[first : first + step]
        yield numbers, stimuli.planes(torch.from_numpy(numbers), margin=margin).numpy()
