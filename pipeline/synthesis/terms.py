"""Terms: the objectives that form a score, and how to build their scorer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, fx

from pipeline.errors import ConfigError, ImageError
from pipeline.networks.gradient_rules import PLAIN, GradientRule
from pipeline.networks.graph.reading import reading_network
from pipeline.networks.layers import OUTPUT, Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.tiles import tiles
from pipeline.networks.unit_networks import unit_network
from pipeline.synthesis.objectives import Objective
from pipeline.synthesis.scoring import FieldScorer, MapScorer, Term
from pipeline.synthesis.tiling import TiledScorer


@dataclass(frozen=True)
class Terms:
    """The settings of a score, before any network is built for it.

    Attributes:
        objectives: objectives by name.
        copies: number of images per unit.
        size: height and width of whole images.
        rule: gradient rule of ReLU and max pooling.
        whole: whether to use whole images even if receptive fields would be enough.
        tile: side in pixels of the tiles in which images are processed; ``None`` for whole images.
    """

    objectives: dict[str, Objective]
    copies: int
    size: tuple[int, int]
    rule: GradientRule = PLAIN
    whole: bool = False
    tile: int | None = None

    @property
    def per_unit(self) -> bool:
        """Whether every unit has its own images; otherwise they are of the layer as a whole."""
        return any(objective.per_unit for objective in self.objectives.values())

    @property
    def of_fields(self) -> bool:
        """Whether images have the size of a receptive field."""
        return not self.whole and all(objective.of_field for objective in self.objectives.values())

    def layer_names(self, own: Layer) -> list[str]:
        """Return the names of the layers used."""
        names = [name or own.name for term in self.objectives.values() for name in term.layer_names]
        return list(dict.fromkeys(names))

    def check(self) -> None:
        """Reject objectives that make no sense together.

        Raises:
            ConfigError: there are no objectives, or one compares more copies than there are.
        """
        if not self.objectives:
            raise ConfigError(
                "objective: the list is empty; choose one or more, as in objective=[unit_response]"
            )
        for name, objective in self.objectives.items():
            if objective.copies > self.copies:
                raise ConfigError(
                    f"objective: '{name}' compares several images of a unit; set init.copies to"
                    f" {objective.copies} or more"
                )
        if self.tile is not None:
            self._check_tiled()
        weights = [objective.weight for objective in self.objectives.values()]
        if weights == [None] * len(weights):
            raise ConfigError(
                "objective: no weight is a number that the others could be balanced against; give"
                " one of them a weight"
            )

    def scorer(self, network: Network, layer: Layer) -> FieldScorer | MapScorer | TiledScorer:
        """Return the scorer for units of a layer.

        Raises:
            ConfigError: an objective names an unknown layer, or cannot be tiled.
            NetworkError: it uses a layer whose weights are missing.
        """
        self.check()
        if not self.of_fields:
            return self.whole_scorer(network, layer)
        weight = sum(float(objective.weight or 0) for objective in self.objectives.values())
        return FieldScorer(unit_network(network.graph, layer, self.rule), weight)

    def whole_scorer(self, network: Network, layer: Layer) -> MapScorer | TiledScorer:
        """Return the scorer of whole images; errors as in ``scorer``."""
        sized = network.sized(self.size)
        nodes: dict[fx.Node, int] = {}
        terms: list[Term] = []
        for name, objective in self.objectives.items():
            read = [self._layer(sized, layer, name, wanted) for wanted in objective.layer_names]
            places = [nodes.setdefault(found.node, len(nodes)) for found in read]
            terms.append(Term(objective, places, self._picture(network, name, objective)))
        if self.tile is not None:
            tiled = [tiles(sized.graph, node, self.size, self.tile) for node in nodes]
            return TiledScorer(tiled, terms, self.size, self.copies)
        return MapScorer(
            reading_network(sized.graph, list(nodes), self.rule), terms, self.size, self.copies
        )

    def _check_tiled(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise ConfigError(f"dream.tile: {self.tile} is not a positive number of pixels")
        for name, objective in self.objectives.items():
            if objective.additive is None:
                raise ConfigError(
                    f"objective: '{name}' cannot be tiled, since its score of a map is not a sum"
                    " over parts of the map; set dream.tile to null"
                )
        if not self.rule.is_plain:
            raise ConfigError("gradient: tiles have plain gradients; set dream.tile to null")

    def _layer(self, network: Network, own: Layer, name: str, wanted: str | None) -> Layer:
        (found,) = network.find_layers([wanted or own.name])
        objective = self.objectives[name]
        if wanted == OUTPUT and objective.per_unit:
            (own_node,) = network.find_layers([own.name])
            if own_node.node is not found.node:
                raise ConfigError(
                    f"objective.{name}.category: must be given unless layers=[{OUTPUT}], since"
                    f" units of {own.name} are no classes"
                )
        return found

    def _picture(self, network: Network, name: str, objective: Objective) -> Tensor | None:
        """Return a term's picture as network input, at the size of the images."""
        if objective.picture is None:
            return None
        height, width = self.size
        if height != width:
            raise ConfigError(
                f"objective.{name}: a picture is compared on square images, and these are"
                f" {height} x {width}"
            )
        try:
            return network.preprocessing.sized(resize=height, crop=height)(objective.picture)
        except ImageError as error:
            raise ConfigError(f"objective.{name}.path: the picture {error}") from error
