"""How fast stimulus sets are presented to a layer, against drawing each stimulus on a canvas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import torch

from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.field import Field
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.stimulus_set import StimulusSet
from tests.benchmarks.measure import take_turns

BATCH = 100  # stimuli of the plain way
SETS = {"bars_4a": bars_4a, "bars_on_stride": bars_on_stride, "sin1": sin1}
SAMPLES = 8  # blocks, spread over the set: figures of all sizes


def present(
    network: Network, names: list[str], rounds: int, device: str
) -> list[dict[str, str | float]]:
    """Return microseconds per stimulus of all units of layers, both ways."""
    return [
        {"layer": name, "set": chosen}
        | _compare(network, network.layer(name), draw, rounds, device)
        for name in names
        for chosen, draw in SETS.items()
    ]


def _compare(
    network: Network,
    layer: Layer,
    draw: Callable[[Field], StimulusSet],
    rounds: int,
    device: str,
) -> dict[str, str | float]:
    stimuli = draw(field_of(network.graph, layer))
    presentation = Presentation(network.graph, layer, stimuli, device)
    blocks = presentation.blocks[:: max(1, len(presentation.blocks) // SAMPLES)]
    presented = sum(len(presentation.respond(block)[0]) for block in blocks)
    order = torch.randperm(len(stimuli), generator=torch.Generator().manual_seed(0))
    batches = cycle(order[: len(order) // BATCH * BATCH].split(BATCH))
    truncated = network.graph.truncated([layer.node])
    canvas = smallest_canvas(network.graph, layer.node)

    def ours() -> None:
        for block in blocks:
            presentation.respond(block)

    def plain() -> None:
        drawn = stimuli.draw(next(batches), device)
        images = drawn.new_zeros(BATCH, drawn.shape[1], *canvas.size)
        box = canvas.box
        images[:, :, box.top : box.bottom, box.left : box.right] = drawn
        with torch.inference_mode():
            truncated(images)

    times = take_turns({"ours": ours, "plain": plain}, rounds, device)
    ours_us = times["ours"].median / presented * 1e6
    plain_us = times["plain"].median / BATCH * 1e6
    return {"plain_us": plain_us, "ours_us": ours_us, "ratio": plain_us / ours_us}
