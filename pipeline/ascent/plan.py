"""The plan of ascents: which units are climbed together, fixed before any work is dealt out.

A block is a work item and a file. What it holds follows from counted operations alone, so that it
is the same on every machine. A CPU climbs it in batches small enough for its caches, other devices
at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.networks.cropping import Crop

BLOCK_UNITS = 256
BLOCK_OPERATIONS = 40e9  # per step: about a millisecond of a large GPU, 16 CPU seconds in 100 steps
BATCH_UNITS = 32
BATCH_NUMBERS = 2**25  # activations of one batch: bounds memory where receptive fields are large


def batch_units(crop: Crop) -> int:
    """Return how many units a CPU climbs together."""
    return int(max(1, min(BATCH_UNITS, BATCH_NUMBERS // crop.activations)))


def block_units(crop: Crop) -> int:
    """Return how many units a block holds: a whole number of batches."""
    batch = batch_units(crop)
    step = 2 * max(1, crop.operations)  # forward and backward
    return batch * int(max(1, min(BLOCK_UNITS, BLOCK_OPERATIONS / step) // batch))


def batches(units: Sequence[int], crop: Crop, device: str) -> list[Sequence[int]]:
    """Return the units of a block as they are climbed together on a kind of device."""
    size = batch_units(crop) if device == "cpu" else len(units)
    return [units[start : start + size] for start in range(0, len(units), size)]
