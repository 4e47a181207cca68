"""Stage: search the image set for every unit's top and bottom patches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing

from pipeline.images.batches import load_batch, split
from pipeline.networks.layer_responses import LayerResponses
from pipeline.networks.layers import Layer
from pipeline.search.extremes import Extremes
from pipeline.search.top_patches import find_peaks, search
from pipeline.session.searched import SIGNS, extremes_result, top_patches
from pipeline.session.session import Session
from pipeline.store.results import Arrays

log = logging.getLogger(__name__)


def run(session: Session) -> None:
    """Search for the layers that have not been searched, and write the table."""
    layers = session.parts.layers
    todo = [layer for layer in layers if extremes_result(session, layer).missing()]
    if todo:
        _search(session, todo)
    for layer in layers:
        notes = extremes_result(session, layer).read("extremes", ())[1]
        session.unreadable.update(notes["unreadable"])
    session.table("top_patches", top_patches(session))


def _search(session: Session, layers: Sequence[Layer]) -> None:
    parts, config = session.parts, session.parts.config.search
    parts.runner.place(parts.network.module)
    total = len(parts.images)
    names = ", ".join(layer.name for layer in layers)
    log.info("top_patches: searching %d images for %s", total, names)
    network, device = LayerResponses(parts.graph, layers), parts.runner.device
    peaks = parts.runner.stream(
        split(total, config.batch_size),
        lambda indices: load_batch(parts.images, indices),
        lambda batch: find_peaks(network, batch, device, parts.runner.check),
    )
    with parts.runner.progress("top_patches: images", total) as advance, closing(peaks):
        found = search(
            peaks,
            layers,
            total=total,
            keep=config.keep,
            max_unreadable=config.max_unreadable,
            device=device,
            progress=advance,
        )
    for name, reason in found.unreadable.items():
        log.warning("images: '%s' is set aside, as it %s", name, reason)
    for layer in layers:
        result = extremes_result(session, layer)
        session.begin(result)
        arrays = _arrays(found.extremes[layer.name])
        result.write("extremes", arrays, {"unreadable": found.unreadable})
        session.done += 1


def _arrays(extremes: dict[int, Extremes]) -> Arrays:
    return {
        f"{SIGNS[sign]}_{field}": getattr(found, field).cpu().numpy()
        for sign, found in extremes.items()
        for field in ("responses", "images", "positions")
    }
