"""What dreams leave: the images of their frames, and the path of their scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.config.settings import DreamConfig, whole_size
from pipeline.images.videos import read_video
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.stages.ascent.results import (
    settings_of_images,
    settings_of_init,
    settings_of_treatment,
)
from pipeline.stages.dream import STAGE
from pipeline.stages.stage import Cost, Plan
from pipeline.store.identity import described
from pipeline.store.results import Arrays, Result
from pipeline.synthesis.dream.octaves import Size
from pipeline.synthesis.dream.plan import Octave, octave_sizes, plan_octaves
from pipeline.synthesis.terms import Terms


@dataclass(frozen=True)
class Dream:
    """One dream: of a layer, or of one of its units, from one init.

    Attributes:
        layer: the layer.
        init: name of the init.
        unit: the unit; ``WHOLE_LAYER`` if the objective is of the layer as a whole.
        octaves: the octaves, in order.
        result: the stored result, whose items are the frames.
    """

    layer: Layer
    init: str
    unit: int
    octaves: Sequence[Octave]
    result: Result
    channels: int

    @property
    def largest(self) -> Size:
        """Height and width of the largest octave."""
        return max(octave.size for octave in self.octaves)

    @property
    def frame_bytes(self) -> int:
        """Bytes of a stored frame: image and start, in float32."""
        return (
            2 * self.channels * max(octave.size[0] * octave.size[1] for octave in self.octaves) * 4
        )

    @property
    def name(self) -> str:
        """A name that is unique in the run."""
        unit = "" if self.unit < 0 else f"_unit{self.unit}"
        return f"{self.layer.name}_{self.init}{unit}"


def dream_terms(run: ActiveRun, size: Size) -> Terms:
    """Return the objective terms for octaves of some size."""
    parts = run.parts
    return replace(parts.scoring, size=size, whole=True, copies=1, tile=parts.config.dream.tile)


def plan_dreams(run: ActiveRun) -> Plan[Dream]:
    """Return every dream of the run: one per layer, init and, for objectives of units, unit."""
    return Plan(
        _dream(run, layer, init, unit)
        for layer in run.parts.layers
        for init in run.parts.inits
        for unit in run.parts.climbed_units(layer)
    )


def dream_cost(
    run: ActiveRun,
    planned: Sequence[Dream],
    machine: Machine | None = None,  # noqa: ARG001 - not timed
) -> Cost:
    """Return the bytes that dreams store; their operations are not counted."""
    frames = run.parts.config.dream.frames
    words = f"from {', '.join(run.parts.inits)}, {frames} frame{'s'[: frames > 1]}"
    return Cost(
        disk=sum(len(dream.result.items) * dream.frame_bytes for dream in planned),
        missing=sum(len(dream.result.missing()) * dream.frame_bytes for dream in planned),
        facts={"dreams": words},
    )


def dream_octaves(run: ActiveRun, init: str) -> list[Octave]:
    """Return the octaves of the dreams from one init."""
    parts, config = run.parts, run.parts.config.dream
    size = _shaped(config.size, parts.inits[init].size or parts.images.size)
    found = octave_sizes(size, config.sides, config.ratio, config.levels)
    return plan_octaves(found, parts.optimizer, config.steps, config.lr, config.sigma)


def _shaped(size: Any, default: Size) -> Size:
    """Return height and width; for a single side, with the aspect ratio of the default."""
    height, width = default
    if not isinstance(size, int) or isinstance(size, bool):
        return whole_size(size, default, "dream.size")
    whole_size(size, default, "dream.size")
    share = size / min(default)
    return max(size, round(height * share)), max(size, round(width * share))


def _dream(run: ActiveRun, layer: Layer, init: str, unit: int) -> Dream:
    config = run.parts.config
    octaves = dream_octaves(run, init)
    determined_by: dict[str, Any] = {
        "layer": layer.identity,
        "unit": unit,
        "precision": config.precision,
        **settings_of_images(run, layer),
        **settings_of_init(run, layer, init),
        **settings_of_treatment(run, layer),
        "whole": [[*octave.size] for octave in octaves],
        "steps": [[octave.optimizer.steps, octave.optimizer.lr] for octave in octaves],
        "optimizer": described(config.optimizer),
        "dream": _settings_of_dream(config.dream, len(octaves)),
    }
    determined_by.pop("canvas", None)
    items = [f"frame-{number:04d}" for number in range(config.dream.frames)]
    name = f"{layer.name}/{init}" + ("" if unit < 0 else f"/{unit}")
    result = run.result(STAGE, layer.name, name, determined_by, items)
    channels = run.parts.network.preprocessing.channels
    return Dream(layer, init, unit, octaves, result, channels)


# Settings already in the plan of the octaves, and one that only affects the video.
_PLANNED = ("size", "sides", "ratio", "levels", "steps", "lr", "fps")
_MOTION = {"zoom": 1, "rotate": 0, "translate": [0, 0]}


def _settings_of_dream(config: DreamConfig, octaves: int) -> dict[str, Any]:
    """Return the settings that determine frames besides their octaves, without unused ones."""
    settings = {name: v for name, v in asdict(config).items() if name not in _PLANNED}
    moves = config.frames > 1 and config.video is None
    idle = [
        *(["carry"] if octaves == 1 else []),
        *(["blend", "video"] if config.video is None else []),
        *(_MOTION if not moves else []),
        *(["fill"] if not moves or all(settings[k] == v for k, v in _MOTION.items()) else []),
    ]
    if config.video is not None:
        read_video("dream.video", config.video, 1)  # the error names the file and its fault
        contents = Path(config.video).expanduser().read_bytes()
        settings["video"] = hashlib.sha256(contents).hexdigest()
    return {name: value for name, value in settings.items() if name not in idle}


@dataclass(frozen=True)
class Frame:
    """One frame of a dream.

    Attributes:
        image: the dreamt image, in network-input space.
        start: the starting image, at the size of the first octave.
        scores: before every step and after the last, octave by octave. With transforms, the first
            and the last score of an octave are those of the image itself, and the others those of
            the transformed image.
        octaves: octave number of each score.
        steps: step number of each score.
        means: mean response of every feature to the image itself, by recorded layer; one row per
            score or, in a dream of several frames, one for the end of each octave.
        status: status of each octave, as in the table ``ascents``.
    """

    image: Float[np.ndarray, "3 height width"]
    start: Float[np.ndarray, "3 start_height start_width"]
    scores: Float[np.ndarray, " scores"]
    octaves: np.ndarray
    steps: np.ndarray
    means: dict[str, Float[np.ndarray, "rows features"]]
    status: list[str]

    def arrays(self, unit: int, number: int) -> Arrays:
        """Return the frame as named arrays, in the format of an ascent with one image."""
        means = {f"means/{layer}": rows for layer, rows in self.means.items()}
        return {
            "units": np.array([unit]),
            "copies": np.array([number]),
            "images": self.image[None],
            "starts": self.start[None],
            "scores": self.scores,
            "octaves": self.octaves,
            "steps": self.steps,
            **means,
        }


def read_frame(dream: Dream, number: int) -> Frame:
    """Return one frame of a dream.

    Raises:
        StoreError: it is missing or damaged.
    """
    arrays, notes = dream.result.read(dream.result.items[number])
    means = {
        name.removeprefix("means/"): rows
        for name, rows in arrays.items()
        if name.startswith("means/")
    }
    return Frame(
        arrays["images"][0],
        arrays["starts"][0],
        arrays["scores"],
        arrays["octaves"],
        arrays["steps"],
        means,
        notes["status"],
    )
