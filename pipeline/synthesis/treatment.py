"""Treatment: what happens to images on their way to the network and between steps.

parameters -> (parameterization) -> values -> (constraint) -> image -> (transforms) -> network. The
image is what is scored after the last step and stored; transforms are only what the network sees
on the way there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.synthesis.parameterizations import PIXELS, Chain
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.transforms import Transform, fit, rolled

Images = Float[Tensor, "batch c height width"]


class Shown(NamedTuple):
    """What the network sees of images.

    Attributes:
        images: as they are shown.
        shift: by how much each was rolled, down and to the right; ``None`` if none was.
    """

    images: Float[Tensor, "batch c rows columns"]
    shift: Int[Tensor, "batch 2"] | None


@dataclass(frozen=True)
class Treatment:
    """What one batch of ascents goes through.

    Attributes:
        space: between parameters and images.
        project: onto the constraint; ``None`` where there is none.
        regularizers: whose weighted penalties are taken off the score that is climbed.
        transforms: of the image before the network, drawn anew at every step.
        smoothings: between steps.
        seeds: one per image, from which transforms draw.
        at_step: told of every step before it is taken.
        fits: whether the network takes images of one size only, to which transformed ones are cut
            or padded.
        preprocessing: of the network, for transforms of pixels.
    """

    space: Chain = PIXELS
    project: Callable[[Images], Images] | None = None
    regularizers: Sequence[Regularizer] = ()
    transforms: Sequence[Transform] = ()
    smoothings: Sequence[Smoothing] = ()
    seeds: Sequence[int] = field(default=(), repr=False)
    at_step: Callable[[int], None] | None = None
    fits: bool = True
    preprocessing: Preprocessing | None = None

    @property
    def looks(self) -> int:
        """How often the network looks at the images in a step."""
        return max((transform.looks for transform in self.transforms), default=1)

    @property
    def is_plain(self) -> bool:
        """Whether parameters are the image, and the image is what the network sees."""
        return self.space.is_identity and not (
            self.project or self.regularizers or self.transforms or self.smoothings or self.at_step
        )

    def generators(self) -> list[torch.Generator]:
        """Return the random numbers of the transforms from their beginning."""
        return [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def image(self, parameters: Sequence[Tensor]) -> Images:
        """Return the images that parameters stand for."""
        values = self.space.decode(parameters)
        return values if self.project is None else self.project(values)

    def shown(
        self, images: Images, generators: Sequence[torch.Generator], step: int = 0, steps: int = 1
    ) -> Shown:
        """Return what the network sees of images at a step; transforms may change their size."""
        size = (images.shape[2], images.shape[3])
        shift: Tensor | None = None
        pixels = False
        for each in self.transforms:
            transform = each if each.at is None else each.at(step, steps)
            if transform.on_pixels and not pixels:
                images, pixels = self._normalization().pixels(images), True
            if transform.shifts is not None and tuple(images.shape[2:]) == size:
                drawn = transform.shifts(generators)
                images = rolled(images, drawn)
                shift = drawn if shift is None else shift + drawn
            else:
                images = transform.apply(images, generators)
        images = self._normalization().normalize(images) if pixels else images
        return Shown(fit(images, size) if self.transforms and self.fits else images, shift)

    def _normalization(self) -> Preprocessing:
        if self.preprocessing is None:
            raise ConfigError("transform: pixels are not known without a network's preprocessing")
        return self.preprocessing

    def penalty(self, images: Images, starts: Images) -> Float[Tensor, " batch"] | None:
        """Return what is taken off the score, weighted; ``None`` without regularizers."""
        if not self.regularizers:
            return None
        return torch.stack(
            [term.weight * term.penalty(images, starts) for term in self.regularizers]
        ).sum(0)

    def smoothed(
        self, gradients: Sequence[Tensor], shift: Tensor | None, step: int, steps: int
    ) -> Sequence[Tensor]:
        """Return gradients as they are followed.

        Args:
            gradients: of the parameters.
            shift: by how much the images were rolled. Gradients of their size are smoothed as the
                network saw them: what the roll has brought together, and what it has parted.
            step: counted from 0.
            steps: number of steps.
        """
        smooths = [smooth.gradient for smooth in self.smoothings if smooth.gradient is not None]
        for smooth in smooths:
            if shift is None:
                gradients = [smooth(gradient, step, steps) for gradient in gradients]
            else:
                gradients = [
                    rolled(smooth(rolled(gradient, shift), step, steps), -shift)
                    for gradient in gradients
                ]
        return gradients

    @torch.no_grad()
    def settle(self, parameters: Sequence[Tensor], step: int, steps: int) -> None:
        """Smooth and project, in place, after the update of a step.

        Pixels, in whatever unit and colors, are put back onto the constraint, so that nothing piles
        up beyond it; what other parameters stand for is projected wherever it is looked at.
        """
        smoothings = [smooth.image for smooth in self.smoothings if smooth.image is not None]
        if smoothings:
            values = self.space.decode(parameters)
            images = values
            for smooth in smoothings:
                images = smooth(images, step, steps)
            if images is not values:
                _put(parameters, self.space.encode(images))
        self.constrain(parameters)

    @torch.no_grad()
    def constrain(self, parameters: Sequence[Tensor]) -> None:
        """Put pixels onto the constraint, in place; other parameters stay as they are."""
        if self.space.is_pixels and (self.project is not None or self.space.clamps):
            _put(parameters, self.space.encode(self.image(parameters)))


def _put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


PLAIN = Treatment()
