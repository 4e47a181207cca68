"""The settings of each stage, with units, ranges and checks of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ConfigError, nearest

FRAMES = 100_000  # of a dream; one hour of video
# Frames per second: a GIF shows a frame for at most 655 s, and browsers for at least 0.02 s.
FPS = (0.01, 50)
UNIT = re.compile(r".+/\d+")  # a layer and a unit, such as conv2/7


def _positive(key: str, value: int) -> Iterator[str]:
    if value < 1:
        yield f"{key}: {value} is not positive; use 1 or more"


def _unknown(key: str, given: list[str], known: tuple[str, ...]) -> Iterator[str]:
    for value in given:
        if value not in known:
            yield f"{key}: '{value}' is not one of {', '.join(known)}{nearest(value, known)}"


LARGEST = 32_768  # pixels per side


@dataclass
class SearchConfig:
    """How the image set is searched for top and bottom patches.

    Attributes:
        keep: top and bottom patches kept per unit, each from a different image.
        batch_size: images per forward pass; it can change the last bits of a response.
        max_unreadable: largest share of unreadable images; with more, the search stops.
    """

    keep: int = 100
    batch_size: int = 16
    max_unreadable: float = 0.1

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        yield from _positive("search.keep", self.keep)
        yield from _positive("search.batch_size", self.batch_size)
        if not 0 <= self.max_unreadable <= 1:
            yield f"search.max_unreadable: {self.max_unreadable} is not a share from 0 to 1"


@dataclass
class ResponsesConfig:
    """Which responses to every image are stored.

    Attributes:
        at: which part of a unit's map is stored: its maximum (``max``), its mean (``mean``), the
            response at its ``center``, or ``all`` positions.
        dtype: data type of the arrays, ``float32`` or ``float16``.
    """

    at: str = "max"
    dtype: str = "float32"

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        yield from _unknown("responses.at", [self.at], ("max", "mean", "center", "all"))
        yield from _unknown("responses.dtype", [self.dtype], ("float32", "float16"))


@dataclass
class AscentConfig:
    """Settings of ascents outside the groups.

    Attributes:
        size: side of whole images in pixels, or ``[height,width]``; the size of the image set by
            default. It does not apply to ``objective=[unit_response]`` alone, whose images have the
            size of the receptive field.
    """

    size: Any = None


@dataclass
class DreamConfig:
    """How an image is dreamt: octave by octave and, for a video, frame by frame.

    Attributes:
        size: shorter side in pixels, or ``[height,width]``; by default the size of the starting
            picture or, if there is none, of the image set.
        sides: shorter side of every octave, such as ``[299,380,460]``; it replaces ``ratio`` and
            ``levels``.
        ratio: scale factor from one octave to the next.
        levels: number of octaves, the last of which has the size of the image. Starting noise is
            drawn at the size of the first octave.
        carry: what the next octave starts from: the ``whole`` dream, resized, or the starting
            picture plus the ``details`` added by the dream so far.
        steps: steps per octave, or a list with one number for each; by default the steps of the
            optimizer.
        lr: learning rate, or a list with one for each octave; a pair ``[start,end]`` changes over
            the steps, as in ``[[0.5,0.4],[0.4,0.3],[0.3,0.2]]``.
        sigma: sigma of ``smoothing=[blur]``, or a list with one for each octave, in the same form
            as ``lr``.
        tile: side in pixels of the tiles into which images too large for memory are cut; the result
            is the same up to rounding.
        frames: number of frames; each starts from the one before, after ``zoom``, ``rotate`` and
            ``translate``.
        zoom: factor by which a frame is enlarged for the next.
        rotate: degrees by which a frame is rotated for the next, counterclockwise.
        translate: pixels by which a frame is shifted for the next, right and down.
        fill: how the edges are filled after these motions: ``reflect`` or ``edge``.
        video: path of a video whose frames are used as starting images.
        blend: share of the video's new frame in the start of a frame; the rest, ``1 - blend``, is
            the dream of the frame before.
        fps: frames per second of the written videos.
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
        """Yield the faults in the values."""
        if self.frames > FRAMES:
            yield f"dream.frames: {self.frames} are too many; use {FRAMES} or fewer"


@dataclass
class FiguresConfig:
    """Which figures are drawn, and how.

    Attributes:
        triptychs: units to draw, such as ``[conv2/2,conv2/7]``; the first four of every layer by
            default.
        contact_units: largest number of units on a contact sheet.
        contact_ranks: largest number of patches per unit and sign on a contact sheet.
        formats: file formats of the plots: ``png``, ``pdf`` and ``svg``. Contact sheets are PNG.
    """

    triptychs: list[str] = field(default_factory=list[str])
    contact_units: int = 8
    contact_ranks: int = 8
    formats: list[str] = field(default_factory=lambda: ["png", "pdf"])

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
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
        units: units to show, such as ``[conv2/2,conv2/7]``; the first four of every layer by
            default.
        optimizers: optimizers to compare side by side, by name; by default only the run's own. Add
            one with ``+optimizer@animate.optimizers.NAME=adam``, and set its arguments as in
            ``animate.optimizers.NAME.lr=0.05``.
        every: steps from one frame to the next; the last step is always shown. The default gives at
            most 101 frames.
        show: the ``image``, or what was ``added`` to the starting image.
        scale: how values are scaled for display: to the largest magnitude of the ``last`` frame, to
            that of each ``frame``, or not at all (``pixels``: the image in its own colors, clipped
            at black and white). Every caption says which.
        fps: frames per second, from 0.01 to 50.
        formats: ``gif`` and ``mp4``.
    """

    units: list[str] = field(default_factory=list[str])
    optimizers: dict[str, Any] = field(default_factory=dict[str, Any])
    every: int | None = None
    show: str = "image"
    scale: str = "last"
    fps: float = 20.0
    formats: list[str] = field(default_factory=lambda: ["gif", "mp4"])

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
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
                "animate.scale: pixels needs show=image, as what was added to an image has no "
                "colors of its own; use last or frame"
            )

    def _optimizer_faults(self) -> Iterator[str]:
        for name, group in self.optimizers.items():
            if not isinstance(group, Mapping) or "_target_" not in group:
                known = [other for other in self.optimizers if other != name]
                yield (
                    f"animate.optimizers.{name}: has settings, but no optimizer is chosen for "
                    "it; choose one, as"
                    f" in +optimizer@animate.optimizers.{name}=adam{nearest(name, known)}"
                )


@dataclass
class PagesConfig:
    """What the pages show.

    Attributes:
        ranks: largest number of patches per unit and sign; the pages include their source images.
    """

    ranks: int = 8

    def faults(self) -> Iterator[str]:
        """Yield the faults in the values."""
        yield from _positive("pages.ranks", self.ranks)


@dataclass
class CollectConfig:
    """Which runs are collected.

    Attributes:
        runs: run folders, folders that contain runs at any depth, or glob patterns of these, such
            as ``[outputs/runs/mysweep]``; by default all runs with this run's name:
            ``<out>/runs/<name>``.
    """

    runs: list[str] = field(default_factory=list[str])


def whole_size(size: Any, default: tuple[int, int], key: str = "ascent.size") -> tuple[int, int]:
    """Return height and width of whole images.

    Args:
        size: a side in pixels, height and width, or ``None``.
        default: height and width if ``size`` is ``None``.
        key: key of the setting, for messages.

    Raises:
        ConfigError: it is none of these.
    """
    if size is None:
        return default
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n <= LARGEST for n in sides
    ):
        raise ConfigError(
            f"{key}: {size!r} is not a side of up to {LARGEST} pixels, height and width such as"
            " [240,320], or null"
        )
    return (sides[0], sides[1])
