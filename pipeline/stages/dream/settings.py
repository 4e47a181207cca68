"""Settings of a dream: the motion between frames and the smoothing in each octave."""

from __future__ import annotations

from pipeline.config.build import build
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.store.identity import chosen
from pipeline.synthesis.dream.feedback import Motion, combined, rotate, translate, zoom
from pipeline.synthesis.dream.plan import Octave
from pipeline.synthesis.smoothing import Smoothing


def frame_motion(run: ActiveRun) -> Motion | None:
    """Return the motion applied to a frame before the next one is dreamt from it, if any.

    Raises:
        ConfigError: a setting is out of range.
    """
    config = run.parts.config.dream
    motions = [
        *([rotate(config.rotate, config.fill)] if config.rotate else []),
        *([zoom(config.zoom, config.fill)] if config.zoom != 1 else []),
        *([translate(config.translate, config.fill)] if any(config.translate) else []),
    ]
    return combined(*motions) if motions else None


def smoothings(run: ActiveRun, octave: Octave) -> list[Smoothing]:
    """Return the smoothings between the steps of an octave.

    Raises:
        ConfigError: a blur is set for each octave, but there is no blur among the smoothings.
    """
    parts = run.parts
    if octave.sigma is None:
        return list(parts.smoothings.values())
    options = chosen(parts.config.smoothing)
    if "blur" not in options:
        raise ConfigError("dream.sigma: there is no blur between steps; add smoothing=[blur]")
    options = options | {"blur": {**options["blur"], "sigma": octave.sigma}}
    return [build(option, f"smoothing.{name}") for name, option in options.items()]
