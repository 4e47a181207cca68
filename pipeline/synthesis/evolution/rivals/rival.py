"""The rival: a source of pictures that needs more than codes and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from numpy.random import RandomState
from torch import Tensor

from pipeline.synthesis.evolution.loop import Proposals
from pipeline.synthesis.evolution.showing import Showing
from pipeline.synthesis.scoring import Score


@dataclass(frozen=True)
class Contest:
    """What rivals may use.

    Attributes:
        randoms: one source of random numbers per search, used by nothing else.
        showing: how pictures are shown.
        units: unit of each search.
        score: returns the responses of units to images, differentiably; ``None`` if responses are
            measured.
        images: number of images in the image set, 0 without one.
        image: returns one of them as network input.
    """

    randoms: Sequence[RandomState]
    showing: Showing
    units: Sequence[int]
    score: Score | None
    images: int
    image: Callable[[int], Float[Tensor, "c height width"]]


@dataclass(frozen=True)
class Rival:
    """A kind of rival.

    Attributes:
        begin: starts searches.
        needs_images: whether it shows images of the image set.
        needs_gradient: whether it uses gradients.
    """

    begin: Callable[[Contest], Proposals]
    needs_images: bool = False
    needs_gradient: bool = False
