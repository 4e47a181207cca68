"""Treatment: the processing of images before the network and between steps.

parameters -> (parameterization) -> values -> (constraint) -> image -> (transforms) -> network. The
image itself is scored after the last step and stored; transforms only apply to the scores in
between.
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
    """Images as shown to the network.

    Attributes:
        images: transformed images.
        shift: shift by which each was rolled, down and to the right; ``None`` if none was.
    """

    images: Float[Tensor, "batch c rows columns"]
    shift: Int[Tensor, "batch 2"] | None


@dataclass(frozen=True)
class Treatment:
    """The processing of one batch of ascents.

    Attributes:
        space: maps between parameters and images.
        project: projects onto the constraint; ``None`` if there is none.
        regularizers: regularizers whose weighted penalties are subtracted from the score.
        transforms: transforms of the image before the network, drawn again at every step.
        smoothings: between steps.
        seeds: seed of each image for random transforms.
        at_step: called before every step with its number.
        fits: whether the network only accepts one size, to which transformed images are cropped or
            padded.
        preprocessing: preprocessing of the network, for transforms of pixels.
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
        """Number of transformed versions of the images per step."""
        return max((transform.looks for transform in self.transforms), default=1)

    @property
    def is_plain(self) -> bool:
        """Whether the parameters are the image, and the network receives it untransformed."""
        return self.space.is_identity and not (
            self.project or self.regularizers or self.transforms or self.smoothings or self.at_step
        )

    def generators(self) -> list[torch.Generator]:
        """Return newly seeded random generators for the transforms."""
        return [torch.Generator().manual_seed(seed) for seed in self.seeds]

    def image(self, parameters: Sequence[Tensor]) -> Images:
        """Return the images of parameters."""
        values = self.space.decode(parameters)
        return values if self.project is None else self.project(values)

    def shown(
        self, images: Images, generators: Sequence[torch.Generator], step: int = 0, steps: int = 1
    ) -> Shown:
        """Return images transformed for the network at a step; their size may change."""
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
        """Return the weighted penalties; ``None`` without regularizers."""
        if not self.regularizers:
            return None
        return torch.stack(
            [term.weight * term.penalty(images, starts) for term in self.regularizers]
        ).sum(0)

    def smoothed(
        self, gradients: Sequence[Tensor], shift: Tensor | None, step: int, steps: int
    ) -> Sequence[Tensor]:
        """Return gradients smoothed for the update.

        Args:
            gradients: gradients of the parameters.
            shift: shift by which the images were rolled. Gradients of the images' size are smoothed
                in rolled position, as the network received them.
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

        Pixels, in any unit and color space, are projected onto the constraint, so that they do not
        accumulate beyond it; images of other parameters are projected whenever they are computed.
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
        """Project pixels onto the constraint, in place; other parameters are unchanged."""
        if self.space.is_pixels and (self.project is not None or self.space.clamps):
            _put(parameters, self.space.encode(self.image(parameters)))


def _put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


PLAIN = Treatment()
