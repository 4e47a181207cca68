"""A trial: one look at one image, so that what cannot be is refused before any work starts."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pipeline.config.parts import Parts
from pipeline.errors import ArtiphysError, ConfigError, first_line
from pipeline.networks.layers import Layer
from pipeline.session.climbed import main_climbs
from pipeline.session.session import Session
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.treatment import Treatment


def check_ascents(session: Session) -> None:
    """Try the scores and transforms of ascents that are still to be made, on the outer layers.

    Raises:
        ConfigError: they cannot be computed.
    """
    missing = {climb.layer.name for climb in main_climbs(session) if climb.result.missing()}
    check_scores(session, [layer for layer in session.parts.layers if layer.name in missing])


def check_scores(session: Session, layers: Sequence[Layer]) -> None:
    """Try the scores and transforms of ascents on the first and the last of some layers.

    Raises:
        ConfigError: they cannot be computed.
    """
    parts = session.parts
    smoothings = list(parts.smoothings.values())
    for layer in {layer.name: layer for layer in (*layers[:1], *layers[-1:])}.values():
        size, unit = parts.image_size(layer), parts.climbed_units(layer)[-1]
        # A network for a field takes long to build; what can go wrong with it shows in transforms.
        scorer = None if parts.scoring.of_fields else parts.scorer(layer)
        attempt(parts, size, unit, parts.copies, smoothings, scorer, layer.name)


def attempt(
    parts: Parts,
    size: tuple[int, int],
    unit: int,
    copies: int,
    smoothings: Sequence[Smoothing],
    scorer: Scorer | None,
    layer: str,
) -> None:
    """Smooth, transform and score blank images.

    Args:
        parts: of the run.
        size: height and width of the images.
        unit: for which they are scored.
        copies: how many.
        smoothings: between steps.
        scorer: what scores them; ``None`` to transform them only.
        layer: name of the layer, for messages.

    Raises:
        ConfigError: something cannot be done.
    """
    device = parts.runner.device
    images = torch.zeros(copies, 3, *size, device=device)
    units = torch.full((copies,), unit, device=device)
    fits = scorer is None or not scorer.takes_any_size()
    transforms = list(parts.transforms.values())
    treatment = Treatment(
        transforms=transforms,
        seeds=range(copies),
        fits=fits,
        preprocessing=parts.network.preprocessing,
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
    except Exception as error:  # what an objective can raise has no end
        reason = first_line(error)
        raise ConfigError(
            f"objective: images of {size[0]} x {size[1]} pixels cannot be scored for {layer}"
            f" ({reason})"
        ) from error
