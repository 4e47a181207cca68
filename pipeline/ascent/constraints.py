"""Constraints: what every image must fulfill, by a projection between parameters and image.

The projection belongs to the map from parameters to images: it is differentiable, and what is
climbed are images that fulfill the constraint, so that all compete with the same means. Images are
in network-input space; sums are float64. A constraint holds up to the rounding of the images.
Each is a function of its settings that returns a ``Constraint``.

A clipped value gets its gradient only where that leads back inside (see ``clamp_inward``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.ascent.clamping import clamp_inward
from pipeline.errors import ConfigError
from pipeline.networks.preprocessing import Preprocessing

NATURAL = "natural"  # in place of a number: that of the strongest natural patch of the same unit
CENTERS = ("zero", "start")


@dataclass(frozen=True)
class Circumstances:
    """What a constraint may depend on.

    Attributes:
        starts: the starting images.
        preprocessing: of the network.
        patches: returns the strongest natural patch of every sample's unit, of the images' shape.
    """

    starts: Float[Tensor, "batch 3 height width"]
    preprocessing: Preprocessing
    patches: Callable[[], Tensor]


@dataclass(frozen=True)
class Bound:
    """A constraint on one batch of images [batch, 3, height, width].

    Attributes:
        project: from any images to images that fulfill the constraint.
        measure: from images to what is constrained, float64 [batch].
        budget: the value that is allowed; NaN where nothing is constrained.
    """

    project: Callable[[Tensor], Tensor]
    measure: Callable[[Tensor], Tensor]
    budget: Float[Tensor, " batch"]


@dataclass(frozen=True)
class Constraint:
    """A kind of constraint.

    Attributes:
        bind: from circumstances to the constraint on these images.
        needs_patches: whether it asks for the natural patches.
    """

    bind: Callable[[Circumstances], Bound]
    needs_patches: bool = False


def none() -> Constraint:
    """Let the images be what they are; budget and measure are NaN."""

    def bind(given: Circumstances) -> Bound:
        def measure(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
            return images.new_full((len(images),), math.nan, dtype=torch.float64)

        return Bound(lambda images: images, measure, measure(given.starts))

    return Constraint(bind)


def norm(value: float | str = NATURAL) -> Constraint:
    """Give every image one L2 norm, over pixels and colors, by scaling it.

    An image of zeros has no direction and is left as it is; its gradient passes unscaled.

    Args:
        value: the norm, or ``natural``.

    Raises:
        ConfigError: ``value`` is neither.
    """

    def bind(given: Circumstances) -> Bound:
        budget = _budget(value, given, _l2_norm)

        def project(
            images: Float[Tensor, "batch 3 height width"],
        ) -> Float[Tensor, "batch 3 height width"]:
            size = _l2_norm(images)
            scaled = images.double() * _over_pixels(_ratio(budget, size, size > 0))
            return scaled.to(images.dtype)

        return Bound(project, _l2_norm, budget)

    _check_positive("value", value)
    return Constraint(bind, needs_patches=value == NATURAL)


def mean(value: float | str = 0.0) -> Constraint:
    """Give every image one mean, over pixels and colors, by shifting it.

    Args:
        value: the mean in network-input space, where 0 is the mean color, or ``natural``.

    Raises:
        ConfigError: ``value`` is neither.
    """

    def bind(given: Circumstances) -> Bound:
        budget = _budget(value, given, _mean)

        def project(
            images: Float[Tensor, "batch 3 height width"],
        ) -> Float[Tensor, "batch 3 height width"]:
            return (images.double() + _over_pixels(budget - _mean(images))).to(images.dtype)

        return Bound(project, _mean, budget)

    if value != NATURAL and not _is_finite(value):
        raise ConfigError(f"constraint.value: {value} is not a finite number or 'natural'")
    return Constraint(bind, needs_patches=value == NATURAL)


def contrast(value: float | str = NATURAL, mean: float | None = None) -> Constraint:
    """Give every image one RMS contrast, by scaling it about its mean.

    The contrast is the population standard deviation over pixels and colors together. An image of
    one value has none and is not scaled; its gradient passes unscaled.

    Args:
        value: the contrast in network-input space, where photographs have about 1, or ``natural``.
        mean: of every image, over pixels and colors; images keep their own by default.

    Raises:
        ConfigError: ``value`` is neither, or ``mean`` not finite.
    """

    def bind(given: Circumstances) -> Bound:
        budget = _budget(value, given, _contrast)

        def project(
            images: Float[Tensor, "batch 3 height width"],
        ) -> Float[Tensor, "batch 3 height width"]:
            center = _mean(images)
            size = _contrast(images)
            # What is left of the deviations from a mean that rounding has moved is no direction.
            has_direction = size > 1e-12 * images.detach().double().abs().amax((1, 2, 3))
            scale = _ratio(budget, size, has_direction)
            deviations = (images.double() - _over_pixels(center)) * _over_pixels(scale)
            wanted = center if mean is None else torch.full_like(center, mean)
            return (deviations + _over_pixels(wanted)).to(images.dtype)

        return Bound(project, _contrast, budget)

    _check_positive("value", value)
    if mean is not None and not _is_finite(mean):
        raise ConfigError(
            f"constraint.mean: {mean} is not a finite number; null keeps each image's own"
        )
    return Constraint(bind, needs_patches=value == NATURAL)


def range() -> Constraint:
    """Clip the images to what can be displayed: pixels in 0..1, in all three colors."""

    def bind(given: Circumstances) -> Bound:
        black = given.starts.new_zeros(3, 1, 1)
        normalize = given.preprocessing.normalize
        return _between(normalize(black), normalize(black + 1), given)

    return Constraint(bind)


def clip(
    lowest: float | Sequence[float] = -2.0, highest: float | Sequence[float] = 2.0
) -> Constraint:
    """Clip the images to bounds in network-input space.

    Args:
        lowest: a number, or three: one per channel.
        highest: likewise.

    Raises:
        ConfigError: they are not, or a bound ``lowest`` is not below ``highest``.
    """
    low, high = _per_channel("lowest", lowest), _per_channel("highest", highest)
    if not all(below < above for below, above in zip(low, high, strict=True)):
        raise ConfigError(
            f"constraint.lowest: {lowest} is not below constraint.highest, {highest}, in every"
            " channel"
        )

    def bind(given: Circumstances) -> Bound:
        bounds = given.starts.new_tensor([low, high])
        return _between(bounds[0, :, None, None], bounds[1, :, None, None], given)

    return Constraint(bind)


def ball(p: float = 2.0, radius: float | str = NATURAL, center: str = "zero") -> Constraint:
    """Keep every image within a distance, in a p-norm over pixels and colors.

    An image inside is left as it is; one outside becomes the nearest image (in the L2 sense) of the
    ball. Where the gradient of an image outside leads back inside, it passes in full. For p = 1,
    pixels that the projection makes 0 have no gradient of their own until the image is inside.

    Args:
        p: 1, 2 or infinity.
        radius: in network-input space, or ``natural``: the p-norm of the natural patch.
        center: ``zero`` or ``start``, the starting image.

    Raises:
        ConfigError: a value is none of these.

    Source: p = 1 is Duchi et al. 2008, "Efficient projections onto the l1-ball", figure 1.
    """

    def bind(given: Circumstances) -> Bound:
        middle = given.starts.clone() if center == "start" else torch.zeros_like(given.starts)
        budget = _budget(radius, given, lambda patches: _size(patches.double(), p))

        def project(
            images: Float[Tensor, "batch 3 height width"],
        ) -> Float[Tensor, "batch 3 height width"]:
            deviations = images.double() - middle.double()
            if p == math.inf:
                limit = _over_pixels(budget)
                nearest = clamp_inward(deviations, -limit, limit)
                inside = deviations.abs() <= limit
            else:
                size = _size(deviations, p)
                nearest = (_onto_l1_sphere if p == 1 else _onto_l2_sphere)(deviations, size, budget)
                inside = _over_pixels(size <= budget)
            return torch.where(inside, images, (middle.double() + nearest).to(images.dtype))

        def measure(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
            return _size(images.double() - middle.double(), p)

        return Bound(project, measure, budget)

    if p not in (1, 2, math.inf):
        raise ConfigError(f"constraint.p: {p} is not 1, 2 or .inf")
    if center not in CENTERS:
        raise ConfigError(f"constraint.center: {center!r} is not 'zero' or 'start'")
    _check_positive("radius", radius)
    return Constraint(bind, needs_patches=radius == NATURAL)


def _onto_l2_sphere(
    deviations: Float[Tensor, "batch 3 height width"],
    size: Float[Tensor, " batch"],
    radius: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    """Return the nearest points of a sphere; to points inside, the points themselves."""
    allowed = clamp_inward(size, torch.zeros_like(radius), radius)
    return deviations * _over_pixels(_ratio(allowed, size, size > 0))


def _onto_l1_sphere(
    deviations: Float[Tensor, "batch 3 height width"],
    size: Float[Tensor, " batch"],
    radius: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 3 height width"]:
    """Return the nearest points of an L1 sphere, for points outside: magnitudes lose a threshold.

    The threshold is such that the magnitudes above it keep the radius as their sum.
    """
    magnitudes = deviations.abs().flatten(1)
    with torch.no_grad():
        falling = magnitudes.sort(dim=1, descending=True).values
        ranks = torch.arange(1, falling.shape[1] + 1, device=falling.device)
        thresholds = (falling.cumsum(1) - radius[:, None]) / ranks
        last = (falling > thresholds).sum(1, keepdim=True).clamp(min=1) - 1
        kept = magnitudes >= thresholds.gather(1, last)
        count = kept.sum(1).clamp(min=1)
    allowed = clamp_inward(size, torch.zeros_like(radius), radius)
    threshold = ((magnitudes * kept).sum(1) - allowed) / count
    shrunk = (magnitudes - threshold[:, None]).relu().view_as(deviations)
    return deviations.sign() * shrunk


def _between(low: Tensor, high: Tensor, given: Circumstances) -> Bound:
    """Clip to per-channel bounds; what is measured is by how much an image exceeds them at most."""

    def measure(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
        excess = torch.maximum(low - images, images - high).amax((1, 2, 3))
        return excess.clamp(min=0).double()

    budget = torch.zeros(len(given.starts), dtype=torch.float64, device=given.starts.device)
    return Bound(lambda images: clamp_inward(images, low, high), measure, budget)


def _budget(
    value: float | str, given: Circumstances, quantity: Callable[[Tensor], Tensor]
) -> Float[Tensor, " batch"]:
    """Return what every image is allowed: a number, or the quantity of its natural patch."""
    if value == NATURAL:
        return quantity(given.patches().to(given.starts)).detach()
    starts = given.starts
    return starts.new_full((len(starts),), float(value), dtype=torch.float64)


def _mean(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
    return images.double().mean((1, 2, 3))


def _l2_norm(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
    return _size(images.double(), 2.0)


def _contrast(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, " batch"]:
    deviations = images.double() - _over_pixels(_mean(images))
    return _size(deviations, 2.0) / math.sqrt(images[0].numel())


def _size(values: Float[Tensor, "batch 3 height width"], p: float) -> Float[Tensor, " batch"]:
    """Return p-norms; unlike a root of squares, they have the gradient 0 at 0."""
    return torch.linalg.vector_norm(values.flatten(1), p, dim=1)


def _ratio(
    wanted: Float[Tensor, " batch"], size: Float[Tensor, " batch"], defined: Bool[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return wanted / size, and 1, without a gradient, where that is not defined."""
    divisor = torch.where(defined, size, 1.0)
    return torch.where(defined, wanted / divisor, 1.0)


def _over_pixels(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _per_channel(key: str, value: float | Sequence[float]) -> list[float]:
    values = [value] * 3 if isinstance(value, int | float) else list(value)
    if len(values) != 3 or not all(_is_finite(each) for each in values):
        raise ConfigError(
            f"constraint.{key}: {value} is not a finite number, or three of them, one per channel"
        )
    return [float(each) for each in values]


def _check_positive(key: str, value: float | str) -> None:
    if value != NATURAL and not (_is_finite(value) and float(value) > 0):
        raise ConfigError(f"constraint.{key}: {value} is not a positive number or 'natural'")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
