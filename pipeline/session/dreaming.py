"""Dreaming: frame after frame, each octave after octave, as work for the runner."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.config.build import build
from pipeline.config.checks import check_disk
from pipeline.errors import ConfigError, NetworkError, nearest
from pipeline.images.pictures import cover
from pipeline.images.videos import read_video
from pipeline.networks.layers import Layer
from pipeline.session.dreamt import (
    Dream,
    Frame,
    all_dreams,
    dream_octaves,
    dream_terms,
    read_frame,
)
from pipeline.session.searched import extremes_result
from pipeline.session.session import Session
from pipeline.session.treated import Beginnings, Numbered, seed_of
from pipeline.session.trial import attempt
from pipeline.store.identity import chosen
from pipeline.synthesis.dream.feedback import (
    Motion,
    blend,
    check_fill,
    combined,
    rotate,
    translate,
    zoom,
)
from pipeline.synthesis.dream.octaves import Size, details, resized, whole
from pipeline.synthesis.dream.plan import Octave
from pipeline.synthesis.inits import Request
from pipeline.synthesis.loop import Ascent, ascend
from pipeline.synthesis.scoring import MapScorer, Weighted
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.tiling import TiledScorer

CARRY = {"whole": whole, "details": details}
FLOAT = 4  # bytes
SLOWEST = 0.01  # frames per second
SCORERS = 8  # networks of octaves that are kept for the next frame
Image = Float[Tensor, "1 3 height width"]


class Dreaming:
    """Dreams as work for the runner (``runner.Work``); each writes its frames as they are done."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.beginnings = Beginnings(session)
        self.lock = threading.Lock()
        self.build_scorer = lru_cache(maxsize=SCORERS)(self._build_scorer)

    def needed(self, dream: Dream) -> bool:
        """Say whether a frame of a dream is not in the store."""
        return bool(dream.result.missing())

    def size(self, dream: Dream) -> int:
        """Return how many frames a dream has."""
        return len(dream.result.items)

    def parts(self, dream: Dream) -> list[Dream]:
        """Return the dream as a whole: a frame needs the one before it."""
        return [dream]

    def load(self, dream: Dream) -> Dream:
        """Return the dream itself."""
        return dream

    def run(self, dream: Dream) -> Dream:
        """Dream the frames that are missing, and write each as soon as it is there."""
        image: Image | None = None
        for number, item in enumerate(dream.result.items):
            if dream.result.holds(item):
                image = torch.from_numpy(read_frame(dream, number).image)[None].to(self.device)
                continue
            frame = self._frame(dream, number, image)
            dream.result.write(item, frame.arrays(dream.unit, number), {"status": frame.status})
            image = torch.from_numpy(frame.image)[None].to(self.device)
        return dream

    def begin(self, dream: Dream) -> Dreamt:
        """Return what takes in a finished dream."""
        return Dreamt(dream)

    @property
    def device(self) -> torch.device:
        """Where dreams are dreamt."""
        return self.session.parts.runner.device

    # One frame.

    def _frame(self, dream: Dream, number: int, before: Image | None) -> Frame:
        start = self._start(dream, number, before)
        image = resized(start, dream.octaves[0].size)
        first, parts = image, list[_OctaveDone]()
        carry = CARRY[self.session.parts.config.dream.carry]
        for index, octave in enumerate(dream.octaves):
            if index:
                image = carry(image, start, octave.size)
            parts.append(self._climb(dream, octave, image, f"{number}/{index}"))
            image = parts[-1].done.images
        counts = [part.done.responses.shape[1] for part in parts]
        return Frame(
            image[0].cpu().numpy(),
            first[0].cpu().numpy(),
            np.concatenate([part.done.responses[0].cpu().numpy() for part in parts]),
            np.repeat(np.arange(len(parts)), counts),
            np.concatenate([np.arange(count) for count in counts]),
            {
                name: np.concatenate([part.means[at] for part in parts])
                for at, name in enumerate(self._read_layers(dream))
            },
            [part.done.status[0] for part in parts],
        )

    def _read_layers(self, dream: Dream) -> list[str]:
        return self.session.parts.scoring.layer_names(dream.layer)

    def _climb(self, dream: Dream, octave: Octave, image: Image, place: str) -> _OctaveDone:
        """Climb one octave from an image of its size."""
        parts = self.session.parts
        scorer = self._scorer(dream.layer, octave.size)
        beginning = self.beginnings.beginning(
            dream.layer,
            [Numbered(dream.unit, 0)],
            [self._seed(dream, place)],
            scorer,
            self.beginnings.chain(octave.size).encode(image),
            smoothings(self.session, octave),
        )
        units = torch.tensor([dream.unit], device=self.device)
        score = scorer.begin(beginning.images, units)
        watched = _Watched(score, units, self._steps_read(octave), apart=bool(parts.transforms))
        done = ascend(
            score,
            units,
            beginning.parameters,
            octave.optimizer,
            beginning.treatment,
            check=parts.runner.check,
            record=watched.look if parts.transforms else None,
        )
        return _OctaveDone(done, watched.means())

    def _steps_read(self, octave: Octave) -> Sequence[int]:
        """Return the steps at which features are read: all, of several frames only the last."""
        steps = octave.optimizer.steps
        return range(steps + 1) if self.session.parts.config.dream.frames == 1 else [steps]

    def _scorer(self, layer: Layer, size: Size) -> MapScorer | TiledScorer:
        with self.lock:
            return self.build_scorer(layer, size)

    def _build_scorer(self, layer: Layer, size: Size) -> MapScorer | TiledScorer:
        parts = self.session.parts
        scorer = dream_terms(self.session, size).whole_scorer(parts.sized_network, layer)
        return parts.runner.place(scorer.eval())

    def _seed(self, dream: Dream, place: str) -> int:
        own = seed_of(self.session, dream.layer, dream.init, dream.unit, 0)
        return int.from_bytes(hashlib.sha256(f"{own}/{place}".encode()).digest()[:8], "big") >> 1

    # Where a frame starts.

    def _start(self, dream: Dream, number: int, before: Image | None) -> Image:
        config = self.session.parts.config.dream
        if config.video is not None:
            frame = self._video_frame(dream, number)
            return frame if before is None else blend(before, frame, config.blend)
        if before is None:
            return self._first(dream)
        motion = frame_motion(self.session)
        return before if motion is None else motion(before)

    def _first(self, dream: Dream) -> Image:
        """Return the image that the init starts from, at the largest size.

        What is drawn is drawn at the size of the first octave: made smaller, it would be averaged.
        """
        chosen_init = self.session.parts.inits[dream.init]
        size = dream.octaves[0].size if chosen_init.random else dream.largest
        request = self._request(dream, size)
        if chosen_init.start is None:
            chain = self.beginnings.chain(size)
            return chain.decode(chain.draw(request.generators, chosen_init.std)).to(self.device)
        return chosen_init.start(request).to(self.device)

    def _request(self, dream: Dream, size: Size) -> Request:
        images = [Numbered(dream.unit, 0)]
        seeds = [seed_of(self.session, dream.layer, dream.init, dream.unit, 0)]
        return self.beginnings.request(dream.layer, images, seeds, size, whole=True)

    def _video_frame(self, dream: Dream, number: int) -> Image:
        frames = self._video
        picture = cover(frames[min(number, len(frames) - 1)], dream.largest)
        pixels = picture.to(torch.float32) / 255
        return self.session.parts.network.preprocessing.normalize(pixels)[None].to(self.device)

    @cached_property
    def _video(self) -> list[UInt8[Tensor, "3 height width"]]:
        config = self.session.parts.config.dream
        return read_video("dream.video", str(config.video), config.frames)


@dataclass(frozen=True)
class _OctaveDone:
    """What one octave left: the ascent, and the means of every layer that was read."""

    done: Ascent
    means: Sequence[np.ndarray]


class _Watched:
    """Mean response of every feature to the image itself, at the last steps of an octave.

    Args:
        score: of the ascent.
        units: one per image.
        steps: at which features are read, up to the last.
        apart: whether the network sees something else at every step, so that the image itself is
            shown to it by itself.
    """

    def __init__(
        self, score: Weighted, units: Tensor, steps: Sequence[int], *, apart: bool
    ) -> None:
        self.score, self.units, self.steps = score, units, steps
        self.seen: list[list[Tensor]] = []
        score.watch = None if apart else self._keep

    def _keep(self, means: Sequence[Tensor]) -> None:
        self.seen.append([mean[0].cpu() for mean in means])

    @torch.no_grad()
    def look(self, step: int, images: Tensor) -> None:
        """Show the network the images before a step, as they are (``ascent.loop.Record``)."""
        if step in self.steps:
            self.score.watch = self._keep
            self.score(images, self.units)
            self.score.watch = None

    def means(self) -> list[np.ndarray]:
        """Return a row for every step that is read, by layer."""
        last = self.seen[-len(self.steps) :]  # where an octave was climbed again, the second counts
        return [torch.stack(layer).numpy() for layer in zip(*last, strict=True)]


@dataclass(frozen=True)
class Dreamt:
    """A finished dream, whose frames are already written."""

    dream: Dream

    def add(self, done: Dream) -> None:
        """Take in the dream."""

    def write(self) -> None:
        """Write nothing more."""


def frame_motion(session: Session) -> Motion | None:
    """Return what a frame goes through before the next is dreamt from it, if anything.

    Raises:
        ConfigError: a setting is out of range.
    """
    config = session.parts.config.dream
    motions = [
        *([rotate(config.rotate, config.fill)] if config.rotate else []),
        *([zoom(config.zoom, config.fill)] if config.zoom != 1 else []),
        *([translate(config.translate, config.fill)] if any(config.translate) else []),
    ]
    return combined(*motions) if motions else None


def check_dreams(session: Session) -> None:
    """Check everything that dreams need, before any work starts.

    Raises:
        ConfigError: a setting is wrong.
        StoreError: the disk has no room for the dreams.
    """
    parts, config = session.parts, session.parts.config.dream
    if config.carry not in CARRY:
        raise ConfigError(
            f"dream.carry: '{config.carry}' is not one of {', '.join(CARRY)}"
            f"{nearest(config.carry, CARRY)}"
        )
    if parts.config.precision == "bfloat16":
        raise ConfigError("precision: dreams are in float32 or tf32, not in bfloat16")
    closed = [name for name, piece in parts.parameterization.items() if not piece.invertible]
    if closed:
        raise ConfigError(
            f"parameterization: '{closed[0]}' has no inverse, and octaves of a dream begin with"
            " images; choose another"
        )
    if config.frames < 1:
        raise ConfigError(f"dream.frames: {config.frames} is not positive; use 1 or more")
    if not SLOWEST <= config.fps < math.inf:
        raise ConfigError(f"dream.fps: {config.fps} is not at least {SLOWEST} frames per second")
    frame_motion(session)
    check_fill(config.fill)
    nothing = torch.zeros(3, 1, 1)
    blend(nothing, nothing, config.blend)
    if config.video is not None:
        read_video("dream.video", config.video, 1)
    dreams = all_dreams(session)
    needed = 0
    for init in parts.inits:
        octaves = dream_octaves(session, init)
        dream_terms(session, octaves[-1].size).check()
        smallest = min(octaves, key=lambda octave: octave.size)
        try:
            _ = parts.sized_network.sized(smallest.size).graph  # on which the network must run
        except NetworkError as error:
            remedy = (
                f"dream.sides: {error}; raise the smallest of them"
                if config.sides is not None
                else f"dream.size: {error}; raise it, or lower dream.levels"
            )
            raise ConfigError(remedy) from error
        largest = max(octave.size[0] * octave.size[1] for octave in octaves)
        frames = sum(len(dream.result.missing()) for dream in dreams if dream.init == init)
        if frames:
            _try(session, init, smallest)
        needed += frames * 2 * 3 * largest * FLOAT
    check_disk(session.layout.out, needed, "the dreams")


def _try(session: Session, init: str, octave: Octave) -> None:
    """Try one step of the smallest octave of a dream, on the first layer."""
    parts, layer = session.parts, session.parts.layers[0]
    needs_patches = parts.inits[init].needs_top_patches or parts.constraint.needs_patches
    if needs_patches and "top_patches" not in parts.config.stages:
        lacking = [each.name for each in parts.layers if extremes_result(session, each).missing()]
        if lacking:
            raise ConfigError(
                f"init: the store holds no top patches of {', '.join(lacking)}, which '{init}' or"
                " the constraint asks for; add top_patches to stages"
            )
    scorer = dream_terms(session, octave.size).whole_scorer(parts.sized_network, layer)
    parts.runner.place(scorer.eval())
    unit, smooth = parts.climbed_units(layer)[-1], smoothings(session, octave)
    attempt(parts, octave.size, unit, 1, smooth, scorer, layer.name)
    _check_transforms(session, octave)


def _check_transforms(session: Session, octave: Octave) -> None:
    parts, blank = session.parts, torch.zeros(1, 3, *octave.size)
    for name, transform in parts.transforms.items():
        if transform.looks > 1:
            raise ConfigError(
                f"transform.{name}.count: dreams look at their image once a step, not"
                f" {transform.looks} times; use 1"
            )
        changed = transform.apply(blank, [torch.Generator()])
        if parts.config.dream.tile is not None and changed.shape != blank.shape:
            raise ConfigError(
                f"transform: '{name}' changes the size of images, and tiles are those of one"
                " size; use transform=[roll], or set dream.tile to null"
            )


def smoothings(session: Session, octave: Octave) -> list[Smoothing]:
    """Return what smooths between the steps of an octave.

    Raises:
        ConfigError: octaves have blurs of their own, and there is no blur.
    """
    parts = session.parts
    if octave.sigma is None:
        return list(parts.smoothings.values())
    options = chosen(parts.config.smoothing)
    if "blur" not in options:
        raise ConfigError("dream.sigma: there is no blur between steps; add smoothing=[blur]")
    options = options | {"blur": {**options["blur"], "sigma": octave.sigma}}
    return [build(option, f"smoothing.{name}") for name, option in options.items()]
