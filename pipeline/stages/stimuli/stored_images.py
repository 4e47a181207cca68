"""Images of units that other stages have stored, and which of them become pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, StoreError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import Climb, find_climb
from pipeline.stages.stimuli.results import chosen_numbers
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search, read_patches, top_patches
from pipeline.stimuli.gray_canvas import GrayCanvas
from pipeline.store.identity import chosen
from pipeline.store.results import Result

TOGETHER = 16  # patches that are read at once
KINDS = {"ascent": "ascent", "top_patches": "top_patch", "bottom_patches": "bottom_patch"}
SIGNS = {"top_patches": 1, "bottom_patches": -1}


@dataclass(frozen=True)
class StoredImages:
    """Images of the units of one layer that another stage has stored.

    Attributes:
        run: the run.
        layer: the layer.
        name: ``ascent``, ``top_patches`` or ``bottom_patches``.
        chosen: one row per image that is written, as far as it is known before the images are.
    """

    run: ActiveRun
    layer: Layer
    name: str
    chosen: pd.DataFrame

    @property
    def folder(self) -> str:
        """Where the pictures are, below the folder of all stimuli of a run."""
        return f"{self.layer.name}/{self.name}"

    @property
    def results(self) -> list[Result]:
        """In which the images are."""
        if self.name in SIGNS:
            return [find_search(self.run, self.layer).result]
        return [climb.result for climb in self._climbs]

    @property
    def _climbs(self) -> list[Climb]:
        return [find_climb(self.run, self.layer, init) for init in self.run.parts.inits]

    def batches(self) -> Iterator[tuple[pd.DataFrame, Float[Tensor, "images c height width"]]]:
        """Yield rows of the table with all that is known of each image, and the images.

        Raises:
            ArtiphysError: the store lacks them, or an image of the set has changed.
        """
        yield from self._patches() if self.name in SIGNS else self._ascents()

    def _ascents(self) -> Iterator[tuple[pd.DataFrame, Tensor]]:
        for climb in self._climbs:
            wanted = pd.DataFrame(self.chosen[self.chosen["init"] == climb.init])
            for item, units in climb.blocks.items():
                rows = pd.DataFrame(wanted[wanted["unit"].isin(list(units))])
                if rows.empty:
                    continue
                arrays, notes = climb.result.read(item, ("units", "copies", "images"))
                stored = pd.MultiIndex.from_arrays([arrays["units"], arrays["copies"]])
                places = stored.get_indexer(pd.MultiIndex.from_arrays([rows["unit"], rows["copy"]]))
                status = np.array(notes["status"], dtype=object)[places]
                images = torch.from_numpy(arrays["images"][places].astype(np.float32))
                yield rows.assign(status=status), images

    def _patches(self) -> Iterator[tuple[pd.DataFrame, Tensor]]:
        run, layer, sign = self.run, self.layer, SIGNS[self.name]
        found = top_patches(run, [find_search(run, layer)])
        found = found[found["sign"] == sign].set_index(["unit", "rank"])[["image", "inside"]]
        known = self.chosen.join(found, on=["unit", "rank"])
        for rank, of_rank in known.groupby("rank"):
            for start in range(0, len(of_rank), TOGETHER):
                rows = of_rank.iloc[start : start + TOGETHER]
                yield rows, read_patches(run, layer, rows["unit"].tolist(), int(str(rank)), sign)


def stored_images(run: ActiveRun) -> Iterator[StoredImages]:
    """Yield the images that become pictures, by layer and kind.

    Raises:
        ConfigError: there are too many to be written unasked.
    """
    for layer in run.parts.layers:
        for name in run.parts.config.stimuli.images:
            yield _of_layer(run, layer, name)


def _of_layer(run: ActiveRun, layer: Layer, name: str) -> StoredImages:
    config = run.parts.config
    every = pd.DataFrame(_rows(run, layer, name), columns=["file", "unit", "init", "copy", "rank"])
    numbers = chosen_numbers(len(every), config.stimuli, config.seed, f"{name} for {layer.name}")
    rows = every.iloc[numbers].reset_index(drop=True).assign(kind=KINDS[name])
    return StoredImages(run, layer, name, rows)


def _rows(run: ActiveRun, layer: Layer, name: str) -> Iterable[tuple[object, ...]]:
    """Yield the file, unit, init, copy and rank of each image of a layer, unit by unit."""
    parts, digits = run.parts, len(str(layer.units - 1))
    for unit in parts.units[layer.name]:
        start = f"unit{unit:0{digits}d}"
        if name in SIGNS:
            for rank in parts.config.stimuli.ranks:
                yield f"{start}_{rank}.png", unit, None, None, rank
            continue
        for init in parts.inits:
            for copy in range(parts.copies):
                number = f"_{copy}" if parts.copies > 1 else ""
                yield f"{start}_{init}{number}.png", unit, init, copy, None


def canvas_of(run: ActiveRun, layer: Layer) -> GrayCanvas:
    """Return the canvas on which the images of a layer are shown, with its margin.

    Raises:
        ConfigError: it is too small, or its gray cannot be shown.
    """
    parts, settings = run.parts, run.parts.config.stimuli
    field = parts.canvas(layer).box
    size = (field.height, field.width)
    seen = parts.network.preprocessing
    colors = zip(parts.colors.gray, seen.std, seen.mean, strict=True)
    gray = tuple(round(value * std + mean, 9) for value, std, mean in colors)
    sides = settings.canvas or [max(pair) for pair in zip(parts.images.size, size, strict=True)]
    canvas = GrayCanvas(sides[0], sides[1], gray, settings.scaling)
    canvas.box(size)
    margin = 2 * settings.margin
    return replace(canvas, height=canvas.height + margin, width=canvas.width + margin)


def image_faults(run: ActiveRun) -> Iterator[str]:
    """Yield why images cannot be written."""
    faults, parts = Faults(), run.parts
    names = parts.config.stimuli.images
    for name in names:
        if name in chosen(parts.config.stimulus):
            faults.add([f"stimulus.{name}: is the name of a folder of stimuli.images; rename it"])
    if set(names) & set(SIGNS):
        faults.add(_rank_faults(run))
    for layer in parts.layers if names else ():
        faults.attempt(partial(canvas_of, run, layer))
        for name in names:
            faults.attempt(partial(_check_stored, run, layer, name))
    yield from faults.found


def _rank_faults(run: ActiveRun) -> Iterator[str]:
    kept = min(run.parts.config.search.keep, len(run.images))
    if (most := max(run.parts.config.stimuli.ranks)) >= kept:
        yield (
            f"stimuli.ranks: {most} is beyond the {kept} patches kept per unit; ranks count from 0"
            " (search.keep sets how many are kept)"
        )


def _check_stored(run: ActiveRun, layer: Layer, name: str) -> None:
    scoring, stages = run.parts.scoring, run.parts.config.stages
    if name == "ascent" and not (scoring.of_fields and scoring.per_unit):
        raise ConfigError(
            "stimuli.images: ascents by this objective are not of the receptive fields of single"
            " units; leave ascent out, or use objective=[unit_response]"
        )
    stored = _of_layer(run, layer, name)
    stage = TOP_PATCHES if name in SIGNS else ASCENT
    if stage.name not in stages and any(map(Result.missing, stored.results)):
        what = "patches" if name in SIGNS else "ascents"
        raise StoreError(
            f"stimuli.images: the store holds no {what} of {layer.name} for these settings; add"
            f" {stage.name} to stages"
        )
