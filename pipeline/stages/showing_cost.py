"""What showing stimuli to a layer costs: operations of a pass, and the time of a block of a set."""

from __future__ import annotations

from pipeline.networks.cropping import Crop
from pipeline.networks.graph.counting import node_operations
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.run.pace import timed
from pipeline.search.presentation import Presentation
from pipeline.stages.shown_sets import Shown


def pass_operations(run: ActiveRun, layer: Layer, units: int) -> int:
    """Return the operations of one pass on the field of a layer that answers for some units."""
    graph, canvas = run.parts.graph, run.parts.canvas(layer)
    one = Crop(graph, layer.node, canvas.size, canvas.position).operations
    return one + (units - 1) * node_operations(graph, layer.node, 1)


def time_block(run: ActiveRun, layer: Layer, shown: Shown, machine: Machine) -> tuple[float, float]:
    """Return which share of a set its first block is, and the seconds of showing it."""
    presentation = Presentation(run.parts.graph, layer, shown.build(), machine.device)
    blocks = presentation.blocks
    seconds = timed(machine, lambda: lambda: presentation.respond(blocks[0]))
    return len(blocks[0]) / sum(map(len, blocks)), seconds
