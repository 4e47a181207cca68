"""Computing: searches generation by generation, with checkpoints in between."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution.batches import batch_of, experiment_of
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.results import Searches
from pipeline.stages.stage import WorkItems
from pipeline.store.checkpoints import Checkpoint
from pipeline.store.identity import chosen
from pipeline.synthesis.evolution.batch import Batch
from pipeline.synthesis.evolution.film import Film
from pipeline.synthesis.evolution.finished import Finished
from pipeline.synthesis.evolution.generators.decoder import default_generator
from pipeline.synthesis.evolution.loop import Evolution
from pipeline.synthesis.evolution.rivals import Rival
from pipeline.synthesis.evolution.scorers import NetworkScorer

log = logging.getLogger(__name__)
SECONDS = 2.0  # between checkpoints; a rig has one after every generation
# What restoring a state raises that does not fit.
UNFIT = (KeyError, IndexError, TypeError, ValueError, RuntimeError)


def evolve(run: ActiveRun, plan: EvolutionPlan) -> Iterator[WorkItems[Block]]:
    """Yield the units that have not been searched, the most expensive layers first."""
    missing: list[Searches] = run.missing(plan)
    if not missing:
        return
    if not chosen(run.parts.config.generator):
        name = default_generator(run.parts.network.name)
        log.info("generator: none is chosen; %s is the default here", name)
    if "gradient" in run.parts.config.evolution.rivals:
        for name in dict.fromkeys(e.scorer.name for e in missing if e.measured):
            log.info("evolution.rivals: scorer '%s' has no gradients; gradient is left out", name)
    names = ", ".join(dict.fromkeys(each.layer.name for each in missing))
    log.info("evolution: searching images for units of %s", names)
    work = EvolutionWork(run)
    blocks = [Block(each, item) for each in plan for item in each.blocks]
    blocks.sort(key=work.operations, reverse=True)
    results = [each.result for each in missing]
    yield WorkItems(results, blocks, work, "evolution: searches")


@dataclass(frozen=True)
class Block:
    """A work item: the searches of some units.

    Attributes:
        of: the searches of all units of the layer by the same method.
        item: name of the item.
    """

    of: Searches
    item: str

    @property
    def units(self) -> Sequence[int]:
        """The units."""
        return self.of.blocks[self.item]

    @property
    def checkpoint(self) -> Checkpoint:
        """Where it is written how far the searches are."""
        return Checkpoint(self.of.result, self.item)


class EvolutionWork:
    """Blocks of units as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.layers: dict[str, Batch] = {}
        self.building, self.rig = threading.Lock(), threading.Lock()
        run.parts.runner.place(run.parts.network.module)

    def operations(self, block: Block) -> int:
        """Return the number of operations of a picture, by which blocks are ordered."""
        return self._layer(block.of.layer).costs.operations

    def needed(self, block: Block) -> bool:
        """Say whether a block is missing; a checkpoint that a killed run has left is removed."""
        if block.of.result.holds(block.item):
            block.checkpoint.remove()
            return False
        return True

    def size(self, block: Block) -> int:
        """Return the number of searches."""
        return len(block.units) * self.active.parts.config.evolution.restarts

    def parts(self, block: Block) -> list[Block]:
        """Return the block itself: it is done as a whole."""
        return [block]

    def load(self, block: Block) -> Block:
        """Read nothing: pictures are drawn where they are shown."""
        return block

    def run(self, block: Block) -> Finished:
        """Do the generations that are left, and write checkpoints."""
        measured = block.of.measured
        with self.rig if measured else nullcontext():  # which shows one picture at a time
            batch, evolution, film = self._resumed(block)
            written = time.monotonic()
            while not evolution.finished:
                self.active.parts.runner.check()
                evolution.step()
                film.watch()
                if measured or time.monotonic() - written > SECONDS:
                    block.checkpoint.write(_state(evolution, film))
                    written = time.monotonic()
        return Finished.of(batch.searches, evolution, film)

    def begin(self, block: Block) -> Written:
        """Return what writes the searches."""
        return Written(block)

    def _resumed(self, block: Block) -> tuple[Batch, Evolution, Film]:
        """Return searches at their checkpoint, or at their beginning."""
        batch, evolution, film = self._begun(block)
        state = block.checkpoint.read()
        if state is None:
            return batch, evolution, film
        try:
            evolution.restore(_part(state, "evolution"))
            film.restore(_part(state, "film"))
        except UNFIT as error:
            block.checkpoint.set_aside(error)
            return self._begun(block)
        return batch, evolution, film

    def _begun(self, block: Block) -> tuple[Batch, Evolution, Film]:
        batch = self._batch(block)
        with self.building:  # what a layer needs is built once, in the thread of a worker
            evolution = _begin(batch, block.of)
        return batch, evolution, Film(evolution, self.active.parts.config.evolution.film)

    def _layer(self, layer: Layer) -> Batch:
        with self.building:
            if layer.name not in self.layers:
                self.layers[layer.name] = batch_of(self.active, layer)
            return self.layers[layer.name]

    def _batch(self, block: Block) -> Batch:
        layer, scorer = block.of.layer, block.of.scorer.made
        noise = scorer.noise if isinstance(scorer, NetworkScorer) else None
        experiment = experiment_of(self.active, noise, block.of.references, layer)
        batch = self._layer(layer).of(block.units)
        return replace(batch, experiment=experiment, score=scorer if block.of.measured else None)


def _begin(batch: Batch, searches: Searches) -> Evolution:
    """Return searches that have not begun."""
    searcher, generator = searches.method.searcher, searches.method.generator
    if isinstance(searcher.made, Rival):
        return batch.contest(searcher.name, searcher.made)
    assert generator is not None  # noqa: S101
    return batch.evolution((searcher.name, searcher.made), (generator.name, generator.made))


def _state(evolution: Evolution, film: Film) -> dict[str, np.ndarray]:
    parts = {"evolution": evolution.state(), "film": film.state()}
    return {f"{part}/{name}": array for part, of in parts.items() for name, array in of.items()}


def _part(state: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    prefix = f"{part}/"
    return {name.removeprefix(prefix): a for name, a in state.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class Written:
    """The finished searches of one block."""

    block: Block
    finished: list[Finished] = field(default_factory=list[Finished])

    def add(self, finished: Finished) -> None:
        """Take in the searches."""
        self.finished.append(finished)

    def write(self) -> None:
        """Write them, and remove their checkpoint."""
        (found,) = self.finished
        self.block.of.result.write(self.block.item, found.arrays())
        self.block.checkpoint.remove()
