"""A little site of made-up numbers, in which something is missing everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.pages.contents import (
    Layer,
    Picture,
    ShownAscent,
    ShownPreprocessing,
    Site,
)
from pipeline.pages.sections import (
    Curve,
    Map,
    Maps,
    Number,
    Numbers,
    Outline,
    Outlines,
    Plot,
    Ring,
    Section,
    UnitSections,
    Words,
)
from pipeline.store.results import WHOLE_LAYER
from tests.conftest import table_columns

HTML = "<img src=x onerror=alert(1)>&amp;"
HTML_LAYER = "block/1 <b>%2e</b>.'conv'"
INITS = ("zeros", "noise")
SIDE = 40  # pixels of a source image
FIELD = 8
UNREADABLE = 3
DEAD = 2  # a unit with a zero gradient
UNITS = (0, 1, 2, 5)  # they need not follow each other
NAMES = (f"{HTML}.jpg", "dogs/1.jpg", "dogs/2.jpg", "gone.jpg")
PREPROCESSING = ShownPreprocessing(None, SIDE, "bilinear", (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def little_site() -> Site:
    """Return a site of three layers: whole, hardly begun, and climbed as a whole."""
    facts = {
        "title": f"little: {HTML}",
        "name": HTML,
        "run": f"{HTML}_1",
        "version": "1",
        "model": f"model {HTML}",
        "weights": "random",
        "images": "4 images (folder)",
        "seed": 0,
        "precision": "float32",
        "created": "now",
        "steps": 3,
        "objective": "unit_response",
        "optimizer": "sgd",
        **dict.fromkeys(("parameterization", "constraint", "regularizer"), "none"),
        **dict.fromkeys(("smoothing", "transform", "gradient"), "none"),
    }
    layers = [whole_layer("conv1"), begun_layer(HTML_LAYER), climbed_as_a_whole("conv3")]
    numbers = {name: number for number, name in enumerate(NAMES)}
    return Site(facts, PREPROCESSING, INITS, 1, layers, picture, numbers)


def picture(number: int) -> Picture:
    """Return a picture that is another for every number."""
    if number == UNREADABLE:
        raise ValueError(f"images: '{NAMES[number]}' cannot be read (No such file)")
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Picture(pixels)


def whole_layer(name: str) -> Layer:
    """Return a layer that has been searched, climbed and correlated."""
    images = {unit: [made_ascent(unit, init) for init in INITS] for unit in UNITS}
    status = ["zero_gradient" if unit == DEAD else "ok" for unit in UNITS]
    r = [np.nan if unit == DEAD else unit / 10 for unit in UNITS]
    pair = {"init_a": "zeros", "init_b": "noise"}
    correlations = rows(
        "correlations", layer=name, unit=UNITS, copy=0, **pair, r=r, null_r=0.01,
        status=["undefined" if unit == DEAD else "ok" for unit in UNITS],
    )  # fmt: skip
    summary = rows(
        "correlation_summary", layer=[name], **pair, median=0.1, null_median=0.01,
        noise_ceiling=np.nan, ci_low=0.0, ci_high=0.5, undefined=1,
    )  # fmt: skip
    ascents = [
        rows("ascents", layer=name, unit=UNITS, copy=0, init=init, start_response=0.0,
             final_response=[found[n].responses[-1] for found in images.values()], status=status)
        for n, init in enumerate(INITS)
    ]  # fmt: skip
    return layer(
        name, UNITS, dict.fromkeys(INITS, True), top_patches=patches(name, UNITS),
        ascents=pd.concat(ascents), correlations=correlations, correlation_summary=summary,
        read=[{unit: images[unit] for unit in block} for block in (UNITS[:2], UNITS[2:])],
        sections=lambda: made_sections,
    )  # fmt: skip


def made_sections(unit: int) -> list[Section]:
    """Return a section with parts of every kind, whose names are markup; none of the dead unit."""
    if unit == DEAD:
        return []
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    x = np.arange(4.0)
    curves = [
        Curve(f"first {HTML}", x, np.array([0.0, 1.0, np.nan, 10.0 + unit]), points=True),
        Curve("second", x, -x),
    ]
    maps = [
        Map(f"what raises {HTML}", np.arange(48.0).reshape(6, 8), ("center 1, 2 px",), square + 3),
        Map("what lowers", None, (f"The map is flat {HTML}.",)),
    ]
    parts = [
        Words(f"Something is missing {HTML}."),
        Numbers([Number(f"size {HTML}", 1.5 + unit, "px", "note"), Number("other", np.nan)]),
        Outlines("Best shapes", [Outline(square * side, side, HTML) for side in (1.0, 0.5)], 2.0),
        Plot(f"Plot {HTML}", "length in pixels", "response", curves),
        Plot("Named", "", "response", [Curve("one", x[:2], x[:2])], (HTML, "b")),
        Plot("Empty", "x", "y", [Curve("none", x, np.full(4, np.nan))]),
        Plot("Octaves", "x", "y", [Curve("four", 2**x, x, points=True)], log=True),
        Ring(
            f"Ring {HTML}",
            "degrees",
            "rate",
            [Curve("two", 90 * x, np.array([4.0, 2, -1, 1]))],
            clockwise=True,
            rim=("#ff0000", "#00ff00", "#0000ff"),
        ),
        Maps(f"bars {HTML}", maps),
    ]
    return [Section(f"Made up {HTML}", parts, f"About {HTML}.")]


def begun_layer(name: str) -> Layer:
    """Return a layer that has not been searched, and is climbed from the first init alone."""
    ascents = rows(
        "ascents", layer=name, unit=[0, 1], copy=0, init="zeros", start_response=0.0,
        final_response=[1.0, np.nan], status=["ok", "not_finite"],
    )  # fmt: skip
    broken = made_ascent(1, "zeros")
    broken.image[0, 0, 0] = np.nan
    read = [{0: [made_ascent(0, "zeros")], 1: [broken]}]
    return layer(name, (0, 1), {"zeros": True, "noise": False}, ascents=ascents, read=read)


def climbed_as_a_whole(name: str) -> Layer:
    """Return a layer that was climbed as a whole, with transforms, whose units have patches."""
    ascents = rows(
        "ascents", layer=name, unit=[WHOLE_LAYER], copy=0, init="noise", start_response=0.0,
        final_response=2.0, status="ok",
    )  # fmt: skip
    return layer(
        name, (WHOLE_LAYER, 0, 1), {"zeros": False, "noise": True},
        top_patches=patches(name, (0, 1)), ascents=ascents,
        read=[{WHOLE_LAYER: [replace(made_ascent(WHOLE_LAYER, "noise"), transformed=True)]}],
    )  # fmt: skip


def layer(
    name: str,
    units: Sequence[int],
    climbed: Mapping[str, bool],
    read: Iterable[Mapping[int, Sequence[ShownAscent]]],
    sections: Callable[[], UnitSections] | None = None,
    **tables: pd.DataFrame,
) -> Layer:
    """Return a layer; tables that are not given are empty."""
    empty = {
        table: pd.DataFrame(columns=list(table_columns()[table]))
        for table in ("top_patches", "ascents", "correlations", "correlation_summary")
    }
    return Layer(
        name=name,
        module=f"features.{name}",
        units=units,
        field=(FIELD, FIELD),
        image=(FIELD, FIELD),
        searched="top_patches" in tables,
        climbed=climbed,
        correlated="correlations" in tables,
        read=lambda: read,
        sections=sections,
        **(empty | tables),
    )


def made_ascent(unit: int, init: str) -> ShownAscent:
    """Return an ascent of noise; that of the dead unit does not move."""
    rng = np.random.default_rng((unit + 1, INITS.index(init)))
    start = rng.normal(size=(3, FIELD, FIELD)).astype(np.float32)
    added = 0.0 if unit == DEAD else rng.normal(size=start.shape).astype(np.float32)
    responses = np.linspace(0, 0 if unit == DEAD else 10 + unit, 4, dtype=np.float32)
    status = "zero_gradient" if unit == DEAD else "ok"
    return ShownAscent(init, 0, start + added, start, responses, status)


def patches(name: str, units: Sequence[int], ranks: int = 3) -> pd.DataFrame:
    """Return the table of patches of a layer; those of rank 2 are of the unreadable image."""
    found = []
    for unit in units:
        for sign in (1, -1):
            for rank in range(ranks):
                number = UNREADABLE if rank == 2 else (unit + rank) % 3
                top, left = (-3, 36) if rank == 1 else (4 * unit, 10)
                box = {"top": top, "left": left, "bottom": top + FIELD, "right": left + FIELD}
                response = sign * (20.0 + unit - rank)
                found.append(
                    {"layer": name, "unit": unit, "sign": sign, "rank": rank, "row": 1, "column": 2,
                     "image": NAMES[number], "response": response, "inside": rank != 1, **box}
                )  # fmt: skip
    return pd.DataFrame(found, columns=list(table_columns()["top_patches"]))


def rows(table: str, **values: object) -> pd.DataFrame:
    """Return rows of a table, with what is given."""
    return pd.DataFrame(values).reindex(columns=list(table_columns()[table]))
