"""Animating: some units are climbed again, in the company that they were first climbed in.

The composition of a batch can change the last bits of a response, and a few steps later the image.
So whole batches are climbed, and of these only the units that are asked for are recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from pipeline.config.checks import check_disk
from pipeline.errors import ConfigError
from pipeline.session.animated import (
    Animated,
    all_animated,
    animation_bytes,
    recorded_arrays,
)
from pipeline.session.climbed import Climb
from pipeline.session.climbing import Batch, Climber, batches_of
from pipeline.session.searched import extremes_result
from pipeline.session.session import Session
from pipeline.session.trial import check_scores
from pipeline.store.results import Arrays


@dataclass(frozen=True)
class Scene:
    """A batch that is climbed, and those of its units that are animated."""

    batch: Batch
    animated: Sequence[Animated]

    @property
    def missing(self) -> list[Animated]:
        """Those that are not in the store."""
        return [each for each in self.animated if each.result.missing()]


def all_scenes(session: Session) -> list[Scene]:
    """Return the batches that hold what is animated."""
    by_climb: dict[str, list[Animated]] = {}
    for animated in all_animated(session):
        by_climb.setdefault(animated.climb.result.key, []).append(animated)
    return [
        Scene(batch, own)
        for together in by_climb.values()
        for batch in _batches(session, together[0].climb)
        if (own := [each for each in together if each.unit in batch.units])
    ]


def _batches(session: Session, climb: Climb) -> list[Batch]:
    return [batch for block in climb.blocks for batch in batches_of(session, climb, block)]


def scene_operations(session: Session, scene: Scene) -> int:
    """Return the operations of climbing a scene: two scores a step, and one more at the end."""
    climb, images = scene.batch.climb, len(scene.batch.units) * session.parts.copies
    return images * session.parts.costs(climb.layer).operations * (2 * climb.optimizer.steps + 1)


class Animating:
    """Scenes as work for the runner (``runner.Work``)."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.climb = Climber(session)

    def needed(self, scene: Scene) -> bool:
        """Say whether a unit of a scene is not in the store."""
        return bool(scene.missing)

    def size(self, scene: Scene) -> int:
        """Return how many images are animated."""
        return len(scene.animated) * self.session.parts.copies

    def parts(self, scene: Scene) -> list[Scene]:
        """Return the scene itself, which is one batch."""
        return [scene]

    def load(self, scene: Scene) -> Scene:
        """Return the scene itself: its starting images are made where it is climbed."""
        return scene

    def run(self, scene: Scene) -> list[Recorded]:
        """Climb a scene."""
        recorders = [Recorder(scene, each, self.session.parts.copies) for each in scene.missing]

        def record(step: int, images: Tensor) -> None:
            for recorder in recorders:
                recorder(step, images)

        _, done = self.climb(scene.batch, record)
        return [recorder.recorded(done.responses, done.status) for recorder in recorders]

    def begin(self, scene: Scene) -> Shown:  # noqa: ARG002
        """Return what gathers a scene."""
        return Shown([])


@dataclass(frozen=True)
class Recorded:
    """What was recorded of one unit."""

    animated: Animated
    arrays: Arrays
    status: list[str]


class Recorder:
    """Keeps the images of one unit at the steps that are shown."""

    def __init__(self, scene: Scene, animated: Animated, copies: int) -> None:
        at = scene.batch.units.index(animated.unit) * copies
        self.animated, self.rows = animated, slice(at, at + copies)
        self.frames: dict[int, np.ndarray] = {}

    def __call__(self, step: int, images: Tensor) -> None:
        """Take in the images of a batch before a step."""
        if step in self.animated.steps:
            self.frames[step] = images[self.rows].detach().clone().cpu().numpy()

    def recorded(self, responses: Tensor, status: Sequence[str]) -> Recorded:
        """Return what has been recorded, with the responses of the whole batch."""
        steps = self.animated.steps
        arrays = recorded_arrays(
            np.stack([self.frames[step] for step in steps]),
            steps,
            responses[self.rows].cpu().numpy(),
        )
        return Recorded(self.animated, arrays, list(status[self.rows]))


@dataclass(frozen=True)
class Shown:
    """What a scene gave."""

    units: list[Recorded]

    def add(self, done: list[Recorded]) -> None:
        """Take in the batch."""
        self.units.extend(done)

    def write(self) -> None:
        """Write every unit as a result of its own."""
        for unit in self.units:
            result = unit.animated.result
            result.write(result.items[0], unit.arrays, {"status": unit.status})


def check_animations(session: Session) -> None:
    """Check everything that animations need, before any work starts.

    Raises:
        ConfigError: a unit is not climbed, an optimizer refuses its settings, a start is lacking.
        StoreError: the disk has no room for what is recorded.
    """
    missing = [animated for animated in all_animated(session) if animated.result.missing()]
    climbed = {animated.climb.layer.name for animated in missing}
    layers = [layer for layer in session.parts.layers if layer.name in climbed]
    _check_patches(session, missing)
    check_scores(session, layers)
    check_disk(session.layout.out, animation_bytes(session, missing), "the animations")


def _check_patches(session: Session, missing: Sequence[Animated]) -> None:
    parts = session.parts
    if "top_patches" in parts.config.stages:
        return
    for animated in missing:
        layer, init = animated.climb.layer, animated.climb.init
        needed = parts.inits[init].needs_top_patches or parts.constraint.needs_patches
        if needed and extremes_result(session, layer).missing():
            raise ConfigError(
                f"animate: the store holds no top patches of {layer.name}, which '{init}' or the"
                " constraint asks for; add top_patches to stages"
            )
