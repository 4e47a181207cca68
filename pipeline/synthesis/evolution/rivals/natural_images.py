"""Natural images as a rival: the best of as many patches as there are queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import RandomState
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.patches import cut_patch
from pipeline.synthesis.constraints.constraint import is_whole
from pipeline.synthesis.evolution import random_numbers
from pipeline.synthesis.evolution.loop import Proposals
from pipeline.synthesis.evolution.rivals.rival import Contest, Rival
from pipeline.synthesis.evolution.searchers import Searching


def natural(population: int = 20) -> Rival:
    """Show patches of the image set: all images in random order, each at a random place.

    A patch has the size of the receptive field; of an image that is smaller, zeros (the mean
    color) lie around it. Once all images have been shown, they are shown again, in another order
    and at other places.

    Args:
        population: patches per generation.

    Raises:
        ConfigError: ``population`` is not a positive whole number.
    """
    if not is_whole(population, 1):
        raise ConfigError(
            f"rivals.natural.population: {population!r} is not a whole number of at least 1; use"
            " one such as 20"
        )

    def begin(contest: Contest) -> Proposals:
        def draw(codes: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch c height width"]:
            patches = [_patch(contest, *code) for code in codes.tolist()]
            pixels = contest.showing.prepare.preprocessing.pixels(torch.stack(patches))
            # Network input of a notebook may go beyond black and white, which would cost contrast.
            return pixels.clamp(0, 1).to(codes.device)

        return Proposals(Patches(contest.randoms, contest.images, population), draw, population)

    return Rival(begin, needs_images=True)


def _patch(contest: Contest, number: float, down: float, along: float) -> Tensor:
    """Return a patch of an image; its place is given as fractions of the places there are."""
    image = contest.image(int(number))
    rows, columns = contest.showing.size
    top, left = _offset(image.shape[1] - rows, down), _offset(image.shape[2] - columns, along)
    return cut_patch(image, (top, left, top + rows, left + columns))


def _offset(spare: int, fraction: float) -> int:
    return min(int(fraction * (spare + 1)), spare) if spare >= 0 else spare // 2


class Patches(Searching):
    """Random orders of images, with a random place in each; codes are number, row and column.

    Args:
        randoms: one source of random numbers per search.
        images: number of images.
        population: patches per generation.
    """

    def __init__(self, randoms: Sequence[RandomState], images: int, population: int) -> None:
        self.randoms, self.images, self.population = randoms, images, population
        # The images that are still to be shown, last first, of each search.
        self._left = np.zeros((len(randoms), 0), np.int64)

    def ask(self) -> Float[np.ndarray, "searches candidates 3"]:
        """Return the next patches."""
        while self._left.shape[1] < self.population:
            orders = [random.permutation(self.images) for random in self.randoms]
            self._left = np.concatenate([self._left, orders], 1)
        numbers, self._left = np.split(self._left, [self.population], 1)
        places = np.stack([random.random_sample((self.population, 2)) for random in self.randoms])
        return np.concatenate([numbers[:, :, None].astype(np.float64), places], 2)

    def tell(self, scores: Float[np.ndarray, "searches candidates"]) -> None:
        """Learn nothing."""

    def state(self) -> dict[str, np.ndarray]:
        """Return which images are left, and the random numbers."""
        return {"left": self._left.copy(), **random_numbers.states(self.randoms)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state."""
        self._left = np.array(state["left"])
        random_numbers.restore(self.randoms, state)
