"""How well images made for units stand changes: crops, JPEG, noise and shifts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pipeline.analysis.transfer import best_units, perturbed_rows
from pipeline.errors import ConfigError
from pipeline.images.perturbations import Perturbation, perturbations
from pipeline.library.arguments import own_names, whole_number
from pipeline.library.made_images import MadeImages, made_images
from pipeline.library.transfer import labeled, layers_of, unit_norms
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.search.transfer import Viewer, Viewing, perturbed_responses
from pipeline.synthesis.evolution.contrast import at_contrast


def robustness(
    images: Any,
    net_b: Network | None = None,
    layers: str | Sequence[str] = "all",
    *,
    source: Network | None = None,
    init: str | None = None,
    crops: Sequence[SupportsFloat] = (0.9, 0.75, 0.5),
    jpeg: Sequence[SupportsFloat] = (90, 50, 20),
    noise: Sequence[SupportsFloat] = (0.05, 0.1, 0.2),
    shifts: Sequence[SupportsFloat] = (1, 2, 4),
    at: str = "center",
    scale: str = "pixels",
    contrast: float | None = 1.0,
    image_set: Any = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Change images by crops, JPEG, noise and shifts, and score them again.

    Args:
        images: as for ``pipeline.transfer``.
        net_b: the network that scores them; by default their own, in which the unit counts that
            each was made for. In another, the unit of each layer counts that responds most to the
            clean image.
        layers: of ``net_b``; their own network scores them with their own layer.
        source: the network that the images were made for, where they do not say it.
        init: of a run; all by default.
        crops: shares of height and width that are left; the rest becomes gray.
        jpeg: qualities, 1 to 95, of images clipped to 0..1. ``clip`` is the same without
            compression.
        noise: standard deviations of Gaussian noise on pixels (black is 0, white is 1), which are
            not clipped.
        shifts: pixels; responses are means over shifts up, down, left and right.
        at: as for ``pipeline.transfer``.
        scale: as for ``pipeline.transfer``.
        contrast: as for ``pipeline.transfer``, before any change.
        image_set: as for ``pipeline.transfer``.
        seed: of the noise.

    Returns:
        One row per image, layer and change: the columns of the image as in ``Transfer``,
        ``layer_b``, ``unit_b``, ``perturbation``, ``level``, ``response``, ``share`` of the
        response to the clean image (NaN if that is not above 0), ``percentile`` among the unit's
        responses to the image set, and ``rank`` among the units of the layer.

    Raises:
        ConfigError: a level is not allowed, or as for ``pipeline.transfer``.
        ImageError: as for ``pipeline.transfer``.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv1", [5], optimizer=sgd(steps=20))
    >>> table = pipeline.robustness(found, noise=[0.1], jpeg=[], shifts=[], crops=[1, 0.5])
    >>> table["perturbation"].tolist(), table["share"].round(2).tolist()[:2]
    (['clean', 'crop', 'crop', 'noise'], [1.0, 1.0])
    """
    with own_names():
        viewing, number = Viewing(at, scale, contrast), whole_number("seed", seed, 0)
        changes = perturbations(crops, jpeg, noise, shifts)
        rows: list[pd.DataFrame] = []
        for each in made_images(images, source, init):
            network, wanted = _scorers(each, net_b, layers)
            norms = unit_norms(network, wanted, image_set, at)
            for layer in wanted:
                viewer = Viewer(network, layer, each.preprocessing, viewing, network.device)
                found = _perturbed(each, viewer, changes, number)
                units = each.units if net_b is None else best_units(found[:, 0], norms[layer.name])
                own = perturbed_rows(found, norms[layer.name], units, changes)
                rows.append(labeled(each, layer, own))
    return pd.concat(rows, ignore_index=True)


def _scorers(
    made: MadeImages, net_b: Network | None, layers: str | Sequence[str]
) -> tuple[Network, list[Layer]]:
    if net_b is not None:
        return net_b, layers_of(net_b, layers)
    if made.network is None or not made.of_units:
        raise ConfigError(
            "net_b: must be given for images whose own network, layer and units are not known"
        )
    return made.network, layers_of(made.network, made.layer)


def _perturbed(
    made: MadeImages, viewer: Viewer, changes: Sequence[Perturbation], seed: int
) -> Float[np.ndarray, "n changes units"]:
    images = at_contrast(made.images, viewer.viewing.contrast, made.preprocessing)
    several = zip(images, made.units.tolist(), made.copies.tolist(), strict=True)
    found = [
        perturbed_responses(viewer, image, list(changes), (seed, made.layer, unit, copy))
        for image, unit, copy in several
    ]
    return torch.stack(found).numpy()
