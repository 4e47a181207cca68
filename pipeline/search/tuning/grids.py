"""From the responses to a set, in the order of its table, to arrays by what was shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.analysis.tuning.phases import Gratings
from pipeline.errors import ConfigError

WARNINGS = ("aliased", "clipped")
NONE_LEFT = "all stimuli are finer than pixels can show, or leave the screen"


def wrong_stimuli(table: pd.DataFrame, *, keep: bool) -> Bool[np.ndarray, " stimuli"]:
    """Return which stimuli are finer than pixels can show, or leave the screen; none if kept.

    >>> wrong_stimuli(pd.DataFrame({"aliased": [False, True], "clipped": False}), keep=False)
    array([False,  True])
    """
    wrong = table[list(WARNINGS)].to_numpy(dtype=bool).max(axis=1)
    return np.zeros(len(table), dtype=bool) if keep else wrong


def how_many(table: pd.DataFrame, name: str) -> int:
    """Return how many values a column has.

    >>> how_many(pd.DataFrame({"phase": [0, 90, 0]}), "phase")
    2
    """
    return len(np.unique(table[name].to_numpy()))


def kept(wrong: Bool[np.ndarray, "rows columns"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns that are left after those with the largest share are dropped.

    >>> kept(np.array([[False, False], [False, True], [True, True]]))
    (array([0]), array([0, 1]))
    """
    rows, columns = np.arange(wrong.shape[0]), np.arange(wrong.shape[1])
    while (left := wrong[np.ix_(rows, columns)]).any():
        of_rows, of_columns = left.mean(axis=1), left.mean(axis=0)
        if of_rows.max() >= of_columns.max():
            rows = np.delete(rows, of_rows.argmax())
        else:
            columns = np.delete(columns, of_columns.argmax())
    return rows, columns


@dataclass(frozen=True, eq=False)
class GratingGrid:
    """The gratings of a set by size, frequency, orientation and phase, which varies fastest.

    Attributes:
        table: of the set.
        keep: whether stimuli that are aliased or clipped are kept, and flagged.
    """

    table: pd.DataFrame
    keep: bool = False

    @cached_property
    def shape(self) -> tuple[int, int, int, int]:
        """How many sizes, frequencies, orientations and phases the set has."""
        names = ("frequency_per_degree", "orientation", "phase")
        others = [how_many(self.table, name) for name in names]
        return (len(self.table) // int(np.prod(others)), others[0], others[1], others[2])

    def _by(self, name: str) -> np.ndarray:
        """Return a column by size, frequency and orientation."""
        return self.table[name].to_numpy().reshape(self.shape)[..., 0]

    @cached_property
    def _left(self) -> tuple[np.ndarray, np.ndarray]:
        wrong = wrong_stimuli(self.table, keep=self.keep).reshape(self.shape)
        return kept(wrong.max(axis=(2, 3)))

    @property
    def is_empty(self) -> bool:
        """Whether no stimulus is left."""
        return not all(map(len, self._left))

    def left(self, values: np.ndarray) -> np.ndarray:
        """Return values [sizes, frequencies, ...] of the stimuli that are left."""
        return values[np.ix_(*self._left)]

    def responses(
        self, responses: Float[np.ndarray, "units stimuli"]
    ) -> Float[np.ndarray, "units sizes frequencies orientations phases"]:
        """Return responses to the stimuli that are left."""
        by_place = responses.reshape(len(responses), *self.shape)
        return by_place[:, self._left[0]][:, :, self._left[1]]

    def gratings(
        self,
        rates: Float[np.ndarray, "units sizes frequencies orientations phases"],
        blank: Float[np.ndarray, " units"],
    ) -> Gratings:
        """Return rates of the stimuli that are left, with what they are rates of."""
        radii = self.left(self._by("diameter_degrees"))[:, :, 0] / 2
        frequencies = self.left(self._by("frequency_per_degree"))[0, :, 0]
        turns = self._by("orientation")[0, 0]
        words = self.left(self._warnings) if self.keep else None
        return Gratings(rates, blank, radii, frequencies, turns, words)

    @property
    def _warnings(self) -> np.ndarray:
        words = np.full(self.shape[:3], "", dtype=object)
        for name in reversed(WARNINGS):
            words[self._by(name).astype(bool)] = name
        return words

    def parameters(self, best: Int[np.ndarray, "units 3"]) -> pd.DataFrame:
        """Return the parameters of gratings by their indices of size, frequency, orientation."""
        at = tuple(best.T)
        return pd.DataFrame(
            {
                name: self.left(self._by(name))[at].astype(float)
                for name in ("orientation", "frequency_per_degree", "diameter_degrees")
            }
        )


def map_places(
    table: pd.DataFrame, keep: bool
) -> tuple[
    Int[np.ndarray, "rows columns gratings"],
    Float[np.ndarray, " columns"],
    Float[np.ndarray, " rows"],
]:
    """Return the stimuli at each place of the receptive field set, and its places in degrees.

    Places are left out, on both axes, where gratings would be clipped; x goes along columns.

    Raises:
        ConfigError: none is left.
    """
    columns = [np.unique(table[name]) for name in ("step_x", "step_y")]
    shape = (len(columns[0]), len(columns[1]), -1)
    x, y = kept(wrong_stimuli(table, keep=keep).reshape(shape).max(axis=2))
    if min(len(x), len(y)) < 2:
        raise ConfigError(NONE_LEFT)
    numbers = np.arange(len(table)).reshape(shape)[x][:, y].transpose(1, 0, 2)
    places = [column[some].astype(float) / 4 for column, some in zip(columns, (x, y), strict=True)]
    return numbers, places[0], places[1]
