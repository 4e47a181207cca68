"""What evolved images are compared with: top patches and ascent images, at the same contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.evolution.batches import batch_of
from pipeline.stages.top_patches.results import find_search, read_patches
from pipeline.store.runs import read_images

Compared = Float[np.ndarray, "units c height width"]


@dataclass(frozen=True)
class Comparison:
    """Images of units of one layer, as they are shown, and the responses to them without noise.

    Attributes:
        units: the units.
        top_patches: network input at the contrast; NaN if the store does not hold them.
        top_responses: of each unit; NaN likewise.
        ascents: the best ascent image of each unit, likewise.
        ascent_responses: of each unit.
    """

    units: Sequence[int]
    top_patches: Compared
    top_responses: Float[np.ndarray, " units"]
    ascents: Compared
    ascent_responses: Float[np.ndarray, " units"]


def compare(run: ActiveRun, layer: Layer) -> Comparison:
    """Return what the images of a layer's units are compared with.

    Of several ascent images of a unit, from all inits, the one with the highest response counts.

    Raises:
        ArtiphysError: what the store holds cannot be read.
    """
    batch, units = batch_of(run, layer), run.parts.units[layer.name]
    shape = (len(units), len(run.parts.network.preprocessing.mean), *batch.size)
    none = np.full(shape, np.nan, np.float32), np.full(len(units), np.nan)
    run.parts.runner.place(run.parts.network.module)

    def shown(images: Tensor) -> tuple[Compared, Float[np.ndarray, " units"]]:
        pixels = run.parts.network.preprocessing.pixels(images.float()).to(batch.device)
        ready = torch.cat([batch.showing.prepare(one) for one in pixels.split(1)])
        return ready.cpu().numpy(), batch.of(units).showing.noise_free(ready)

    patches = none
    if units and not find_search(run, layer).result.missing():
        patches = shown(read_patches(run, layer, units, 0, 1))
    best = none
    for images in _ascents(run, layer, units, shape):
        found = shown(images)
        better = ~(found[1] <= best[1])  # also where there was none yet
        best = (
            np.where(better[:, None, None, None], found[0], best[0]),
            np.where(better, found[1], best[1]),
        )
    return Comparison(units, *patches, *best)


def _ascents(
    run: ActiveRun, layer: Layer, units: Sequence[int], shape: tuple[int, ...]
) -> list[Tensor]:
    """Return the stored ascent images of units: a tensor for each init and copy."""
    if not run.parts.scoring.of_fields:
        return []
    found: list[Tensor] = []
    for init in run.parts.inits:
        result = find_climb(run, layer, init).result
        if result.missing():
            continue
        images = read_images(result)
        for copy in range(run.parts.copies):
            rows = images.copies == copy
            by_unit = dict(zip(images.units[rows].tolist(), images.image[rows], strict=True))
            found.append(torch.from_numpy(np.stack([by_unit[unit] for unit in units])))
    return [each for each in found if each.shape == shape]
