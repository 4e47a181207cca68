"""The settings of each stage, with units, ranges and everything that can be wrong with a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import nearest

FRAMES = 100_000  # of a dream: an hour of a video
# Frames per second of a GIF: it shows one for 655 seconds at most, and browsers for 0.02 at least.
FPS = (0.01, 50)
UNIT = re.compile(r".+/\d+")  # a layer and a unit, such as conv2/7


def _positive(key: str, value: int) -> Iterator[str]:
    if value < 1:
        yield f"{key}: {value} is not positive; use 1 or more"


def _unknown(key: str, given: list[str], known: tuple[str, ...]) -> Iterator[str]:
    for value in given:
        if value not in known:
            yield f"{key}: '{value}' is not one of {', '.join(known)}{nearest(value, known)}"


@dataclass
class SearchConfig:
    """How the image set is searched.

    Attributes:
        keep: top and bottom patches kept per unit.
        batch_size: images run at once; it can change the last bits of a response.
        max_unreadable: share of images that may be unreadable before the search stops.
    """

    keep: int = 100
    batch_size: int = 16
    max_unreadable: float = 0.1

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        yield from _positive("search.keep", self.keep)
        yield from _positive("search.batch_size", self.batch_size)
        if not 0 <= self.max_unreadable <= 1:
            yield f"search.max_unreadable: {self.max_unreadable} is not a share from 0 to 1"


@dataclass
class ResponsesConfig:
    """What is stored of the responses to every image.

    Attributes:
        at: of a unit's map: its ``max``, its ``mean``, its ``center``, or ``all`` positions.
        dtype: ``float32`` or ``float16``.
    """

    at: str = "max"
    dtype: str = "float32"

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        yield from _unknown("responses.at", [self.at], ("max", "mean", "center", "all"))
        yield from _unknown("responses.dtype", [self.dtype], ("float32", "float16"))


@dataclass
class AscentConfig:
    """What is climbed besides what the groups say.

    Attributes:
        size: side of the images in pixels, or height and width, where the objective looks at whole
            images; the size of the image set by default.
    """

    size: Any = None


@dataclass
class DreamConfig:
    """How an image is dreamt: octave by octave and, for a video, frame by frame.

    Attributes:
        size: shorter side of the image in pixels, or height and width; that of the picture that it
            starts from by default, and of the image set where there is none.
        sides: shorter side of every octave, up or down; ``ratio`` and ``levels`` if not given.
        ratio: of the sides of one octave to those of the one before.
        levels: number of octaves, the last of which has the size of the image. Noise to start from
            is drawn at the size of the first.
        carry: what is taken to the next octave: the ``whole`` dream, resized, or only the
            ``details`` that were dreamt, added to the start.
        steps: of every octave, or one number for each; those of the optimizer by default.
        lr: learning rate, or one for each octave; a pair ``[start,end]`` changes over the steps.
        sigma: of ``smoothing.blur`` for each octave; as ``lr``.
        tile: pixels of the parts in which images too large for memory are looked at.
        frames: how many; each starts from the one before.
        zoom: factor by which a frame is enlarged for the next.
        rotate: degrees by which it is turned, counterclockwise.
        translate: pixels by which it is moved to the right and down.
        fill: what comes in at the edges: ``reflect`` or ``edge``.
        video: a video file whose frames are dreamt instead.
        blend: share of the new frame of the video; the rest is the last dream.
        fps: frames per second of what is written.
    """

    size: Any = None
    sides: Any = None
    ratio: float = 1.4
    levels: int = 3
    carry: str = "details"
    steps: Any = None
    lr: Any = None
    sigma: Any = None
    tile: int | None = None
    frames: int = 1
    zoom: float = 1.0
    rotate: float = 0.0
    translate: list[float] = field(default_factory=lambda: [0.0, 0.0])
    fill: str = "reflect"
    video: str | None = None
    blend: float = 0.85
    fps: float = 30.0

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if self.frames > FRAMES:
            yield f"dream.frames: {self.frames} are too many; use {FRAMES} or fewer"


@dataclass
class FiguresConfig:
    """Which figures are drawn, and how.

    Attributes:
        triptychs: units, such as ``[conv2/2, conv2/7]``; the first four of every layer by default.
        contact_units: units shown on a layer's contact sheet, at most.
        contact_ranks: patches shown per unit and sign, at most.
        formats: file formats.
    """

    triptychs: list[str] = field(default_factory=list[str])
    contact_units: int = 8
    contact_ranks: int = 8
    formats: list[str] = field(default_factory=lambda: ["png", "pdf"])

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        for name in self.triptychs:
            if not UNIT.fullmatch(name):
                yield f"figures.triptychs: '{name}' is not a layer and a unit, such as conv2/7"
        yield from _positive("figures.contact_units", self.contact_units)
        yield from _positive("figures.contact_ranks", self.contact_ranks)
        yield from _unknown("figures.formats", self.formats, ("png", "pdf", "svg"))


@dataclass
class AnimateConfig:
    """Which ascents are shown step by step, and how.

    Attributes:
        units: such as ``[conv2/2, conv2/7]``; the first four of every layer by default.
        optimizers: by name, to be shown side by side; the run's own by default.
        every: a frame every so many steps, and the last; by default, so that there are at most 101.
        show: the ``image``, or what was ``added`` to its start.
        scale: of values for display: to the largest of the ``last`` frame, to that of each
            ``frame``, or as ``pixels``: in own colors, cut off at black and white.
        fps: frames per second.
        formats: ``gif``, ``mp4``.
    """

    units: list[str] = field(default_factory=list[str])
    optimizers: dict[str, Any] = field(default_factory=dict[str, Any])
    every: int | None = None
    show: str = "image"
    scale: str = "last"
    fps: float = 20.0
    formats: list[str] = field(default_factory=lambda: ["gif", "mp4"])

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        yield from self._optimizer_faults()
        for name in self.units:
            if not UNIT.fullmatch(name):
                yield f"animate.units: '{name}' is not a layer and a unit, such as conv2/7"
        if self.every is not None and self.every < 1:
            yield f"animate.every: {self.every} is not positive; use 1 or more, or null"
        if not FPS[0] <= self.fps <= FPS[1]:
            yield f"animate.fps: {self.fps} is not from {FPS[0]} to {FPS[1]} frames per second"
        yield from _unknown("animate.show", [self.show], ("image", "added"))
        yield from _unknown("animate.scale", [self.scale], ("last", "frame", "pixels"))
        yield from _unknown("animate.formats", self.formats, ("gif", "mp4"))
        if (self.show, self.scale) == ("added", "pixels"):
            yield (
                "animate.scale: what was added to an image has no colors of its own, as pixels"
                " have; use last or frame, or show=image"
            )

    def _optimizer_faults(self) -> Iterator[str]:
        for name, group in self.optimizers.items():
            if not isinstance(group, Mapping) or "_target_" not in group:
                known = [other for other in self.optimizers if other != name]
                yield (
                    f"animate.optimizers.{name}: has settings, but is no optimizer; choose one, as"
                    f" in +optimizer@animate.optimizers.{name}=adam{nearest(name, known)}"
                )


@dataclass
class PagesConfig:
    """What the pages show.

    Attributes:
        ranks: patches shown per unit and sign, at most; their source images go with the pages.
    """

    ranks: int = 8

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        yield from _positive("pages.ranks", self.ranks)


@dataclass
class TrainingConfig:
    """How the embedded network is trained.

    Attributes:
        steps: batches drawn.
        batch: images in a batch.
        out: folder for the weights and their record; the run folder by default.
    """

    steps: int = 2500
    batch: int = 64
    out: str | None = None

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with values."""
        if self.steps < 1 or self.batch < 1:
            yield f"training: steps ({self.steps}) and batch ({self.batch}) must be 1 or more"


@dataclass
class CollectConfig:
    """Which runs are collected.

    Attributes:
        runs: run folders, folders that hold runs at any depth, or patterns of these; all runs of
            this run's name by default: ``<out>/runs/<name>``.
    """

    runs: list[str] = field(default_factory=list[str])
