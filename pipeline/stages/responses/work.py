"""Compute the responses of units to the image set, block by block."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pipeline.images.batches import Batch
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses as ResponseNetwork
from pipeline.networks.responses import read_map
from pipeline.run.active_run import ActiveRun
from pipeline.run.image_blocks import ImageBlocks, check_unreadable
from pipeline.run.machine import Machine
from pipeline.stages.responses.results import LayerResponses, read_unreadable
from pipeline.stages.stage import Cost, WorkItems

log = logging.getLogger(__name__)


def respond(run: ActiveRun, planned: Sequence[LayerResponses]) -> Iterator[WorkItems[str]]:
    """Yield the work for layers whose responses are not in the store."""
    missing = run.missing(planned)
    if missing:
        names = ", ".join(each.layer.name for each in missing)
        log.info("responses: computing responses of %s to %d images", names, len(run.images))
        work = ResponseWork(run, missing)
        results = [each.result for each in missing]
        yield WorkItems(results, [*work.blocks], work, "responses: images")


def note_unreadable(run: ActiveRun, planned: Sequence[LayerResponses]) -> None:
    """Record which images could not be read."""
    found = read_unreadable(planned)
    check_unreadable(run, found)
    for name in found.keys() - run.unreadable.keys():
        log.warning("images: '%s' has no responses, as it %s", name, found[name])
    run.unreadable.update(found)


def response_cost(
    run: ActiveRun,
    planned: Sequence[LayerResponses],
    machine: Machine | None = None,  # noqa: ARG001 - not timed; it takes as long as a search
) -> Cost:
    """Return the disk space of the arrays."""

    def size(each: LayerResponses) -> int:
        config = run.parts.config.responses
        positions = int(np.prod(each.layer.map_size)) if config.at == "all" else 1
        numbers = len(run.images) * len(each.units) * positions
        return numbers * np.dtype(config.dtype).itemsize

    return Cost(
        disk=sum(map(size, planned)),
        missing=sum(size(each) for each in planned if each.result.missing()),
    )


class ResponseWork(ImageBlocks):
    """Blocks of images as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun, planned: Sequence[LayerResponses]) -> None:
        super().__init__(run, [each.result for each in planned])
        self.planned = planned
        self.units = {each.layer.name: list(each.units) for each in planned}
        self.network = ResponseNetwork(
            run.parts.graph, [each.layer for each in planned], whole=True
        )

    def run(self, batch: Batch) -> Answers:
        """Run the network on a batch."""
        runner, config = self.active.parts.runner, self.active.parts.config.responses
        by_layer: dict[str, np.ndarray] = {}

        def take(layer: Layer, responses: Tensor) -> None:
            runner.check()
            own = read_map(responses[:, self.units[layer.name]], config.at)
            by_layer[layer.name] = own.float().cpu().numpy().astype(config.dtype)

        if len(batch.indices):
            with torch.inference_mode():
                images = batch.images.to(runner.device, non_blocking=True)
                self.network.visit(images.contiguous(memory_format=torch.channels_last), take)
        return Answers(batch.indices.numpy(), by_layer, batch.unreadable)

    def begin(self, block: str) -> Block:
        """Return the collector for a block."""
        return Block(self, block)


@dataclass(frozen=True)
class Answers:
    """The responses to the readable images of one batch, by layer."""

    indices: np.ndarray
    by_layer: dict[str, np.ndarray]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class Block:
    """The responses to one block of images."""

    work: ResponseWork
    name: str
    answers: list[Answers] = field(default_factory=list[Answers])

    def add(self, answers: Answers) -> None:
        """Add a batch."""
        self.answers.append(answers)

    def write(self) -> None:
        """Write the block for every layer that lacks it; responses to unreadable images are NaN."""
        indices = self.work.blocks[self.name]
        unreadable = {k: v for answers in self.answers for k, v in answers.unreadable.items()}
        for each in self.work.planned:
            if not each.result.holds(self.name):
                own = [(a.indices, a.by_layer[each.layer.name]) for a in self.answers if a.by_layer]
                config = self.work.active.parts.config.responses
                shape = own[0][1].shape[1:] if own else (len(each.units),)
                whole = np.full((len(indices), *shape), np.nan, config.dtype)
                for rows, responses in own:
                    whole[rows - indices.start] = responses
                each.result.write(self.name, {"responses": whole}, {"unreadable": unreadable})
