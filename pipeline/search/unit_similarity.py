"""What units of a layer are compared by: what they prefer, their weights, who else responds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from pipeline.analysis.transfer import UnitNorms
from pipeline.analysis.unit_clusters import (
    Grouping,
    correlations,
    cosines,
    grouping,
    shifted_correlations,
)
from pipeline.images.conversion import rescaled
from pipeline.networks.layers import Layer
from pipeline.networks.units.chains import SEPARATOR
from pipeline.search.transfer import Viewer

SIDE = 32  # pixels to which larger images are reduced before they are shifted
IMAGES, WEIGHTS, RESPONSES = "images", "weights", "responses"
FEWEST = 4  # images of a unit that can form groups
# Readouts whose units are the channels of the layer, so that they have its weights.
_OF_CHANNELS = ("tokens", "class_token", "channel_mean", "channel_max")


def unit_matrices(
    module: nn.Module,
    layer: Layer,
    units: Sequence[int],
    added: Float[torch.Tensor, "units c height width"],
    responses: Float[np.ndarray, "pictures units"],
    shift: int,
) -> dict[str, Float[np.ndarray, "units units"]]:
    """Return the similarity of all pairs of units: by images, by weights (if any), by responses.

    Args:
        module: the network.
        layer: its layer.
        units: numbers of the units.
        added: what an ascent added to the starting image of each.
        responses: of these units to an image set; rows with NaN are left out.
        shift: of one image against the other in pixels, at most.
    """
    found = {IMAGES: _by_images(added, shift)}
    if (kernels := _by_weights(module, layer, units)) is not None:
        found[WEIGHTS] = kernels
    read = responses[np.isfinite(responses).all(axis=1)]
    found[RESPONSES] = correlations(read.T)
    return found


def _by_images(
    added: Float[torch.Tensor, "units c height width"], shift: int
) -> Float[np.ndarray, "units units"]:
    height, width = added.shape[2:]
    share = min(1.0, SIDE / max(height, width))
    size = (max(1, round(share * height)), max(1, round(share * width)))
    return shifted_correlations(rescaled(added, size).numpy(), round(share * shift))


def _by_weights(
    module: nn.Module, layer: Layer, units: Sequence[int]
) -> Float[np.ndarray, "units units"] | None:
    """Return cosines between kernels; ``None`` if the layer has no weights of its own.

    Units of different groups of a grouped convolution have no input in common: theirs is 0.
    """
    if set(layer.name.split(SEPARATOR)[1:]) - set(_OF_CHANNELS):
        return None
    owner = dict(module.named_modules()).get(layer.module)
    weight = getattr(owner, "weight", None)
    if not isinstance(weight, torch.Tensor) or len(weight) != layer.units or weight.ndim < 2:
        return None
    chosen = np.asarray(units)
    found = cosines(weight.detach().flatten(1).cpu().numpy()[chosen])
    groups = chosen * int(getattr(owner, "groups", 1)) // layer.units
    return np.where((groups[:, None] == groups) | np.isnan(found), found, 0.0)


@dataclass(frozen=True, eq=False)
class Facets:
    """Do the images of one unit fall into groups, as the other units of the layer see them?

    Attributes:
        viewer: all units of the layer.
        norms: their responses to an image set.
        most: groups, at most.
        draws: of the null.
        seed: of k-means, and of the null; every unit has random numbers of its own.
    """

    viewer: Viewer
    norms: UnitNorms
    most: int
    draws: int
    seed: int

    def __call__(self, images: Float[torch.Tensor, "n c height width"], unit: int) -> Grouping:
        """Return the groups of the images of one unit: by the z of all others that have one."""
        z = np.delete(self.norms.z(self.viewer(images).numpy()), unit, axis=1)
        points = z[:, np.isfinite(z).all(axis=0)]
        rng = np.random.default_rng([self.seed, unit])
        return grouping(points, rng, most=self.most, draws=self.draws)


def pair_rows(
    units: Sequence[int], matrices: Mapping[str, Float[np.ndarray, "n n"]]
) -> dict[str, np.ndarray]:
    """Return every pair of units once, as columns: ``unit_a``, ``unit_b``, and each matrix.

    Weights are NaN if there are none.
    """
    a, b = np.triu_indices(len(units), 1)
    numbers = np.asarray(units, np.int64)
    nothing = np.full((len(units), len(units)), np.nan)
    values = {
        name: matrices.get(name, nothing)[a, b].astype(np.float64)
        for name in (IMAGES, WEIGHTS, RESPONSES)
    }
    return {"unit_a": numbers[a], "unit_b": numbers[b], **values}
