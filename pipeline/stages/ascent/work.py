"""Ascents: blocks of units as work, and checks before the work starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.contrast import contrasts, norms
from pipeline.errors import listed
from pipeline.networks.units.chains import BUILT_IN
from pipeline.run.active_run import ActiveRun
from pipeline.run.dry_run import score_faults
from pipeline.stages.ascent.results import (
    Climb,
    block_batches,
    climber,
    main_climbs,
    read_responses,
)
from pipeline.stages.stage import WorkItems
from pipeline.store.results import Arrays
from pipeline.synthesis.climber import Batch
from pipeline.synthesis.loop import NOT_FINITE, ZERO_GRADIENT, Ascent
from pipeline.synthesis.starts import Start

log = logging.getLogger(__name__)


def climb(run: ActiveRun, climbs: Sequence[Climb]) -> Iterator[WorkItems[Block]]:
    """Yield the blocks that are not in the store, the most expensive first."""
    missing = run.missing(climbs)
    if missing:
        work = AscentWork(run)
        names = dict.fromkeys(f"{climb.layer.name} from {climb.init}" for climb in missing)
        log.info("ascent: climbing %s", ", ".join(names))
        blocks = [Block(climb, name) for climb in climbs for name in climb.blocks]
        blocks.sort(key=work.operations, reverse=True)
        results = [climb.result for climb in missing]
        yield WorkItems(results, blocks, work, "ascent: ascents", tf32=True)


def ascent_faults(run: ActiveRun, climbs: Sequence[Climb]) -> Iterator[str]:
    """Yield the faults of ascents that are not in the store."""
    yield from _rank_faults(run)
    lacking = {climb.layer.name for climb in main_climbs(climbs) if climb.result.missing()}
    yield from score_faults(
        run.parts, [layer for layer in run.parts.layers if layer.name in lacking]
    )


def _rank_faults(run: ActiveRun) -> Iterator[str]:
    parts = run.parts
    kept = min(parts.config.search.keep, len(run.images))
    for name, init in parts.inits.items():
        rank = parts.config.init[name].get("rank", 0)
        if init.needs_top_patches and rank >= kept:
            yield (
                f"init.{name}.rank: {rank} is beyond the {kept} patches kept per unit; ranks count"
                " from 0 (search.keep sets how many are kept)"
            )


def warn(run: ActiveRun, climbs: Sequence[Climb]) -> None:  # noqa: ARG001 - as all stages
    """Warn about units whose ascent failed, and suggest a remedy."""
    for found in main_climbs(climbs):
        _warn(found)


@dataclass(frozen=True)
class Block:
    """Units of one climb that are written as one file."""

    climb: Climb
    name: str

    @property
    def units(self) -> Sequence[int]:
        """The units, in order."""
        return self.climb.blocks[self.name]


class AscentWork:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.climb = climber(run)

    def operations(self, block: Block) -> int:
        """Return the number of operations of a block, by which blocks are ordered."""
        costs = self.active.parts.costs(block.climb.layer)
        return self.size(block) * costs.operations * (4 if block.climb.exact else 1)

    def needed(self, block: Block) -> bool:
        """Return whether a block is missing in the store."""
        return not block.climb.result.holds(block.name)

    def size(self, block: Block) -> int:
        """Return the number of images in a block."""
        return len(block.units) * self.active.parts.copies

    def parts(self, block: Block) -> list[Batch]:
        """Return the batches of a block."""
        return block_batches(self.active, block.climb, block.name)

    def load(self, batch: Batch) -> Batch:
        """Return the batch unchanged: its starting images are made on the device."""
        return batch

    def run(self, batch: Batch) -> tuple[Arrays, list[str]]:
        """Climb one batch."""
        start, done = self.climb(batch)
        return _arrays(start, done), done.status

    def begin(self, block: Block) -> Climbed:
        """Return the collector for a block."""
        return Climbed(block, [], [])


@dataclass(frozen=True)
class Climbed:
    """The finished batches of one block."""

    block: Block
    arrays: list[Arrays]
    status: list[str]

    def add(self, done: tuple[Arrays, list[str]]) -> None:
        """Add a batch."""
        self.arrays.append(done[0])
        self.status.extend(done[1])

    def write(self) -> None:
        """Write the block."""
        whole = {
            name: np.concatenate([arrays[name] for arrays in self.arrays])
            for name in self.arrays[0]
        }
        self.block.climb.result.write(self.block.name, whole, {"status": self.status})


def _arrays(start: Start, done: Ascent) -> Arrays:
    starts, images = done.starts.cpu().numpy(), done.images.cpu().numpy()
    return {
        "units": np.array(start.units),
        "copies": np.array(start.copies),
        "starts": starts.astype(np.float32),
        "images": images,
        "responses": done.responses.cpu().numpy(),
        "norms": np.stack([norms(starts), norms(images)], 1),
        "contrasts": np.stack([contrasts(starts), contrasts(images)], 1),
        "budgets": start.budgets.cpu().numpy(),
    }


def _other_starts(climb: Climb) -> str:
    noise = "init=[noise] with a larger std"
    found = noise if climb.init == "top_patch" else f"init=[top_patch] or {noise}"
    own = {*climb.layer.name.split(":")[1:]} - {*BUILT_IN}
    return found + (", or a readout without a nonlinearity (nonlinearity=none)" if own else "")


def _warn(climb: Climb) -> None:
    advice: dict[str, Callable[[str], str]] = {
        ZERO_GRADIENT: lambda units: (
            f"{units} cannot climb from '{climb.init}': the gradient there is zero (every path "
            f"to the unit has an inactive nonlinearity); try {_other_starts(climb)}"
        ),
        NOT_FINITE: lambda units: (
            f"{units} from '{climb.init}' reached a response that is not finite; try a smaller"
            " optimizer.lr"
        ),
    }
    found = read_responses(climb)
    for status, say in advice.items():
        pairs = zip(found.units.tolist(), found.status, strict=True)
        failed = list(dict.fromkeys(unit for unit, reason in pairs if reason == status))
        if failed:
            named = f"unit {listed(failed, 10)}" if found.of_units else "the layer as a whole"
            log.warning("%s: %s", climb.layer.name, say(named))
