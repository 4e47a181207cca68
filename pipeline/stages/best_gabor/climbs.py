"""Numbers of some units: their best Gabors, and their responses to images at the same contrast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Float

from pipeline.analysis.contrast import at_rms, root_mean_squares
from pipeline.networks.unit_networks import UnitNetwork
from pipeline.stages.best_gabor.results import LayerGabors, Starts
from pipeline.stages.best_gabor.sources import Shown
from pipeline.store.results import Arrays
from pipeline.synthesis.gabor_search import gabor_reasons, no_gabors, own_responses

NOT_FINITE = "its ascent images are not finite"


def climbed(
    gabors: LayerGabors,
    rows: Sequence[int],
    starts: Starts,
    network: UnitNetwork,
    device: torch.device,
) -> tuple[Arrays, list[str]]:
    """Climb some units of a layer in one batch.

    Args:
        gabors: what is searched.
        rows: which of its units these are.
        starts: of all of its units.
        network: the unit network of the layer.
        device: where that is.

    Returns:
        Arrays with a row for each unit, and why units have no Gabor.
    """
    search, units = gabors.of.search, [gabors.of.units[row] for row in rows]
    rms = starts.rms[list(rows)]
    if starts.reason:
        best = no_gabors(len(units), search.field.colors.channels)
        reasons = [starts.reason] * len(units)
    else:
        own = starts.taken(rows)
        begun = own.gabors, own.colors
        best = search.climbed(network, units, begun, rms, gabors.climb, device)
        reasons = gabor_reasons(best, own.dead, rms)
    images = search.images(best, rms, reasons)
    shown = root_mean_squares(images.numpy()) if search.displayable else rms
    blank = np.zeros(images.shape, np.float32)
    arrays = {
        "gabors": best.gabors.double().numpy(),
        "colors": best.colors.double().numpy(),
        "rms": shown,
        "blank": own_responses(network, units, blank, device, len(units)),
        "response": best.responses.double().numpy(),
        "grid_response": best.first.double().numpy(),
        "peak": search.peaks(images),
    }
    return arrays, reasons


def compared(
    gabors: LayerGabors,
    units: Sequence[int],
    images: Iterable[Shown],
    rms: Float[np.ndarray, " units"],
    network: UnitNetwork,
    device: torch.device,
) -> tuple[Arrays, list[str]]:
    """Return the highest response of each unit to any of its images at a contrast.

    Args:
        gabors: whose colors are those of pixels.
        units: some units of the layer.
        images: one image of each unit, several times.
        rms: contrast of each unit, NaN if there is none.
        network: the unit network of the layer.
        device: where that is.

    Returns:
        ``response``, ``peak`` and ``which`` image it was (their number), by unit; and why units
        have none, or empty strings.
    """
    search = gabors.of.search
    best = np.full(len(units), np.nan)
    peak, which = best.copy(), np.full(len(units), -1)
    infinite = np.zeros(len(units), bool)
    for number, shown in enumerate(images):
        infinite |= np.isnan(shown.images).any((1, 2, 3))
        equal = at_rms(shown.images, rms)
        found = own_responses(network, units, equal, device, len(units))
        higher = found > np.where(np.isnan(best), -np.inf, best)
        best = np.where(higher, found, best)
        peak = np.where(higher, search.peaks(torch.from_numpy(equal)), peak)
        which = np.where(higher, number, which)
    lacking = np.isnan(best) & infinite
    reasons = [NOT_FINITE if none else "" for none in lacking.tolist()]
    return {"response": best, "peak": peak, "which": which}, reasons
