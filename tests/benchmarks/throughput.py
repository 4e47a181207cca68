"""How fast the vocabulary climbs: many units at once, one at a time, and by a plain loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pipeline.networks.cropping import Crop
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.runner.runner import Runner
from pipeline.synthesis.loop import ascend
from pipeline.synthesis.objectives import Objective, channel_mean, unit_response
from pipeline.synthesis.optimizers import adam
from pipeline.synthesis.parameterizations import Setting, compose, decorrelated, fourier, sigmoid
from pipeline.synthesis.plan import batch_units, whole_costs
from pipeline.synthesis.scoring import FieldScorer
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.transforms import jitter, pad, rotate, scale
from pipeline.synthesis.treatment import PLAIN, Treatment
from tests.benchmarks import plain
from tests.benchmarks.measure import Timed, take_turns

SIDE = 227
MODULES = 7  # of AlexNet's features, up to conv3
Row = dict[str, str | float]


@dataclass(frozen=True)
class Case:
    """What is climbed, and how: under the whole vocabulary (``rich``) or in plain pixels."""

    name: str
    objective: Objective
    rich: bool


CASES = [
    Case(name, objective, rich)
    for name, objective in (("unit_response", unit_response()), ("channel_mean", channel_mean()))
    for rich in (True, False)
]


def compare(runner: Runner, rounds: int, steps: int) -> list[Row]:
    """Return milliseconds per unit and step of AlexNet's conv3 in every case.

    ``ratio`` is that of the plain loop to many units at once, ``of_singles`` that of one unit at a
    time of this package.
    """
    network = torchvision_network("alexnet", "random").sized((SIDE, SIDE))
    (layer,) = network.find_layers(["conv3"])
    return [_compare(runner, network, layer, case, rounds, steps) for case in CASES]


def _compare(
    runner: Runner, network: Network, layer: Layer, case: Case, rounds: int, steps: int
) -> Row:
    plan = Terms({case.name: case.objective}, 1, (SIDE, SIDE))
    scorer = plan.scorer(network, layer)
    runner.place(scorer.eval())
    if isinstance(scorer, FieldScorer):
        canvas = scorer.network.canvas
        costs = Crop(network.graph, layer.node, canvas.size, canvas.position)
    else:
        costs = whole_costs(network.graph, [layer.node])
    batch, batches = batch_units(costs), runner.workers.threads
    size = scorer.input_size
    draw = torch.Generator().manual_seed(1)
    starts = 0.1 * torch.randn(batch, 3, *size, generator=draw)
    units = torch.arange(batch) % layer.units
    optimizer = adam(steps=steps, lr=0.05)

    def climb(count: int) -> None:
        treatment = _treatment(network, size, count, fits=plan.of_fields) if case.rich else PLAIN
        begun = scorer.begin(starts[:count], units[:count])
        ascend(begun, units[:count], starts[:count], optimizer, treatment)

    def many() -> None:
        for _ in runner.stream([batch] * batches, lambda count: count, climb):
            pass

    whole: Any = torchvision_network("alexnet", "random").module
    hooked: nn.Sequential = whole.features[:MODULES]
    for parameter in hooked.parameters():
        parameter.requires_grad_()
    position = (-1, -1) if plan.of_fields else None

    def plainly() -> None:
        plain.visualize(hooked, hooked[-1], 0, position, SIDE, steps, rich=case.rich)

    times = take_turns({"plain": plainly, "one": lambda: climb(1), "many": many}, rounds)
    each = 1e3 / steps
    loop, one = _scaled(times["plain"], each), _scaled(times["one"], each)
    together = _scaled(times["many"], each / (batch * batches))
    ratio, low, high = together.ratio(loop)
    return {
        "objective": case.name,
        "images": f"{'vocabulary' if case.rich else 'pixels'}, {size[0]} px",
        "batch": batch,
        "plain_ms": loop.median,
        "one_ms": one.median,
        "many_ms": together.median,
        "ratio": ratio,
        "low": low,
        "high": high,
        "of_singles": together.ratio(one)[0],
    }


def _treatment(network: Network, size: tuple[int, int], count: int, *, fits: bool) -> Treatment:
    """Return Fourier coefficients of uncorrelated colors under the standard transforms."""
    setting = Setting(size, network.preprocessing, lambda: torch.empty(0, 3, *size))
    pieces = {"space": fourier(), "colors": decorrelated(), "range": sigmoid()}
    stack = (pad(), jitter(8), scale(), rotate(), jitter(4))
    return Treatment(compose(pieces, setting), transforms=stack, seeds=range(count), fits=fits)


def _scaled(times: Timed, factor: float) -> Timed:
    return Timed([factor * seconds for seconds in times.seconds])
