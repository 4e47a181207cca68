"""Are two units alike? By the images they prefer, by their weights, and by their responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pipeline.analysis.mantel import agreement
from pipeline.analysis.unit_clusters import clusters
from pipeline.errors import ConfigError
from pipeline.images.photographs import photographs
from pipeline.library.arguments import chosen_layer, of_network, whole_number
from pipeline.library.ascent import Ascents
from pipeline.library.patches import TopPatches
from pipeline.library.responses import responses
from pipeline.library.transfer import unit_norms
from pipeline.networks.loading.network import Network
from pipeline.search.transfer import Viewer, Viewing
from pipeline.search.unit_similarity import FEWEST, Facets, unit_matrices
from pipeline.synthesis.evolution.contrast import at_contrast

FACETS = ["layer", "unit", "images", "groups", "silhouette", "null", "p"]


@dataclass(frozen=True)
class UnitSimilarity:
    """Similarity of the units of a layer to each other.

    Attributes:
        units: in the order of all matrices.
        matrices: ``[units, units]``, -1 to 1: by preferred ``images``, ``weights`` (left out if the
            layer has none) and ``responses``. NaN where it is undefined.
        agreement: one row per two of these: ``first``, ``second``, ``r`` of their upper triangles,
            ``p`` of the Mantel test, ``units``, those that both define.
        clusters: one row per unit: its ``unit``, and its cluster by each matrix, from 0, the
            largest; -1 if it is undefined.
    """

    units: list[int]
    matrices: Mapping[str, Float[np.ndarray, "units units"]]
    agreement: pd.DataFrame
    clusters: pd.DataFrame


@of_network
def unit_similarity(
    net: Network,
    ascents: Ascents,
    *,
    image_set: Any = None,
    at: str = "max",
    shift: int = 4,
    groups: int = 8,
    permutations: int = 999,
    seed: int = 0,
) -> UnitSimilarity:
    """Compare all pairs of units: do those of like images have like weights, and like responses?

    By images: the largest Pearson's r between what the ascents added, over shifts of one image
    against the other. By weights: the cosine between kernels. By responses: Pearson's r over an
    image set. Clusters are those of average linkage.

    Args:
        net: the network.
        ascents: of units of one layer; the first copy of each counts.
        image_set: anything that ``pipeline.images.any_images.as_image_set`` takes; by default crops
            of the bundled photographs.
        at: which part of a unit's map is its response: ``max``, ``mean`` or ``center``.
        shift: pixels, at most, up, down, left and right. Images larger than 32 pixels are reduced
            to that before, and the shift with them.
        groups: clusters by each matrix.
        permutations: of the Mantel test.
        seed: of the permutations.

    Raises:
        ConfigError: the ascents are not of units, or an argument is not as described.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv1", range(8), optimizer=sgd(steps=5))
    >>> alike = pipeline.unit_similarity(net, found, groups=3, permutations=99)
    >>> alike.agreement[["first", "second"]].to_numpy().tolist()[0], alike.clusters.shape
    (['images', 'weights'], (8, 4))
    """
    given: Any = ascents
    if not isinstance(given, Ascents) or bool((given.units < 0).any()):
        raise ConfigError(
            "ascents: must be of units, as in pipeline.ascend(net, 'conv2', units=range(8))"
        )
    for name, value, least in (("groups", groups, 1), ("permutations", permutations, 1)):
        whole_number(name, value, least)
    if at == "all":
        raise ConfigError("at: 'all' is not one number per image; use max, mean or center")
    layer = chosen_layer(net, ascents.layer)
    firsts = np.sort(np.unique(ascents.units, return_index=True)[1])
    units = ascents.units[firsts].tolist()
    images = photographs(net.preprocessing) if image_set is None else image_set
    found = responses(net, images, layer.name, at=at, units=units)[layer.name]
    limit = whole_number("shift", shift, 0)
    matrices = unit_matrices(net.module, layer, units, ascents.added[firsts], found, limit)
    table = {name: clusters(matrix, groups) for name, matrix in matrices.items()}
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    return UnitSimilarity(
        units,
        matrices,
        agreement(matrices, rng, permutations),
        pd.DataFrame({"unit": units, **table}),
    )


@of_network
def unit_facets(
    net: Network,
    images: TopPatches | Ascents,
    *,
    image_set: Any = None,
    most: int = 5,
    draws: int = 99,
    seed: int = 0,
) -> pd.DataFrame:
    """Ask which units prefer several kinds of images: candidates for polysemantic units.

    The images of a unit are its kept top patches, or the copies of its ascents, made to differ by
    ``objective="diversity"``, at the contrast of photographs. Each is described by the z of all
    other units of the layer when they see it. Do these descriptions fall into groups, more than a
    single cloud of the same spread would? A small p names a candidate; look at its images.

    Args:
        net: the network.
        images: top patches with ``keep`` of 4 or more (better 20), or ascents with as many copies.
        image_set: by whose responses z are scaled; as of ``pipeline.transfer``.
        most: groups, at most.
        draws: of the null, a Gaussian with the variances of the descriptions along their principal
            components; the smallest possible p is 1 / (draws + 1).
        seed: of k-means, and of the null.

    Returns:
        One row per layer and unit: ``layer``, ``unit``, ``images``, ``groups`` (2 to ``most``; 0,
        and the rest NaN, of fewer than four images or of images that no other unit tells apart),
        their mean ``silhouette``, ``null`` (its median under the null) and ``p``. The test is
        conservative: of units whose images are one cloud, fewer than one in twenty is below 0.05.
        With 20 images it finds clouds that are 4 standard deviations apart, with 8 those 8 apart.

    Raises:
        ConfigError: the images are of another kind, or too few.

    >>> import pipeline, torch
    >>> net = pipeline.network("miniature")
    >>> pictures = torch.rand(30, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    >>> found = pipeline.top_patches(net, pictures, "conv1", keep=12, units=[5])
    >>> pipeline.unit_facets(net, found, draws=19)["images"].tolist()
    [12]
    """
    whole_number("most", most, 2)
    whole_number("draws", draws)
    number = whole_number("seed", seed, 0)
    rows = []
    for name, by_unit in _several(images):
        layer = chosen_layer(net, name)
        norms = unit_norms(net, [layer], image_set, "center")[name]
        viewer = Viewer(net, layer, net.preprocessing, Viewing(), net.device)
        facets = Facets(viewer, norms, most, draws, number)
        for unit, own in by_unit.items():
            found = facets(own, unit)
            rows.append((name, unit, len(own), found.groups, *found[1:]))
    return pd.DataFrame(rows, columns=FACETS)


def _several(images: Any) -> list[tuple[str, dict[int, torch.Tensor]]]:
    """Return the images of every unit, by layer."""
    found: list[tuple[str, dict[int, torch.Tensor]]] = []
    if isinstance(images, TopPatches):
        table = images.table.loc[images.table["sign"] == 1]
        for layer, rows in table.groupby("layer", sort=False):
            units = list(dict.fromkeys(rows["unit"].tolist()))
            ranks = range(max(rows["rank"].tolist()) + 1)
            by_rank = [images.patches(str(layer), units, rank=rank) for rank in ranks]
            together = torch.stack(by_rank, 1)
            found.append((str(layer), dict(zip(units, together, strict=True))))
    elif isinstance(images, Ascents) and not bool((images.units < 0).any()):
        good = np.array([status == "ok" for status in images.status])
        kept, units = images.images[good], images.units[good]
        shown = at_contrast(kept, 1.0, images.network.preprocessing) if len(kept) else kept
        by_unit = {unit: shown[units == unit] for unit in dict.fromkeys(images.units.tolist())}
        found.append((images.layer, by_unit))
    else:
        raise ConfigError(
            "images: must be what pipeline.top_patches or, with copies, pipeline.ascend returns for"
            " units"
        )
    largest = max((len(own) for _, by_unit in found for own in by_unit.values()), default=0)
    if largest < FEWEST:
        raise ConfigError(
            f"images: {largest} per unit cannot form groups; use keep=20 of pipeline.top_patches,"
            " or copies=8 of pipeline.ascend"
        )
    return found
