"""Drawing: opponency by layer, and the responses to hues of an opponent unit of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pipeline.analysis.opponency_fractions import published
from pipeline.analysis.opponency_table import BASELINES
from pipeline.figures.opponency import HueCurve, hue_curves, opponency_by_layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.opponency.results import LayerOpponency, opponency

EXAMPLES = 8  # units of a figure, at most


def draw(run: ActiveRun, planned: Sequence[LayerOpponency]) -> None:
    """Draw the figures of a run."""
    table = opponency(run, planned)
    if table.empty:
        return
    run.figure("opponency_by_layer", opponency_by_layer(table))
    numbers = np.unique(np.linspace(0, len(planned) - 1, EXAMPLES).round().astype(int))
    curves = [_example(planned[number]) for number in numbers.tolist()]
    title = (
        f"{run.parts.network.name}: responses to hues before the nonlinearity, of the most opponent"
        " unit of each layer"
    )
    run.figure("opponency_hues", hue_curves(curves, title))


def _example(each: LayerOpponency) -> HueCurve:
    """Return the unit whose weaker side is the largest part of its response, opponent if any is."""
    rows = published(each.table)
    own = rows.loc[rows["kind"] == "spectral"].reset_index(drop=True)
    column = int(opposition(own).argmax())
    unit, of_class = own.loc[column, ["unit", "class"]]
    levels = each.responses.gray_levels[0][:, column]
    return HueCurve(
        f"{each.layer.name}/{unit}: {of_class}",
        each.responses.hues[0][:, column],
        dict(zip(BASELINES, levels.tolist(), strict=True)),
    )


def opposition(rows: pd.DataFrame) -> np.ndarray:
    """Return how far each unit is both excited and inhibited: 0 to 1, below 0 if not opponent.

    It is the smaller of the largest excitation and inhibition, as a part of the larger.
    """
    sides = np.stack(
        [
            rows["max_response"] - rows["baseline_response"],
            rows["baseline_response"] - rows["min_response"],
        ]
    )
    largest = np.abs(sides).max(axis=0)
    part = np.divide(sides.min(axis=0), largest, out=np.zeros_like(largest), where=largest > 0)
    return np.nan_to_num(np.where(rows["class"] == "opponent", part, part - 2), nan=-4.0)
