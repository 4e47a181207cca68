"""A batch of searches: units of one layer, each as often as it is restarted, and what they need."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, ImageError
from pipeline.images.batches import sample
from pipeline.images.image_sets import ImageSet
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.unit_networks import unit_network
from pipeline.synthesis.evolution import random_numbers
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.generators import BuiltGenerator, Generator
from pipeline.synthesis.evolution.loop import Evolution, Proposals
from pipeline.synthesis.evolution.responders import MeasuredScores, Responder, UnitResponses
from pipeline.synthesis.evolution.rivals import Contest, Rival
from pipeline.synthesis.evolution.scorers import Scorer
from pipeline.synthesis.evolution.searchers import Search, Searcher
from pipeline.synthesis.evolution.showing import Preparation, Showing
from pipeline.synthesis.objectives import unit_response
from pipeline.synthesis.parameterizations import Setting
from pipeline.synthesis.plan import BATCH_NUMBERS, Costs, score_costs
from pipeline.synthesis.scoring import Score
from pipeline.synthesis.terms import Terms

log = logging.getLogger(__name__)

IMAGES_PER_PASS = 64  # of a rig, which has no activations to count
CACHED_IMAGES = 256


def field_size(network: Network, layer: Layer) -> tuple[int, int]:
    """Return height and width of the receptive field of a layer, in pixels."""
    box = smallest_canvas(network.graph, layer.node).box
    return (box.height, box.width)


@dataclass(frozen=True)
class Batch:
    """Searches for units of a layer on the same budget, whatever searches.

    Attributes:
        network: the network.
        layer: the layer, whose receptive field gives the size of the images.
        units: the units.
        restarts: searches of each unit, adjacent, with random numbers of their own.
        seed: of all random numbers.
        experiment: how pictures are shown.
        device: where images are computed.
        images: image set for whoever learns from images or shows them, or ``None``.
        score: scores pictures in place of the network, as a rig does, or ``None``. The bits of a
            scorer are those of the experiment.
        built: what has been built for the layer, which batches of its other units share.
    """

    network: Network
    layer: Layer
    units: Sequence[int]
    restarts: int
    seed: int
    experiment: Experiment
    device: torch.device
    images: ImageSet | None = None
    score: Callable[[Tensor], object] | Scorer | None = None
    built: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def of(self, units: Sequence[int]) -> Batch:
        """Return the batch of other units of the layer; nothing is built twice."""
        return replace(self, units=units)

    @property
    def searches(self) -> list[tuple[int, int]]:
        """Unit and restart of each search."""
        return [(unit, restart) for unit in self.units for restart in range(self.restarts)]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the receptive field, and of all images."""
        return field_size(self.network, self.layer)

    @property
    def costs(self) -> Costs:
        """The cost of the response to one picture."""
        terms = Terms({"objective": unit_response()}, 1, self.size)
        return self._once("costs", lambda: score_costs(self.network, terms, self.layer))

    @cached_property
    def showing(self) -> Showing:
        """How pictures are shown to the units.

        Raises:
            ConfigError: the contrast is not possible, or bits are not those of the scorer.
        """
        experiment = self._shown_experiment()
        prepare = Preparation(experiment, self.network.preprocessing)
        size, device = self.size, self.device
        if self.response is None:
            assert self.score is not None  # noqa: S101
            rig = MeasuredScores(self.score, self.network.preprocessing, self.searches)
            return Showing(experiment, prepare, rig, size, device, IMAGES_PER_PASS)
        responder: Responder = UnitResponses(self.response, self._units, device)
        most = max(1, BATCH_NUMBERS // self.costs.activations)
        return Showing(experiment, prepare, responder, size, device, most)

    def evolution(
        self,
        searcher: tuple[str, Searcher],
        generator: tuple[str, Generator],
        start: Float[Tensor, "some c height width"] | None = None,
    ) -> Evolution:
        """Return searches of a searcher in the pictures of a generator.

        Args:
            searcher: its name, on which random numbers depend, and itself.
            generator: likewise.
            start: pictures in pixels 0..1 whose codes all searches start from, or ``None``.

        Raises:
            ConfigError: the generator cannot start from pictures, or learns from images and there
                are none.
        """
        name, chosen = generator
        built = self.generator(name, chosen)
        starts = None
        if start is not None:
            if built.encode is None:
                raise ConfigError(
                    f"start: the generator '{name}' cannot turn pictures into codes; leave it out,"
                    " or give another generator"
                )
            codes = built.encode(start).detach().double().cpu().numpy()
            starts = np.repeat(codes[None], len(self.searches), 0)
        identities = self._identities(searcher[0], name)
        population = searcher[1].population
        search = Search(
            built.prior,
            [random_numbers.source(*each) for each in identities],
            self.experiment.generations(population),
            starts,
        )
        searching = searcher[1].begin(search)
        proposals = Proposals(searching, built.draw, population)
        return Evolution(proposals, self.showing, identities, self._named(searcher[0], name))

    def contest(self, name: str, rival: Rival) -> Evolution:
        """Return searches of a rival.

        Raises:
            ConfigError: it needs images, or a gradient, and there are none.
        """
        if rival.needs_images and self.images is None:
            raise ConfigError(f"rivals: '{name}' shows images, and there are none; give images")
        if rival.needs_gradient and self.response is None:
            raise ConfigError(
                f"rivals: '{name}' climbs the gradient of the network, and scores of score= have"
                " none; leave it out"
            )
        identities = self._identities(name, "")
        contest = Contest(
            [random_numbers.source(*each) for each in identities],
            self.showing,
            self._units,
            self.response,
            0 if self.images is None else len(self.images),
            self._once("images", lambda: lru_cache(CACHED_IMAGES)(self._image)),
        )
        return Evolution(rival.begin(contest), self.showing, identities, self._named(name))

    @cached_property
    def response(self) -> Score | None:
        """The responses of units to images, differentiable; ``None`` if scores are measured."""
        if self.score is not None:
            return None
        network = self.network
        return self._once(
            "response", lambda: unit_network(network.graph, self.layer).to(self.device)
        )

    def generator(self, name: str, chosen: Generator) -> BuiltGenerator:
        """Return a generator for the images of the layer, built once for a name."""
        count, preprocessing = chosen.images, self.network.preprocessing
        setting = Setting(self.size, preprocessing, lambda: self._pictures(name, count))
        return self._once(f"generator {name}", lambda: chosen.build(setting))

    def _once(self, key: str, build: Callable[[], Any]) -> Any:
        if key not in self.built:
            self.built[key] = build()
        return self.built[key]

    @property
    def _units(self) -> list[int]:
        return [unit for unit, _ in self.searches]

    def _shown_experiment(self) -> Experiment:
        """Return the experiment, with the bits that the scorer shows."""
        given = self.experiment.bits
        bits = self.score.bits if isinstance(self.score, Scorer) else None
        if bits is None or given == bits:
            return self.experiment
        if given is not None:
            raise ConfigError(
                f"bits: {given} is given, and the scorer shows pictures of {bits} bits; leave it"
                " out"
            )
        return replace(self.experiment, bits=bits)

    def _named(self, *methods: str) -> str:
        """Return a name of the searches of some method in this batch."""
        first, last = min(self.units), max(self.units)
        units = str(first) if first == last else f"{first}-{last}"
        return "_".join([self.layer.name, units, *methods])

    def _identities(self, searcher: str, generator: str) -> list[tuple[object, ...]]:
        """Return what makes each search what it is."""
        shared = (self.seed, self.network.digest, self.layer.identity)
        return [(*shared, *search, searcher, generator) for search in self.searches]

    def _image(self, number: int) -> Float[Tensor, "c height width"]:
        """Return an image of the image set; NaN if it cannot be read, which is logged."""
        assert self.images is not None  # noqa: S101
        try:
            return self.images.read(number)
        except ImageError as error:
            log.warning("%s", error)
            channels = len(self.network.preprocessing.mean)
            return torch.full((channels, *self.images.size), torch.nan)

    def _pictures(self, name: str, count: int) -> Float[Tensor, "pictures c height width"]:
        if self.images is None:
            raise ConfigError(
                f"generator: '{name}' learns from {count} images, and there are none; give images"
            )
        return sample(self.images, self.size, count)
