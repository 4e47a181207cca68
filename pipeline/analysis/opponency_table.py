"""Tables of opponency: from responses to hues, gray levels and gratings to the class of every unit.

The rule is that of ``analysis.opponency``. What it is applied to stands in every row: the kind of
opponency, the field that gives the baseline, the demand, and whether responses are those before or
after the nonlinearity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.opponency import (
    NON_OPPONENT,
    OPPONENT,
    UNDEFINED,
    UNRESPONSIVE,
    double_opponent,
    opponency_classes,
    spectral_opponency,
)
from pipeline.errors import ConfigError, nearest

KINDS = ("spectral", "spatial", "double")
BASELINES = ("black", "gray", "white")  # the gray levels, in their order
STAGES = ("pre", "post")  # the nonlinearity
BOTH = "pre+post"  # of double opponency: spectral before, spatial after
POINTS = ("published", *STAGES)  # where responses are read
RULE = ("kind", "baseline", "require_positive_baseline", "at")
POPULATION = ("layer", *RULE)
COLUMNS = (
    "unit", "kind", "class", "baseline", "require_positive_baseline", "at", "baseline_response",
    "max_response", "min_response", "max_hue", "max_name", "min_hue", "min_name",
    "max_orientation", "max_cycles", "max_phase", "min_orientation", "min_cycles", "min_phase",
    "reason",
)  # fmt: skip
# Of a unit's strongest response to anything: differences that are no larger are those of rounding.
ROUNDING = 1e-6
NOT_FINITE = "a response is not finite"
_Columns = dict[str, np.ndarray]
HALF_TURN, QUARTER_TURN = 180.0, 90.0


@dataclass(frozen=True, eq=False)
class OpponencyResponses:
    """Responses of the units of a layer, before and, if there is one, after its nonlinearity.

    Attributes:
        gray_levels: to black, gray and white.
        hues: to hues from 0 degrees on, evenly spaced around the circle.
        gratings: to achromatic gratings.
        reason: why there are none after the nonlinearity, or an empty string.
    """

    gray_levels: Float[np.ndarray, "stages 3 units"]
    hues: Float[np.ndarray, "stages hues units"]
    gratings: Float[np.ndarray, "stages gratings units"]
    reason: str = ""

    def at(self, stage: str) -> OpponencyResponses | None:
        """Return the responses of one stage, as the only one; ``None`` if there is none."""
        number = STAGES.index(stage)
        if number >= len(self.hues):
            return None
        one = slice(number, number + 1)
        return OpponencyResponses(self.gray_levels[one], self.hues[one], self.gratings[one])


@dataclass(frozen=True)
class OpponencyRules:
    """Which rules are applied; the table has rows for each combination.

    Attributes:
        baselines: fields whose response is the baseline: ``black``, ``gray``, ``white``.
        demands: whether only units with a baseline above 0 may be opponent.
        points: ``published`` (spectral before, spatial after the nonlinearity), ``pre`` or ``post``
            (both before, or both after).

    Raises:
        ConfigError: one of them is unknown, or there is none.
    """

    baselines: tuple[str, ...] = ("black",)
    demands: tuple[bool, ...] = (True,)
    points: tuple[str, ...] = ("published",)

    def __post_init__(self) -> None:
        for name, given, known in (
            ("baseline", self.baselines, BASELINES),
            ("at", self.points, POINTS),
        ):
            for value in given:
                if value not in known:
                    raise ConfigError(
                        f"{name}: {value!r} is not one of {', '.join(known)}, or all"
                        f"{nearest(str(value), known)}"
                    )
            if not given or len(set(given)) < len(given):
                raise ConfigError(f"{name}: {list(given)} is empty or names one twice")

    @classmethod
    def every(cls) -> OpponencyRules:
        """Return all rules.

        >>> len(list(OpponencyRules.every().combinations()))
        42
        """
        return cls(BASELINES, (True, False), POINTS)

    def combinations(self) -> Iterator[tuple[str, str, str, bool]]:
        """Yield kind, stage of the nonlinearity, baseline and demand, each once.

        >>> list(OpponencyRules().combinations())[2]
        ('double', 'pre+post', 'black', True)
        """
        kinds = [(kind, _stage(kind, point)) for kind in KINDS for point in self.points]
        for kind, at in dict.fromkeys(kinds):
            for baseline, demand in product(self.baselines, self.demands):
                yield kind, at, baseline, demand


def _stage(kind: str, point: str) -> str:
    published = {"spectral": "pre", "spatial": "post", "double": BOTH}
    return published[kind] if point == "published" else point


def opponency_table(
    responses: OpponencyResponses,
    gratings: pd.DataFrame,
    units: Sequence[int],
    rules: OpponencyRules,
    seed: int = 0,
    layer: str = "",
) -> pd.DataFrame:
    """Return the class of every unit by every rule.

    Where all responses of a unit are its baseline but for rounding (a millionth of its strongest
    response to anything), they count as equal: it is unresponsive. Otherwise comparisons are exact,
    as published.

    Args:
        responses: of some units.
        gratings: of each grating ``orientation`` (of its bars, degrees counterclockwise from
            rightward, 0 to 180), ``cycles`` and ``phase_cycles``.
        units: numbers of the units.
        rules: which are applied.
        seed: of the choice among hues with equal responses.
        layer: whose units they are; the choice differs between layers.

    Returns:
        One row per kind, stage, baseline, demand and unit, with the columns ``COLUMNS``; hues and
        gratings are missing unless the unit responds to such. ``max_orientation`` and
        ``min_orientation`` are the direction in which the grating changes, as of tuning: degrees
        clockwise from rightward, 0 to below 180. ``max_phase`` and ``min_phase`` are the cycles
        from the center to a crest in that direction, ``reason`` says why a class is ``undefined``.
    """
    parts: list[_Columns] = []
    made: dict[tuple[str, str, str, bool], _Columns] = {}

    def single(kind: str, at: str, baseline: str, demand: bool) -> _Columns:
        key = kind, at, baseline, demand
        if key not in made:
            own = responses.at(at)
            made[key] = _undefined(units, responses.reason) if own is None else one(own, *key)
        return made[key]

    def one(own: OpponencyResponses, kind: str, _at: str, baseline: str, demand: bool) -> _Columns:
        level = BASELINES.index(baseline)
        if kind == "spectral":
            return _spectral(own, units, level, demand, [seed, *layer.encode()])
        return _spatial(own, gratings, units, level, demand)

    for kind, at, baseline, demand in rules.combinations():
        if kind == "double":
            stages = STAGES if at == BOTH else (at, at)
            sides = zip(KINDS, stages, strict=False)
            part = _double(*(single(side, stage, baseline, demand) for side, stage in sides))
        else:
            part = single(kind, at, baseline, demand)
        rule = zip(RULE, (kind, baseline, demand, at), strict=True)
        parts.append(part | {name: np.array([value] * len(units)) for name, value in rule})
    return pd.DataFrame({name: np.concatenate([part[name] for part in parts]) for name in COLUMNS})


def _spectral(
    own: OpponencyResponses,
    units: Sequence[int],
    level: int,
    demand: bool,
    seed: Sequence[int],
) -> _Columns:
    shown, baseline = _settled(own, own.hues[0].T, level)
    hues = np.arange(shown.shape[1]) * (360.0 / shown.shape[1])
    found = spectral_opponency(shown, hues, baseline, demand, units, seed)
    found = found.rename(columns={"baseline": "baseline_response"})
    return _with_reasons(_blank(units) | {str(name): found[name].to_numpy() for name in found})


def _spatial(
    own: OpponencyResponses,
    gratings: pd.DataFrame,
    units: Sequence[int],
    level: int,
    demand: bool,
) -> _Columns:
    shown, baseline = _settled(own, own.gratings[0].T, level)
    classes = opponency_classes(shown, baseline, demand)
    responding = np.isin(classes, [NON_OPPONENT, OPPONENT])
    parameters = _changing(gratings)
    part = _blank(units) | {"class": classes, "baseline_response": baseline}
    for name, at in (("max", shown.argmax(axis=1)), ("min", shown.argmin(axis=1))):
        found = shown[np.arange(len(shown)), at]
        part[f"{name}_response"] = np.where(classes == UNDEFINED, np.nan, found)
        for column, values in parameters.items():
            part[f"{name}_{column}"] = np.where(responding, values[at], np.nan)
    return _with_reasons(part)


def _changing(gratings: pd.DataFrame) -> _Columns:
    """Return gratings by the direction in which they change, clockwise, rather than by their bars.

    The grating whose bars are at t degrees counterclockwise changes along 90 - t degrees clockwise;
    where that is negative, it counts by the opposite direction, in which the phase is the opposite.
    """
    bars, phase = (
        gratings[name].to_numpy(dtype=np.float64) for name in ("orientation", "phase_cycles")
    )
    along = QUARTER_TURN - bars
    return {
        "orientation": np.mod(along, HALF_TURN),
        "cycles": gratings["cycles"].to_numpy(dtype=np.float64),
        "phase": np.where(along < 0, 1.0 - phase, phase),
    }


def _settled(
    own: OpponencyResponses, shown: Float[np.ndarray, "units stimuli"], level: int
) -> tuple[Float[np.ndarray, "units stimuli"], Float[np.ndarray, " units"]]:
    """Return responses and the baseline, equal where nothing but rounding tells them apart."""
    grays = own.gray_levels[0].T.astype(np.float64)
    baseline, settled = grays[:, level], shown.astype(np.float64)
    everything = np.concatenate([grays, own.hues[0].T, own.gratings[0].T], axis=1)
    with np.errstate(invalid="ignore"):
        largest = np.abs(settled - baseline[:, None]).max(axis=1)
        equal = largest <= ROUNDING * np.abs(everything).max(axis=1)
    return np.where(equal[:, None], baseline[:, None], settled), baseline


def _double(spectral: _Columns, spatial: _Columns) -> _Columns:
    """Return the class by both: opponent if both are, and unresponsive if both are."""
    first, second = spectral["class"], spatial["class"]
    undefined = (first == UNDEFINED) | (second == UNDEFINED)
    unresponsive = (first == UNRESPONSIVE) & (second == UNRESPONSIVE)
    named = [undefined, unresponsive, double_opponent(first, second)]
    classes = np.select(named, [UNDEFINED, UNRESPONSIVE, OPPONENT], NON_OPPONENT)
    reason = np.where(spectral["reason"] == "", spatial["reason"], spectral["reason"])
    part = _blank(spectral["unit"].tolist())
    return part | {"class": classes.astype(object), "reason": reason.astype(object)}


def _undefined(units: Sequence[int], reason: str) -> _Columns:
    words = {"class": UNDEFINED, "reason": reason}
    return _blank(units) | {name: np.full(len(units), word, object) for name, word in words.items()}


def _with_reasons(part: _Columns) -> _Columns:
    reason = np.where(part["class"] == UNDEFINED, NOT_FINITE, "")
    return part | {"reason": reason.astype(object)}


def _blank(units: Sequence[int]) -> _Columns:
    """Return columns in which no class and nothing of hues and gratings is known."""
    words = {"max_name", "min_name", "reason", "class"}
    numbers = [name for name in COLUMNS if name not in {*words, *RULE, "unit"}]
    return {
        "unit": np.array(units, dtype=np.int64),
        **{name: np.full(len(units), np.nan) for name in numbers},
        **{name: np.full(len(units), "", object) for name in words},
    }
