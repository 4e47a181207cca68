"""Figures: draw all for which the store holds the results."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image

from pipeline.figures import scaling
from pipeline.figures.contact_sheet import contact_sheet, png, unit_sheet
from pipeline.figures.correlation_histograms import histograms
from pipeline.figures.correlations import box_plot
from pipeline.figures.trajectories import ascent_curves
from pipeline.figures.triptych import triptych, triptych_grid
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent import STAGE as ASCENT
from pipeline.stages.ascent.results import find_climb, read_responses, trajectories
from pipeline.stages.correlations import STAGE as CORRELATIONS
from pipeline.stages.correlations.results import correlations
from pipeline.stages.top_patches.results import SIGNS, find_search, shown_patches
from pipeline.store.files import write_bytes
from pipeline.store.layout import file_name
from pipeline.store.results import WHOLE_LAYER
from pipeline.store.runs import Images, read_images

log = logging.getLogger(__name__)
CAPTION = (
    f"{scaling.DESCRIPTIONS['symmetric']} Plain gray beside a top patch lies outside its image."
)
Panels = list[tuple[str, Float[np.ndarray, "_ _ 3"]]]


def draw(run: ActiveRun, _plan: object) -> None:
    """Draw all figures for which the store holds the results."""
    log.info("figures: drawing")
    # Pillow composes and encodes in other threads while Matplotlib draws in this one.
    with ThreadPoolExecutor() as pool:
        sheets = {name: pool.submit(_save_sheet, run, name, draw) for name, draw in _sheets(run)}
        for name, figure in _plots(run):
            run.figure(name, figure)
        for name, saved in sheets.items():
            run.tracker.figure(name, saved.result())
    _tell_undrawn(run)


def _save_sheet(run: ActiveRun, name: str, draw: Callable[[], Image.Image]) -> Path:
    content = png(draw())
    path = run.paths.figures / f"{file_name(name)}.png"
    write_bytes(path, content)
    return path


def _plots(run: ActiveRun) -> Iterator[tuple[str, Figure]]:
    if not _have_ascents(run):
        return
    yield from _correlation_figures(run)
    yield "ascent_curves", ascent_curves(trajectories(run, run.plan(ASCENT)))
    for layer in run.parts.layers:
        yield from _triptychs(run, layer)


def _have_ascents(run: ActiveRun) -> bool:
    climbs = run.plan(ASCENT)
    missing = {climb.layer.name: None for climb in climbs if climb.result.missing()}
    if missing:
        log.info("figures: %s not climbed yet, so no ascents are shown", ", ".join(missing))
    return not missing


def _correlation_figures(run: ActiveRun) -> Iterator[tuple[str, Figure]]:
    if any(pair.result.missing() for pair in run.plan(CORRELATIONS)):
        log.info("figures: some correlations are not in the store, so none are shown")
        return
    table = correlations(run, run.plan(CORRELATIONS))
    for inits, pair in table.groupby(["init_a", "init_b"], sort=False):
        name = "_".join(cast("tuple[str, str]", inits))
        yield f"correlations_{name}", box_plot(pair)
        yield f"histograms_{name}", histograms(pair)


def _triptychs(run: ActiveRun, layer: Layer) -> Iterator[tuple[str, Figure]]:
    """Yield images of chosen units side by side: one figure per unit, or four units per figure."""
    available = run.parts.climbed_units(layer)
    chosen = run.parts.config.figures.triptychs
    units = [unit for unit in available if f"{layer.name}/{unit}" in chosen]
    if not chosen:
        units = available[:4]
    if not units:
        return
    images = {init: read_images(find_climb(run, layer, init).result) for init in run.parts.inits}
    searched = run.parts.scoring.per_unit and not find_search(run, layer).result.missing()
    patches = shown_patches(run, layer, units, 0, 1) if searched else None
    rows: list[tuple[int, Panels]] = []
    for row, unit in enumerate(units):
        panels: Panels = []
        for init, found in images.items():
            for copy, index in enumerate(found.of(unit)):
                name = f"added from {init}" if len(found.of(unit)) == 1 else f"{init}, copy {copy}"
                panels.append((name, scaling.to_display(found.added[index], "symmetric")))
        if patches is not None:
            panels.append(("top patch", patches[row]))
        rows.append((unit, panels))
    title = f"{run.parts.network.name} {layer.name}"
    caption = scaling.noted(CAPTION, _channels(run))
    if chosen:
        for unit, panels in rows:
            name = f"triptych_{layer.name}_unit{unit}"
            yield name, triptych(panels, f"{title} {_row_name(unit)}", caption)
    else:
        named = [(_row_name(unit), panels) for unit, panels in rows]
        yield f"triptychs_{layer.name}", triptych_grid(named, title, caption)


def _channels(run: ActiveRun) -> int:
    return run.parts.network.preprocessing.channels


def _row_name(unit: int) -> str:
    return f"unit {unit}" if unit != WHOLE_LAYER else "the whole layer"


def _sheets(run: ActiveRun) -> Iterator[tuple[str, Callable[[], Image.Image]]]:
    for layer in run.parts.layers:
        if find_search(run, layer).result.missing():
            log.info("figures: no top patches of %s in the store, so none are shown", layer.name)
        else:
            for sign, word in SIGNS.items():
                yield f"{word}_patches_{layer.name}", partial(_patch_sheet, run, layer, sign)
        for init in run.parts.inits:
            if not find_climb(run, layer, init).result.missing():
                yield f"ascents_{layer.name}_{init}", partial(_ascent_sheet, run, layer, init)
                if _shows_images(run):
                    yield f"images_{layer.name}_{init}", partial(_image_sheet, run, layer, init)


def _patch_sheet(run: ActiveRun, layer: Layer, sign: int) -> Image.Image:
    config, word = run.parts.config.figures, SIGNS[sign]
    all_units = run.parts.units[layer.name]
    units = all_units[: config.contact_units]
    kept = find_search(run, layer).extremes.by_sign[sign].responses
    responses = kept[units, : config.contact_ranks].numpy()
    columns = [shown_patches(run, layer, units, rank, sign) for rank in range(responses.shape[1])]
    name = f"{run.parts.network.name} {layer.name}"
    some = f" of the first {len(units)} of {len(all_units)} units"
    some = some if len(units) < len(all_units) else ""
    title = f"{name}: {word} patches and responses{some} (plain color: outside the image)"
    title = scaling.noted(title, _channels(run))
    return contact_sheet(np.stack(columns, axis=1), responses, list(units), title)


def _ascent_sheet(run: ActiveRun, layer: Layer, init: str) -> Image.Image:
    climb = find_climb(run, layer, init)
    found = read_images(climb.result)
    responses = read_responses(climb).responses
    shown = np.stack([scaling.to_display(added, "symmetric") for added in found.added])
    title = (
        f"{run.parts.network.name} {layer.name}: added from {init}, unit and final response"
        f" ({scaling.DESCRIPTIONS['symmetric'].rstrip('.').lower()})"
    )
    title = scaling.noted(title, _channels(run))
    return unit_sheet(shown, responses[:, -1], _image_names(found), title)


def _shows_images(run: ActiveRun) -> bool:
    """Return whether to show images besides what was added: for all but plain pixels."""
    options = {"parameterization": "pixel", "constraint": "none"}
    plain = all(run.parts.option(group) == option for group, option in options.items())
    return not (plain and run.parts.scoring.of_fields)


def _image_sheet(run: ActiveRun, layer: Layer, init: str) -> Image.Image:
    climb = find_climb(run, layer, init)
    found = read_images(climb.result)
    preprocessing = run.parts.network.preprocessing
    shown = np.stack(
        [scaling.to_pixels(x, preprocessing.mean, preprocessing.std) for x in found.image]
    )
    title = (
        f"{run.parts.network.name} {layer.name}: climbed from {init}, unit and final response"
        " (own colors, clipped to black and white)"
    )
    title = scaling.noted(title, _channels(run))
    return unit_sheet(shown, read_responses(climb).responses[:, -1], _image_names(found), title)


def _image_names(found: Images) -> list[str]:
    images = zip(found.units.tolist(), found.copies.tolist(), strict=True)
    return [_image_name(unit, copy) for unit, copy in images]


def _image_name(unit: int, copy: int) -> str:
    name = "layer" if unit == WHOLE_LAYER else str(unit)
    return f"{name}.{copy}" if copy else name


def _tell_undrawn(run: ActiveRun) -> None:
    available = {f"{layer}/{unit}" for layer, units in run.parts.units.items() for unit in units}
    lacking = [name for name in run.parts.config.figures.triptychs if name not in available]
    if lacking:
        log.info("figures: no triptych of %s, which is not in this run", ", ".join(lacking))
