"""Gradient ascent as a rival: what is possible with a gradient, on the same budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.constraints.constraint import is_finite, is_whole
from pipeline.synthesis.evolution.loop import Proposals
from pipeline.synthesis.evolution.rivals.rival import Contest, Rival
from pipeline.synthesis.evolution.searchers import Searching


def gradient(starts: int = 4, step: float = 0.2, gradient_queries: int = 3) -> Rival:
    """Climb the gradient of the response from random images, at the contrast.

    After each step, images are brought back to the contrast at which all pictures are shown. The
    gradient has no noise, as no rig has it; scores have the same noise as those of others.

    Args:
        starts: images that are climbed at once from different noise; they share the budget.
        step: length of the first step, as a fraction of the image's own; it falls in proportion to
            the generations that are left.
        gradient_queries: queries that one gradient counts. A forward and a backward pass take 2.3
            to 2.4 times as long as a forward pass on a CPU, hence 3.

    Raises:
        ConfigError: a number is not positive, or not whole where it is a count.
    """
    for name, value in (("starts", starts), ("gradient_queries", gradient_queries)):
        if not is_whole(value, 1):
            raise ConfigError(
                f"rivals.gradient.{name}: {value!r} is not a whole number of at least 1"
            )
    if not is_finite(step) or step <= 0:
        raise ConfigError(f"rivals.gradient.step: {step!r} is not a positive number")

    def begin(contest: Contest) -> Proposals:
        showing = contest.showing
        shape = (len(showing.prepare.preprocessing.mean), *showing.size)

        def draw(codes: Float[Tensor, "batch genes"]) -> Float[Tensor, "batch c height width"]:
            return showing.prepare.preprocessing.pixels(codes.reshape(-1, *shape))

        generations = showing.experiment.generations(starts, gradient_queries)
        ascents = Ascents(contest, starts, step, generations)
        return Proposals(ascents, draw, starts, gradient_queries)

    return Rival(begin, needs_gradient=True)


class Ascents(Searching):
    """Projected gradient ascents; codes are network input.

    Args:
        contest: units and how they are shown pictures.
        starts: ascents per search.
        step: length of the first step, as a fraction of the image's own.
        generations: number of steps.
    """

    def __init__(self, contest: Contest, starts: int, step: float, generations: int) -> None:
        self.contest, self.step, self.generations = contest, step, generations
        showing = contest.showing
        self.shape = (len(showing.prepare.preprocessing.mean), *showing.size)
        drawn = [random.standard_normal((starts, *self.shape)) for random in contest.randoms]
        self._images = np.stack([self._shown(torch.from_numpy(each)).numpy() for each in drawn])
        self._generation = 0

    def ask(self) -> Float[np.ndarray, "searches candidates genes"]:
        """Return the images of all ascents."""
        return self._images.reshape(*self._images.shape[:2], -1).astype(np.float64)

    def tell(self, scores: Float[np.ndarray, "searches candidates"]) -> None:  # noqa: ARG002
        """Climb; the scores are not used."""
        rate = self.step * (1 - self._generation / self.generations)
        for search, images in enumerate(self._images):  # alone, so as not to depend on others
            self._images[search] = self._climb(images, self.contest.units[search], rate)
        self._generation += 1

    def state(self) -> dict[str, np.ndarray]:
        """Return the images and the number of steps."""
        return {"images": self._images.copy(), "generation": np.array(self._generation)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state."""
        self._images, self._generation = np.array(state["images"]), int(state["generation"])

    def _climb(
        self, images: Float[np.ndarray, "starts c height width"], unit: int, rate: float
    ) -> Float[np.ndarray, "starts c height width"]:
        assert self.contest.score is not None  # noqa: S101
        here = torch.from_numpy(images).to(self.contest.showing.device).requires_grad_()
        units = torch.full((len(here),), unit, device=here.device)
        (slope,) = torch.autograd.grad(self.contest.score(here, units).sum(), here)
        norms = _norms(slope)
        # An image without a gradient stays where it is.
        usable = slope.isfinite().all((1, 2, 3), keepdim=True) & (norms > 0)
        direction = torch.where(usable, slope / norms, 0.0)
        moved = here.detach() + rate * _norms(here.detach()) * direction
        return self._shown(moved).cpu().numpy()

    def _shown(self, images: Tensor) -> Float[Tensor, "starts c height width"]:
        """Return images at the contrast, within pixels of 0..1."""
        prepare = self.contest.showing.prepare
        return prepare.contrast(prepare.preprocessing.pixels(images.float()))


def _norms(images: Tensor) -> Float[Tensor, "starts 1 1 1"]:
    return torch.linalg.vector_norm(images, dim=(1, 2, 3), keepdim=True)
