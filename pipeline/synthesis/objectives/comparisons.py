"""Objectives that compare responses with those to a picture or to the starting image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.pictures import chosen_picture
from pipeline.synthesis.objectives.objective import Layers, Objective, Seen


def inversion(
    path: str | None = None, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """The closeness of the layer's responses to those for a picture: -|z - z0|^2 / |z0|^2.

    Source: Mahendran and Vedaldi 2015, equation 2.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        layer: layer whose responses are compared.
        weight: factor of the score.
    """

    def score(seen: Seen) -> Tensor:
        target = seen.compared
        distance = (seen.responses - target).square().sum((1, 2, 3))
        return -distance / target.square().sum((1, 2, 3)).clamp(min=1e-12)

    return _of_picture("inversion", path, score, layer, weight)


def caricature(
    path: str | None = None,
    power: float = 2.0,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """Exaggerate the features of a picture: <z, z0> * cos(z, z0)^power.

    Source: Lucid's caricatures (Olah et al. 2018, "activation caricatures"). The score grows with
        |z0|, and so do steps of plain ascent; those of Adam do not.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        power: exponent of the cosine; a cosine below 0.1 counts as 0.1.
        layer: layer whose responses are compared.
        weight: factor of the score.
    """
    if not 0 <= power < math.inf:
        raise ConfigError(f"objective.caricature.power: {power} is negative or not finite")

    def score(seen: Seen) -> Tensor:
        seen_flat, target = seen.responses.flatten(1), seen.compared.flatten(1)
        dot = (seen_flat * target).sum(1)
        cosine = F.cosine_similarity(seen_flat, target.expand_as(seen_flat), dim=1, eps=1e-6)
        return dot * cosine.clamp(min=0.1) ** power

    return _of_picture("caricature", path, score, layer, weight)


def accentuation(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The closeness of a layer's responses to those for the start: -|z - z_start| / |z_start|.

    Combined with a unit's objective, it accentuates the unit's features in a natural image. Source:
    Hamblin et al. 2024, "Feature accentuation". The regularizer ``distance_to_start`` penalizes the
    distance in pixels instead.
    """

    def score(seen: Seen) -> Tensor:
        target = seen.compared
        # The square root has no gradient at the start, where both are equal.
        distance = ((seen.responses - target).square().sum((1, 2, 3)) + 1e-12).sqrt()
        return -distance / target.square().sum((1, 2, 3)).sqrt().clamp(min=1e-12)

    return Objective(score, weight, layer, per_unit=False, reference="start")


def _of_picture(
    name: str,
    path: str | None,
    score: Callable[[Seen], Tensor],
    layer: Layers,
    weight: float | None,
) -> Objective:
    """Return an objective that compares a layer's responses with those to a picture."""
    picture, contents = chosen_picture(f"objective.{name}.path", path)
    return Objective(
        score,
        weight,
        layer,
        per_unit=False,
        reference="picture",
        picture=picture,
        contents=contents,
    )
