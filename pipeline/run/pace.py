"""The speed of this machine: a few batches of a job, timed for about two seconds in total.

Every worker computes the same batch at the same time, as workers share caches and memory. Times of
other batches are scaled by their operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from pipeline.images.batches import Batch, load_batch, spread
from pipeline.images.image_sets import ImageSet
from pipeline.networks.graph.counting import forward_operations
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses
from pipeline.run.machine import Machine
from pipeline.run.parts import Parts
from pipeline.synthesis.descent import Descent
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.scoring import Scorer

BRIEF = 0.15  # seconds per measurement
AFFORDABLE = {"cpu": 5e9, "other": 5e11}  # operations of a timed batch
REPEATS = 20  # at most

SAMPLE = 16  # images read for timing

Search = Callable[[LayerResponses, Batch, torch.device], object]


class Pace:
    """Seconds per step of a batch on one worker, as a function of the operations of the step.

    Args:
        timed: seconds by operations, for the timed batches.
    """

    def __init__(self, timed: Mapping[int, float]) -> None:
        self.operations = sorted(max(1, operations) for operations in timed)
        self.seconds = [
            timed.get(operations, min(timed.values())) for operations in self.operations
        ]

    def __call__(self, operations: int) -> float:
        """Return seconds, interpolated between timed batches on a log-log scale.

        Batches smaller than the smallest timed one take as long as it does, since Python dominates
        there; larger ones run at the rate of the largest timed one.
        """
        if operations > self.operations[-1]:
            return self.seconds[-1] * operations / self.operations[-1]
        wanted, known = np.log(max(1, operations)), np.log(self.operations)
        return float(np.exp(np.interp(wanted, known, np.log(self.seconds))))


def affordable(operations: int, wanted: int, device: str) -> int:
    """Return how many samples of a batch to time: as many as take a fraction of a second.

    Args:
        operations: operations per sample.
        wanted: samples in the whole batch.
        device: kind of device.
    """
    some = AFFORDABLE["cpu" if device == "cpu" else "other"] // max(1, operations)
    return int(max(1, min(wanted, some)))


def step_seconds(
    machine: Machine,
    scorer: Scorer,
    optimizer: Optimizer,
    units: Sequence[int],
    shape: tuple[int, int, int],
    kind: torch.dtype = torch.float32,
) -> float:
    """Return the seconds per ascent step of some units, with all workers busy.

    Args:
        machine: what works.
        scorer: scores the images.
        optimizer: of the ascent.
        units: a unit for each image.
        shape: channels, height and width of an image.
        kind: data type of the images.
    """
    random = torch.Generator().manual_seed(0)
    starts = 0.3 * torch.randn(len(units), *shape, generator=random)
    starts = starts.to(machine.device, kind)
    numbers = torch.tensor(units, device=machine.device)

    def worker() -> Callable[[], None]:
        descent = Descent(scorer.begin(starts, numbers), numbers, [starts])
        step_down = optimizer.build(descent.parameters)

        def step() -> None:
            step_down(descent()[1])

        return step

    return timed(machine, worker)


class Visit(NamedTuple):
    """A timed batch of the search: images, operations, and the seconds of a worker."""

    images: int
    operations: int
    seconds: float


def time_visit(parts: Parts, machine: Machine, layers: Sequence[Layer], search: Search) -> Visit:
    """Time the search of one batch of images for some layers.

    Args:
        parts: of the run.
        machine: that is timed.
        layers: whose responses are searched.
        search: shows a batch to the layers, on a device.
    """
    machine.runner.place(parts.network.module)
    forward = forward_operations(parts.graph, [layer.node for layer in layers])
    whole = min(parts.config.search.batch_size, len(parts.images))
    count = affordable(forward, whole, machine.device.type)
    network = LayerResponses(parts.graph, layers)
    batch = load_batch(parts.images, range(min(count, len(parts.images))))

    def visit() -> None:
        search(network, batch, machine.device)

    return Visit(count, forward * count, timed(machine, lambda: visit))


def image_seconds(machine: Machine, visit: Visit, loading: float) -> float:
    """Return the seconds of searching one image."""
    seeing = visit.seconds / visit.images / machine.workers
    # A CPU worker reads its own batches; other devices compute while threads read.
    cpu = machine.device.type == "cpu"
    return (seeing + loading if cpu else max(seeing, loading)) / machine.processes


def loading_seconds(images: ImageSet, machine: Machine) -> float:
    """Return the seconds to read one image, with all threads reading."""
    # Images that have not been read yet: a second read may come from the file cache.
    neighbors = [(index + 1) % len(images) for index in spread(len(images), SAMPLE)]
    begin = time.perf_counter()
    load_batch(images, neighbors)
    return (time.perf_counter() - begin) / len(neighbors) / machine.threads


def timed(machine: Machine, worker: Callable[[], Callable[[], object]]) -> float:
    """Return the seconds of a worker after a warm-up; slow work is timed fewer times.

    Args:
        machine: whose workers all work at the same time.
        worker: returns what a worker does, and is called by each of them.
    """

    def work(_: int) -> float:
        do = worker()
        first = _seconds(do, machine.device)
        repeats = int(min(REPEATS, BRIEF // first))
        # The median, as other processes may occasionally use the same cores.
        return median([_seconds(do, machine.device) for _ in range(repeats)] or [first])

    return max(machine.runner.workers.map(range(machine.workers), work, machine.workers))


def _seconds(do: Callable[[], object], device: torch.device) -> float:
    begin = time.perf_counter()
    do()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - begin
