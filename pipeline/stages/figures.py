"""Stage: draw the figures of a run from its results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from pipeline.config.parts import WHOLE_LAYER
from pipeline.figures import scaling
from pipeline.figures.contact_sheet import contact_sheet, png, unit_sheet
from pipeline.figures.correlation_histograms import histograms
from pipeline.figures.correlations import box_plot
from pipeline.figures.trajectories import ascent_curves
from pipeline.figures.triptych import triptych, triptych_grid
from pipeline.networks.layers import Layer
from pipeline.session.climbed import all_climbs, find_climb, read_responses, trajectories
from pipeline.session.correlated import all_pairs, correlations
from pipeline.session.searched import SIGNS, extremes_result, read_extremes, read_patches
from pipeline.session.session import Session
from pipeline.store.files import write_bytes
from pipeline.store.runs import Images, read_images

log = logging.getLogger(__name__)
CAPTION = (
    f"{scaling.DESCRIPTIONS['symmetric']} Plain gray beside a top patch lies outside its image."
)
Panels = list[tuple[str, Float[np.ndarray, "_ _ 3"]]]


def run(session: Session) -> None:
    """Draw every figure that the results in the store allow."""
    log.info("figures: drawing")
    # Pillow composes and encodes in other threads while matplotlib draws in this one.
    with ThreadPoolExecutor() as pool:
        sheets = {
            name: pool.submit(_save_sheet, session, name, draw) for name, draw in _sheets(session)
        }
        for name, figure in _plots(session):
            session.figure(name, figure)
        for name, saved in sheets.items():
            session.tracker.figure(name, saved.result())
    _tell_undrawn(session)


def _save_sheet(session: Session, name: str, draw: Callable[[], Image.Image]) -> Path:
    content = png(draw())
    path = session.paths.figures / f"{name}.png"
    write_bytes(path, content)
    return path


def _plots(session: Session) -> Iterator[tuple[str, Figure]]:
    if not _have_ascents(session):
        return
    yield from _correlation_figures(session)
    yield "ascent_curves", ascent_curves(trajectories(session))
    for layer in session.parts.layers:
        yield from _triptychs(session, layer)


def _have_ascents(session: Session) -> bool:
    climbs = all_climbs(session)
    missing = {climb.layer.name: None for climb in climbs if climb.result.missing()}
    if missing:
        log.info("figures: %s not climbed yet, so no ascents are shown", ", ".join(missing))
    return not missing


def _correlation_figures(session: Session) -> Iterator[tuple[str, Figure]]:
    if any(pair.result.missing() for pair in all_pairs(session)):
        log.info("figures: not all correlations are in the store, so none are shown")
        return
    table = correlations(session)
    for inits, pair in table.groupby(["init_a", "init_b"], sort=False):
        name = "_".join(cast("tuple[str, str]", inits))
        yield f"correlations_{name}", box_plot(pair)
        yield f"histograms_{name}", histograms(pair)


def _triptychs(session: Session, layer: Layer) -> Iterator[tuple[str, Figure]]:
    """Yield the images of chosen units side by side: one figure a unit, or four units a figure."""
    available = session.parts.climbed_units(layer)
    chosen = session.parts.config.figures.triptychs
    units = [unit for unit in available if f"{layer.name}/{unit}" in chosen]
    if not chosen:
        units = available[:4]
    if not units:
        return
    images = {
        init: read_images(find_climb(session, layer, init).result) for init in session.parts.inits
    }
    searched = session.parts.scoring.per_unit and not extremes_result(session, layer).missing()
    patches = _patches(session, layer, units, 1, 0) if searched else None
    rows: list[tuple[str, Panels]] = []
    for row, unit in enumerate(units):
        panels: Panels = []
        for init, found in images.items():
            for copy, index in enumerate(found.of(unit)):
                name = f"added from {init}" if len(found.of(unit)) == 1 else f"{init}, copy {copy}"
                panels.append((name, scaling.to_display(found.added[index], "symmetric")))
        if patches is not None:
            panels.append(("top patch", patches[row]))
        rows.append((f"unit {unit}" if unit != WHOLE_LAYER else "the whole layer", panels))
    title = f"{session.parts.network.name} {layer.name}"
    if chosen:
        for name, panels in rows:
            number = name.split()[1]
            yield (
                f"triptych_{layer.name}_unit{number}",
                triptych(panels, f"{title} {name}", CAPTION),
            )
    else:
        yield f"triptychs_{layer.name}", triptych_grid(rows, title, CAPTION)


def _sheets(session: Session) -> Iterator[tuple[str, Callable[[], Image.Image]]]:
    for layer in session.parts.layers:
        if extremes_result(session, layer).missing():
            log.info("figures: no top patches of %s in the store, so none are shown", layer.name)
        else:
            for sign, word in SIGNS.items():
                yield f"{word}_patches_{layer.name}", partial(_patch_sheet, session, layer, sign)
        for init in session.parts.inits:
            if not find_climb(session, layer, init).result.missing():
                yield f"ascents_{layer.name}_{init}", partial(_ascent_sheet, session, layer, init)
                if _shows_images(session):
                    yield f"images_{layer.name}_{init}", partial(_image_sheet, session, layer, init)


def _patch_sheet(session: Session, layer: Layer, sign: int) -> Image.Image:
    config, word = session.parts.config.figures, SIGNS[sign]
    all_units = session.parts.units[layer.name]
    units = all_units[: config.contact_units]
    kept = read_extremes(session, layer).by_sign[sign].responses
    responses = kept[units, : config.contact_ranks].numpy()
    columns = [_patches(session, layer, units, sign, rank) for rank in range(responses.shape[1])]
    name = f"{session.parts.network.name} {layer.name}"
    some = f" of the first {len(units)} of {len(all_units)} units"
    some = some if len(units) < len(all_units) else ""
    title = f"{name}: {word} patches and responses{some} (plain color: outside the image)"
    return contact_sheet(np.stack(columns, axis=1), responses, list(units), title)


def _ascent_sheet(session: Session, layer: Layer, init: str) -> Image.Image:
    climb = find_climb(session, layer, init)
    found = read_images(climb.result)
    responses = read_responses(climb).responses
    shown = np.stack([scaling.to_display(added, "symmetric") for added in found.added])
    title = (
        f"{session.parts.network.name} {layer.name}: added from {init}, unit and final response"
        f" ({scaling.DESCRIPTIONS['symmetric'].rstrip('.').lower()})"
    )
    return unit_sheet(shown, responses[:, -1], _image_names(found), title)


def _shows_images(session: Session) -> bool:
    """Say whether images tell more than what was added to their starts: all but plain pixels."""
    options = {"parameterization": "pixel", "constraint": "none"}
    plain = all(session.parts.option(group) == option for group, option in options.items())
    return not (plain and session.parts.scoring.of_fields)


def _image_sheet(session: Session, layer: Layer, init: str) -> Image.Image:
    climb = find_climb(session, layer, init)
    found = read_images(climb.result)
    preprocessing = session.parts.network.preprocessing
    shown = np.stack(
        [scaling.to_pixels(x, preprocessing.mean, preprocessing.std) for x in found.image]
    )
    title = (
        f"{session.parts.network.name} {layer.name}: climbed from {init}, unit and final response"
        " (own colors, clipped to black and white)"
    )
    return unit_sheet(shown, read_responses(climb).responses[:, -1], _image_names(found), title)


def _image_names(found: Images) -> list[str]:
    images = zip(found.units.tolist(), found.copies.tolist(), strict=True)
    return [_image_name(unit, copy) for unit, copy in images]


def _image_name(unit: int, copy: int) -> str:
    name = "layer" if unit == WHOLE_LAYER else str(unit)
    return f"{name}.{copy}" if copy else name


def _patches(
    session: Session, layer: Layer, units: Sequence[int], sign: int, rank: int
) -> Float[np.ndarray, "units height width 3"]:
    """Return patches for display: in their own colors or, where unknown, by their range."""
    patches = read_patches(session, layer, units, rank, sign).numpy()
    scale = session.parts.images.pixel_scale
    if scale is None:
        return np.stack([scaling.to_display(patch) for patch in patches])
    return np.stack([scaling.to_pixels(patch, *scale) for patch in patches])


def _tell_undrawn(session: Session) -> None:
    available = {
        f"{layer}/{unit}" for layer, units in session.parts.units.items() for unit in units
    }
    lacking = [name for name in session.parts.config.figures.triptychs if name not in available]
    if lacking:
        log.info("figures: no triptych of %s: not in this run", ", ".join(lacking))
