"""Animation: run some ascents again, in the same batches as the first time.

The composition of a batch can change the last bits of a response, and a few steps later the image.
So whole batches are climbed, but only the requested units are recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pipeline.run.active_run import ActiveRun
from pipeline.run.dry_run import score_faults
from pipeline.run.machine import Machine
from pipeline.stages.animate.results import Animated, animation_bytes, recorded_arrays
from pipeline.stages.ascent.results import Climb, block_batches, climber
from pipeline.stages.stage import Cost, WorkItems
from pipeline.stages.top_patches.results import find_search
from pipeline.store.results import Arrays
from pipeline.synthesis.climber import Batch

log = logging.getLogger(__name__)


def climb_again(run: ActiveRun, planned: Sequence[Animated]) -> Iterator[WorkItems[Scene]]:
    """Yield the batches with units that are to be animated and are not in the store."""
    missing = run.missing(planned)
    if missing:
        names = dict.fromkeys(f"{each.climb.layer.name} from {each.climb.init}" for each in missing)
        log.info("animate: repeating ascents of %s, step by step", ", ".join(names))
        results = [each.result for each in missing]
        scenes = all_scenes(run, planned)
        yield WorkItems(results, scenes, AnimationWork(run), "animate: ascents", tf32=True)


def animation_cost(
    run: ActiveRun,
    planned: Sequence[Animated],
    machine: Machine | None = None,  # noqa: ARG001 - not timed
) -> Cost:
    """Return the cost of repeating the ascents."""
    config = run.parts.config.animate
    by = ", ".join(config.optimizers) or "the run's optimizer"
    units = ", ".join(config.units) or "the first of every layer"
    scenes = all_scenes(run, planned)
    return Cost(
        columns={"step": {x.name: 2 * run.parts.costs(x).operations for x in run.parts.layers}},
        operations={"animate": sum(scene_operations(run, scene) for scene in scenes)},
        disk=animation_bytes(run, planned),
        missing=animation_bytes(run, [each for each in planned if each.result.missing()]),
        facts={"animated": f"{units}; by {by}"},
    )


def animation_faults(run: ActiveRun, planned: Sequence[Animated]) -> Iterator[str]:
    """Yield the faults of animations that are not in the store."""
    missing = [animated for animated in planned if animated.result.missing()]
    climbed = {animated.climb.layer.name for animated in missing}
    yield from _patch_faults(run, missing)
    layers = [layer for layer in run.parts.layers if layer.name in climbed]
    yield from score_faults(run.parts, layers)


def _patch_faults(run: ActiveRun, missing: Sequence[Animated]) -> Iterator[str]:
    parts = run.parts
    if "top_patches" in parts.config.stages:
        return
    for animated in missing:
        layer, init = animated.climb.layer, animated.climb.init
        needed = parts.inits[init].needs_top_patches or parts.constraint.needs_patches
        if needed and find_search(run, layer).result.missing():
            yield (
                f"animate: the store holds no top patches of {layer.name}, which '{init}' or "
                "the constraint needs; add top_patches to stages"
            )
            return


@dataclass(frozen=True)
class Scene:
    """A batch of ascents, and which of its units are animated."""

    batch: Batch
    animated: Sequence[Animated]

    @property
    def missing(self) -> list[Animated]:
        """The animations that are not in the store."""
        return [each for each in self.animated if each.result.missing()]


def all_scenes(run: ActiveRun, planned: Sequence[Animated]) -> list[Scene]:
    """Return the batches that contain animated units."""
    by_climb: dict[str, list[Animated]] = {}
    for animated in planned:
        by_climb.setdefault(animated.climb.result.key, []).append(animated)
    return [
        Scene(batch, own)
        for together in by_climb.values()
        for batch in _batches(run, together[0].climb)
        if (own := [each for each in together if each.unit in batch.units])
    ]


def _batches(run: ActiveRun, climb: Climb) -> list[Batch]:
    return [batch for block in climb.blocks for batch in block_batches(run, climb, block)]


def scene_operations(run: ActiveRun, scene: Scene) -> int:
    """Return the operations for a scene: two scores per step, and one at the end."""
    batch, images = scene.batch, len(scene.batch.units) * run.parts.copies
    return images * run.parts.costs(batch.layer).operations * (2 * batch.optimizer.steps + 1)


class AnimationWork:
    """Scenes as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.climb = climber(run)

    def needed(self, scene: Scene) -> bool:
        """Return whether a unit of the scene is missing in the store."""
        return bool(scene.missing)

    def size(self, scene: Scene) -> int:
        """Return the number of animated images."""
        return len(scene.animated) * self.active.parts.copies

    def parts(self, scene: Scene) -> list[Scene]:
        """Return the scene as its only part: a scene is one batch."""
        return [scene]

    def load(self, scene: Scene) -> Scene:
        """Return the scene unchanged: its starting images are made on the device."""
        return scene

    def run(self, scene: Scene) -> list[Recorded]:
        """Climb a scene."""
        recorders = [Recorder(scene, each, self.active.parts.copies) for each in scene.missing]

        def record(step: int, images: Tensor) -> None:
            for recorder in recorders:
                recorder(step, images)

        _, done = self.climb(scene.batch, record)
        return [recorder.recorded(done.responses, done.status) for recorder in recorders]

    def begin(self, scene: Scene) -> Shown:  # noqa: ARG002
        """Return the collector for a scene."""
        return Shown([])


@dataclass(frozen=True)
class Recorded:
    """The recorded steps of one unit."""

    animated: Animated
    arrays: Arrays
    status: list[str]


class Recorder:
    """Keeps the images of one unit at the recorded steps."""

    def __init__(self, scene: Scene, animated: Animated, copies: int) -> None:
        at = scene.batch.units.index(animated.unit) * copies
        self.animated, self.rows = animated, slice(at, at + copies)
        self.frames: dict[int, np.ndarray] = {}

    def __call__(self, step: int, images: Tensor) -> None:
        """Keep the unit's images from a batch, before a step."""
        if step in self.animated.steps:
            self.frames[step] = images[self.rows].detach().clone().cpu().numpy()

    def recorded(self, responses: Tensor, status: Sequence[str]) -> Recorded:
        """Return the recorded images, with the unit's responses."""
        steps = self.animated.steps
        arrays = recorded_arrays(
            np.stack([self.frames[step] for step in steps]),
            steps,
            responses[self.rows].cpu().numpy(),
        )
        return Recorded(self.animated, arrays, list(status[self.rows]))


@dataclass(frozen=True)
class Shown:
    """The finished recordings of a scene."""

    units: list[Recorded]

    def add(self, done: list[Recorded]) -> None:
        """Add the batch."""
        self.units.extend(done)

    def write(self) -> None:
        """Write each unit as a separate result."""
        for unit in self.units:
            result = unit.animated.result
            result.write(result.items[0], unit.arrays, {"status": unit.status})
