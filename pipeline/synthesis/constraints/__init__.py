"""Constraints on images, enforced by a projection between parameters and image.

The projection is part of the map from parameters to images: it is differentiable, and only images
that satisfy the constraint are scored, so that all are comparable. Images are in network-input
space; sums are float64. A constraint holds up to the rounding of the images. Each is a function of
its settings that returns a ``Constraint``.

A value beyond its bounds gets a gradient only if it leads back inside (``clamp_inward``). Pixels
are projected onto the constraint after every step, and their gradients are not changed, so that
normalized steps keep their size.
"""

from pipeline.synthesis.constraints.balls import ball
from pipeline.synthesis.constraints.bounds import clip, range
from pipeline.synthesis.constraints.constraint import (
    NATURAL,
    Bound,
    Constraint,
    ConstraintContext,
    none,
)
from pipeline.synthesis.constraints.moments import contrast, mean, norm

__all__ = [
    "NATURAL",
    "Bound",
    "Constraint",
    "ConstraintContext",
    "ball",
    "clip",
    "contrast",
    "mean",
    "none",
    "norm",
    "range",
]
