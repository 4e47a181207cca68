"""Computing: grids shown to layers, then climbs of every unit, and responses to other images."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.stages.best_gabor.climbs import climbed, compared
from pipeline.stages.best_gabor.grids import GridWork
from pipeline.stages.best_gabor.plan import GaborPlan
from pipeline.stages.best_gabor.results import Compared, GridStarts, LayerGabors, Starts
from pipeline.stages.best_gabor.sources import Shown
from pipeline.stages.stage import WorkItems
from pipeline.store.results import Arrays, Result
from pipeline.synthesis.gabors import climbed_together

log = logging.getLogger(__name__)
KEPT = 2  # layers whose networks are kept: workers may be at the end of one and in the next
UNITS = "best_gabor: units"


def find_gabors(run: ActiveRun, plan: GaborPlan) -> Iterator[WorkItems[Any]]:
    """Yield grids that have not been shown, then units to climb, then images to compare."""
    for source in plan.sources:
        if source.reason and run.leads:
            said = f"gabor_over_{source.name}", source.layer.name, source.reason
            log.warning("best_gabor: %s will be missing in %s: %s", *said)
    grids: list[GridStarts] = run.missing(plan.grids)
    if grids:
        log.info("best_gabor: showing grids to %s", ", ".join(g.of.layer.name for g in grids))
        results = [each.result for each in grids]
        yield WorkItems(results, grids, GridWork(run), "best_gabor: grids")
    gabors: list[LayerGabors] = run.missing(plan.gabors)
    if gabors:
        log.info("best_gabor: climbing %s", ", ".join(g.of.layer.name for g in gabors))
        blocks = [Block(each, item) for each in gabors for item in each.result.items]
        yield WorkItems([each.result for each in gabors], blocks, ClimbWork(run), UNITS)
    others: list[Compared] = run.missing(plan.compared)
    if others:
        log.info("best_gabor: comparing with other images")
        pairs = [
            CompareBlock(each.gabors, item, each) for each in others for item in each.result.items
        ]
        yield WorkItems([each.result for each in others], pairs, CompareWork(run), UNITS)


@dataclass(frozen=True)
class Block:
    """A work item: some units of one layer."""

    gabors: LayerGabors
    item: str

    @property
    def rows(self) -> range:
        """Which of the units of the layer these are."""
        return self.gabors.rows(self.item)

    @property
    def result(self) -> Result:
        """The result to which the item belongs."""
        return self.gabors.result


@dataclass(frozen=True)
class CompareBlock(Block):
    """A work item: some units of one layer, and their images of one source."""

    compared: Compared

    @property
    def result(self) -> Result:
        """The result to which the item belongs."""
        return self.compared.result


class UnitWork:
    """What all work on blocks of units has in common."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.networks: dict[str, UnitNetwork] = {}
        self.building = threading.Lock()
        run.parts.runner.place(run.parts.network.module)

    def needed(self, block: Block) -> bool:
        """Say whether a block is missing."""
        return not block.result.holds(block.item)

    def size(self, block: Block) -> int:
        """Return the number of units."""
        return len(block.rows)

    def network(self, layer: Layer) -> UnitNetwork:
        """Return the unit network of a layer, built once, in the thread of a worker."""
        with self.building:
            if layer.name not in self.networks:
                if len(self.networks) >= KEPT:
                    del self.networks[next(iter(self.networks))]
                parts = self.active.parts
                built = unit_network(parts.graph, layer).eval().to(parts.runner.device)
                self.networks[layer.name] = built
            return self.networks[layer.name]

    def begin(self, block: Block) -> Written:
        """Return what collects the numbers of a block."""
        return Written(block)


class ClimbWork(UnitWork):
    """The climbs of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        super().__init__(run)
        self.starts: dict[str, Starts] = {}

    def parts(self, block: Block) -> list[tuple[Block, Sequence[int]]]:
        """Return the batches of a block: on a CPU every unit by itself."""
        kind = self.active.parts.runner.device.type
        return [(block, rows) for rows in climbed_together(block.rows, kind, len(block.rows))]

    def load(self, part: tuple[Block, Sequence[int]]) -> tuple[Block, Sequence[int]]:
        """Read nothing yet."""
        return part

    def run(self, part: tuple[Block, Sequence[int]]) -> tuple[Arrays, list[str]]:
        """Climb some units."""
        self.active.parts.runner.check()
        block, rows = part
        gabors, layer = block.gabors, block.gabors.of.layer
        with self.building:
            if layer.name not in self.starts:
                self.starts[layer.name] = gabors.starts.read()
        starts, device = self.starts[layer.name], self.active.parts.runner.device
        return climbed(gabors, rows, starts, self.network(layer), device)


class CompareWork(UnitWork):
    """The responses of units to images of another stage as work for the runner."""

    def parts(self, block: CompareBlock) -> list[CompareBlock]:
        """Return the block itself, as its images lie together."""
        return [block]

    def load(self, block: CompareBlock) -> tuple[Block, Iterator[Shown]]:
        """Read the images when they are shown: there may be many inits and copies."""
        return block, block.compared.source.shown(block.gabors.units(block.item))

    def run(self, part: tuple[Block, Iterator[Shown]]) -> tuple[Arrays, list[str]]:
        """Show the images to their units."""
        block, images = part
        gabors, runner = block.gabors, self.active.parts.runner
        rms = gabors.result.read(block.item, ("rms",))[0]["rms"]
        checked = (each for each in images if runner.check() is None)
        network = self.network(gabors.of.layer)
        return compared(gabors, gabors.units(block.item), checked, rms, network, runner.device)


@dataclass(frozen=True)
class Written:
    """The numbers of one block."""

    block: Block
    parts: list[tuple[Arrays, list[str]]] = field(default_factory=list[tuple[Arrays, list[str]]])

    def add(self, part: tuple[Arrays, list[str]]) -> None:
        """Take in the numbers of some units."""
        self.parts.append(part)

    def write(self) -> None:
        """Write them."""
        names = self.parts[0][0]
        whole = {n: np.concatenate([arrays[n] for arrays, _ in self.parts]) for n in names}
        reasons = [reason for _, own in self.parts for reason in own]
        self.block.result.write(self.block.item, whole, {"reasons": reasons})
