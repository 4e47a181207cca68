"""How fast this machine computes: a few batches of a job, timed for about two seconds in all.

Every lane computes the same batch at the same time, as lanes share caches and memory. What has not
been timed is scaled by its operations.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import torch

from pipeline.checking.machine import Machine
from pipeline.images.batches import load_batch
from pipeline.images.image_sets import ImageSet
from pipeline.networks.responses import LayerResponses
from pipeline.search.top_patches import find_peaks
from pipeline.synthesis.loop import Descent
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.scoring import Scorer

BRIEF = 0.15  # seconds that one thing is timed for
AFFORDABLE = {"cpu": 5e9, "other": 5e11}  # operations of a batch that is timed
REPEATS = 20  # at most


class Pace:
    """Seconds that one lane takes for one step of a batch, by the operations of that step.

    Args:
        timed: seconds by operations, of the batches that were timed.
    """

    def __init__(self, timed: Mapping[int, float]) -> None:
        self.operations = sorted(max(1, operations) for operations in timed)
        self.seconds = [
            timed.get(operations, min(timed.values())) for operations in self.operations
        ]

    def __call__(self, operations: int) -> float:
        """Return seconds, between timed batches by their logarithms.

        Smaller batches take as long as the smallest, in which Python is what takes the time; larger
        ones run at the rate of the largest.
        """
        if operations > self.operations[-1]:
            return self.seconds[-1] * operations / self.operations[-1]
        wanted, known = np.log(max(1, operations)), np.log(self.operations)
        return float(np.exp(np.interp(wanted, known, np.log(self.seconds))))


def affordable(operations: int, wanted: int, device: str) -> int:
    """Return how many samples of a batch are timed: as many as take a fraction of a second.

    Args:
        operations: of one sample.
        wanted: samples of the whole batch.
        device: kind of device.
    """
    some = AFFORDABLE["cpu" if device == "cpu" else "other"] // max(1, operations)
    return int(max(1, min(wanted, some)))


def step_seconds(
    machine: Machine,
    scorer: Scorer,
    optimizer: Optimizer,
    units: Sequence[int],
    kind: torch.dtype = torch.float32,
) -> float:
    """Return the seconds of one step of an ascent of some units, in every lane at once."""
    random = torch.Generator().manual_seed(0)
    starts = 0.3 * torch.randn(len(units), 3, *scorer.input_size, generator=random)
    starts = starts.to(machine.device, kind)
    numbers = torch.tensor(units, device=machine.device)

    def lane() -> Callable[[], None]:
        descent = Descent(scorer.begin(starts, numbers), numbers, [starts])
        step_down = optimizer.build(descent.parameters)

        def step() -> None:
            step_down(descent()[1])

        return step

    return _timed(machine, lane)


def visit_seconds(machine: Machine, network: LayerResponses, images: ImageSet, count: int) -> float:
    """Return the seconds of searching one batch of images, in every lane at once."""
    batch = load_batch(images, range(min(count, len(images))))

    def visit() -> None:
        find_peaks(network, batch, machine.device)

    return _timed(machine, lambda: visit)


def load_seconds(images: ImageSet, indices: Sequence[int]) -> float:
    """Return the seconds of reading one image, on one thread."""
    begin = time.perf_counter()
    load_batch(images, indices)
    return (time.perf_counter() - begin) / len(indices)


def _timed(machine: Machine, lane: Callable[[], Callable[[], None]]) -> float:
    """Return how long a lane takes for what it does, once warm; less exactly where that is long."""

    def work(_: int) -> float:
        do = lane()
        first = _seconds(do, machine.device)
        repeats = int(min(REPEATS, BRIEF // first))
        # The median, as others may be at work on the same cores now and then.
        return median([_seconds(do, machine.device) for _ in range(repeats)] or [first])

    return max(machine.runner.lanes.map(range(machine.lanes), work, machine.lanes))


def _seconds(do: Callable[[], None], device: torch.device) -> float:
    begin = time.perf_counter()
    do()
    if device.type != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - begin
