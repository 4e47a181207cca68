"""Scoring: objectives on a network, as one score per image from one forward pass.

Where single units are climbed and nothing else, images have the size of their receptive field
and only what the unit sees is computed (``networks.unit_networks``). Everything else reads whole
maps of whole images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.ascent.objectives import Objective, Seen
from pipeline.errors import ConfigError, ImageError
from pipeline.networks.gradient_rules import PLAIN, GradientRule
from pipeline.networks.layers import OUTPUT, Layer
from pipeline.networks.load import Network
from pipeline.networks.reading import reading_network
from pipeline.networks.unit_networks import UnitNetwork, unit_network

Score = Callable[
    [Float[Tensor, "batch 3 height width"], Int[Tensor, " batch"]], Float[Tensor, " batch"]
]


class Scorer(Protocol):
    """Scores images for units.

    Attributes:
        input_size: height and width of the images.
    """

    input_size: tuple[int, int]

    @property
    def any_size(self) -> bool:
        """Whether images of other sizes can be scored, too."""
        ...

    def begin(
        self, starts: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Score:
        """Return the score of ascents from some starts: what is compared with these is known."""
        ...


class FieldScorer(nn.Module):
    """The responses of single units to images of the size of their receptive field."""

    any_size = False

    def __init__(self, network: UnitNetwork, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight
        self.input_size = network.input_size

    def begin(
        self,
        starts: Float[Tensor, "batch 3 height width"],  # noqa: ARG002
        units: Int[Tensor, " batch"],  # noqa: ARG002
    ) -> Score:
        """Return the score, which is the same for all starts."""
        return self.network if self.weight == 1 else self

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return one score per image."""
        return self.weight * self.network(images, units)


@dataclass(frozen=True)
class Term:
    """An objective with the layers that it reads.

    Attributes:
        objective: of which it is a term.
        layers: by their place among the layers that the network returns.
        picture: what the responses are compared with, in network-input space.
    """

    objective: Objective
    layers: Sequence[int]
    picture: Tensor | None


class MapScorer(nn.Module):
    """Objectives on whole maps of whole images.

    Args:
        network: returns the layers that are read.
        terms: the objectives.
        input_size: height and width of the images.
        copies: images of one unit that lie side by side.
    """

    def __init__(
        self,
        network: fx.GraphModule,
        terms: Sequence[Term],
        input_size: tuple[int, int],
        copies: int,
    ) -> None:
        super().__init__()
        self.network, self.terms = network, terms
        self.input_size, self.copies = input_size, copies

    @cached_property
    def any_size(self) -> bool:
        """Whether the network takes images of other sizes, too."""
        height, width = self.input_size
        weight = next(self.network.parameters(), torch.empty(0))
        other = weight.new_zeros(1, 3, height + 7, width + 5)
        try:
            with torch.no_grad():
                self.network(other)
        except RuntimeError:  # as where a linear map follows a map of positions
            return False
        return True

    def maps(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> list[Float[Tensor, "batch units rows columns"]]:
        """Return the responses of every layer that is read."""
        return [z if z.ndim == 4 else z[:, :, None, None] for z in self.network(images)]

    def begin(
        self, starts: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Score:
        """Return the score of ascents from some starts."""
        references = [self._references(term, starts) for term in self.terms]
        unbalanced = _Bound(self, references, [1.0] * len(self.terms))
        given = [term.objective.weight for term in self.terms]
        if None not in given:
            return _Bound(self, references, [float(cast("float", weight)) for weight in given])
        norms = unbalanced.gradient_norms(starts, units)
        return _Bound(self, references, _balanced(given, norms))

    def _references(self, term: Term, starts: Tensor) -> list[Tensor | None]:
        """Return what a term's layers are compared with."""
        kind = term.objective.reference
        if kind is None:
            return [None] * len(term.layers)
        pictured = term.picture is not None
        images = cast("Tensor", term.picture).to(starts)[None] if pictured else starts
        with torch.no_grad():
            maps = self.maps(images)
        return [maps[layer].detach() for layer in term.layers]


def _balanced(given: Sequence[float | None], norms: Sequence[Tensor]) -> list[float | Tensor]:
    """Return weights under which all gradients are as long as that of the first with a number."""
    numbered = [index for index, weight in enumerate(given) if weight is not None]
    first = numbered[0] if numbered else 0
    wanted = abs(given[first] or 1.0) * norms[first]
    # A term without a gradient is left as it is: nothing would balance it.
    return [
        torch.where(norm > 0, wanted / norm.clamp(min=1e-30), 1.0) if weight is None else weight
        for weight, norm in zip(given, norms, strict=True)
    ]


class _Bound:
    """The score of ascents whose references and weights are known."""

    def __init__(
        self,
        scorer: MapScorer,
        references: Sequence[Sequence[Tensor | None]],
        weights: Sequence[float | Tensor],
    ) -> None:
        self.scorer, self.references, self.weights = scorer, references, weights

    def __call__(
        self, images: Float[Tensor, "batch 3 height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        return cast("Tensor", sum(self.terms(self.scorer.maps(images), images, units)))

    def terms(
        self, maps: Sequence[Tensor], images: Tensor, units: Int[Tensor, " batch"]
    ) -> list[Float[Tensor, " batch"]]:
        """Return the weighted scores of the terms."""
        scores: list[Tensor] = []
        for term, references, weight in zip(
            self.scorer.terms, self.references, self.weights, strict=True
        ):
            seen = [
                Seen(maps[layer], units, self.scorer.copies, images, reference)
                for layer, reference in zip(term.layers, references, strict=True)
            ]
            scores.append(weight * cast("Tensor", sum(map(term.objective.score, seen))))
        return scores

    def gradient_norms(self, starts: Tensor, units: Tensor) -> list[Float[Tensor, " batch"]]:
        """Return the length of every term's gradient at the starts."""
        images = starts.detach().clone().requires_grad_()
        norms: list[Tensor] = []
        for score in self.terms(self.scorer.maps(images), images, units):
            (gradient,) = torch.autograd.grad(score.sum(), images, retain_graph=True)
            norms.append(gradient.flatten(1).norm(dim=1))
        return norms


@dataclass(frozen=True)
class Plan:
    """What is to be scored, before any network is built for it.

    Attributes:
        objectives: by name.
        copies: images of one unit.
        size: height and width of whole images.
        rule: how gradients pass ReLU and max pooling.
    """

    objectives: dict[str, Objective]
    copies: int
    size: tuple[int, int]
    rule: GradientRule = PLAIN

    @property
    def per_unit(self) -> bool:
        """Whether every unit has images of its own; else the layer as a whole has."""
        return any(objective.per_unit for objective in self.objectives.values())

    @property
    def of_fields(self) -> bool:
        """Whether images have the size of a receptive field."""
        return all(objective.of_field for objective in self.objectives.values())

    def layer_names(self, own: Layer) -> list[str]:
        """Return the layers that are read."""
        names = [name or own.name for term in self.objectives.values() for name in term.layer_names]
        return list(dict.fromkeys(names))

    def check(self) -> None:
        """Refuse objectives that make no sense together.

        Raises:
            ConfigError: there is none, or one compares more copies than there are.
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
        weights = [objective.weight for objective in self.objectives.values()]
        if weights == [None] * len(weights):
            raise ConfigError(
                "objective: no weight is a number that the others could be balanced against; give"
                " one of them a weight"
            )

    def scorer(self, network: Network, layer: Layer) -> FieldScorer | MapScorer:
        """Return what scores images for units of a layer.

        Raises:
            ConfigError: an objective names a layer that is not there.
            NetworkError: it reads a layer whose weights are missing.
        """
        self.check()
        if self.of_fields:
            weight = sum(float(objective.weight or 0) for objective in self.objectives.values())
            return FieldScorer(unit_network(network.graph, layer, self.rule), weight)
        sized = network.sized(self.size)
        nodes: dict[fx.Node, int] = {}
        terms: list[Term] = []
        for name, objective in self.objectives.items():
            read = [self._layer(sized, layer, name, wanted) for wanted in objective.layer_names]
            places = [nodes.setdefault(found.node, len(nodes)) for found in read]
            terms.append(Term(objective, places, self._picture(network, name, objective)))
        return MapScorer(
            reading_network(sized.graph, list(nodes), self.rule), terms, self.size, self.copies
        )

    def _layer(self, network: Network, own: Layer, name: str, wanted: str | None) -> Layer:
        (found,) = network.layers([wanted or own.name])
        objective = self.objectives[name]
        if wanted == OUTPUT and objective.per_unit:
            (own_node,) = network.layers([own.name])
            if own_node.node is not found.node:
                raise ConfigError(
                    f"objective.{name}.category: must be given unless layers=[{OUTPUT}], since"
                    f" units of {own.name} are no classes"
                )
        return found

    def _picture(self, network: Network, name: str, objective: Objective) -> Tensor | None:
        """Return a term's picture as network input of the size of the images."""
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
