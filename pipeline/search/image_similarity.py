"""Two sets of images of the units of a layer, with what similarity needs to know of the network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from pipeline.analysis.similarity.catalog import FIELD, IMAGES, RESPONSES, Sample, Statistic
from pipeline.analysis.similarity.comparison import NullDraws, Similarities, compare, without
from pipeline.analysis.similarity.nulls import other_units
from pipeline.analysis.similarity.populations import Population
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.search.effective_fields import NoiseImages, map_effective_fields
from pipeline.search.field_responses import FieldResponses

Images = Float[np.ndarray, "images channels height width"]
Responses = Float[np.ndarray, "images units"]
Populations = tuple[Population | None, Population | None]
Weights = Callable[[Sequence[int]], Float[np.ndarray, "units height width"]]


@dataclass(frozen=True, eq=False)
class Rivals:
    """Two images of each unit and copy: what was added from one init and from another.

    Attributes:
        first: one image of each.
        second: the other.
        units: unit of each, copies adjacent.
        copies: number of each among those of its unit.
        usable: whether both are defined.
        responses: of all units of the layer to both, if they are known already.
    """

    first: Images
    second: Images
    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    usable: Bool[np.ndarray, " images"]
    responses: tuple[Responses, Responses] | None = None

    def seen(self, view: View) -> Rivals:
        """Return the same images with the responses to them, if they are needed and lacking."""
        respond = view.respond
        if respond is None or self.responses is not None:
            return self
        return replace(self, responses=(respond(self.first), respond(self.second)))

    @property
    def populations(self) -> Populations:
        """The responses to all images of each side, if they are known."""
        if self.responses is None:
            return None, None
        usable = self.usable[:, None]
        a, b = (np.where(usable, responses, np.nan) for responses in self.responses)
        return Population(a, self.units), Population(b, self.units)


@dataclass(frozen=True, eq=False)
class View:
    """What a network says about images that fill the receptive field of a layer's units.

    Attributes:
        respond: returns the responses of all units of the layer.
        weights: returns how much every pixel matters to some units.
    """

    respond: Callable[[Images], Responses] | None = None
    weights: Weights | None = None

    @property
    def available(self) -> list[str]:
        """The needs of statistics that are met."""
        needs = {FIELD: self.weights, RESPONSES: self.respond}
        return [IMAGES, *(need for need, met in needs.items() if met is not None)]


def view_of(
    graph: Graph,
    layer: Layer,
    needs: Iterable[str],
    noise: NoiseImages,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> View:
    """Return what a network says about images of the fields of a layer, as far as it is needed.

    Args:
        graph: the traced network, on the device.
        layer: the layer.
        needs: of the statistics that are computed.
        noise: images of which effective receptive fields are made.
        device: where the network is.
        check: called between batches; raises an error to stop.
    """

    def weights(units: Sequence[int]) -> Float[np.ndarray, "units height width"]:
        return map_effective_fields(graph, layer, units, device, noise, check).maps.sum(axis=1)

    wanted = set(needs)
    respond = FieldResponses(graph, layer, device, check) if RESPONSES in wanted else None
    return View(respond, weights if FIELD in wanted else None)


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is computed of pairs of images.

    Attributes:
        statistics: the statistics.
        nulls: names of nulls that are drawn.
        draws: how often each is drawn.
        seed: of all random numbers.
        check: called between draws; raises an error to stop.
    """

    statistics: Sequence[Statistic]
    nulls: Sequence[str] = ()
    draws: int = 0
    seed: int = 0
    check: Callable[[], None] = lambda: None


def compare_rivals(
    rivals: Rivals,
    view: View,
    wanted: Wanted,
    rows: slice = slice(None),
    populations: Populations = (None, None),
) -> Similarities:
    """Return the similarity of both images of each unit, with nulls.

    Args:
        rivals: the images.
        view: what the network says about them.
        wanted: what is computed.
        rows: which images are compared; all serve as images of other units.
        populations: responses with which those to either image are compared; by default those to
            all images of that side.
    """
    rivals = rivals.seen(view)
    populations = rivals.populations if populations == (None, None) else populations
    first, second = rivals.responses or (None, None)
    at = np.arange(len(rivals.units))[rows]
    own = Sample(
        rivals.first[at],
        rivals.units[at],
        None if view.weights is None else _weights(view.weights, rivals.units[at]),
        None if first is None else first[at],
        populations[0],
    )
    others = Sample(rivals.second, rivals.units, responses=second, population=populations[1])
    found = compare(own, others, at, wanted.statistics, _nulls(rivals, view, wanted))
    return without(found, ~rivals.usable[at])


def _weights(
    weights: Weights, units: Int[np.ndarray, " images"]
) -> Float[np.ndarray, "images height width"]:
    names, which = np.unique(units, return_inverse=True)
    return weights(names.tolist())[which]


def _nulls(rivals: Rivals, view: View, wanted: Wanted) -> NullDraws:
    rng = np.random.default_rng([wanted.seed, 0])
    partners = other_units(rivals.units, rivals.copies, rivals.usable, wanted.draws, rng)
    seeds = [
        [wanted.seed, unit + 1, copy]  # the layer as a whole is unit -1
        for unit, copy in zip(rivals.units.tolist(), rivals.copies.tolist(), strict=True)
    ]
    return NullDraws(wanted.nulls, wanted.draws, partners, seeds, view.respond, wanted.check)
