"""Drawing: responses by queries, layer and method, generations, and the best images."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import pandas as pd

from pipeline.figures.evolution_animation import search_frames
from pipeline.figures.evolution_curves import evolution_curves
from pipeline.figures.evolution_images import MOST_ROWS, film_strips, final_images
from pipeline.figures.evolution_matrix import searcher_matrix
from pipeline.figures.evolution_methods import Over
from pipeline.figures.evolution_names import Method
from pipeline.figures.evolution_noise import ranking_by_noise
from pipeline.figures.evolution_pictures import FilmStrip, FinalImages
from pipeline.figures.evolution_responses import relative_responses
from pipeline.figures.video import gif
from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution.pictures import Pictures, pictures_by_layer
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.tables import evolution, evolution_history

FPS = 2.0
ANIMATED = 4  # layers, of each of which the first unit is animated
REFERENCES: tuple[Over, ...] = ("top_patch", "ascent")


def draw(run: ActiveRun, plan: EvolutionPlan) -> None:
    """Draw the figures of a run; with several scorers, those of each."""
    if not plan:
        return
    table, history = evolution(run, plan), evolution_history(run, plan)
    pictures = pictures_by_layer(run, plan, table, history)
    scorers = list(dict.fromkeys(table["scorer"]))
    for scorer in scorers:
        end = f"_{scorer}" if len(scorers) > 1 else ""
        own, runs = (part.loc[part["scorer"] == scorer] for part in (table, history))
        if end:  # which titles tell
            model = f"{run.parts.network.name}, scorer {scorer}"
            own, runs = own.assign(model=model), runs.assign(model=model)
        of_scorer = [each for (_, name), each in pictures.items() if name == scorer]
        if run.parts.config.figures.formats:
            _draw_numbers(run, own, runs, end)
            _draw_images(run, of_scorer, end)
        _animate(run, of_scorer, end)
    noises = table.assign(noise=table["scorer"])
    if len(scorers) > 1 and (over := _references(noises)):
        run.figure("evolution_noise", ranking_by_noise(noises, over[0]))


def _references(table: pd.DataFrame) -> list[Over]:
    """Return what images can be compared with: what the store holds."""
    return [over for over in REFERENCES if bool((table[over] > 0).any())]


def _draw_numbers(run: ActiveRun, table: pd.DataFrame, history: pd.DataFrame, end: str) -> None:
    over = _references(table)
    curves = evolution_curves(history, table, over[0] if over else None)
    run.figure(f"evolution_curves{end}", curves)
    if not over:
        return
    run.figure(f"evolution_responses{end}", relative_responses(table, over))
    evolved = table.loc[table["generator"] != "", ["searcher", "generator"]]
    if len(evolved.drop_duplicates()) > 1:
        run.figure(f"evolution_matrix{end}", searcher_matrix(table, over[0]))


def _draw_images(run: ActiveRun, layers: list[Pictures], end: str) -> None:
    model, caption = _model(run, layers, end), _caption(run)
    rows = [
        FinalImages(f"{of.searches[0].layer.name}/{unit}", of.final(unit), of.top_patch(unit))
        for of, unit in _some_units(layers)
    ]
    title = f"{model}: the best images"
    run.figure(f"evolution_images{end}", final_images(_alike(rows), title, caption))
    strips = _strips(layers)
    title = f"{model}: generations, the best image so far"
    run.figure(f"evolution_film{end}", film_strips(strips, title, caption))


def _animate(run: ActiveRun, layers: list[Pictures], end: str) -> None:
    model, caption = _model(run, layers, end), _caption(run)
    for of in layers[:ANIMATED]:
        name, unit = of.searches[0].layer.name, of.units[0]
        searches = [of.animated(each, unit) for each in of.searches]
        frames = search_frames(searches, f"{model} {name} unit {unit}", caption)
        run.video(f"evolution_{name}_{unit}{end}", {"gif": gif(frames, FPS, rest=2.0)})


def _model(run: ActiveRun, layers: list[Pictures], end: str) -> str:
    """Return the name of the network, with that of the scorer if there are several."""
    model = run.parts.network.name
    return f"{model}, scorer {layers[0].searches[0].scorer.name}" if end else model


def _alike(rows: list[FinalImages]) -> list[FinalImages]:
    """Return the rows with as many images as the first; layers may differ in what is stored."""
    names = [image.name for image in rows[0].images]
    return [row for row in rows if [image.name for image in row.images] == names]


def _some_units(layers: list[Pictures]) -> list[tuple[Pictures, int]]:
    """Return units for the rows of a page, evenly from all layers."""
    each = max(1, MOST_ROWS // len(layers))
    found = [(of, unit) for of in layers for unit in of.units[:each]]
    return found[:MOST_ROWS]


def _strips(layers: list[Pictures]) -> list[FilmStrip]:
    """Return strips of the first units of every layer, by all methods, from all layers alike."""
    by_layer = [list(_of_layer(of)) for of in layers]
    turns = [strip for turn in zip_longest(*by_layer) for strip in turn if strip is not None]
    kept = {id(strip) for strip in turns[:MOST_ROWS]}
    return [strip for strips in by_layer for strip in strips if id(strip) in kept]


def _of_layer(of: Pictures) -> Iterator[FilmStrip]:
    layer = of.searches[0].layer.name
    for unit in of.units[:MOST_ROWS]:
        for each in of.evolved:
            name = Method(*each.method.names).name
            yield of.strip(each, unit, f"{layer}/{unit}: {name}")


def _caption(run: ActiveRun) -> str:
    contrast = run.parts.config.evolution.contrast
    said = "as they are" if contrast is None else f"at an RMS contrast of {contrast:g}"
    return f"Images are in their own colors, {said}, as they were shown."
