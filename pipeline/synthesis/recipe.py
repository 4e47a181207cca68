"""A recipe: all options that determine how images are made."""

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
    """All options that determine how images are made, except for the optimizer.

    Attributes:
        network: network traced at the size of the image set.
        terms: settings of the score: objectives, size of whole images, gradient rule.
        inits: inits by name.
        parameterization: pieces by name.
        constraint: constraint on images; ``None`` for none.
        regularizers: regularizers by name.
        smoothings: smoothings between steps, by name.
        transforms: transforms by name, in the order in which they are applied.
        seed: seed from which the random numbers of every image are derived.
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
    """The source of natural images that ascents start from or are compared with."""

    def patches(
        self, layer: Layer, units: Sequence[int], rank: int, sign: int, size: Size, /
    ) -> Float[Tensor, "units c height width"]:
        """Return the patches of some units at one rank: top (+1) or bottom (-1)."""
        ...

    def pictures(self, size: Size, count: int, /) -> Float[Tensor, "pictures c height width"]:
        """Return evenly spaced images of the set, as network input cropped to a size."""
        ...
