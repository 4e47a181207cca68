"""A dry run on blank images, so that impossible combinations are rejected before work starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.synthesis.recipe import Recipe, Size
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.treatment import Treatment


def blank_images(
    recipe: Recipe, size: Size, copies: int, device: torch.device
) -> Float[Tensor, "copies c height width"]:
    """Return blank images for all copies of one unit."""
    channels = len(recipe.network.preprocessing.mean)
    return torch.zeros(copies, channels, *size, device=device)


def try_images(
    recipe: Recipe,
    images: Float[Tensor, "copies c height width"],
    unit: int,
    smoothings: Sequence[Smoothing],
    scorer: Scorer | None = None,
    layer: str = "",
) -> None:
    """Smooth, transform and score some images, as a step would.

    Args:
        recipe: how images are made.
        images: images of one unit, all copies.
        unit: unit to score.
        smoothings: smoothings between steps.
        scorer: scorer of the images; ``None`` to transform them only.
        layer: name of the layer, for messages.

    Raises:
        ConfigError: one of these fails.
    """
    units = torch.full((len(images),), unit, device=images.device)
    treatment = Treatment(
        transforms=list(recipe.transforms.values()),
        seeds=range(len(images)),
        fits=scorer is None or not scorer.takes_any_size(),
        preprocessing=recipe.network.preprocessing,
    )
    try:
        with torch.no_grad():
            for smoothing in smoothings:
                for smooth in (smoothing.image, smoothing.gradient):
                    _ = smooth(images, 0, 1) if smooth is not None else None
            shown, _ = treatment.shown(images, treatment.generators())
        if scorer is not None:
            score = scorer.begin(images, units)
            with torch.no_grad():
                score(shown, units)
    except ArtiphysError:
        raise
    except Exception as error:  # a user's objective may raise anything
        height, width = images.shape[2:]
        raise ConfigError(
            f"objective: images of {height} x {width} pixels cannot be scored for {layer}"
            f" ({first_line(error)})"
        ) from error
