"""A recipe: everything that is chosen about how images are made for units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.synthesis.constraints import Constraint
from pipeline.synthesis.inits import Init
from pipeline.synthesis.parameterizations import Parameterization
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.transforms import Transform

Size = tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """How images are made, apart from the optimizer that climbs them.

    Attributes:
        network: traced at the size of the image set.
        terms: what is climbed: objectives, size of whole images, gradient rule.
        inits: what ascents start from, by name.
        parameterization: its pieces by name.
        constraint: on images; ``None`` for none.
        regularizers: by name.
        smoothings: between steps, by name.
        transforms: in the order in which they are applied, by name.
        seed: from which the random numbers of every image follow.
    """

    network: Network
    terms: Terms
    inits: Mapping[str, Init]
    parameterization: Mapping[str, Parameterization]
    constraint: Constraint | None = None
    regularizers: Mapping[str, Regularizer] = field(default_factory=dict[str, Regularizer])
    smoothings: Mapping[str, Smoothing] = field(default_factory=dict[str, Smoothing])
    transforms: Mapping[str, Transform] = field(default_factory=dict[str, Transform])
    seed: int = 0


@runtime_checkable
class Sources(Protocol):
    """Where images come from that ascents start from or are compared with."""

    def patches(
        self, layer: Layer, units: Sequence[int], rank: int, sign: int, size: Size, /
    ) -> Float[Tensor, "units c height width"]:
        """Return the patches of some units at one rank: top (+1) or bottom (-1)."""
        ...

    def pictures(self, size: Size, count: int, /) -> Float[Tensor, "pictures c height width"]:
        """Return some of the image set, evenly spread, as network input cut to a size."""
        ...
