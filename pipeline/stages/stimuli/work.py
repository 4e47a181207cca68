"""Writing stimuli: pictures first and their table last, so that a table says all is there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from pipeline.errors import listed
from pipeline.images.magnified import magnified_png
from pipeline.networks.layers import Layer
from pipeline.networks.unit_networks import unit_network
from pipeline.run.active_run import ActiveRun
from pipeline.search.stimulus_images import ImagePresenter
from pipeline.stages.stage import Plan
from pipeline.stages.stimuli import IMAGES
from pipeline.stages.stimuli.results import (
    Export,
    degrees_of_a_pixel,
    eight_bits,
    exports,
    gray_level,
    parameters,
    set_faults,
)
from pipeline.stages.stimuli.stored_images import (
    StoredImages,
    canvas_of,
    image_faults,
    stored_images,
)
from pipeline.store.files import write_bytes

log = logging.getLogger(__name__)
BATCH = 64  # pictures that are drawn at once
TABLE = "stimuli.csv"
# Of columns whose cells can be empty, or names that look like numbers: torch calls a layer 3.
NAMES = ("model", "layer", "folder", "file", "kind", "init", "status", "image", "scaling", "gray")
DTYPES: Any = {
    **dict.fromkeys(NAMES, "string"),
    **{"copy": "Int64", "rank": "Int64", "inside": "boolean"},
}


def stimulus_faults(run: ActiveRun, plan: Plan) -> Iterator[str]:
    """Yield what is wrong with sets and with images."""
    yield from set_faults(run, plan)
    yield from image_faults(run)


def write_stimuli(run: ActiveRun, _plan: Plan) -> None:
    """Write every set and the chosen images: folders of PNG files, each with ``stimuli.csv``."""
    for export in exports(run):
        count, name = len(export.numbers), export.name
        log.info("stimuli: %d pictures of %s for %s", count, name, export.layer.name)
        _write_set(run, export)
        run.done += count
    for stored in stored_images(run):
        count, name = len(stored.chosen), stored.name
        log.info("stimuli: %d pictures of %s for %s", count, name, stored.layer.name)
        _write_images(run, stored)
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


def _write_images(run: ActiveRun, stored: StoredImages) -> None:
    run.enlist(stored.results)
    folder, show = run.paths.stimuli / stored.folder, _presenter(run, stored.layer)
    tables = [pd.DataFrame(columns=list(IMAGES.columns))]
    for known, images in stored.batches():
        finite = images.isfinite().all(3).all(2).all(1)
        rows = known[finite.numpy()]
        if rows.empty:
            continue
        shown = show(images[finite], rows["unit"].tolist())
        for name, picture in zip(rows["file"], shown.pixels, strict=True):
            png = magnified_png(picture.transpose(2, 0, 1), run.parts.config.stimuli.magnify)
            write_bytes(folder / name, png)
        measured = shown.table.drop(columns="unit").set_index(rows.index)
        tables.append(rows.join(measured))
    table = pd.concat(tables[1:] or tables).sort_index()
    left_out = stored.chosen.drop(table.index)["file"].tolist()
    if left_out:
        log.warning(
            "stimuli: %s of %s left out, as they hold values that are not finite",
            *(listed(left_out, 5), stored.layer.name),
        )
    table = table.assign(
        model=run.parts.network.name,
        layer=stored.layer.name,
        folder=f"stimuli/{stored.folder}",
        gray=" ".join(map(str, show.canvas.gray_level)),
    )
    table = table.reindex(columns=list(IMAGES.columns))
    write_bytes(folder / TABLE, table.to_csv(index=False).encode())


def _presenter(run: ActiveRun, layer: Layer) -> ImagePresenter:
    parts = run.parts
    return ImagePresenter(
        parts.runner.place(unit_network(parts.graph, layer)),
        parts.network.preprocessing,
        canvas_of(run, layer),
        degrees_of_a_pixel(run),
        parts.runner.device,
    )


def stimulus_images(run: ActiveRun, _plan: Plan) -> pd.DataFrame:
    """Return what was written of all images, as their tables say."""
    read = partial(pd.read_csv, dtype=DTYPES, keep_default_na=False, na_values=[""])
    paths = [run.paths.stimuli / each.folder / TABLE for each in stored_images(run)]
    tables = [pd.DataFrame(read(path)) for path in paths]
    empty = pd.DataFrame(columns=list(IMAGES.columns))
    return pd.concat(tables or [empty], ignore_index=True)
