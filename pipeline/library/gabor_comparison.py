"""The best Gabors of the units of one layer, and their responses to other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.analysis.contrast import at_rms, root_mean_squares
from pipeline.analysis.gabor_index import NO_CONTRAST, TOO_SMALL, GaborResponses, gabor_table
from pipeline.library.ascent import ascend
from pipeline.library.patches import TopPatches
from pipeline.networks.cropping import Crop
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from pipeline.search.patches import first_inside
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses, is_constant
from pipeline.stimuli.field import Colors
from pipeline.stimuli.gabors import SMALLEST_FIELD
from pipeline.synthesis.gabor_search import (
    RMS,
    GaborSearch,
    gabor_reasons,
    no_gabors,
    own_responses,
)
from pipeline.synthesis.gabors import (
    STARTS,
    BestGabors,
    at_bounds,
    best_of_grid,
    climbed_together,
)
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.plan import block_units


@dataclass(frozen=True)
class Compared:
    """What was found of a layer: its table, and the images, one per unit."""

    table: pd.DataFrame
    gabors: Float[Tensor, "units c height width"]
    patches: Float[Tensor, "units c height width"] | None
    ascents: Float[Tensor, "units c height width"]


@dataclass(frozen=True)
class GaborComparison:
    """How the best Gabors of a network are found and compared.

    Attributes:
        net: the network, traced at the size of the images.
        found: the top patches of all units, if images were searched.
        rms: contrast of all images; that of each unit's top patch if not given.
        colored: whether the color of Gabors is climbed as well.
        displayable: whether Gabors have no values that pixels cannot have.
        climb: optimizer of Gabors.
    """

    net: Network
    found: TopPatches | None
    rms: float | None
    colored: bool
    displayable: bool
    climb: Optimizer

    def of_layer(
        self, layer: Layer, units: Sequence[int], ascents: Float[Tensor, "units c h w"] | None
    ) -> Compared:
        """Return the best Gabors of some units, which are compared with their ascent images."""
        chosen = list(units)
        field = field_of(self.net.graph, layer, _colors(self.net))
        search = GaborSearch(field, self.colored, self.displayable)
        seen = _Seen(self.net, layer, search)
        ranked = first_inside(self.found.table, layer.name) if self.found else None
        patches = _patches(self.found, layer, ranked) if self.found and ranked is not None else None
        contrasts = self._contrasts(layer, patches)
        best, reasons = self._best(seen, chosen, contrasts)
        images = search.images(best, contrasts[chosen], reasons)
        # A patch that sets the contrast is shown as it is, without rounding.
        equal = root_mean_squares(images.numpy()) if self.displayable else contrasts[chosen]
        given = ascend(self.net, layer.name, chosen).images if ascents is None else ascents
        others = {"ascent": at_rms(given.numpy(), equal)}
        if patches is not None:
            others["patch"] = at_rms(patches[chosen], equal)
        responses = seen.compared(chosen, best, equal, others)
        bound = at_bounds(best.gabors, field.size)
        table = gabor_table(GaborResponses(**responses, at_bound=bound, reasons=reasons))
        shown = {name: torch.from_numpy(array) for name, array in others.items()}
        peaks = {"peak": images} | {f"{name}_peak": array for name, array in shown.items()}
        table = table.assign(**{name: search.peaks(array) for name, array in peaks.items()})
        if ranked is not None:
            table = table.assign(**ranked.loc[chosen].reset_index(drop=True))
        if self.colored:
            kept = best.colors.where(images[:, :1, 0, 0].isfinite(), torch.nan)
            table = table.assign(**{f"color_{k}": kept[:, k].numpy() for k in range(kept.shape[1])})
        return Compared(table, images, shown.get("patch"), shown["ascent"])

    def _contrasts(
        self, layer: Layer, patches: Float[np.ndarray, "units c h w"] | None
    ) -> Float[np.ndarray, " units"]:
        """Return the contrast at which each unit of a layer is compared, NaN if there is none."""
        if self.rms is not None or patches is None:
            return np.full(layer.units, self.rms or RMS)
        found = root_mean_squares(patches)
        return np.where(found > 0, found, np.nan)

    def _best(
        self,
        seen: _Seen,
        units: list[int],
        contrasts: Float[np.ndarray, " units"],
    ) -> tuple[BestGabors, list[str]]:
        """Return the best Gabors of units, and reasons why there is none."""
        field, rms = seen.search.field, contrasts[units]
        if field.side < SMALLEST_FIELD or not np.isfinite(contrasts).any():
            reason = TOO_SMALL if field.side < SMALLEST_FIELD else NO_CONTRAST
            return no_gabors(len(units), field.colors.channels), [reason] * len(units)
        # All units choose starts at one contrast, whichever are asked for.
        grid = seen.search.grid(contrasts)
        presentation = Presentation(seen.net.graph, seen.layer, grid, seen.net.device)
        shown = all_responses(presentation, units)
        gabors, colors = best_of_grid(grid, shown)
        done: list[BestGabors] = []
        for some in climbed_together(range(len(units)), seen.net.device.type, seen.together):
            rows = [STARTS * row + start for row in some for start in range(STARTS)]
            numbers, starts = [units[row] for row in some], (gabors[rows], colors[rows])
            of_some = seen.search.climbed(
                seen.network, numbers, starts, rms[list(some)], self.climb, seen.net.device
            )
            done.append(of_some)
        best = BestGabors.joined(done)
        return best, gabor_reasons(best, is_constant(shown), rms)


class _Seen:
    """The unit network of a layer, on the device of the network."""

    def __init__(self, net: Network, layer: Layer, search: GaborSearch) -> None:
        self.net, self.layer, self.search = net, layer, search
        self.network: UnitNetwork = unit_network(net.graph, layer).eval().to(net.device)
        canvas = smallest_canvas(net.graph, layer.node)
        crop = Crop(net.graph, layer.node, canvas.size, canvas.position)
        self.together = block_units(crop, STARTS)

    def compared(
        self,
        units: Sequence[int],
        best: BestGabors,
        rms: Float[np.ndarray, " units"],
        others: Mapping[str, Float[np.ndarray, "units c height width"]],
    ) -> dict[str, Any]:
        """Return the responses of units to their Gabors and to all other images."""
        found = {f"{name}_response": self(units, images) for name, images in others.items()}
        return {
            "units": units,
            "gabors": best.gabors.numpy(),
            "rms": rms,
            "blank": self(units, np.zeros_like(others["ascent"])),
            "response": best.responses.numpy(),
            "grid_response": best.first.numpy(),
            "patch_response": None,
            **found,
        }

    def __call__(
        self, units: Sequence[int], images: Float[np.ndarray, "units c height width"]
    ) -> Float[np.ndarray, " units"]:
        """Return the response of each unit to its image; NaN where it has none."""
        return own_responses(self.network, units, images, self.net.device, self.together)


def _patches(
    found: TopPatches, layer: Layer, ranked: pd.DataFrame
) -> Float[np.ndarray, "units c height width"]:
    """Return the patches of all units."""
    ranks = ranked["patch_rank"].to_numpy()
    groups = {int(rank): np.flatnonzero(ranks == rank) for rank in np.unique(ranks)}
    cut = {rank: found.patches(layer.name, some, rank=rank) for rank, some in groups.items()}
    whole = np.empty((len(ranks), *next(iter(cut.values())).shape[1:]), np.float32)
    for rank, some in groups.items():
        whole[some] = cut[rank].numpy()
    return whole


def _colors(net: Network) -> Colors:
    return Colors.bounds(net.preprocessing.mean, net.preprocessing.std)
