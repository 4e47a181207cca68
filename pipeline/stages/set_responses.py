"""The responses of all units of some layers to the image set, block by block, for other numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from pipeline.images.batches import Batch
from pipeline.networks.layers import Layer
from pipeline.networks.responses import LayerResponses, read_map
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.run.image_blocks import ImageBlocks, check_unreadable, image_blocks
from pipeline.store.results import Result


@runtime_checkable
class SetResponses(Protocol):
    """The responses of a layer to the image set."""

    @property
    def layer(self) -> Layer:
        """The layer."""
        ...

    @property
    def reads(self) -> Mapping[str, str]:
        """Which parts of the maps are stored, by the name of their array."""
        ...

    @property
    def result(self) -> Result:
        """The stored responses, an item for each block of images."""
        ...


def set_settings(run: ActiveRun, layer: Layer) -> dict[str, Any]:
    """Return what determines the responses of a layer to the image set, apart from ``reads``."""
    return {
        **network_settings(run),
        "layer": layer.identity,
        "images": dict(run.images.settings),
        "batch_size": run.parts.config.search.batch_size,
        "block": len(image_blocks(run)["block-0000"]),
    }


def read_responses(of: SetResponses, name: str) -> np.ndarray:
    """Return one array of responses, ``[images, units]``; NaN where an image cannot be read."""
    return np.concatenate([of.result.read(item)[0][name] for item in of.result.items])


class SetWork(ImageBlocks):
    """Blocks of the image set, as seen by one network, as work (``runner.Work``).

    Args:
        run: of the network.
        shown: its layers.
    """

    def __init__(self, run: ActiveRun, shown: Sequence[SetResponses]) -> None:
        self.shown = shown
        super().__init__(run, [each.result for each in shown])
        self.by_name = {each.layer.name: each for each in shown}
        self.network = LayerResponses(run.parts.graph, [each.layer for each in shown])

    def run(self, batch: Batch) -> SetAnswers:
        """Run the network on a batch."""
        parts = self.active.parts
        by_layer: dict[str, dict[str, np.ndarray]] = {}

        def take(layer: Layer, maps: Tensor) -> None:
            parts.runner.check()
            by_layer[layer.name] = {
                name: read_map(maps, at).float().cpu().numpy()
                for name, at in self.by_name[layer.name].reads.items()
            }

        if len(batch.indices):
            with torch.inference_mode():
                images = batch.images.to(parts.runner.device, non_blocking=True)
                self.network.visit(images.contiguous(memory_format=torch.channels_last), take)
        return SetAnswers(batch.indices.numpy(), by_layer, batch.unreadable)

    def begin(self, block: str) -> SetBlock:
        """Return the collector for a block."""
        return SetBlock(self, block)


@dataclass(frozen=True)
class SetAnswers:
    """The responses to the readable images of one batch, by layer and array."""

    indices: np.ndarray
    by_layer: dict[str, dict[str, np.ndarray]]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class SetBlock:
    """The responses to one block of images; NaN where an image could not be read."""

    work: SetWork
    name: str
    answers: list[SetAnswers] = field(default_factory=list[SetAnswers])

    def add(self, answers: SetAnswers) -> None:
        """Add a batch."""
        self.answers.append(answers)

    def write(self) -> None:
        """Write the block for every layer that lacks it."""
        unreadable = {k: v for answers in self.answers for k, v in answers.unreadable.items()}
        if unreadable:
            check_unreadable(self.work.active, unreadable)
        for each in self.work.shown:
            if not each.result.holds(self.name):
                arrays = {name: self._whole(each, name) for name in each.reads}
                each.result.write(self.name, arrays, {"unreadable": unreadable})

    def _whole(self, each: SetResponses, name: str) -> np.ndarray:
        indices = self.work.blocks[self.name]
        whole = np.full((len(indices), each.layer.units), np.nan, np.float32)
        for answers in self.answers:
            if answers.by_layer:
                rows = answers.indices - indices.start
                whole[rows] = answers.by_layer[each.layer.name][name]
        return whole
