"""Writing stimulus sets: pictures first and their table last, so that a table says all is there."""

from __future__ import annotations

import logging

import numpy as np
from jaxtyping import UInt8

from pipeline.images.magnified import magnified_png
from pipeline.run.active_run import ActiveRun
from pipeline.stages.stage import Plan
from pipeline.stages.stimuli.results import (
    Export,
    degrees_of_a_pixel,
    eight_bits,
    exports,
    gray_level,
    parameters,
)
from pipeline.store.files import write_bytes

log = logging.getLogger(__name__)
BATCH = 64  # pictures that are drawn at once
TABLE = "stimuli.csv"


def write_sets(run: ActiveRun, _plan: Plan) -> None:
    """Write every set for every layer: a folder of PNG files, and ``stimuli.csv``."""
    for export in exports(run):
        count, name = len(export.numbers), export.name
        log.info("stimuli: %d pictures of %s for %s", count, name, export.layer.name)
        _write_set(run, export)
        run.done += count


def _write_set(run: ActiveRun, export: Export) -> None:
    settings, folder = run.parts.config.stimuli, run.paths.stimuli / export.folder
    gray = gray_level(export.field.colors)
    for start in range(0, len(export.numbers), BATCH):
        stop = start + BATCH
        drawn = export.stimuli.draw(export.numbers[start:stop]).numpy()
        pixels = eight_bits(drawn, export.field.colors)
        for name, picture in zip(export.files[start:stop], pixels, strict=True):
            framed = with_margin(picture, settings.margin, gray)
            write_bytes(folder / name, magnified_png(framed, settings.magnify))
    table = parameters(export, degrees_of_a_pixel(run))
    write_bytes(folder / TABLE, table.to_csv(index=False).encode())


def with_margin(
    picture: UInt8[np.ndarray, "channels height width"], margin: int, gray: list[int]
) -> UInt8[np.ndarray, "channels rows columns"]:
    """Return a picture with gray around it.

    >>> with_margin(np.zeros((1, 1, 1), np.uint8), 1, [128])[0].tolist()
    [[128, 128, 128], [128, 0, 128], [128, 128, 128]]
    """
    around = ((margin, margin), (margin, margin))
    channels = [np.pad(c, around, constant_values=g) for c, g in zip(picture, gray, strict=True)]
    return np.stack(channels)
