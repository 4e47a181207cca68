"""Measuring on shared machines: what is compared takes turns, and medians are kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Timed:
    """Seconds of one thing in every round."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: Timed) -> tuple[float, float, float]:
        """Return how many times as long the other takes: by medians, and the range of rounds."""
        rounds = [b / a for a, b in zip(self.seconds, other.seconds, strict=True)]
        return other.median / self.median, min(rounds), max(rounds)


def take_turns(
    things: dict[str, Callable[[], object]],
    rounds: int,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timed]:
    """Time things one after the other, round after round; one round before does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(rounds + 1):
        for name, thing in things.items():
            taken = timed(thing, device, clock)
            if turn:
                seconds[name].append(taken)
    return {name: Timed(found) for name, found in seconds.items()}


def timed(
    thing: Callable[[], object],
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the seconds that one call takes."""
    synchronize(device)
    start = clock()
    thing()
    synchronize(device)
    return clock() - start


def steady_clock(device: str) -> Callable[[], float]:
    """Return the clock of the process on one thread of a CPU, which other jobs disturb less."""
    alone = device == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def synchronize(device: str) -> None:
    """Wait for a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


class Peak:
    """A large convolution, channels last: the fastest that this machine computes here and now."""

    def __init__(self, device: str = "cpu") -> None:
        batch = 32 if device == "cpu" else 512
        draw = torch.Generator().manual_seed(0)
        last = torch.channels_last
        images = torch.randn(batch, 256, 28, 28, generator=draw).contiguous(memory_format=last)
        weight = torch.randn(256, 256, 3, 3, generator=draw).contiguous(memory_format=last)
        self.images, self.weight = images.to(device), weight.to(device)
        self.times = 4
        self.operations = self.times * 2 * batch * 26 * 26 * 256 * 256 * 9

    def __call__(self) -> None:
        for _ in range(self.times):
            F.conv2d(self.images, self.weight)
