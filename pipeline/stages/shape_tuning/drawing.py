"""Drawing: fits and invariance by layer, and the best fitted unit of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.figures.shape_tuning import (
    EXTREMES,
    ExampleUnit,
    example_units,
    fit_by_layer,
    invariance_by_layer,
)
from pipeline.run.active_run import ActiveRun
from pipeline.stages.shape_tuning.results import LayerFits, ShapePlan, shape_tuning
from pipeline.stimuli.shapes import outlines

EXAMPLES = 8  # units of a figure, at most


def draw(run: ActiveRun, plan: ShapePlan) -> None:
    """Draw the figures of a run, and record the file of its boundary elements if it has one."""
    if plan.fits and plan.fits[0].source:
        run.facts["shape_elements"] = plan.fits[0].source
    table = shape_tuning(run, plan)
    if table.empty:
        return
    run.figure("shape_tuning_fit", fit_by_layer(table))
    run.figure("shape_tuning_invariance", invariance_by_layer(table))
    if examples := _examples(plan.fits):
        title = f"{run.parts.network.name}: the unit of each layer that a model fits best"
        run.figure("shape_tuning_units", example_units(examples, title))


def _examples(fits: Sequence[LayerFits]) -> list[ExampleUnit]:
    """Return the best fitted unit of layers from first to last."""
    fitted = [each for each in fits if np.isfinite(each.read()["apc_r"].to_numpy()).any()]
    chosen = np.unique(np.linspace(0, len(fitted) - 1, EXAMPLES).round().astype(int))
    return [_example(fitted[number]) for number in chosen.tolist()] if fitted else []


def _example(each: LayerFits) -> ExampleUnit:
    r = each.read()["apc_r"].to_numpy()
    column = int(np.nanargmax(r))
    responses = each.shapes.central()[:, column]
    order = np.argsort(responses, kind="stable")
    best, worst = order[::-1][:EXTREMES], order[:EXTREMES]
    shapes = outlines(centered=True)
    return ExampleUnit(
        f"{each.layer.name}\nunit {each.shapes.units[column]}\nr = {r[column]:.2f}",
        shapes[best],
        shapes[worst],
        responses[np.concatenate([best, worst])].tolist(),
    )
