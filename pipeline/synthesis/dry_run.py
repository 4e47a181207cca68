"""A dry run: one look at blank images, so that what cannot be is refused before any work starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.synthesis.recipe import Recipe, Size
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.treatment import Treatment


def try_images(
    recipe: Recipe,
    size: Size,
    images_of: tuple[int, int],
    smoothings: Sequence[Smoothing],
    device: torch.device,
    scorer: Scorer | None = None,
    layer: str = "",
) -> None:
    """Smooth, transform and score blank images.

    Args:
        recipe: how images are made.
        size: height and width of the images.
        images_of: the unit for which they are scored, and how many there are.
        smoothings: between steps.
        device: where.
        scorer: what scores them; ``None`` to transform them only.
        layer: name of the layer, for messages.

    Raises:
        ConfigError: something cannot be done.
    """
    unit, copies = images_of
    channels = len(recipe.network.preprocessing.mean)
    images = torch.zeros(copies, channels, *size, device=device)
    units = torch.full((copies,), unit, device=device)
    treatment = Treatment(
        transforms=list(recipe.transforms.values()),
        seeds=range(copies),
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
    except Exception as error:  # an objective can raise anything
        reason = first_line(error)
        raise ConfigError(
            f"objective: images of {size[0]} x {size[1]} pixels cannot be scored for {layer}"
            f" ({reason})"
        ) from error
