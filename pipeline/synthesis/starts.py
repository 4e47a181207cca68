"""The starts of ascents: images, their parameters, and their processing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.networks.gradient_rules import at_step
from pipeline.networks.layers import Layer
from pipeline.synthesis.constraints import ConstraintContext, none
from pipeline.synthesis.inits import Request
from pipeline.synthesis.parameterizations import Chain, Setting, compose
from pipeline.synthesis.recipe import Recipe, Size, Sources
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.treatment import Treatment

TRANSFORMS = 0x5DEECE66D  # separates the random numbers of transforms from those of the start


@dataclass(frozen=True)
class Start:
    """The start of one batch of ascents; copies of a unit are adjacent.

    Attributes:
        units: unit of each image.
        copies: number of each image among those of its unit.
        parameters: parameters of the starting images.
        images: the starting images.
        treatment: processing of images before the network and between steps.
        budgets: limit that the constraint sets for each image; NaN if it is not a single number.
    """

    units: Sequence[int]
    copies: Sequence[int]
    parameters: Sequence[Tensor]
    images: Float[Tensor, "batch c height width"]
    treatment: Treatment
    budgets: Float[Tensor, " batch"]


class Numbered(NamedTuple):
    """One of the images of a unit."""

    unit: int
    copy: int


class Starts:
    """Makes starts; parameterizations are built once per size and shared by threads.

    Args:
        recipe: how images are made.
        sources: source of natural images.
    """

    def __init__(self, recipe: Recipe, sources: Sources) -> None:
        self.recipe, self.sources = recipe, sources
        self.lock = threading.Lock()
        self.build = lru_cache(maxsize=4)(self._build)

    def chain(self, size: Size) -> Chain:
        """Return the parameterization of images of one size."""
        with self.lock:
            return self.build(size)

    def _build(self, size: Size) -> Chain:
        recipe = self.recipe
        asked = max((piece.images for piece in recipe.parameterization.values()), default=0)
        setting = Setting(
            size, recipe.network.preprocessing, lambda: self.sources.pictures(size, asked)
        )
        return compose(recipe.parameterization, setting)

    def __call__(
        self,
        layer: Layer,
        init: str,
        units: Sequence[int],
        scorer: Scorer,
        device: torch.device,
        kind: torch.dtype,
    ) -> Start:
        """Return the start of the ascents of some units of a layer, from one init.

        Args:
            layer: the layer.
            init: name of the init.
            units: the units, without duplicates.
            scorer: scorer of the images.
            device: device of the ascents.
            kind: data type of the ascents.
        """
        recipe, size = self.recipe, scorer.input_size
        images = [Numbered(unit, copy) for unit in units for copy in range(recipe.terms.copies)]
        whole = not recipe.terms.of_fields
        seeds = [image_seed(recipe, layer, init, *image) for image in images]
        request = self.request(layer, images, seeds, size, whole=whole)
        chosen = recipe.inits[init]
        if chosen.start is None:
            drawn = self.chain(size).draw(request.generators, chosen.std)
            parameters = [parameter.to(device, kind) for parameter in drawn]
        else:
            parameters = self.chain(size).encode(chosen.start(request).to(device, kind))
        return self.start_from(layer, images, seeds, scorer, parameters)

    def request(
        self,
        layer: Layer,
        images: Sequence[Numbered],
        seeds: Sequence[int],
        size: Size,
        *,
        whole: bool,
    ) -> Request:
        """Return the request for starting images of a size: whole pictures or receptive fields."""
        return Request(
            [image.unit for image in images],
            size,
            [torch.Generator().manual_seed(seed) for seed in seeds],
            self.recipe.network.preprocessing,
            lambda wanted, rank, sign: self.sources.patches(layer, wanted, rank, sign, size),
            [image.copy for image in images],
            whole,
        )

    def start_from(
        self,
        layer: Layer,
        images: Sequence[Numbered],
        seeds: Sequence[int],
        scorer: Scorer,
        parameters: Sequence[Tensor],
        smoothings: Sequence[Smoothing] | None = None,
    ) -> Start:
        """Return the start of ascents from some parameters.

        Args:
            layer: the layer.
            images: unit and copy of each image.
            seeds: seed of each image.
            scorer: scorer of the images.
            parameters: parameters of the starting images.
            smoothings: smoothings that replace those of the run.
        """
        recipe, chain = self.recipe, self.chain(scorer.input_size)
        units = [image.unit for image in images]

        def patches() -> Tensor:
            found = self.sources.patches(layer, units, 0, 1, scorer.input_size)
            return found.to(parameters[0])

        given = ConstraintContext(chain.decode(parameters), recipe.network.preprocessing, patches)
        bound = (recipe.constraint or none()).bind(given)
        treatment = Treatment(
            chain,
            None if recipe.constraint is None else bound.project,
            list(recipe.regularizers.values()),
            list(recipe.transforms.values()),
            list(recipe.smoothings.values() if smoothings is None else smoothings),
            [seed ^ TRANSFORMS for seed in seeds] if recipe.transforms else (),
            at_step if recipe.terms.rule.relu_steps is not None else None,
            not (recipe.transforms and scorer.takes_any_size()),
            recipe.network.preprocessing,
        )
        return Start(
            units,
            [image.copy for image in images],
            parameters,
            treatment.image(parameters),
            treatment,
            bound.budget,
        )


def image_seed(recipe: Recipe, layer: Layer, init: str, unit: int, copy: int) -> int:
    """Return the seed of one image of one unit, independent of order and process."""
    identity = f"{recipe.seed}/{recipe.network.digest}/{layer.identity}/{init}/{unit}"
    identity += f"/{copy}" if copy else ""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1
