"""Dreams as work for the runner: frame by frame, and octave by octave within each frame."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.images.pictures import cover
from pipeline.images.videos import read_video
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream.results import Dream, Frame, dream_terms, read_frame
from pipeline.stages.dream.settings import frame_motion, smoothings
from pipeline.stages.stage import WorkItems
from pipeline.stages.top_patches.results import StoredSources
from pipeline.synthesis.dream.feedback import blend
from pipeline.synthesis.dream.octaves import CARRY, Size, resized
from pipeline.synthesis.dream.plan import Octave
from pipeline.synthesis.inits import Request
from pipeline.synthesis.loop import Ascent, Watch, ascend
from pipeline.synthesis.scoring import MapScorer, Weighted
from pipeline.synthesis.starts import Numbered, Starts, image_seed
from pipeline.synthesis.tiling import TiledScorer

log = logging.getLogger(__name__)
SCORERS = 8  # networks, one per octave size, kept for the next frame
Image = Float[Tensor, "1 3 height width"]


def dream(run: ActiveRun, planned: Sequence[Dream]) -> Iterator[WorkItems[Dream]]:
    """Yield the dreams that are not in the store."""
    missing = run.missing(planned)
    if missing:
        log.info("dream: dreaming %s", ", ".join(dream.name for dream in missing))
        results = [dream.result for dream in missing]
        yield WorkItems(results, planned, DreamWork(run), "dream: frames", tf32=True)


class DreamWork:
    """Dreams as work for the runner (``runner.Work``); each frame is written when it is done."""

    def __init__(self, run: ActiveRun) -> None:
        self.active = run
        self.starts = Starts(run.parts.recipe, StoredSources(run))
        self.lock = threading.Lock()
        self.build_scorer = lru_cache(maxsize=SCORERS)(self._build_scorer)

    def needed(self, dream: Dream) -> bool:
        """Return whether a frame of a dream is missing in the store."""
        return bool(dream.result.missing())

    def size(self, dream: Dream) -> int:
        """Return the number of frames of a dream."""
        return len(dream.result.items)

    def parts(self, dream: Dream) -> list[Dream]:
        """Return the dream as its only part: each frame needs the one before it."""
        return [dream]

    def load(self, dream: Dream) -> Dream:
        """Return the dream unchanged."""
        return dream

    def run(self, dream: Dream) -> Dream:
        """Dream the missing frames, and write each as soon as it is done."""
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
        """Return the collector for a finished dream."""
        return Dreamt(dream)

    @property
    def device(self) -> torch.device:
        """The device on which dreams run."""
        return self.active.parts.runner.device

    # One frame.

    def _frame(self, dream: Dream, number: int, before: Image | None) -> Frame:
        start = self._start(dream, number, before)
        image = resized(start, dream.octaves[0].size)
        first, parts = image, list[_OctaveDone]()
        carry = CARRY[self.active.parts.config.dream.carry]
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
        return self.active.parts.scoring.layer_names(dream.layer)

    def _climb(self, dream: Dream, octave: Octave, image: Image, place: str) -> _OctaveDone:
        """Run the ascent of one octave from an image of its size."""
        parts = self.active.parts
        scorer = self._scorer(dream.layer, octave.size)
        start = self.starts.start_from(
            dream.layer,
            [Numbered(dream.unit, 0)],
            [self._seed(dream, place)],
            scorer,
            self.starts.chain(octave.size).encode(image),
            smoothings(self.active, octave),
        )
        units = torch.tensor([dream.unit], device=self.device)
        score = scorer.begin(start.images, units)
        watched = _Watched(score, units, self._steps_read(octave), apart=bool(parts.transforms))
        done = ascend(
            score,
            units,
            start.parameters,
            octave.optimizer,
            start.treatment,
            Watch(parts.runner.check, watched.look if parts.transforms else None),
        )
        return _OctaveDone(done, watched.means())

    def _steps_read(self, octave: Octave) -> Sequence[int]:
        """Return the steps at which features are recorded: all, or the last for several frames."""
        steps = octave.optimizer.steps
        return range(steps + 1) if self.active.parts.config.dream.frames == 1 else [steps]

    def _scorer(self, layer: Layer, size: Size) -> MapScorer | TiledScorer:
        with self.lock:
            return self.build_scorer(layer, size)

    def _build_scorer(self, layer: Layer, size: Size) -> MapScorer | TiledScorer:
        parts = self.active.parts
        scorer = dream_terms(self.active, size).whole_scorer(parts.sized_network, layer)
        return parts.runner.place(scorer.eval())

    def _seed(self, dream: Dream, place: str) -> int:
        own = image_seed(self.active.parts.recipe, dream.layer, dream.init, dream.unit, 0)
        return int.from_bytes(hashlib.sha256(f"{own}/{place}".encode()).digest()[:8], "big") >> 1

    # Where a frame starts.

    def _start(self, dream: Dream, number: int, before: Image | None) -> Image:
        config = self.active.parts.config.dream
        if config.video is not None:
            frame = self._video_frame(dream, number)
            return frame if before is None else blend(before, frame, config.blend)
        if before is None:
            return self._first(dream)
        motion = frame_motion(self.active)
        return before if motion is None else motion(before)

    def _first(self, dream: Dream) -> Image:
        """Return the image that the init starts from, at the largest size.

        Random images are drawn at the size of the first octave: shrinking a larger one would
        average its pixels.
        """
        chosen_init = self.active.parts.inits[dream.init]
        size = dream.octaves[0].size if chosen_init.random else dream.largest
        request = self._request(dream, size)
        if chosen_init.start is None:
            chain = self.starts.chain(size)
            return chain.decode(chain.draw(request.generators, chosen_init.std)).to(self.device)
        return chosen_init.start(request).to(self.device)

    def _request(self, dream: Dream, size: Size) -> Request:
        images = [Numbered(dream.unit, 0)]
        seeds = [image_seed(self.active.parts.recipe, dream.layer, dream.init, dream.unit, 0)]
        return self.starts.request(dream.layer, images, seeds, size, whole=True)

    def _video_frame(self, dream: Dream, number: int) -> Image:
        frames = self._video
        picture = cover(frames[min(number, len(frames) - 1)], dream.largest)
        pixels = picture.to(torch.float32) / 255
        return self.active.parts.network.preprocessing.normalize(pixels)[None].to(self.device)

    @cached_property
    def _video(self) -> list[UInt8[Tensor, "3 height width"]]:
        config = self.active.parts.config.dream
        return read_video("dream.video", str(config.video), config.frames)


@dataclass(frozen=True)
class _OctaveDone:
    """The result of one octave: the ascent, and the mean responses of every recorded layer."""

    done: Ascent
    means: Sequence[np.ndarray]


class _Watched:
    """Mean response of every feature to the image itself, at the last steps of an octave.

    Args:
        score: score of the ascent.
        units: unit of each image.
        steps: steps at which features are recorded, including the last.
        apart: whether the score is computed on a transformed image, so that an additional forward
            pass is needed for the image itself.
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
        """Run the network on the untransformed images before a step (``synthesis.loop.Record``)."""
        if step in self.steps:
            self.score.watch = self._keep
            self.score(images, self.units)
            self.score.watch = None

    def means(self) -> list[np.ndarray]:
        """Return one row per recorded step, by layer."""
        last = self.seen[-len(self.steps) :]  # if an octave was run twice, the second run counts
        return [torch.stack(layer).numpy() for layer in zip(*last, strict=True)]


@dataclass(frozen=True)
class Dreamt:
    """A finished dream, whose frames are already written."""

    dream: Dream

    def add(self, done: Dream) -> None:
        """Add the dream."""

    def write(self) -> None:
        """Do nothing: the frames are written already."""
