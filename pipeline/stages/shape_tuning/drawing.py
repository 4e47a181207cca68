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
from pipeline.stages.shape_tuning.results import LayerShapes, shape_tuning
from pipeline.stimuli.shapes import outlines

EXAMPLES = 8  # units of a figure, at most


def draw(run: ActiveRun, planned: Sequence[LayerShapes]) -> None:
    """Draw the figures of a run, and record the file of its boundary elements if it has one."""
    if planned and planned[0].source:
        run.facts["shape_elements"] = planned[0].source
    table = shape_tuning(run, planned)
    if table.empty:
        return
    run.figure("shape_tuning_fit", fit_by_layer(table))
    run.figure("shape_tuning_invariance", invariance_by_layer(table))
    if examples := _examples(planned):
        title = f"{run.parts.network.name}: the unit of each layer that a model fits best"
        run.figure("shape_tuning_units", example_units(examples, title))


def _examples(planned: Sequence[LayerShapes]) -> list[ExampleUnit]:
    """Return the best fitted unit of layers from first to last."""
    fitted = [each for each in planned if np.isfinite(each.tuning["apc_r"].to_numpy()).any()]
    chosen = np.unique(np.linspace(0, len(fitted) - 1, EXAMPLES).round().astype(int))
    return [_example(fitted[number]) for number in chosen.tolist()] if fitted else []


def _example(each: LayerShapes) -> ExampleUnit:
    column = int(np.nanargmax(each.tuning["apc_r"].to_numpy()))
    responses = each.central()[:, column]
    order = np.argsort(responses, kind="stable")
    best, worst = order[::-1][:EXTREMES], order[:EXTREMES]
    r = each.tuning["apc_r"].iloc[column]
    shapes = outlines(centered=True)
    return ExampleUnit(
        f"{each.layer.name}\nunit {each.units[column]}\nr = {r:.2f}",
        shapes[best],
        shapes[worst],
        responses[np.concatenate([best, worst])].tolist(),
    )
