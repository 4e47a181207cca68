"""Objectives that compare responses with those to a picture, or to the start."""

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
    """How near the layer's responses are to those to a picture: -|z - z0|^2 / |z0|^2.

    Source: Mahendran and Vedaldi 2015, equation 2.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        layer: whose responses are compared.
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
    """What a picture drives, exaggerated: <z, z0> * cos(z, z0)^power.

    Source: Lucid's caricatures (Olah et al. 2018, "activation caricatures"). The score grows with
    |z0|, so that steps of plain ascent do, too; those of Adam do not.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        power: of the cosine, which is taken to be 0.1 where it is less.
        layer: whose responses are compared.
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
    """How near an image stays to its start in what a layer responds: -|z - z_start| / |z_start|.

    Beside what drives a unit it accentuates that in a natural image. Source: Hamblin et al. 2024,
    "Feature accentuation". For distance in pixels there is the regularizer ``distance_to_start``.
    """

    def score(seen: Seen) -> Tensor:
        target = seen.compared
        # The root has no gradient at the start itself, where both are equal.
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
