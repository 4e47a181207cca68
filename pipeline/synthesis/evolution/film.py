"""The film of searches: their best images so far, after some of the generations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from pipeline.synthesis.evolution.loop import Evolution


class Film:
    """Keeps the best images so far of searches, from the first generation to the last.

    Args:
        evolution: the searches; none of their generations is done.
        frames: number of generations that are kept, evenly spaced; all of them if there are fewer.

    Attributes:
        generations: numbers of these generations, from 1.
    """

    def __init__(self, evolution: Evolution, frames: int) -> None:
        self.evolution = evolution
        self.generations = filmed(evolution.generations, frames)
        self._images: list[np.ndarray] = []

    def watch(self) -> None:
        """Keep the best images, if the generation that was just done is among those kept."""
        if self.evolution.generation in self.generations:
            self._images.append(self.evolution.best_images().cpu().numpy())

    @property
    def images(self) -> Float[np.ndarray, "frames searches c height width"]:
        """The images so far, in network-input space as they were shown."""
        if self._images:
            return np.stack(self._images)
        return np.zeros((0, *self.evolution.shape), np.float32)

    def state(self) -> dict[str, np.ndarray]:
        """Return the images so far."""
        return {"images": self.images}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a state."""
        self._images = [*state["images"]]


def filmed(generations: int, frames: int) -> Int[np.ndarray, " frames"]:
    """Return which generations are kept, from 1: some, evenly spaced, among them first and last.

    >>> filmed(62, 4).tolist(), filmed(3, 8).tolist(), filmed(62, 1).tolist()
    ([1, 21, 42, 62], [1, 2, 3], [62])
    """
    if frames == 1:
        return np.array([generations])
    chosen = np.linspace(1, generations, min(frames, generations))
    return np.unique(chosen.round().astype(np.int64))
