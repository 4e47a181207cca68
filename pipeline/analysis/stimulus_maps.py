"""Maps of receptive fields from the bars, gratings or shapes that drive a unit most.

The rules are those of tonyfu97/RF-Mapping (MIT): bar.py, grating.py, pasu_shape.py. Everywhere the
higher response comes first (for what inhibits a unit: the lower one), and of equal ones the
stimulus with the lower number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pipeline.errors import ConfigError


class Entering(NamedTuple):
    """Stimuli that enter the map of a unit, the one that drives it most first."""

    stimuli: Int[np.ndarray, " entering"]
    weights: Float[np.ndarray, " entering"]


Rule = Callable[[Float[np.ndarray, " stimuli"], int], Entering]


def ranked(responses: Float[np.ndarray, "*units stimuli"], sign: int = 1) -> np.ndarray:
    """Return the numbers of the stimuli, from the highest response (``sign`` -1: the lowest).

    >>> ranked(np.array([1.0, 3.0, 3.0, -2.0]))
    array([1, 2, 0, 3])
    >>> ranked(np.array([1.0, 3.0, 3.0, -2.0]), sign=-1)
    array([3, 0, 1, 2])
    """
    _check(responses, sign)
    return np.argsort(-sign * responses, axis=-1, kind="stable")


def bars_entering(responses: Float[np.ndarray, " stimuli"], sign: int = 1) -> Entering:
    """Return the bars that enter a unit's map: those of more than half its highest response.

    r > max(r_max / 2, 0) with the weight r; with ``sign`` -1, r < min(r_min / 2, 0) with -r.

    >>> bars_entering(np.array([1.0, 4.0, 3.0, -5.0, 2.0]))
    Entering(stimuli=array([1, 2]), weights=array([4., 3.]))
    """
    stimuli = _above_half(responses, sign)
    return Entering(stimuli, sign * responses[stimuli])


def gratings_entering(responses: Float[np.ndarray, " stimuli"], sign: int = 1) -> Entering:
    """Return the gratings that enter a unit's map, by the thresholds for bars.

    The weight is r; with ``sign`` -1 it is (r_max - r) / max(r_max - r_min, 1).

    >>> gratings_entering(np.array([1.0, 4.0, 3.0, -6.0, 2.0]), sign=-1)
    Entering(stimuli=array([3]), weights=array([1.]))
    """
    stimuli = _above_half(responses, sign)
    weights = responses if sign > 0 else _within_range(responses, sign)
    return Entering(stimuli, weights[stimuli])


def shapes_entering(
    responses: Float[np.ndarray, " stimuli"], sign: int = 1, count: int = 500
) -> Entering:
    """Return the shapes that enter a unit's map: the strongest ``count``, whatever their response.

    The weight is (r - r_min) / max(r_max - r_min, 1); with ``sign`` -1 the weakest enter, with
    (r_max - r) / max(r_max - r_min, 1).

    >>> shapes_entering(np.array([1.0, 4.0, 3.0, 0.0]), count=2)
    Entering(stimuli=array([1, 2]), weights=array([1.  , 0.75]))
    """
    stimuli = ranked(responses, sign)[:count]
    return Entering(stimuli, _within_range(responses, sign)[stimuli])


def entering(
    rule: Rule, responses: Float[np.ndarray, "units stimuli"], sign: int = 1
) -> list[Entering]:
    """Apply a rule to the responses of each unit."""
    return [rule(unit, sign) for unit in responses]


def binarized(
    coverage: Float[np.ndarray, "*masks"], threshold: float = 0.2
) -> Bool[np.ndarray, "*masks"]:
    """Return which pixels a stimulus covers by at least ``threshold``, without its soft edge."""
    return coverage >= threshold


def mean_positions(
    positions: Float[np.ndarray, "stimuli 2"],
    responses: Float[np.ndarray, "units stimuli"],
    sign: int = 1,
    counts: Sequence[int] = (1, 20, 100),
) -> Float[np.ndarray, "units counts 2"]:
    """Return the mean positions of the stimuli that drive each unit most (TB1, TB20, TB100).

    Args:
        positions: x and y of the centers of the stimuli.
        responses: of each unit to each stimulus.
        sign: 1 for the highest responses, -1 for the lowest.
        counts: over how many stimuli the means are taken.

    Raises:
        ConfigError: there are fewer stimuli than that.

    >>> places = np.array([[0.0, 0.0], [4.0, 2.0], [6.0, 2.0]])
    >>> mean_positions(places, np.array([[1.0, 2.0, 3.0]]), counts=(1, 2))
    array([[[6., 2.],
            [5., 2.]]])
    """
    if max(counts) > len(positions):
        raise ConfigError(
            f"mean positions: the best {max(counts)} stimuli were asked for, but the set has "
            f"{len(positions)}; ask for fewer"
        )
    best = positions[ranked(responses, sign)[:, : max(counts)]]
    return np.stack([best[:, :count].mean(axis=1) for count in counts], axis=1)


class WeightedMaps:
    """The sum over stimuli of mask times weight, for each unit, while masks come in batches.

    Batches may come in any order. Numbers may also stand for masks rather than stimuli: if several
    stimuli share a mask, such as a bar in white and in black, replace their numbers by that of the
    mask, and their weights add up.

    >>> maps = WeightedMaps([Entering(np.array([2, 0]), np.array([3.0, 1.0]))], stimuli=3)
    >>> maps.add(np.array([0, 1]), np.array([[[1.0, 1.0]], [[0.0, 1.0]]]) > 0.5)
    >>> maps.add(np.array([2]), np.array([[[0.0, 1.0]]]) > 0.5)
    >>> maps.maps
    array([[[1., 4.]]])
    """

    def __init__(self, units: Sequence[Entering], stimuli: int) -> None:
        rows = np.repeat(np.arange(len(units)), [len(unit.stimuli) for unit in units])
        columns = _joined([unit.stimuli for unit in units], stimuli)
        weights = np.concatenate([np.zeros(0), *(unit.weights for unit in units)])
        from scipy.sparse import csc_array  # takes long, and plans do without

        self._weights = csc_array((weights, (rows, columns)), shape=(len(units), stimuli))
        self._maps: np.ndarray | None = None

    def add(
        self,
        numbers: Int[np.ndarray, " batch"],
        masks: Bool[np.ndarray, "batch *size"] | Float[np.ndarray, "batch *size"],
    ) -> None:
        """Add the masks of some stimuli.

        Args:
            numbers: of the stimuli, each added once only.
            masks: ``binarized`` as in the published maps, or the coverage itself.
        """
        flat = _rows(masks).astype(np.float64)
        added = (self._weights[:, numbers] @ flat).reshape(-1, *masks.shape[1:])
        self._maps = added if self._maps is None else self._maps + added

    @property
    def maps(self) -> Float[np.ndarray, "units *size"]:
        """The maps of what was added so far.

        Raises:
            ConfigError: nothing was added.
        """
        if self._maps is None:
            raise ConfigError("stimulus maps: no masks were added")
        return self._maps


class NonOverlappingMaps:
    """Maps of stimuli that do not overlap, for each unit, while masks come in batches.

    In the order of the responses a stimulus is added to the map of a unit if its mask touches none
    of those that are already there. Masks are to cover the whole canvas, since stimuli may meet
    outside the field. Batches may come in any order: masks that enter any map are kept, with one
    bit a pixel.

    >>> order = Entering(np.array([2, 0, 1]), np.ones(3))
    >>> maps = NonOverlappingMaps([order], stimuli=3)
    >>> maps.add(np.arange(3), np.array([[[1, 1, 0]], [[1, 0, 0]], [[0, 1, 0]]]) > 0)
    >>> maps.finish()[0].astype(int), maps.finish()[1]
    (array([[[1, 1, 0]]]), array([2]))
    """

    def __init__(self, units: Sequence[Entering], stimuli: int) -> None:
        self._units = [np.asarray(unit.stimuli) for unit in units]
        self._wanted = np.zeros(stimuli, dtype=bool)
        self._wanted[_joined(self._units, stimuli)] = True
        self._row = np.full(stimuli, -1)
        self._bits: list[UInt8[np.ndarray, "masks bytes"]] = []
        self._size: tuple[int, ...] = ()

    def add(
        self, numbers: Int[np.ndarray, " batch"], masks: Bool[np.ndarray, "batch *size"]
    ) -> None:
        """Add the binarized masks of some stimuli, each once only."""
        used = self._wanted[numbers]
        kept = sum(len(bits) for bits in self._bits)
        self._row[numbers[used]] = kept + np.arange(used.sum())
        self._bits.append(np.packbits(_rows(masks)[used], axis=1))
        self._size = masks.shape[1:]

    def finish(self) -> tuple[Bool[np.ndarray, "units *size"], Int[np.ndarray, " units"]]:
        """Return the maps, and how many stimuli each is made of.

        Raises:
            ConfigError: the mask of a stimulus that enters a map was not added.
        """
        if missing := int((self._wanted & (self._row < 0)).sum()):
            raise ConfigError(f"stimulus maps: {missing} masks that enter a map were not added")
        pixels = int(np.prod(self._size))
        bits = np.concatenate([np.zeros((0, (pixels + 7) // 8), np.uint8), *self._bits])
        chosen = [_disjoint(bits[self._row[stimuli]]) for stimuli in self._units]
        maps = np.stack([np.bitwise_or.reduce(masks, axis=0) for masks in chosen])
        maps = np.unpackbits(maps, axis=1, count=pixels).astype(bool)
        return maps.reshape(-1, *self._size), np.array([len(masks) for masks in chosen])


def _rows(masks: np.ndarray) -> np.ndarray:
    return masks.reshape(len(masks), int(np.prod(masks.shape[1:])))


def _disjoint(masks: UInt8[np.ndarray, "masks bytes"]) -> UInt8[np.ndarray, "chosen bytes"]:
    """Choose masks one after the other that touch none of those chosen before."""
    chosen = []
    left = masks[masks.any(axis=1)]
    while len(left):
        chosen.append(left[0])
        left = left[~(left & left[0]).any(axis=1)]
    return np.stack(chosen) if chosen else masks[:0]


def _above_half(
    responses: Float[np.ndarray, " stimuli"], sign: int
) -> Int[np.ndarray, " entering"]:
    order = ranked(responses, sign)
    driven = sign * responses
    threshold = max(driven.max(initial=0.0) / 2, 0.0)
    return order[driven[order] > threshold]


def _within_range(
    responses: Float[np.ndarray, " stimuli"], sign: int
) -> Float[np.ndarray, " stimuli"]:
    driven = sign * responses
    return (driven - driven.min()) / max(float(np.ptp(driven)), 1.0)


def _joined(units: Sequence[np.ndarray], stimuli: int) -> Int[np.ndarray, " all"]:
    joined = np.concatenate([np.zeros(0, dtype=np.int64), *units])
    if len(joined) and not 0 <= joined.min() <= joined.max() < stimuli:
        raise ConfigError(
            f"stimulus maps: the set has {stimuli} stimuli, but numbers from {joined.min()} to "
            f"{joined.max()} enter"
        )
    return joined


def _check(responses: Float[np.ndarray, "*units stimuli"], sign: int) -> None:
    if sign not in (1, -1):
        raise ConfigError(f"sign must be 1 or -1, not {sign}")
    if not np.isfinite(responses).all():
        raise ConfigError("responses: they must be finite to be ranked")
