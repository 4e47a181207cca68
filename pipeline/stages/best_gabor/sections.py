"""What the page of a unit shows of its best Gabor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from pipeline.analysis.contrast import at_rms
from pipeline.networks.layers import Layer
from pipeline.pages.gabor_section import ShownGabor, gabor_section
from pipeline.pages.sections import Section, UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.best_gabor import STAGE
from pipeline.stages.best_gabor.plan import GaborPlan
from pipeline.stages.best_gabor.results import Compared, LayerGabors
from pipeline.stages.best_gabor.tables import compared_of, layer_table, source_reasons
from pipeline.stages.stage import no_sections
from pipeline.synthesis.gabors import gabor_images


def unit_sections(run: ActiveRun, found: Sequence[Any], layer: Layer) -> UnitSections:
    """Return what gives the sections of a unit of a layer."""
    gabors = [each for each in found if isinstance(each, LayerGabors)]
    own = [each for each in gabors if each.of.layer.name == layer.name]
    others = [each for each in found if isinstance(each, Compared)]
    if not own:
        return no_sections(run, found, layer)
    return _sections(run, own[0], compared_of(others, layer.name))


def _sections(run: ActiveRun, gabors: LayerGabors, compared: Sequence[Compared]) -> UnitSections:
    plan: GaborPlan = run.plan(STAGE)
    table = layer_table(run, gabors, compared, source_reasons(plan))
    records: list[dict[Any, Any]] = table.to_dict("records")
    rows = {int(row["unit"]): row for row in records}
    drawn = _Drawn(gabors, compared)
    preprocessing = run.parts.network.preprocessing

    def sections(unit: int) -> list[Section]:
        if unit not in rows:
            return []
        row = {str(name): value for name, value in rows[unit].items()}
        images = drawn(unit) if np.isfinite(row["response"]) else {}
        return [gabor_section(ShownGabor(row, images, preprocessing.mean, preprocessing.std))]

    return sections


class _Drawn:
    """The images of the units of a layer at the contrast of each, by prefix of their columns."""

    def __init__(self, gabors: LayerGabors, compared: Sequence[Compared]) -> None:
        self.gabors, self.compared = gabors, compared
        self.arrays = gabors.read()[0]
        self.which = {each.source.name: each.read()[0]["which"] for each in compared}

    def __call__(self, unit: int) -> dict[str, Float[np.ndarray, "channels height width"]]:
        """Return the images of a unit that has a Gabor."""
        row, search = list(self.gabors.of.units).index(unit), self.gabors.of.search
        one = slice(row, row + 1)
        gabors, colors = (torch.from_numpy(self.arrays[n][one]) for n in ("gabors", "colors"))
        rms = self.arrays["rms"][one]
        # With limits, the stored contrast is that which they have left.
        drawn = gabor_images(gabors, colors, torch.from_numpy(rms), search.field.size)
        images = {"": drawn[0].numpy()}
        for each in sorted(self.compared, key=lambda each: each.source.name):
            number = int(self.which[each.source.name][row])
            if number >= 0:
                shown = [*each.source.shown([unit])][number]
                images[f"{each.source.name}_"] = at_rms(shown.images, rms)[0]
        return images
