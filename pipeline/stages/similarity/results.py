"""Results of similarity: responses to what was added, and the similarities of pairs of inits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.similarity.comparison import Similarities
from pipeline.analysis.similarity.nulls import NULLS
from pipeline.analysis.similarity.nulls import TWIN as TWIN
from pipeline.networks.layers import Layer
from pipeline.stages.ascent.results import Climb
from pipeline.stages.correlations.results import paired
from pipeline.store.results import Result
from pipeline.store.runs import Images, Run, read_images

CEILING = "ceiling"
DRAWS = "draws."  # before the name of the null, in the names of arrays


@dataclass(frozen=True)
class TwinAscents:
    """The ascents of a network with random weights, from both inits of a pair.

    Attributes:
        results: the ascents.
        run: the run that made them.
        compared: its similarities of this pair, if it has some.
    """

    results: tuple[Result, Result]
    run: Run
    compared: Result | None = None

    @property
    def keys(self) -> list[str]:
        """The digests of all that is read."""
        read = (*self.results, self.compared)
        return [result.key for result in read if result is not None]


@dataclass(frozen=True)
class Shown:
    """Responses of all units of a layer to what was added from one init.

    Attributes:
        layer: the layer.
        init: name of the init.
        climb: the ascents.
        result: the stored responses.
    """

    layer: Layer
    init: str
    climb: Climb
    result: Result

    def read(self) -> dict[str, np.ndarray]:
        """Return ``units``, ``copies`` and ``responses`` [images, units of the layer]."""
        return self.result.read("responses")[0]

    def of(self, images: Images) -> Float[np.ndarray, "images units"]:
        """Return the responses to some of the images, in their order."""
        arrays = self.read()
        known = zip(arrays["units"].tolist(), arrays["copies"].tolist(), strict=True)
        rows = {image: row for row, image in enumerate(known)}
        wanted = zip(images.units.tolist(), images.copies.tolist(), strict=True)
        return arrays["responses"][[rows[image] for image in wanted]]


@dataclass(frozen=True)
class ComparedPair:
    """Two inits of one layer; if they are the same, each copy of a unit is compared with the next.

    Attributes:
        layer: the layer.
        inits: their names.
        climbs: their ascents.
        exact: samples of their ascents in float64.
        result: the stored similarities: blocks of images, ceilings, and those of twins.
        blocks: the images of each work item.
        shown: the responses to the images, if statistics need them.
        twins: ascents of networks with random weights.
        statistics: names of the statistics.
    """

    layer: Layer
    inits: tuple[str, str]
    climbs: tuple[Climb, Climb]
    exact: tuple[Climb, Climb]
    result: Result
    blocks: dict[str, slice]
    shown: tuple[Shown, Shown] | None
    twins: Sequence[TwinAscents]
    statistics: Sequence[str]

    @property
    def same(self) -> bool:
        """Whether copies from one init are compared."""
        return self.inits[0] == self.inits[1]

    def images(self) -> list[Images]:
        """Return both images of each unit."""
        return paired(self.inits, [read_images(climb.result) for climb in self.climbs])

    def read(self) -> FoundPair:
        """Return the stored similarities."""
        parts = [self.result.read(item) for item in self.blocks]
        arrays = {
            name: np.concatenate([arrays[name] for arrays, _ in parts], axis=-1)
            for name in parts[0][0]
        }
        units = arrays["units"]
        draws = {k: arrays[f"{DRAWS}{k}"] for k in NULLS if f"{DRAWS}{k}" in arrays}
        if self.twins:
            twin = self.result.read(TWIN)[0]["values"]
            shape = (*twin.shape, len(units))
            draws[TWIN] = np.broadcast_to(twin[:, :, None], shape)
        return FoundPair(
            Similarities(self.statistics, arrays["values"], draws),
            units,
            arrays["copies"],
            [reason for _, notes in parts for reason in notes["status"]],
            self.result.read(CEILING)[0]["ceilings"],
        )


@dataclass(frozen=True, eq=False)
class FoundPair:
    """The similarities of a pair.

    Attributes:
        similarities: values and draws.
        units: unit of each image.
        copies: number of the first image among those of its unit.
        status: per image.
        ceilings: median between float32 and float64, by init and statistic.
    """

    similarities: Similarities
    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    status: list[str]
    ceilings: Float[np.ndarray, "inits statistics"]
