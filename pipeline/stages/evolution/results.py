"""Results of evolution: the searches of one layer by one method, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.identity import network_settings
from pipeline.stages.evolution import STAGE
from pipeline.stages.evolution.methods import (
    AnyScorer,
    Method,
    Option,
    is_measured,
    of_experiment,
)
from pipeline.stages.evolution.references import References
from pipeline.store.results import Result
from pipeline.synthesis.evolution.finished import Finished


@dataclass(frozen=True, eq=False)
class Searches:
    """The searches for units of one layer by one method, scored by one scorer.

    Attributes:
        layer: the layer.
        scorer: who responds.
        method: how images are searched.
        blocks: units of each work item.
        references: reference images, if some are shown.
        result: the stored result.
    """

    layer: Layer
    scorer: Option[AnyScorer]
    method: Method
    blocks: Mapping[str, Sequence[int]]
    references: References | None
    result: Result

    @property
    def names(self) -> tuple[str, str, str]:
        """Names of scorer, searcher and generator."""
        return (self.scorer.name, *self.method.names)

    @property
    def measured(self) -> bool:
        """Whether scores are measured outside of this program."""
        return is_measured(self.scorer.made)

    @cached_property
    def finished(self) -> list[Finished]:
        """The finished searches of all items, read once in a run.

        Raises:
            StoreError: an item is missing or damaged.
        """
        read = [self.result.read(item)[0] for item in self.result.items]
        return [Finished.of_arrays(arrays) for arrays in read]

    @cached_property
    def images(self) -> Mapping[int, Float[np.ndarray, "restarts c height width"]]:
        """The best images of each unit, in network-input space, one per restart."""
        return {
            int(unit): each.images[each.units == unit]
            for each in self.finished
            for unit in np.unique(each.units)
        }

    def film(
        self, unit: int, restart: int = 0
    ) -> tuple[Float[np.ndarray, "frames c height width"], Int[np.ndarray, " frames"]]:
        """Return the best images so far of a search, and the numbers of their generations."""
        for each in self.finished:
            (found,) = np.nonzero((each.units == unit) & (each.restarts == restart))
            if len(found):
                return each.film[:, found[0]], each.film_generations
        raise KeyError(unit)


def planned_searches(
    run: ActiveRun,
    layer: Layer,
    scorer: Option[AnyScorer],
    method: Method,
    references: References | None,
) -> Searches:
    """Return the searches of the units of a layer by a method.

    A unit is a work item with all its restarts. If several searches share forward passes, an item
    is what shares them, and the units are among the settings that determine the result, because the
    composition of a batch can change the last bits of a response.
    """
    parts, config = run.parts, run.parts.config.evolution
    units = list(parts.units[layer.name])
    together = max(1, config.searches_per_pass // config.restarts)
    if config.searches_per_pass == 1:
        blocks = {f"unit-{unit:05d}": [unit] for unit in units}
    else:
        starts = range(0, len(units), together)
        blocks = {f"block-{n:04d}": units[at : at + together] for n, at in enumerate(starts)}
    canvas = parts.canvas(layer)
    settings: dict[str, Any] = {
        **network_settings(run),
        "layer": layer.identity,
        "preprocessing": parts.network.preprocessing.settings(),
        "canvas": [*canvas.size, *canvas.position, *canvas.box],
        "seed": parts.config.seed,
        "experiment": of_experiment(run),
        "scorer": scorer.settings,
        "searcher": [method.searcher.name, method.searcher.settings],
    }
    if config.searches_per_pass > 1:
        settings["units"] = units
    if method.generator is not None:
        settings["generator"] = [method.generator.name, method.generator.settings]
    if method.needs_images:
        settings["images"] = dict(run.images.settings)
    if references is not None:
        settings["references"] = references.digests
    name = "/".join(filter(None, (layer.name, scorer.name, *method.names)))
    result = run.result(STAGE, layer.name, name, settings, list(blocks))
    return Searches(layer, scorer, method, blocks, references, result)
