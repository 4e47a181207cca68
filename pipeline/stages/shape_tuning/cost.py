"""The cost of tuning to shapes: counted, and timed on a machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.analysis.curvature_models import ModelBank
from pipeline.analysis.curvature_tuning import fit_models
from pipeline.networks.cropping import Crop
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import Pace, affordable, timed
from pipeline.run.parts import Parts
from pipeline.search.shape_responses import ShapePresentation, shape_elements
from pipeline.stages.shape_tuning.results import LayerFits, LayerShapes, ShapePlan
from pipeline.stages.stage import Cost
from pipeline.stimuli.shapes import rotations

FLOAT, DOUBLE = 4, 8  # bytes
NUMBERS = 14  # of the tuning of a unit
TIMED_FITS = 256  # responses that are fitted together for timing


def shape_cost(run: ActiveRun, plan: ShapePlan, machine: Machine | None = None) -> Cost:
    """Return the cost of the responses of a run to shapes, and of the fits to them."""
    planned = plan.shapes
    if not planned:
        return Cost()
    parts = run.parts
    single = {each.layer.name: _operations(parts, each.layer) for each in planned}
    shown = {each.layer.name: single[each.layer.name] * _figures(each) for each in planned}
    fits = sum(len(each.shapes.units) * (1 + each.shuffles) for each in plan.fits)
    seconds: dict[str, float] = {}
    sums: dict[str, float] = {}
    if machine is not None:
        seconds = _showing_seconds(parts, planned, single, machine)
        sums = {"shapes": sum(seconds.values()), "fits": fits * _fit_seconds(machine)}
    return Cost(
        operations={"shapes": sum(shown.values()), "fits": fits * _fit_operations()},
        columns={"shapes": shown},
        disk=sum(map(_bytes, plan)),
        missing=sum(_bytes(each) for each in plan if each.result.missing()),
        # All positions of a layer are read at once, and stacked.
        reading=2 * max(map(_bytes, planned)),
        seconds=sums,
        layer_seconds=seconds,
        facts={"shown": _counts(planned)},
    )


def _bytes(each: LayerShapes | LayerFits) -> int:
    if isinstance(each, LayerFits):
        return NUMBERS * DOUBLE * len(each.shapes.units)
    return FLOAT * len(each.units) * _figures(each)


def _figures(each: LayerShapes) -> int:
    """Return how many images are shown to a layer: shapes at all positions, and the blank."""
    return len(each.positions) * len(rotations()) + 1


def _counts(planned: Sequence[LayerShapes]) -> str:
    places = {len(each.positions) for each in planned}
    some = f"{min(places)} to {max(places)}" if len(places) > 1 else f"{min(places)}"
    return f"{len(rotations())} shapes at {some} positions, in {len(planned)} layers"


def _operations(parts: Parts, layer: Layer) -> int:
    """Return the operations of the responses of all units of a layer to one image."""
    canvas = parts.canvas(layer)
    return Crop(parts.graph, layer.node, canvas.size, canvas.position).operations


def _fit_operations() -> int:
    """Return the operations of correlating one unit with all models."""
    return 2 * len(ModelBank()) * len(rotations())


def _showing_seconds(
    parts: Parts, planned: Sequence[LayerShapes], single: Mapping[str, int], machine: Machine
) -> dict[str, float]:
    """Return the estimated seconds per layer, from a few timed images of up to three layers."""
    machine.runner.place(parts.network.module)
    kind = machine.device.type
    rising = sorted(planned, key=lambda each: single[each.layer.name])
    chosen = [e for e in rising if affordable(single[e.layer.name], 2, kind) > 1] or rising[:1]
    some = {e.layer.name: e for e in (chosen[0], chosen[len(chosen) // 2], chosen[-1])}
    pace = Pace(
        {single[name]: _image_seconds(parts, e, single[name], machine) for name, e in some.items()}
    )
    busy = machine.workers * machine.processes
    return {
        each.layer.name: _figures(each) * pace(single[each.layer.name]) / busy for each in planned
    }


def _image_seconds(parts: Parts, each: LayerShapes, operations: int, machine: Machine) -> float:
    """Return the seconds of showing one image to a layer, with all workers busy."""
    preprocessing, device = parts.network.preprocessing, machine.device
    presentation = ShapePresentation(
        parts.graph, each.layer, preprocessing, each.protocol, device
    ).presentation
    count = affordable(operations, len(presentation.blocks[0]), device.type)

    def show() -> None:
        presentation.respond(range(count))

    return timed(machine, lambda: show) / count


def _fit_seconds(machine: Machine) -> float:
    """Return the seconds of one fit, from the models of one of the bank's angles."""
    bank = ModelBank()
    one = ModelBank(angles=bank.angles[:1])
    elements = shape_elements()
    responses = np.random.default_rng(0).normal(size=(TIMED_FITS, len(rotations())))
    begin = time.perf_counter()
    fit_models(responses, elements, one)
    seconds = (time.perf_counter() - begin) * len(bank) / len(one) / TIMED_FITS
    return seconds / (machine.threads * machine.processes)
