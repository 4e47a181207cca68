"""The section of a unit's page about its opponency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.opponency_fractions import published
from pipeline.analysis.opponency_table import BASELINES, KINDS, OpponencyRules
from pipeline.pages.sections import Curve, Number, Numbers, Part, Plot, Section, Words

TITLE = "Opponency"
ABOUT = (
    "Opponent means that some stimuli raise the response above the baseline, that to an empty"
    " field, and others lower it below. Spectral opponency is that for 360 hues, before the"
    " nonlinearity; spatial opponency that for 960 black and white gratings, after it;"
    " double-opponent units are both (Harris, Mihai & Hare 2019). The baseline, and whether it must"
    " be above 0, decide much."
)
ROUND = 360.0  # degrees


@dataclass(frozen=True, eq=False)
class ShownOpponency:
    """What the section shows of one unit.

    Attributes:
        rows: its rows of the table ``opponency``.
        hues: responses to hues around the circle, before the nonlinearity.
        gray_levels: responses to black, gray and white, before the nonlinearity.
    """

    rows: pd.DataFrame
    hues: Float[np.ndarray, " hues"]
    gray_levels: Float[np.ndarray, " 3"]


def opponency_section(shown: ShownOpponency) -> Section:
    """Return the section of one unit."""
    parts: list[Part] = [
        Numbers(_classes(shown.rows, True), "Class, if the baseline must be above 0"),
        Numbers(_classes(shown.rows, False), "Class, whatever the baseline"),
    ]
    own = {str(row["kind"]): row for row in published(shown.rows).to_dict("records")}
    parts.append(Numbers(_extremes(own), "Strongest and weakest, as published"))
    if np.isfinite(shown.hues).all() and np.isfinite(shown.gray_levels).all():
        parts.append(_curve(shown))
    for reason in dict.fromkeys(str(row["reason"]) for row in own.values() if row["reason"]):
        parts.insert(0, Words(f"{reason[0].upper()}{reason[1:]}."))
    return Section(TITLE, parts, ABOUT)


def _classes(rows: pd.DataFrame, demand: bool) -> list[Number]:
    """Return the class by kind and baseline, at the stages that are published."""
    stages = {kind: at for kind, at, _, _ in OpponencyRules().combinations()}
    of_demand = rows[rows["require_positive_baseline"].astype(bool) == demand]
    by_rule = of_demand.set_index(["kind", "at", "baseline"])["class"].to_dict()
    numbers: list[Number] = []
    for kind in KINDS:
        first, *others = (str(by_rule[kind, stages[kind], baseline]) for baseline in BASELINES)
        named = zip(BASELINES[1:], others, strict=True)
        note = ", ".join(f"{baseline}: {found}" for baseline, found in named)
        numbers.append(Number(f"{kind}, {BASELINES[0]} field", first, note=note))
    return numbers


def _extremes(own: Mapping[str, Mapping[Any, Any]]) -> list[Number]:
    hue, grating = own["spectral"], own["spatial"]
    numbers: list[Number] = []
    for side, name in (("max", "highest"), ("min", "lowest")):
        named = str(hue[f"{side}_name"])
        numbers.append(Number(f"hue of the {name} response", hue[f"{side}_hue"], "°", named))
    for side, name in (("max", "highest"), ("min", "lowest")):
        turn, phase = grating[f"{side}_orientation"], grating[f"{side}_phase"]
        changing = f"changing along {turn:.0f}° (clockwise from rightward), phase {phase:.1f}"
        note = changing if np.isfinite(turn) else ""
        cycles = grating[f"{side}_cycles"]
        numbers.append(Number(f"grating of the {name} response", cycles, "cycles", note))
    return numbers


def _curve(shown: ShownOpponency) -> Plot:
    hues = np.arange(len(shown.hues) + 1) * (ROUND / len(shown.hues))
    around = np.append(shown.hues, shown.hues[0])
    flat = [
        Curve(f"{name} field", [0.0, ROUND], [level, level])
        for name, level in zip(BASELINES, shown.gray_levels.tolist(), strict=True)
    ]
    ticks = (0.0, 60.0, 120.0, 180.0, 240.0, 300.0, 360.0)
    curves = [Curve("hues", hues, around), *flat]
    return Plot("Response by hue", "hue, degrees from red", "response", curves, x_ticks=ticks)
