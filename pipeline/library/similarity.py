"""How similar the images of units are, by many statistics, beside what chance gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.similarity.catalog import FIELD, RESPONSES, chosen_statistics, statistics
from pipeline.analysis.similarity.comparison import check_nulls
from pipeline.analysis.similarity.tables import similarity_summary, similarity_table
from pipeline.errors import ConfigError
from pipeline.library.arguments import chosen_layer, whole_number
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.search.effective_fields import NoiseImages
from pipeline.search.image_similarity import Rivals, View, Wanted, compare_rivals, view_of


@dataclass(frozen=True, eq=False)
class ImageSimilarity:
    """How similar two sets of images are.

    Attributes:
        table: one row per unit, copy, statistic and null: ``unit``, ``copy``, ``statistic``,
            ``value``, ``null_kind``, ``null`` and ``null_sd`` (over draws), ``p`` (one-sided, by
            permutation), ``draws`` and ``status`` (``ok``, ``undefined``, or why an ascent failed).
        summary: one row per statistic and null, over units: ``value`` (the median), ``ci_low`` and
            ``ci_high`` (95 %, bootstrap), ``null``, ``null_low`` and ``null_high`` (of the median,
            over draws), ``p``, ``units``, ``undefined`` and ``above_chance``.
        draws: the statistics of all draws by null, ``[statistics, draws, images]``.
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    draws: Mapping[str, Float[np.ndarray, "statistics draws images"]]


def similarity(
    a: Any,
    b: Any,
    statistics: str | Sequence[str] = "all",
    *,
    nulls: str | Sequence[str] = "units",
    draws: int = 99,
    net: Any = None,
    layer: str | None = None,
    weights: Any = None,
    shift: int = 4,
    window: int = 7,
    seed: int = 0,
) -> ImageSimilarity:
    """Return how similar two images of each unit are, and how similar they would be by chance.

    Args:
        a: images ``[units, channels, height, width]``, an array or a tensor; or what ``ascend`` or
            ``run.images(layer, init)`` returns, of which ``added`` is compared.
        b: the other image of each unit, in the same order.
        statistics: names (``pearson``, ``spearman``, ``cosine``, ``ssim``, ``sign_tolerant``,
            ``shift_tolerant``, ``field_weighted``, ``coherence``, ``amplitude``,
            ``response_profile``, ``own_percentile``, ``d_prime``), or ``all`` that can be computed;
            ``pipeline.analysis.similarity`` defines them.
        nulls: what chance is, one or several: ``units`` (b is the image of another unit), ``phase``
            (b with random phases), ``noise`` (Gaussian noise with the spectrum of b); an empty list
            for none.
        draws: of each null; of ``units`` at most the number of other units. The smallest p is
            1 / (1 + draws).
        net: the network, for ``response_profile``, ``own_percentile``, ``d_prime`` and
            ``field_weighted``; images must then have the size of the layer's receptive field.
        layer: name of the layer, with ``net``.
        weights: how much every pixel matters to each unit, ``[units, height, width]``, for
            ``field_weighted``; the effective receptive fields by default, if there is a network.
        shift: largest shift of ``shift_tolerant`` along each axis, in pixels; at most a quarter of
            the shorter side.
        window: side of the window of ``ssim``, in pixels, odd.
        seed: of the draws and the bootstrap.

    Raises:
        ConfigError: the images do not go together, or an argument is not as described.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> of = {"layer": "conv1", "units": range(6), "optimizer": sgd(steps=2)}
    >>> a, b = pipeline.ascend(net, **of), pipeline.ascend(net, start="noise", **of)
    >>> found = pipeline.similarity(a, b, ["pearson", "own_percentile"], net=net, layer="conv1")
    >>> found.summary[["statistic", "value", "units"]].round(3).values.tolist()
    [['pearson', 1.0, 6], ['own_percentile', 100.0, 6]]
    """
    rivals, status = _rivals(a, b)
    kinds = [nulls] if isinstance(nulls, str) else list(nulls)
    check_nulls(kinds)
    count = whole_number("draws", draws) if kinds else 0
    names = [statistics] if isinstance(statistics, str) else list(statistics)
    shown = _checked(net, layer, rivals, weights)
    chosen = chosen_statistics(names, shown)
    catalog = _catalog(whole_number("shift", shift, 0), whole_number("window", window, 3))
    wanted = Wanted([catalog[name] for name in chosen], kinds, count, whole_number("seed", seed, 0))
    needs = {catalog[name].needs for name in chosen}
    view = _view(net, layer, needs, weights, rivals, wanted.seed)
    found = compare_rivals(rivals, view, wanted)
    rng = np.random.default_rng([wanted.seed, 1])
    return ImageSimilarity(
        similarity_table(found, rivals.units, rivals.copies, status),
        similarity_summary(found, rivals.units, rng),
        found.draws,
    )


def _catalog(shift: int, window: int) -> dict[str, Any]:
    if window % 2 == 0:
        raise ConfigError(f"window: {window} is not an odd number of pixels from 3; use 7")
    return statistics(shift, window)


def _rivals(a: Any, b: Any) -> tuple[Rivals, list[str]]:
    """Return the images of both arguments, and the status of each pair."""
    first, second = _images("a", a), _images("b", b)
    if first.shape != second.shape:
        raise ConfigError(
            f"b: images of shape {second.shape} are not those of a, {first.shape}; give one of each"
            " unit, of the same size"
        )
    units, copies = (_numbers(a, name, len(first)) for name in ("units", "copies"))
    for name, own in (("units", units), ("copies", copies)):
        if not np.array_equal(_numbers(b, name, len(first), own), own):
            raise ConfigError(f"b: its {name} are not those of a; give the same in the same order")
    statuses = [_status(given, len(first)) for given in (a, b)]
    status = [one if one != "ok" else other for one, other in zip(*statuses, strict=True)]
    usable = np.isfinite(first).all((1, 2, 3)) & np.isfinite(second).all((1, 2, 3))
    usable &= np.array([each == "ok" for each in status], bool)
    return Rivals(first, second, units, copies, usable), status


def _images(name: str, given: Any) -> Float[np.ndarray, "images channels height width"]:
    values = given.added if hasattr(given, "added") else given
    try:
        if hasattr(values, "detach"):
            values = values.detach().cpu().numpy()
        images = np.asarray(values)
        images = images if images.dtype == np.float64 else images.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: {type(given).__name__} holds no images") from error
    if images.ndim != 4 or not images.size:
        raise ConfigError(
            f"{name}: an array of shape {images.shape} is not [units, channels, height, width]"
        )
    return images


def _numbers(given: Any, name: str, count: int, default: Any = None) -> Any:
    """Return units or copies of the images; numbers from 0, or zeros, if they are not told."""
    if hasattr(given, name):
        return np.asarray(getattr(given, name)).astype(np.int64)
    if default is not None:
        return default
    return np.arange(count) if name == "units" else np.zeros(count, np.int64)


def _status(given: Any, count: int) -> list[str]:
    return list(given.status) if hasattr(given, "status") else ["ok"] * count


def _checked(net: Any, layer: str | None, rivals: Rivals, weights: Any) -> list[str]:
    """Return which needs of statistics can be met, after checking what they are met with."""
    found = ["images"]
    shape = (len(rivals.units), *rivals.first.shape[2:])
    if weights is not None:
        if np.shape(weights) != shape:
            raise ConfigError(f"weights: an array of shape {np.shape(weights)} is not {shape}")
        found.append(FIELD)
    if (net is None) != (layer is None):
        raise ConfigError("layer: it goes with net; give both, or neither")
    if net is None or layer is None:
        return found
    if not isinstance(net, Network):
        raise ConfigError(
            f"net: {type(net).__name__} is not what pipeline.network returns; call it first"
        )
    found_layer = chosen_layer(net, layer)
    box = smallest_canvas(net.graph, found_layer.node).box
    if (box.height, box.width) != rivals.first.shape[2:]:
        raise ConfigError(
            f"net: units of {layer} see {box.height} x {box.width} pixels, and images are"
            f" {' x '.join(map(str, rivals.first.shape[2:]))}; leave net out"
        )
    if rivals.units.min() < 0 or rivals.units.max() >= found_layer.units:
        raise ConfigError(
            f"a: its units are not among the {found_layer.units} of {layer}; leave net out"
        )
    return [*found, FIELD, RESPONSES]


def _view(net: Any, layer: Any, needs: set[str], weights: Any, rivals: Rivals, seed: int) -> View:
    view = View()
    if net is not None and needs & {FIELD, RESPONSES}:
        net.refuse_changes()
        net.module.to(net.device)
        wanted = needs if weights is None else needs - {FIELD}
        noise = NoiseImages(seed=seed)
        view = view_of(net.graph, net.layer(layer), wanted, noise, net.device)
    if weights is None or FIELD not in needs:
        return view
    given = np.asarray(weights, np.float64)
    row = {unit: n for n, unit in enumerate(rivals.units.tolist())}
    return View(view.respond, lambda units: given[[row[unit] for unit in units]])
