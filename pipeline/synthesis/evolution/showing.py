"""Showing: pictures of codes, made ready, shown to units, and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.random import RandomState
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.evolution.contrast import CACHED, Contrast
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.responders import Occasion, Pass, Responder

Draw = Callable[[Float[Tensor, "batch genes"]], Float[Tensor, "batch c height width"]]
Codes = Float[np.ndarray, "searches candidates genes"]


class Scores(NamedTuple):
    """Scores of the candidates of some searches.

    Attributes:
        observed: mean over repeats of the responses with noise, of those that were measured; NaN if
            none was.
        noise_free: responses without noise and adaptation; NaN if they are measured.
    """

    observed: Float[np.ndarray, "searches candidates"]
    noise_free: Float[np.ndarray, "searches candidates"]


class Preparation:
    """Makes pictures ready: at the contrast, in whole steps of pixels, as network input.

    Args:
        experiment: contrast and bits.
        preprocessing: of the network.

    Raises:
        ConfigError: the contrast is not possible.
    """

    def __init__(self, experiment: Experiment, preprocessing: Preprocessing) -> None:
        self.contrast = Contrast(experiment.contrast, preprocessing)
        self.preprocessing = preprocessing
        self.steps = None if experiment.bits is None else 2**experiment.bits - 1

    def __call__(
        self, pictures: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch c height width"]:
        """Return network input from pictures in pixels 0..1."""
        images = self.contrast(pictures)
        if self.steps is None:
            return images
        steps = (self.preprocessing.pixels(images) * self.steps).round()
        return self.preprocessing.normalize(steps / self.steps)


def measured_mean(scores: Float[np.ndarray, "*any"], axis: int) -> Float[np.ndarray, "*others"]:
    """Return the mean along an axis of what was measured; NaN if nothing was.

    >>> measured_mean(np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 4.0]]), 1)
    array([ 1., nan,  3.])
    """
    known = ~np.isnan(scores)
    count = known.sum(axis)
    total = np.where(known, scores, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class Showing:
    """Shows pictures to units.

    Attributes:
        experiment: how they are shown.
        prepare: makes pictures ready.
        responder: who responds.
        size: height and width of the images.
        device: on which pictures are drawn.
        images_per_pass: most images in one forward pass, which bounds memory.
    """

    experiment: Experiment
    prepare: Preparation
    responder: Responder
    size: tuple[int, int]
    device: torch.device
    images_per_pass: int = 64

    def pictures(self, codes: Float[np.ndarray, "batch genes"], draw: Draw) -> Tensor:
        """Return the pictures of codes, in pixels 0..1."""
        return draw(torch.from_numpy(codes).to(self.device, torch.float32))

    def images(self, codes: Codes, draw: Draw) -> Float[Tensor, "images c height width"]:
        """Return the images that are shown for codes, to the bit, as they are drawn together."""
        with torch.no_grad():
            return torch.cat([each.images.cpu() for each in self._passes(codes, draw)])

    def show(
        self,
        codes: Codes,
        draw: Draw,
        shown: int,
        noises: Sequence[RandomState],
        occasion: Occasion,
    ) -> Scores:
        """Show the pictures of codes, and return their scores.

        Args:
            codes: codes of each search.
            draw: returns pictures of codes.
            shown: images that were shown to each unit before.
            noises: random numbers of the noise of each search.
            occasion: what they are shown for.
        """
        found = self.responder(self._passes(codes, draw), self.experiment.repeats, occasion)
        responses = found.reshape(len(found), *codes.shape[:2])
        if self.responder.measured:
            return Scores(measured_mean(responses, 0), np.full(codes.shape[:2], np.nan))
        return Scores(self._disturbed(responses[0], shown, noises), responses[0])

    def noise_free(
        self, images: Float[Tensor, "searches c height width"]
    ) -> Float[np.ndarray, " searches"]:
        """Return the response to one image of each search, without noise, each in its own pass.

        NaN where an image is not finite, and of all if responses are measured, which would cost
        queries.
        """
        if self.responder.measured:
            return np.full(len(images), np.nan)
        usable = images.isfinite().all((1, 2, 3))
        numbers = np.arange(len(images))
        alone = [slice(number, number + 1) for number in numbers]
        passes = (Pass(images[one], numbers[one], usable[one]) for one in alone)
        return self.responder(passes, 1, Occasion("", 0))[0]

    def _passes(self, codes: Codes, draw: Draw) -> Iterator[Pass]:
        """Yield the forward passes: of whole searches, one or a few, cut where memory demands.

        How a search is cut does not depend on the others. Pictures of several passes are made ready
        together, which changes no bit, as each is made ready for itself.
        """
        searches, candidates = codes.shape[:2]
        own = np.repeat(np.arange(searches), candidates)
        flat = codes.reshape(searches * candidates, -1)
        step = self.experiment.searches_per_pass * candidates
        parts = [
            slice(start, min(start + self.images_per_pass, first + step, len(flat)))
            for first in range(0, len(flat), step)
            for start in range(first, min(first + step, len(flat)), self.images_per_pass)
        ]
        numbers = len(self.prepare.preprocessing.mean) * self.size[0] * self.size[1]
        together = max(1, CACHED // (numbers * min(step, self.images_per_pass)))
        for first in range(0, len(parts), together):
            some = parts[first : first + together]
            drawn = [self.pictures(flat[part], draw) for part in some]
            images = self.prepare(torch.cat(drawn))
            usable = images.sum((1, 2, 3)).isfinite()
            sizes = [len(each) for each in drawn]
            # Bits of matrix products may depend on where numbers lie in memory: each has its own.
            split = zip(some, images.split(sizes), usable.split(sizes), strict=True)
            for part, ready, known in split:
                yield Pass(ready.clone(), own[part], known)

    def _disturbed(
        self,
        responses: Float[np.ndarray, "searches candidates"],
        shown: int,
        noises: Sequence[RandomState],
    ) -> Float[np.ndarray, "searches candidates"]:
        noise, adaptation = self.experiment.noise, self.experiment.adaptation
        if noise is None and adaptation is None:
            return responses.copy()
        searches, candidates = responses.shape
        repeats = self.experiment.repeats
        presented = np.broadcast_to(responses[:, None], (searches, repeats, candidates))
        if adaptation is not None:
            order = shown + np.arange(repeats * candidates).reshape(repeats, candidates)
            presented = presented * adaptation.gains(order)
        if noise is not None:
            pairs = zip(presented, noises, strict=True)
            presented = np.stack([noise(own, random) for own, random in pairs])
        return presented.mean(1)
