"""Checks of dreams before the work starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from pipeline.errors import ConfigError, NetworkError, nearest
from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream.results import Dream, dream_octaves, dream_terms
from pipeline.stages.dream.settings import frame_motion, smoothings
from pipeline.stages.top_patches.results import find_search
from pipeline.synthesis.dream.feedback import blend, check_fill
from pipeline.synthesis.dream.octaves import CARRY
from pipeline.synthesis.dream.plan import Octave
from pipeline.synthesis.dry_run import blank_images, try_images

SLOWEST = 0.01  # frames per second


def dream_faults(run: ActiveRun, planned: Sequence[Dream]) -> Iterator[str]:
    """Yield the faults in the settings of dreams.

    Raises:
        ConfigError: a setting on which other checks depend is wrong.
    """
    config = run.parts.config.dream
    yield from _setting_faults(run)
    frame_motion(run)
    check_fill(config.fill)
    nothing = torch.zeros(3, 1, 1)
    blend(nothing, nothing, config.blend)
    for init in run.parts.inits:
        octaves = dream_octaves(run, init)
        dream_terms(run, octaves[-1].size).check()
        smallest = min(octaves, key=lambda octave: octave.size)
        _check_size(run, smallest)
        if any(dream.result.missing() for dream in planned if dream.init == init):
            yield from _octave_faults(run, init, smallest)


def _setting_faults(run: ActiveRun) -> Iterator[str]:
    parts, config = run.parts, run.parts.config.dream
    if config.carry not in CARRY:
        yield (
            f"dream.carry: '{config.carry}' is not one of {', '.join(CARRY)}"
            f"{nearest(config.carry, CARRY)}"
        )
    if parts.config.precision == "bfloat16":
        yield "precision: dreams run in float32 or tf32, not in bfloat16"
    closed = [name for name, piece in parts.parameterization.items() if not piece.invertible]
    if closed:
        yield (
            f"parameterization: '{closed[0]}' has no inverse, which dreams need to start "
            "octaves from images; choose another"
        )
    if config.frames < 1:
        yield f"dream.frames: {config.frames} is not positive; use 1 or more"
    if not SLOWEST <= config.fps < math.inf:
        yield f"dream.fps: {config.fps} is not at least {SLOWEST} frames per second"


def _check_size(run: ActiveRun, octave: Octave) -> None:
    """Check that the network accepts images of an octave's size."""
    config = run.parts.config.dream
    try:
        _ = run.parts.sized_network.sized(octave.size).graph
    except NetworkError as error:
        remedy = (
            f"dream.sides: {error}; raise the smallest of them"
            if config.sides is not None
            else f"dream.size: {error}; raise it, or lower dream.levels"
        )
        raise ConfigError(remedy) from error


def _octave_faults(run: ActiveRun, init: str, octave: Octave) -> Iterator[str]:
    """Yield the reason if one step of an octave fails on the first layer."""
    parts, layer = run.parts, run.parts.layers[0]
    needs_patches = parts.inits[init].needs_top_patches or parts.constraint.needs_patches
    if needs_patches and "top_patches" not in parts.config.stages:
        lacking = [each.name for each in parts.layers if find_search(run, each).result.missing()]
        if lacking:
            yield (
                f"init: the store holds no top patches of {', '.join(lacking)}, which '{init}' "
                "or the constraint needs; add top_patches to stages"
            )
            return
    scorer = dream_terms(run, octave.size).whole_scorer(parts.sized_network, layer)
    parts.runner.place(scorer.eval())
    unit, smooth = parts.climbed_units(layer)[-1], smoothings(run, octave)
    images = blank_images(parts.recipe, octave.size, 1, parts.runner.device)
    try_images(parts.recipe, images, unit, smooth, scorer, layer.name)
    yield from _transform_faults(run, octave)


def _transform_faults(run: ActiveRun, octave: Octave) -> Iterator[str]:
    parts = run.parts
    blank = torch.zeros(1, parts.network.preprocessing.channels, *octave.size)
    for name, transform in parts.transforms.items():
        if transform.looks > 1:
            yield (
                f"transform.{name}.count: dreams score one transformed image per step, not"
                f" {transform.looks}; use 1"
            )
        changed = transform.apply(blank, [torch.Generator()])
        if parts.config.dream.tile is not None and changed.shape != blank.shape:
            yield (
                f"transform: '{name}' changes the size of images, but tiles have a fixed size; "
                "use transform=[roll], or set dream.tile to null"
            )
