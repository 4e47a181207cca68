"""Checks that run before any work starts."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Any, cast

from pipeline.config.build import asks_network
from pipeline.config.combinations import combination_faults, combination_notes
from pipeline.config.parts import Parts
from pipeline.config.schema import (
    PRECISIONS,
    STAGES,
    AnimateConfig,
    Config,
    FiguresConfig,
    SearchConfig,
)
from pipeline.errors import ConfigError, StoreError, nearest
from pipeline.store.files import describe_bytes
from pipeline.store.layout import name_fault

log = logging.getLogger(__name__)

LARGEST_NUMBER = 1e30
FRAMES = 100_000  # of a dream: an hour of a video
FPS = (
    0.01,
    50,
)  # of a GIF: it shows a frame for 655 seconds at most, and browsers for 0.02 at least


def check_values(config: Config) -> None:
    """Check what can be checked without importing torch.

    Raises:
        ConfigError: a value is not allowed.
    """
    for fault in value_faults(config):
        raise ConfigError(fault)


def value_faults(config: Config) -> Iterator[str]:
    """Yield everything that is wrong with values, as far as it shows without importing torch."""
    yield from _stage_faults(config.stages)
    yield from _search_faults(config.search)
    yield from _figure_faults(config.figures)
    yield from _animate_faults(config.animate)
    if config.pages.ranks < 1:
        yield f"pages.ranks: {config.pages.ranks} is not positive; use 1 or more"
    yield from _name_faults(config)
    yield from _number_faults(asdict(config))
    if config.dream.frames > FRAMES:
        yield f"dream.frames: {config.dream.frames} are too many; use {FRAMES} or fewer"
    root = config.images.get("root")
    if root is not None and not Path(str(root)).expanduser().is_dir():
        yield f"images.root: there is no folder '{root}'; give the path of one"


def _name_faults(config: Config) -> Iterator[str]:
    names = config.layers if isinstance(config.layers, list) else [config.layers]
    if not all(isinstance(name, str) for name in names):
        yield f"layers: {config.layers!r} is not 'all', a name or a list of names"
    fault = name_fault("name", config.name)
    if fault is not None:
        yield fault
    elif len(config.name.encode()) > 100:
        yield f"name: a name of {len(config.name.encode())} bytes is longer than 100 bytes"
    if not 0 <= config.seed < 2**63:
        yield f"seed: {config.seed} is not from 0 to below 2^63"
    if config.precision not in PRECISIONS:
        yield (
            f"precision: '{config.precision}' is not one of {', '.join(PRECISIONS)}"
            f"{nearest(config.precision, PRECISIONS)}"
        )
    if config.training.steps < 1 or config.training.batch < 1:
        yield (
            f"training: steps ({config.training.steps}) and batch ({config.training.batch}) must be"
            " 1 or more"
        )


def _number_faults(node: Any, key: str = "") -> Iterator[str]:
    """Yield which numbers are so large that float32 could not hold what is computed with them."""
    if isinstance(node, Mapping):
        for name, value in cast("Mapping[str, Any]", node).items():
            yield from _number_faults(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from _number_faults(value, key)
    elif isinstance(node, int | float) and LARGEST_NUMBER < abs(node) < inf:
        yield f"{key}: {node:g} is too large; use a number up to {LARGEST_NUMBER:g}"


def _stage_faults(stages: list[str]) -> Iterator[str]:
    for stage in stages:
        if stage not in STAGES:
            yield (
                f"stages: '{stage}' is not a stage; the stages are {', '.join(STAGES)}"
                f"{nearest(stage, STAGES)}"
            )
    if not stages:
        yield f"stages: the list is empty; choose from {', '.join(STAGES)}"


def _search_faults(search: SearchConfig) -> Iterator[str]:
    for name, value in (("keep", search.keep), ("batch_size", search.batch_size)):
        if value < 1:
            yield f"search.{name}: {value} is not positive; use 1 or more"
    if not 0 <= search.max_unreadable <= 1:
        yield f"search.max_unreadable: {search.max_unreadable} is not a share from 0 to 1"


def _figure_faults(figures: FiguresConfig) -> Iterator[str]:
    for name in figures.triptychs:
        if not re.fullmatch(r".+/\d+", name):
            yield f"figures.triptychs: '{name}' is not a layer and a unit, such as conv2/7"
    for name, value in (("units", figures.contact_units), ("ranks", figures.contact_ranks)):
        if value < 1:
            yield f"figures.contact_{name}: {value} is not positive; use 1 or more"
    known = ("png", "pdf", "svg")
    for kind in figures.formats:
        if kind not in known:
            yield f"figures.formats: '{kind}' is not one of {', '.join(known)}"


def _optimizer_faults(animate: AnimateConfig) -> Iterator[str]:
    for name, group in animate.optimizers.items():
        if not isinstance(group, Mapping) or "_target_" not in group:
            known = [other for other in animate.optimizers if other != name]
            yield (
                f"animate.optimizers.{name}: has settings, but is no optimizer; choose one, as in"
                f" +optimizer@animate.optimizers.{name}=adam{nearest(name, known)}"
            )


def _animate_faults(animate: AnimateConfig) -> Iterator[str]:
    yield from _optimizer_faults(animate)
    for name in animate.units:
        if not re.fullmatch(r".+/\d+", name):
            yield f"animate.units: '{name}' is not a layer and a unit, such as conv2/7"
    if animate.every is not None and animate.every < 1:
        yield f"animate.every: {animate.every} is not positive; use 1 or more, or null"
    if not FPS[0] <= animate.fps <= FPS[1]:
        yield f"animate.fps: {animate.fps} is not from {FPS[0]} to {FPS[1]} frames per second"
    allowed = {
        "show": ([animate.show], ("image", "added")),
        "scale": ([animate.scale], ("last", "frame", "pixels")),
        "formats": (animate.formats, ("gif", "mp4")),
    }
    for key, (given, known) in allowed.items():
        for value in given:
            if value not in known:
                yield (
                    f"animate.{key}: '{value}' is not one of {', '.join(known)}"
                    f"{nearest(value, known)}"
                )
    if (animate.show, animate.scale) == ("added", "pixels"):
        yield (
            "animate.scale: what was added to an image has no colors of its own, as pixels have;"
            " use last or frame, or show=image"
        )


def check_parts(parts: Parts) -> None:
    """Build everything that the stages need, so that bad input is found before work starts.

    Raises:
        ArtiphysError: anything that is wrong with the model, its layers and units, the images, the
            options of the ascents, the runner, or the runs to collect.
    """
    _ = parts.start_tracking, parts.runner.device
    if "collect" in parts.config.stages:
        _ = parts.collected
    if not asks_network(parts.config):
        return
    _ = parts.layers, parts.units, parts.optimizer, parts.constraint
    _ = parts.regularizers, parts.smoothings, parts.transforms
    for fault in combination_faults(parts):
        raise ConfigError(fault)
    for note in combination_notes(parts):
        log.warning("%s", note)
    check_precision(parts.config.precision, parts.runner.device.type)


def check_precision(precision: str, device: str) -> None:
    """Check that a kind of device can compute in a precision.

    Raises:
        ConfigError: it cannot.
    """
    if precision == "tf32" and device != "cuda":
        raise ConfigError(
            f"precision: tf32 needs a CUDA device, and this run is on {device};"
            " use float32 or bfloat16"
        )


def check_disk(out: Path, needed: int, what: str) -> int:
    """Return how many bytes are free where ``out`` lies or will lie.

    Args:
        out: the folder; it need not be there yet.
        needed: bytes that will be written.
        what: what needs them, for the message.

    Raises:
        StoreError: they are not free, or there is no telling.
    """
    out = out.expanduser().absolute()
    try:
        existing = next(path for path in (out, *out.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise StoreError(f"out: '{out}' cannot be used ({error.strerror})") from error
    if needed > free:
        raise StoreError(
            f"out: {what} need {describe_bytes(needed)} and '{existing}' has"
            f" {describe_bytes(free)} free; choose another out, fewer layers or fewer units"
        )
    return free
