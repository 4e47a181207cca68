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
from pipeline.analysis.gabor_index import (
    DEAD,
    NO_CONTRAST,
    NOT_FINITE,
    TOO_SMALL,
    GaborResponses,
    gabor_table,
)
from pipeline.errors import ConfigError
from pipeline.library.ascent import ascend
from pipeline.library.patches import TopPatches
from pipeline.networks.cropping import Crop
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses, is_constant
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.gabors import SMALLEST_FIELD, gabor_grid
from pipeline.synthesis.gabors import (
    STARTS,
    BestGabors,
    GaborStarts,
    at_bounds,
    best_of_grid,
    climb_gabors,
    climbed_together,
    gabor_images,
    highest,
)
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.plan import block_units

RMS = 1.0  # where there are no patches: the standard deviation of normalized photographs


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
        seen = _Seen(self.net, layer, field)
        ranked = _ranked(self.found, layer) if self.found else None
        patches = _patches(self.found, layer, ranked) if self.found and ranked is not None else None
        contrasts = self._contrasts(layer, patches)
        best, reasons = self._best(seen, chosen, contrasts)
        rms = torch.from_numpy(contrasts[chosen])
        images = gabor_images(best.gabors, best.colors, rms, field.size, self._limits(field))
        images[torch.tensor([bool(reason) for reason in reasons])] = torch.nan
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
        table = table.assign(**{name: _peaks(array, field) for name, array in peaks.items()})
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
        field, rms = seen.field, torch.from_numpy(contrasts[units])
        if field.side < SMALLEST_FIELD or not np.isfinite(contrasts).any():
            reason = TOO_SMALL if field.side < SMALLEST_FIELD else NO_CONTRAST
            return _nothing(len(units), field.colors.channels), [reason] * len(units)
        # All units choose starts at one contrast, whichever are asked for.
        limits, shown_in = self._limits(field), self._shown_colors(field)
        equal = shown_in / np.sqrt(np.square(shown_in).mean(1, keepdims=True))
        peak = np.inf if limits is None else highest(torch.from_numpy(equal), limits).min().item()
        grid = gabor_grid(field, shown_in, float(np.nanmedian(contrasts)), peak)
        presentation = Presentation(seen.net.graph, seen.layer, grid, seen.net.device)
        shown = all_responses(presentation, units)
        gabors, colors = best_of_grid(grid, shown)
        done: list[BestGabors] = []
        for some in climbed_together(range(len(units)), seen.net.device.type, seen.together):
            rows = [STARTS * row + start for row in some for start in range(STARTS)]
            each = torch.tensor(some).repeat_interleave(STARTS)
            starts = GaborStarts(gabors[rows], colors[rows], rms[each], self.colored, limits)
            numbers = torch.tensor([units[row] for row in each.tolist()], device=seen.net.device)
            climbed = climb_gabors(seen.network, numbers, starts, field.size, self.climb)
            done.append(climbed.of_units())
        best = BestGabors(
            torch.cat([each.gabors for each in done]),
            torch.cat([each.colors for each in done]),
            torch.cat([each.responses for each in done]),
            torch.cat([each.first for each in done]),
        )
        return best, _reasons(best, shown, contrasts[units])

    def _limits(self, field: Field) -> Float[Tensor, " channels"] | None:
        """Return by how much every channel can go both above and below the mean color."""
        if not self.displayable:
            return None
        limits = np.minimum(field.colors.white, np.negative(field.colors.black))
        if limits.min() <= 0:
            raise ConfigError(
                "displayable: the mean color of the preprocessing is as dark or as bright as pixels"
                " can be, so that no Gabor about it can be shown; give pipeline.network the mean"
                " that your network expects, or leave displayable out"
            )
        return torch.from_numpy(limits)

    def _shown_colors(self, field: Field) -> Float[np.ndarray, "colors channels"]:
        """Return gray, and where colors are free those at right angles to it."""
        gray = np.subtract([field.colors.white], [field.colors.black])
        if not self.colored:
            return gray
        return np.linalg.qr(np.concatenate([gray, np.eye(gray.shape[1])]).T)[0].T


class _Seen:
    """The unit network of a layer, on the device of the network."""

    def __init__(self, net: Network, layer: Layer, field: Field) -> None:
        self.net, self.layer, self.field = net, layer, field
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
        device, found = self.net.device, np.full(len(units), np.nan)
        with torch.no_grad():
            for rows in climbed_together(range(len(units)), device.type, self.together):
                some = torch.from_numpy(images[list(rows)]).to(device)
                numbers = torch.tensor([units[row] for row in rows], device=device)
                found[list(rows)] = self.network(some, numbers).cpu().numpy()
        found[np.isnan(images).any((1, 2, 3))] = np.nan
        return found


def _ranked(found: TopPatches, layer: Layer) -> pd.DataFrame:
    """Return which top patch of each unit is compared: the first inside its image, if any is.

    What lies beyond an image is the mean color in the patch, but padding to the network.
    """
    table, (height, width) = found.table, found.images.size
    own = table[(table["layer"] == layer.name) & (table["sign"] == 1)]
    inside = (
        (own["top"] >= 0) & (own["left"] >= 0) & (own["bottom"] <= height) & (own["right"] <= width)
    )
    own = own.assign(patch_inside=inside).rename(columns={"rank": "patch_rank"})
    order = own.sort_values(["unit", "patch_inside", "patch_rank"], ascending=[True, False, True])
    best = order.drop_duplicates("unit").set_index("unit")
    return pd.DataFrame(best, columns=["patch_rank", "patch_inside"])


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


def _nothing(units: int, channels: int) -> BestGabors:
    gabors, none = torch.full((units, 7), torch.nan).double(), torch.full((units,), torch.nan)
    return BestGabors(gabors, torch.full((units, channels), torch.nan).double(), none, none)


def _reasons(
    best: BestGabors,
    responses: Float[np.ndarray, "units stimuli"],
    rms: Float[np.ndarray, " units"],
) -> list[str]:
    """Return why units have no best Gabor, or an empty string."""
    dead, finite = is_constant(responses), best.responses.isfinite().tolist()
    reasons = ["" if fine else NOT_FINITE for fine in finite]
    reasons = [DEAD if still else reason for still, reason in zip(dead, reasons, strict=True)]
    return [NO_CONTRAST if np.isnan(a) else reason for a, reason in zip(rms, reasons, strict=True)]


def _peaks(
    images: Float[Tensor, "units c height width"], field: Field
) -> Float[np.ndarray, " units"]:
    """Return the largest values as multiples of the largest that pixels can have."""
    white, black = (
        torch.tensor(color)[:, None, None] for color in (field.colors.white, field.colors.black)
    )
    above = torch.where(images > 0, images / white, torch.where(images < 0, images / black, images))
    return above.amax((1, 2, 3)).double().numpy()
