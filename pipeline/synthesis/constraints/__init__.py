"""Constraints: what every image must fulfill, by a projection between parameters and image.

The projection belongs to the map from parameters to images: it is differentiable, and what is
climbed are images that fulfill the constraint, so that all compete with the same means. Images are
in network-input space; sums are float64. A constraint holds up to the rounding of the images.
Each is a function of its settings that returns a ``Constraint``.

A value beyond its bounds gets its gradient only where that leads back inside (``clamp_inward``).
Pixels are put onto the constraint after every step and get their gradients as they are, which steps
of a given size are normalized by.
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
