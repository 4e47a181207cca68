"""The best Gabors of the units of one layer, and their responses to other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
        climb: optimizer of Gabors.
    """

    net: Network
    found: TopPatches | None
    rms: float | None
    colored: bool
    climb: Optimizer

    def of_layer(
        self, layer: Layer, units: Sequence[int], ascents: Float[Tensor, "units c h w"] | None
    ) -> Compared:
        """Return the best Gabors of some units, which are compared with their ascent images."""
        net, chosen = self.net, list(units)
        field = field_of(net.graph, layer, Colors.bounds(*_mean_and_std(net)))
        patches = self.found.patches(layer.name).numpy() if self.found else None
        of_all = self._contrasts(layer, patches)
        rms = of_all[chosen]
        if ascents is None:
            ascents = ascend(net, layer.name, chosen).images
        others = {"ascent": at_rms(ascents.numpy(), rms)}
        if patches is not None:
            others["patch"] = at_rms(patches[chosen], rms)
        seen = _Seen(net, layer)
        best, reasons = self._best(seen, field, chosen, of_all)
        images = gabor_images(best.gabors, best.colors, torch.from_numpy(rms), field.size)
        images[torch.tensor([bool(reason) for reason in reasons])] = torch.nan
        responses = {name: seen.responses(chosen, shown) for name, shown in others.items()}
        table = gabor_table(
            GaborResponses(
                chosen,
                best.gabors.numpy(),
                rms,
                seen.responses(chosen, np.zeros_like(others["ascent"])),
                best.responses.numpy(),
                best.first.numpy(),
                responses.get("patch"),
                responses["ascent"],
                _out_of_range(net, images),
                at_bounds(best.gabors, field.size),
                reasons,
            )
        )
        if self.colored:
            kept = best.colors.where(images[:, 0, 0, :1].isfinite(), torch.nan)
            table = table.assign(**{f"color_{k}": kept[:, k].numpy() for k in range(kept.shape[1])})
        shown = {name: torch.from_numpy(array) for name, array in others.items()}
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
        field: Field,
        units: list[int],
        contrasts: Float[np.ndarray, " units"],
    ) -> tuple[BestGabors, list[str]]:
        """Return the best Gabors of units, and reasons why there is none."""
        rms = torch.from_numpy(contrasts[units])
        if field.side < SMALLEST_FIELD or not np.isfinite(contrasts).any():
            reason = TOO_SMALL if field.side < SMALLEST_FIELD else NO_CONTRAST
            return _nothing(len(units), field.colors.channels), [reason] * len(units)
        # All units choose starts at one contrast, whichever are asked for.
        grid = gabor_grid(field, self._colors(field), float(np.nanmedian(contrasts)))
        shown = all_responses(
            Presentation(seen.net.graph, seen.layer, grid, seen.net.device), units
        )
        gabors, colors = best_of_grid(grid, shown)
        done: list[BestGabors] = []
        for some in climbed_together(range(len(units)), seen.net.device.type, seen.together):
            rows = [STARTS * row + start for row in some for start in range(STARTS)]
            each = torch.tensor(some).repeat_interleave(STARTS)
            starts = GaborStarts(gabors[rows], colors[rows], rms[each], self.colored)
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

    def _colors(self, field: Field) -> Float[np.ndarray, "colors channels"]:
        """Return gray, and where colors are free those at right angles to it."""
        gray = np.array([field.colors.swing])
        if not self.colored:
            return gray
        return np.linalg.qr(np.concatenate([gray, np.eye(gray.shape[1])]).T)[0].T


class _Seen:
    """The unit network of a layer, on the device of the network."""

    def __init__(self, net: Network, layer: Layer) -> None:
        self.net, self.layer = net, layer
        self.network: UnitNetwork = unit_network(net.graph, layer).eval().to(net.device)
        canvas = smallest_canvas(net.graph, layer.node)
        crop = Crop(net.graph, layer.node, canvas.size, canvas.position)
        self.together = block_units(crop, STARTS)

    def responses(
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


def _mean_and_std(net: Network) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return net.preprocessing.mean, net.preprocessing.std


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


def _out_of_range(
    net: Network, images: Float[Tensor, "units c height width"]
) -> Float[np.ndarray, " units"]:
    """Return the share of values that no pixel can have."""
    pixels = net.preprocessing.pixels(images)
    return ((pixels < 0) | (pixels > 1)).double().mean((1, 2, 3)).numpy()
