"""Drawing: tuning curves of the units of each layer that are most selective for orientation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.figures import bar_tuning as figure
from pipeline.figures.method_names import method_name
from pipeline.run.active_run import ActiveRun
from pipeline.stages.bar_tuning.results import LayerBars
from pipeline.stages.stage import Plan

EXAMPLES = 4  # units of a layer


def draw(run: ActiveRun, plan: Plan[LayerBars]) -> None:
    """Draw a figure for each layer and set."""
    if not run.parts.config.figures.formats:
        return
    for each in plan:
        curves = each.read()[0].assign(layer=each.layer.name)
        units = most_selective(curves)
        if units:
            name = f"{run.parts.network.name} {each.layer.name}"
            title = f"{name}, {method_name(each.method)}: units most selective for orientation"
            parts = [curves[curves["unit"] == unit] for unit in units]
            drawn = figure.bar_tuning(pd.DataFrame(pd.concat(parts, ignore_index=True)), title)
            run.figure(f"bar_tuning_{each.layer.name}_{each.method}", drawn)


def most_selective(curves: pd.DataFrame, count: int = EXAMPLES) -> list[int]:
    """Return the units whose responses vary most over orientation, the most selective first.

    What counts is the range of the curve as a fraction of its largest absolute response; of equal
    ones the lower number comes first.

    >>> flat, tuned = ({"unit": unit, "parameter": "orientation"} for unit in (3, 5))
    >>> rows = [flat | {"response": r} for r in (2.0, 2.5)] + [tuned | {"response": 1.0}]
    >>> most_selective(pd.DataFrame([*rows, tuned | {"response": 0.1}]), 1)
    [5]
    """
    own = curves[curves["parameter"] == "orientation"]
    found: list[tuple[float, int]] = []
    for unit, rows in own.groupby("unit"):
        values = pd.DataFrame(rows)["response"].to_numpy(np.float64)
        found.append((-float(np.ptp(values) / np.abs(values).max()), int(str(unit))))
    return [unit for _, unit in sorted(found)[:count]]
