"""Scoring: objectives on a network, as one score per image from one forward pass.

If the only objective is the response of single units, images have the size of the receptive field,
and only that part is computed (``networks.unit_networks``). All other objectives use whole maps of
whole images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, fx, nn

from pipeline.networks.gradient_rules import at_step
from pipeline.networks.graph.nodes import traced_shape
from pipeline.networks.unit_networks import UnitNetwork
from pipeline.synthesis.objectives import Objective, Seen

Watch = Callable[[Sequence[Tensor]], None]
Score = Callable[
    [Float[Tensor, "batch c height width"], Int[Tensor, " batch"]], Float[Tensor, " batch"]
]


@runtime_checkable
class Scorer(Protocol):
    """Scores images for units.

    Attributes:
        input_size: height and width of the images.
    """

    input_size: tuple[int, int]

    def takes_any_size(self) -> bool:
        """Say whether images of other sizes can be scored, too."""
        ...

    def begin(
        self, starts: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Score:
        """Return the score for ascents from some starts, with which objectives may compare."""
        ...


class FieldScorer(nn.Module):
    """The responses of single units to images of the size of their receptive field."""

    def __init__(self, network: UnitNetwork, weight: float) -> None:
        super().__init__()
        self.network, self.weight = network, weight
        self.input_size = network.input_size

    def takes_any_size(self) -> bool:
        """Return False: images must have the size of the receptive field."""
        return False

    def begin(
        self,
        starts: Float[Tensor, "batch c height width"],  # noqa: ARG002
        units: Int[Tensor, " batch"],  # noqa: ARG002
    ) -> Score:
        """Return the score, which is the same for all starts."""
        return self.network if self.weight == 1 else self

    def forward(
        self, images: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return one score per image."""
        return self.weight * self.network(images, units)


@dataclass(frozen=True)
class Term:
    """An objective with the layers that it reads.

    Attributes:
        objective: the objective of the term.
        layers: indices of its layers in the output of the network.
        picture: the reference picture, in network-input space.
    """

    objective: Objective
    layers: Sequence[int]
    picture: Tensor | None


class TermScorer(nn.Module, ABC):
    """Scores whole images by several terms.

    Args:
        terms: the objectives.
        input_size: height and width of the images.
        copies: number of adjacent images per unit.
    """

    def __init__(self, terms: Sequence[Term], input_size: tuple[int, int], copies: int) -> None:
        super().__init__()
        self.terms, self.input_size, self.copies = terms, input_size, copies

    def begin(
        self, starts: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Weighted:
        """Return the score of ascents from some starts."""
        return Weighted(self, starts, units)

    @abstractmethod
    def takes_any_size(self) -> bool:
        """Say whether images of other sizes can be scored, too."""

    @abstractmethod
    def references(self, starts: Tensor) -> list[list[Tensor | None]]:
        """Return the reference of each layer of each term, for ascents from some starts."""

    @abstractmethod
    def scores(
        self,
        images: Float[Tensor, "batch c height width"],
        units: Int[Tensor, " batch"],
        references: Sequence[Sequence[Tensor | None]],
        watch: Watch | None = None,
    ) -> list[Float[Tensor, " batch"]]:
        """Return the unweighted scores of every term."""


class MapScorer(TermScorer):
    """Objectives on whole maps of whole images.

    Args:
        network: network that returns the layers used.
        terms: the objectives.
        input_size: height and width of the images.
        copies: number of adjacent images per unit.
    """

    def __init__(
        self,
        network: fx.GraphModule,
        terms: Sequence[Term],
        input_size: tuple[int, int],
        copies: int,
    ) -> None:
        super().__init__(terms, input_size, copies)
        self.network = network

    def takes_any_size(self) -> bool:
        """Return whether the network accepts images of other sizes too."""
        return self._takes_any_size

    @cached_property
    def _takes_any_size(self) -> bool:
        if any(term.objective.reference for term in self.terms):
            return False  # maps are compared position by position
        height, width = self.input_size
        weight = next(self.network.parameters(), torch.empty(0))
        channels = traced_shape(next(iter(self.network.graph.nodes)))[1]
        other = weight.new_zeros(1, channels, height + 7, width + 5)
        try:
            with torch.no_grad():
                self.network(other)
        except RuntimeError:  # for example if a linear layer follows a map
            return False
        return True

    def maps(
        self, images: Float[Tensor, "batch c height width"]
    ) -> list[Float[Tensor, "batch units rows columns"]]:
        """Return the responses of all layers used."""
        return [z if z.ndim == 4 else z[:, :, None, None] for z in self.network(images)]

    def references(self, starts: Tensor) -> list[list[Tensor | None]]:
        """Return the reference of each layer of each term, for ascents from some starts."""
        return [self._references(term, starts) for term in self.terms]

    def _references(self, term: Term, starts: Tensor) -> list[Tensor | None]:
        kind = term.objective.reference
        if kind is None:
            return [None] * len(term.layers)
        pictured = term.picture is not None
        images = cast("Tensor", term.picture).to(starts)[None] if pictured else starts
        with torch.no_grad():
            maps = self.maps(images)
        return [maps[layer].detach() for layer in term.layers]

    def scores(
        self,
        images: Float[Tensor, "batch c height width"],
        units: Int[Tensor, " batch"],
        references: Sequence[Sequence[Tensor | None]],
        watch: Watch | None = None,
    ) -> list[Float[Tensor, " batch"]]:
        """Return the unweighted scores of every term."""
        maps = self.maps(images)
        if watch is not None:
            watch([z.detach().mean((2, 3)) for z in maps])
        scores: list[Tensor] = []
        for term, compared in zip(self.terms, references, strict=True):
            seen = [
                Seen(maps[layer], units, self.copies, images, reference)
                for layer, reference in zip(term.layers, compared, strict=True)
            ]
            scores.append(cast("Tensor", sum(map(term.objective.score, seen))))
        return scores


class Weighted:
    """The score for ascents from some starts: the weighted sum of the terms.

    Args:
        scorer: scorer of the terms.
        starts: the starting images.
        units: unit of each image.

    Attributes:
        watch: receives the mean response of every feature of every layer used, at every forward
            pass.
    """

    def __init__(
        self,
        scorer: TermScorer,
        starts: Float[Tensor, "batch c height width"],
        units: Int[Tensor, " batch"],
    ) -> None:
        self.scorer, self.references = scorer, scorer.references(starts)
        self.watch: Watch | None = None
        given = [term.objective.weight for term in scorer.terms]
        if None in given:
            self.weights = _balanced(given, self._gradient_norms(starts, units))
        else:
            self.weights = [float(cast("float", weight)) for weight in given]

    def __call__(
        self, images: Float[Tensor, "batch c height width"], units: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return one score per image."""
        scores = self.scorer.scores(images, units, self.references, self.watch)
        weighted = (weight * score for weight, score in zip(self.weights, scores, strict=True))
        return cast("Tensor", sum(weighted))

    def _gradient_norms(self, starts: Tensor, units: Tensor) -> list[Float[Tensor, " batch"]]:
        """Return the norm of every term's gradient at the starts."""
        at_step(0)  # an earlier ascent may have left gradients in this thread
        images = starts.detach().clone().requires_grad_()
        norms: list[Tensor] = []
        for score in self.scorer.scores(images, units, self.references, None):
            # Negated, as in the loop: gradient rules depend on the sign.
            (gradient,) = torch.autograd.grad((-score).sum(), images, retain_graph=True)
            norms.append(gradient.flatten(1).norm(dim=1))
        return norms


def _balanced(
    given: Sequence[float | None], norms: Sequence[Float[Tensor, " batch"]]
) -> list[float | Tensor]:
    """Return weights that give gradients the norm of the first term with a numeric weight."""
    first = next(index for index, weight in enumerate(given) if weight is not None)
    wanted = abs(given[first] or 0.0) * norms[first]
    # A term without a gradient keeps its weight, as no weight would balance it.
    return [
        torch.where(norm > 0, wanted / norm.clamp(min=1e-30), 1.0) if weight is None else weight
        for weight, norm in zip(given, norms, strict=True)
    ]
