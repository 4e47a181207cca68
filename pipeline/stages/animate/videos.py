"""Videos of ascents: a unit by itself, and several units of a layer side by side."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.figures import scaling
from pipeline.figures.animated_ascent import AnimatedAscent
from pipeline.figures.animation import side_by_side, small_multiples
from pipeline.figures.video import gif, mp4
from pipeline.run.active_run import ActiveRun
from pipeline.stages.animate.results import Animated, read_animated, stored_end
from pipeline.store.results import WHOLE_LAYER
from pipeline.synthesis.loop import OK

log = logging.getLogger(__name__)

WORKERS = 4  # videos encoded at a time; each takes a few hundred megabytes
REST = 1.5  # seconds for which a GIF holds the last frame before it loops
COLUMNS = 4  # columns of small multiples
Frames = UInt8[np.ndarray, "frames height width 3"]


def write_videos(run: ActiveRun, planned: Sequence[Animated]) -> None:
    """Write a video of each unit and, if there are several, one of all units of the layer."""
    _warn_of_other_ends(planned)
    workers = min(WORKERS, run.parts.runner.workers.threads)
    with ThreadPoolExecutor(workers) as pool:
        made = [(name, pool.submit(_encode, run, draw)) for name, draw in _videos(run, planned)]
        for name, videos in made:
            run.video(name, videos.result())


def _encode(run: ActiveRun, draw: Callable[[], Frames]) -> dict[str, bytes]:
    config, frames = run.parts.config.animate, draw()
    encoders = {
        "gif": lambda: gif(frames, config.fps, REST),
        "mp4": lambda: mp4(frames, config.fps),
    }
    return {kind: encoders[kind]() for kind in config.formats}


def _videos(
    run: ActiveRun, planned: Sequence[Animated]
) -> Iterator[tuple[str, Callable[[], Frames]]]:
    """Yield a video for each unit and init and, for several units, one of each layer and init."""

    def place(animated: Animated) -> tuple[str, str]:
        return animated.climb.layer.name, animated.climb.init

    for (layer, init), found in groupby(planned, place):
        own, name = list(found), f"animation_{layer}_{init}"
        units = {unit: list(group) for unit, group in groupby(own, lambda each: each.unit)}
        for unit, together in units.items():
            ending = "" if unit == WHOLE_LAYER else f"_unit{unit}"
            yield name + ending, partial(_one_unit, run, together)
        if len(units) > 1:
            yield name, partial(_all_units, run, own)


def _one_unit(run: ActiveRun, together: Sequence[Animated]) -> Frames:
    first = together[0]
    unit = "" if first.unit == WHOLE_LAYER else f" unit {first.unit}"
    panels = [panel for animated in together for panel in _panels(run, animated)]
    return side_by_side(panels, _title(run, first, unit), _caption(run))


def _all_units(run: ActiveRun, own: Sequence[Animated]) -> Frames:
    panels = [
        panel for animated in own for panel in _panels(run, animated, f"unit {animated.unit}")
    ]
    each = len(panels) // len({animated.unit for animated in own})
    columns = each * max(1, COLUMNS // each)  # keep panels of the same unit in one row
    return small_multiples(panels, columns, _title(run, own[0], ""), _caption(run))


def _title(run: ActiveRun, animated: Animated, unit: str) -> str:
    parts, climb = run.parts, animated.climb
    by = "" if len(parts.config.animate.optimizers) > 1 else f" by {animated.optimizer}"
    objective = parts.option("objective")
    climbed = "" if objective == "unit_response" else f" for {objective}"
    return f"{parts.network.name} {climb.layer.name}{unit}, climbed{climbed} from {climb.init}{by}"


def _caption(run: ActiveRun) -> str:
    config = run.parts.config.animate
    shown = "The image itself. " if config.show == "image" else "What was added to the start. "
    line = "Line: response to the transformed image; marks: to the image itself. "
    said = shown + (line if run.parts.transforms else "") + scaling.OF_VIDEOS[config.scale]
    return scaling.noted(said, run.parts.network.preprocessing.channels)


def _panels(run: ActiveRun, animated: Animated, unit: str = "") -> list[AnimatedAscent]:
    """Return one panel per copy, labeled with whatever distinguishes it from the others."""
    found, config = read_animated(animated), run.parts.config.animate
    by = [animated.optimizer] if len(run.parts.config.animate.optimizers) > 1 else []
    shown = found.frames if config.show == "image" else found.added
    copies = shown.shape[1]
    return [
        AnimatedAscent(
            ", ".join([*([unit] if unit else []), *by, *([f"copy {copy}"] if copies > 1 else [])]),
            _displayed(run, shown[:, copy]),
            found.steps.tolist(),
            found.responses[copy],
            "" if found.status[copy] == OK else found.status[copy].replace("_", " "),
            bool(run.parts.transforms),
        )
        for copy in range(copies)
    ]


def _displayed(
    run: ActiveRun, frames: Float[np.ndarray, "frames c height width"]
) -> UInt8[np.ndarray, "frames height width 3"]:
    scale, preprocessing = run.parts.config.animate.scale, run.parts.network.preprocessing
    if scale == "pixels":
        mean, std = preprocessing.mean, preprocessing.std
        shown = np.stack([scaling.to_pixels(frame, mean, std) for frame in frames])
    else:
        shown = scaling.all_to_display(frames, "last" if scale == "last" else "frame")
    return np.rint(shown * 255).astype(np.uint8)


def _warn_of_other_ends(planned: Sequence[Animated]) -> None:
    """Log which animated ascents end at a different image than the stored ones.

    On the same kind of device they agree to the bit; the stored ones may be from another device.
    """
    for animated in planned:
        stored = stored_end(animated)
        if stored is not None and not np.array_equal(stored, read_animated(animated).frames[-1]):
            log.warning(
                "animate: %s ends at a different image than the stored ascent, which comes from "
                "another kind of device or version of PyTorch",
                animated.name,
            )
