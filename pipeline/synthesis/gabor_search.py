"""The search for the best Gabors of a layer's units: a grid for all of them, then climbs of each.

Presenting the grid is left to the caller, who gives the responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.analysis.gabor_index import DEAD, NO_CONTRAST, NOT_FINITE
from pipeline.errors import ConfigError
from pipeline.networks.unit_networks import UnitNetwork
from pipeline.stimuli.field import Field
from pipeline.stimuli.gabors import gabor_grid
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.synthesis.gabors import (
    STARTS,
    BestGabors,
    GaborStarts,
    climb_gabors,
    climbed_together,
    gabor_images,
    highest,
)
from pipeline.synthesis.optimizers import Optimizer

RMS = 1.0  # where there are no patches: the standard deviation of normalized photographs


@dataclass(frozen=True)
class GaborSearch:
    """What Gabors a search may find.

    Attributes:
        field: the canvas, whose colors are black and white pixels and their mean.
        colored: whether the color of Gabors is climbed as well.
        displayable: whether Gabors have no values that pixels cannot have.
    """

    field: Field
    colored: bool = False
    displayable: bool = False

    @property
    def limits(self) -> Float[Tensor, " channels"] | None:
        """By how much every channel can go both above and below the mean color, if that matters.

        Raises:
            ConfigError: it cannot.
        """
        if not self.displayable:
            return None
        limits = np.minimum(self.field.colors.white, np.negative(self.field.colors.black))
        if limits.min() <= 0:
            raise ConfigError(
                "displayable: the mean color of the preprocessing is as dark or as bright as pixels"
                " can be, so that no Gabor about it can be shown; give pipeline.network the mean"
                " that your network expects, or leave displayable out"
            )
        return torch.from_numpy(limits)

    @property
    def shown_colors(self) -> Float[np.ndarray, "colors channels"]:
        """Gray, and where colors are free those at right angles to it."""
        gray = np.subtract([self.field.colors.white], [self.field.colors.black])
        if not self.colored:
            return gray
        return np.linalg.qr(np.concatenate([gray, np.eye(gray.shape[1])]).T)[0].T

    def grid(self, contrasts: Float[np.ndarray, " units"]) -> StimulusSet:
        """Return the grid from which the units of a layer choose starts, all at one contrast.

        Args:
            contrasts: of all units of the layer, NaN where there is none; their median is shown.
        """
        limits, colors = self.limits, self.shown_colors
        equal = colors / np.sqrt(np.square(colors).mean(1, keepdims=True))
        peak = np.inf if limits is None else highest(torch.from_numpy(equal), limits).min().item()
        return gabor_grid(self.field, colors, float(np.nanmedian(contrasts)), peak)

    def climbed(
        self,
        network: UnitNetwork,
        units: Sequence[int],
        starts: tuple[Float[Tensor, "starts 7"], Float[Tensor, "starts channels"]],
        rms: Float[np.ndarray, " units"],
        optimizer: Optimizer,
        device: torch.device,
    ) -> BestGabors:
        """Return the best Gabors of some units, which are climbed in one batch.

        Args:
            network: the unit network of the layer.
            units: unit numbers.
            starts: parameters and colors of the five starts of each unit, which lie next to each
                other (``synthesis.gabors.best_of_grid``).
            rms: contrast of each unit's Gabors.
            optimizer: of the coordinates.
            device: where the network is.
        """
        numbers = torch.tensor(units, device=device).repeat_interleave(STARTS)
        contrasts = torch.from_numpy(rms).repeat_interleave(STARTS)
        begun = GaborStarts(*starts, contrasts, self.colored, self.limits)
        return climb_gabors(network, numbers, begun, self.field.size, optimizer).of_units()

    def images(
        self,
        best: BestGabors,
        rms: Float[np.ndarray, " units"],
        reasons: Sequence[str],
    ) -> Float[Tensor, "units channels height width"]:
        """Return Gabors as network input; NaN where there is none for a reason."""
        contrasts = torch.from_numpy(rms)
        drawn = gabor_images(best.gabors, best.colors, contrasts, self.field.size, self.limits)
        drawn[torch.tensor([bool(reason) for reason in reasons])] = torch.nan
        return drawn

    def peaks(
        self, images: Float[Tensor, "units channels height width"]
    ) -> Float[np.ndarray, " units"]:
        """Return the largest values as multiples of the largest that pixels can have."""
        white, black = (
            torch.tensor(color)[:, None, None]
            for color in (self.field.colors.white, self.field.colors.black)
        )
        above = torch.where(
            images > 0, images / white, torch.where(images < 0, images / black, images)
        )
        return above.amax((1, 2, 3)).double().numpy()


def own_responses(
    network: UnitNetwork,
    units: Sequence[int],
    images: Float[np.ndarray, "units channels height width"],
    device: torch.device,
    together: int,
) -> Float[np.ndarray, " units"]:
    """Return the response of each unit to its image, in batches; NaN where it has none.

    On a CPU every unit is a batch by itself, so that no bit depends on the others.

    Args:
        network: the unit network of the layer.
        units: unit numbers.
        images: one of each unit.
        device: where the network is.
        together: units of a batch on other devices.
    """
    found = np.full(len(units), np.nan)
    with torch.no_grad():
        for some in climbed_together(range(len(units)), device.type, together):
            rows = list(some)
            given = torch.from_numpy(images[rows]).to(device)
            numbers = torch.tensor([units[row] for row in rows], device=device)
            found[rows] = network(given, numbers).cpu().numpy()
    found[np.isnan(images).any((1, 2, 3))] = np.nan
    return found


def gabor_reasons(
    best: BestGabors, dead: Bool[np.ndarray, " units"], rms: Float[np.ndarray, " units"]
) -> list[str]:
    """Return why units have no best Gabor, or an empty string.

    Args:
        best: what was found.
        dead: which units respond to the whole grid alike.
        rms: contrast of each unit, NaN if there is none.
    """
    finite = best.responses.isfinite().tolist()
    reasons = ["" if fine else NOT_FINITE for fine in finite]
    reasons = [DEAD if still else reason for still, reason in zip(dead, reasons, strict=True)]
    return [NO_CONTRAST if np.isnan(a) else reason for a, reason in zip(rms, reasons, strict=True)]


def no_gabors(units: int, channels: int) -> BestGabors:
    """Return what was found of units that have no Gabor."""
    gabors, none = torch.full((units, 7), torch.nan).double(), torch.full((units,), torch.nan)
    return BestGabors(gabors, torch.full((units, channels), torch.nan).double(), none, none)
