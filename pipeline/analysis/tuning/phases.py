"""Mean and modulation over the phases of gratings, and the curve through each unit's optimum.

A drifting grating is a series of phases: F0 (DC) is the mean over them, F1 (AC) the amplitude of
the first harmonic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.analysis.tuning.curves import is_flat
from pipeline.analysis.tuning.measured import (
    FLAT,
    NOT_FINITE,
    SILENT,
    finite_units,
    flags,
    with_flag,
)
from pipeline.analysis.tuning.rates import SAME, silent_units
from pipeline.errors import ConfigError

AXES = ("size", "frequency", "orientation")
_FEW = 4  # values of an axis below which an optimum at its edge says nothing


@dataclass(frozen=True, eq=False)
class Gratings:
    """Rates of units to gratings of all sizes, frequencies, orientations and phases of a grid.

    Attributes:
        rates: from a rate map.
        blank: rate of each unit to no stimulus.
        radii: degrees; in the orientation set they depend on the frequency.
        frequencies: cycles per degree, ascending.
        orientations: degrees, in equal steps that fill 180 (or 360 of directions).
        warnings: what is wrong with a stimulus (``aliased``, ``clipped``), or an empty string.

    Raises:
        ConfigError: there are fewer than three phases.
    """

    rates: Float[np.ndarray, "units sizes frequencies orientations phases"]
    blank: Float[np.ndarray, " units"]
    radii: Float[np.ndarray, "sizes frequencies"]
    frequencies: Float[np.ndarray, " frequencies"]
    orientations: Float[np.ndarray, " orientations"]
    warnings: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.rates.shape[-1] < 3:
            raise ConfigError(
                f"gratings: at least 3 phases are needed for F1, not {self.rates.shape[-1]}"
            )


@dataclass(frozen=True, eq=False)
class TuningSlice:
    """Rates of each unit along one axis of the grid, through its own optimum.

    Attributes:
        axis: ``size``, ``frequency`` or ``orientation``.
        x: radii (degrees), frequencies (cycles per degree) or orientations (degrees).
        rates: at every x and phase.
        baseline: what is subtracted from the mean over phases, of each unit.
        modulated: whether the curve is the first harmonic rather than the mean.
        best: indices of size, frequency and orientation of the optimum.
        flag: why a unit has no curve, or what to know of its optimum.
        defined: whether the unit has a curve.
    """

    axis: str
    x: Float[np.ndarray, " points"]
    rates: Float[np.ndarray, "units points phases"]
    baseline: Float[np.ndarray, " units"]
    modulated: Bool[np.ndarray, " units"]
    best: Int[np.ndarray, "units 3"]
    flag: np.ndarray
    defined: Bool[np.ndarray, " units"]

    @cached_property
    def mean_and_modulation(
        self,
    ) -> tuple[Float[np.ndarray, "units points"], Float[np.ndarray, "units points"]]:
        """DC and AC of each unit at every x."""
        return mean_and_modulation(self.rates)

    @cached_property
    def curve(self) -> Float[np.ndarray, "units points"]:
        """The curve of each unit: mean less baseline, or first harmonic; 0 if undefined."""
        dc, ac = self.mean_and_modulation
        curve = np.where(self.modulated[:, None], ac, dc - self.baseline[:, None])
        return np.where(self.defined[:, None], curve, 0.0)

    def redrawn(
        self, rates: Float[np.ndarray, "draws points phases"], rows: Int[np.ndarray, " draws"]
    ) -> TuningSlice:
        """Return the slice with other rates, each of the unit in a row of this slice."""
        return replace(
            self,
            rates=rates,
            baseline=self.baseline[rows],
            modulated=self.modulated[rows],
            best=self.best[rows],
            flag=self.flag[rows],
            defined=self.defined[rows],
        )


def mean_and_modulation(
    rates: Float[np.ndarray, "*grid phases"],
) -> tuple[Float[np.ndarray, "*grid"], Float[np.ndarray, "*grid"]]:
    """Return DC, the mean over equally spaced phases of one cycle, and AC, the first harmonic.

    AC = 2 |FFT(r)[1]| / phases.

    >>> phase = np.arange(8) * np.pi / 4
    >>> dc, ac = mean_and_modulation(3 + 2 * np.cos(phase - 1)[None])
    >>> dc.round(6), ac.round(6)
    (array([3.]), array([2.]))
    """
    count = rates.shape[-1]
    wave = np.exp(-2j * np.pi * np.arange(count) / count)
    real = (rates * wave.real).sum(axis=-1)
    imaginary = (rates * wave.imag).sum(axis=-1)
    return rates.mean(axis=-1), 2 * np.hypot(real, imaginary) / count


def tuning_slice(
    shown: Gratings,
    axis: str,
    threshold: float = 0.0,
    component: str = "mean",
    subtract: bool = False,
) -> TuningSlice:
    """Return the rates of each unit along one axis, through its best size, frequency, orientation.

    The studies as brain-score follows them (Marques, Schrimpf & DiCarlo 2021): Ringach and De
    Valois (orientation) and Schiller (frequency) take the mean; De Valois (peak of frequency) and
    Cavanaugh (size) take whichever is higher, the mean less the blank or the first harmonic
    (``component="larger"``, which implies ``subtract``).

    Args:
        shown: rates to all gratings.
        axis: ``size``, ``frequency`` or ``orientation``.
        threshold: the optimum must exceed the blank by more than this, in rate.
        component: ``mean``, or ``larger``: mean or first harmonic.
        subtract: whether the blank is subtracted from the mean.

    Returns:
        The slice. Units that are not finite, that do not exceed the threshold, or that give the
        same response to everything have no curve. Flags name an optimum at the edge of the grid
        along an axis of at least four values, and what is wrong with the best stimulus.

    Raises:
        ConfigError: the axis or the component is unknown.

    >>> phase = np.cos(np.arange(8) * np.pi / 4)
    >>> rates = np.array([1.0, 3.0, 1.0, 0.0])[:, None] * (1 + phase)
    >>> shown = Gratings(rates[None, None, None], np.zeros(1), np.ones((1, 1)), np.ones(1),
    ...     np.arange(4) * 45.0)
    >>> tuning_slice(shown, "orientation").curve
    array([[1., 3., 1., 0.]])
    """
    if axis not in AXES or component not in ("mean", "larger"):
        raise ConfigError(
            f"tuning: the axis must be {', '.join(AXES)} and the component mean or larger, not"
            f" {axis!r} and {component!r}"
        )
    finite = finite_units(shown.rates, shown.blank)
    rates = np.where(finite[:, None, None, None, None], shown.rates, 0.0)
    blank = np.where(finite, shown.blank, 0.0)
    dc, ac = mean_and_modulation(rates)
    above = dc - blank[:, None, None, None]
    larger = component == "larger"
    best, modulated = _optimum(above, ac if larger else None)
    cut = _through(rates, AXES.index(axis), best)
    rows = np.arange(len(rates))
    height = np.where(modulated, ac[rows, *best.T], above[rows, *best.T])
    least = threshold + SAME * np.maximum(np.abs(rates).max(axis=(1, 2, 3, 4)), np.abs(blank))
    flat = silent_units(rates, blank)
    missing = flags(
        len(rates), (~finite, NOT_FINITE), (flat, SILENT), (~(height > least), _weak(threshold))
    )
    subtracted = blank if subtract or larger else np.zeros(len(rates))
    found = missing == ""
    flag = np.where(found, _notes(shown, best), missing)
    x = _places(shown, axis)
    return TuningSlice(axis, x, cut, subtracted, modulated, best, flag, found)


def undefined(sliced: TuningSlice) -> tuple[Bool[np.ndarray, " units"], np.ndarray]:
    """Return which units have no curve or a flat one, and their flags.

    >>> rates = np.ones((1, 4, 8))
    >>> flat = TuningSlice("orientation", np.arange(4) * 45.0, rates, np.zeros(1),
    ...     np.array([False]), np.zeros((1, 3), int), np.array([""]), np.array([True]))
    >>> undefined(flat)[1].tolist()
    ['responses do not differ']
    """
    flat = sliced.defined & is_flat(sliced.curve)
    return ~sliced.defined | flat, np.where(flat, FLAT, sliced.flag)


def _optimum(
    above: Float[np.ndarray, "units sizes frequencies orientations"],
    ac: Float[np.ndarray, "units sizes frequencies orientations"] | None,
) -> tuple[Int[np.ndarray, "units 3"], Bool[np.ndarray, " units"]]:
    """Return the indices of the highest value, the first of equal ones, and whether it is AC."""
    values = above[:, None] if ac is None else np.stack([above, ac], axis=1)
    highest = values.reshape(len(values), -1).argmax(axis=1)
    component, *best = np.unravel_index(highest, values.shape[1:])
    return np.stack(best, axis=1).astype(np.int64), component == 1


def _through(
    rates: Float[np.ndarray, "units sizes frequencies orientations phases"],
    axis: int,
    best: Int[np.ndarray, "units 3"],
) -> Float[np.ndarray, "units points phases"]:
    moved = np.moveaxis(rates, axis + 1, 3)
    first, second = (best[:, other] for other in range(3) if other != axis)
    return np.ascontiguousarray(moved[np.arange(len(rates)), first, second])


def _places(shown: Gratings, axis: str) -> Float[np.ndarray, " points"]:
    if axis == "size":
        if not (shown.radii == shown.radii[:, :1]).all():
            raise ConfigError("size: all frequencies must be shown at the same radii")
        return shown.radii[:, 0].copy()
    return shown.frequencies if axis == "frequency" else shown.orientations


def _weak(threshold: float) -> str:
    if threshold == 0:
        return "no grating is answered more than the blank"
    return f"no grating exceeds the blank by more than {threshold:g}"


def _notes(shown: Gratings, best: Int[np.ndarray, "units 3"]) -> np.ndarray:
    """Return what is to know of each unit's optimum."""
    flag = np.full(len(best), "", dtype=object)
    for column, (axis, words) in enumerate((("size", "size"), ("frequency", "spatial frequency"))):
        last = shown.rates.shape[column + 1] - 1
        if last + 1 < _FEW:
            continue
        for edge, which in ((0, "smallest" if axis == "size" else "lowest"),
                            (last, "largest" if axis == "size" else "highest")):  # fmt: skip
            flag = with_flag(
                flag, best[:, column] == edge, f"the best {words} is the {which} shown"
            )
    if shown.warnings is not None:
        said = shown.warnings[tuple(best.T)]
        for words in sorted(set(said.tolist()) - {""}):
            flag = with_flag(flag, said == words, f"the best stimulus is {words}")
    return flag
