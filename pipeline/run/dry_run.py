"""A dry run of scores, so that scores that cannot be computed are rejected before work starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.errors import ArtiphysError
from pipeline.networks.layers import Layer
from pipeline.run.parts import Parts
from pipeline.synthesis.dry_run import blank_images, try_images


def score_faults(parts: Parts, layers: Sequence[Layer]) -> Iterator[str]:
    """Yield the reason if the first or last layer cannot score blank images."""
    smoothings = list(parts.smoothings.values())
    for layer in {layer.name: layer for layer in (*layers[:1], *layers[-1:])}.values():
        # A network for a receptive field takes long to build; only transforms can make it fail.
        scorer = None if parts.scoring.of_fields else parts.scorer(layer)
        unit, size = parts.climbed_units(layer)[-1], parts.image_size(layer)
        images = blank_images(parts.recipe, size, parts.copies, parts.runner.device)
        try:
            try_images(parts.recipe, images, unit, smoothings, scorer, layer.name)
        except ArtiphysError as error:
            yield str(error)
            return  # the other layer would fail in the same way
