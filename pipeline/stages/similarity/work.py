"""Comparing: images shown to the layer, then blocks of pairs, ceilings and twins as work."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.similarity.catalog import IMAGES, Statistic
from pipeline.analysis.statistics import unit_means
from pipeline.run.active_run import ActiveRun
from pipeline.search.field_responses import FieldResponses
from pipeline.search.image_similarity import Rivals, View, Wanted, compare_rivals, view_of
from pipeline.stages.correlations.results import paired, random_numbers
from pipeline.stages.similarity import SIMILARITY
from pipeline.stages.similarity.plan import SimilarityPlan, noise_images
from pipeline.stages.similarity.results import (
    CEILING,
    DRAWS,
    TWIN,
    ComparedPair,
    Shown,
    TwinAscents,
)
from pipeline.stages.stage import WorkItems
from pipeline.store.runs import Images, read_images
from pipeline.store.tables import read_table

log = logging.getLogger(__name__)
Written = tuple[dict[str, np.ndarray], dict[str, Any]]  # arrays and notes of an item


def compare_pairs(run: ActiveRun, plan: SimilarityPlan) -> Iterator[WorkItems[Any]]:
    """Yield the responses that are not in the store, and then the pairs."""
    lacking = run.missing(plan.pairs)
    # Responses are only needed for pairs, and for the table of selectivity.
    shown = run.missing(plan.shown)
    if shown:
        items = [Item(each, "responses", each.climb.units) for each in shown]
        results = [each.result for each in shown]
        yield WorkItems(results, items, SimilarityWork(run, plan), "similarity: images")
    if lacking:
        names = dict.fromkeys(f"{p.layer.name} from {' and '.join(p.inits)}" for p in lacking)
        log.info("similarity: comparing %s", ", ".join(names))
        items = [Item(pair, item, _rows(pair, item)) for pair in lacking for item in _items(pair)]
        results = [pair.result for pair in lacking]
        yield WorkItems(results, items, SimilarityWork(run, plan), "similarity: images")


def _items(pair: ComparedPair) -> list[str]:
    return list(pair.result.items)


def _rows(pair: ComparedPair, item: str) -> range:
    rows = pair.blocks.get(item, slice(0, 1))
    return range(rows.start, rows.stop)


@dataclass(frozen=True)
class Item:
    """A work item.

    Attributes:
        of: what it belongs to.
        name: name of the item.
        rows: of images, for the progress bar.
    """

    of: Shown | ComparedPair
    name: str
    rows: Any


class SimilarityWork:
    """Items as work for the runner (``runner.Work``)."""

    def __init__(self, run: ActiveRun, plan: SimilarityPlan) -> None:
        self.active, self.statistics = run, plan.statistics
        run.parts.runner.place(run.parts.network.module)

    def needed(self, item: Item) -> bool:
        """Say whether an item is missing."""
        return not item.of.result.holds(item.name)

    def size(self, item: Item) -> int:
        """Return the number of images."""
        return len(item.rows)

    def parts(self, item: Item) -> list[Item]:
        """Return the item itself: it is done as a whole."""
        return [item]

    def load(self, item: Item) -> Item:
        """Read nothing yet."""
        return item

    def run(self, item: Item) -> Written:
        """Compute an item."""
        if isinstance(item.of, Shown):
            return _respond(self.active, item.of)
        if item.name == CEILING:
            return _ceilings(self.active, item.of, self.statistics)
        if item.name == TWIN:
            return _twins(item.of, self.statistics)
        return _block(self.active, item.of, item.name, self.statistics)

    def begin(self, item: Item) -> Gathered:
        """Return what writes an item."""
        return Gathered(item)


@dataclass(frozen=True)
class Gathered:
    """The arrays and notes of an item."""

    item: Item
    found: list[Written] = field(default_factory=list[Written])

    def add(self, found: Written) -> None:
        """Take them in."""
        self.found.append(found)

    def write(self) -> None:
        """Write them."""
        arrays, notes = self.found[0]
        self.item.of.result.write(self.item.name, arrays, notes)


def _respond(run: ActiveRun, shown: Shown) -> Written:
    parts, images = run.parts, read_images(shown.climb.result)
    respond = FieldResponses(parts.graph, shown.layer, parts.runner.device, parts.runner.check)
    responses = respond(np.nan_to_num(images.added, posinf=0.0, neginf=0.0))
    responses[[status != "ok" for status in images.status]] = np.nan
    return {"units": images.units, "copies": images.copies, "responses": responses}, {}


def _block(run: ActiveRun, pair: ComparedPair, item: str, statistics: Any) -> Written:
    rivals, status = _rivals(pair)
    config, rows = run.parts.config.similarity, pair.blocks[item]
    seed = int(random_numbers(run, pair, "nulls").integers(2**31))
    check = run.parts.runner.check
    wanted = Wanted(statistics, config.nulls, config.draws, seed, check)
    found = compare_rivals(rivals, _view(run, pair, statistics), wanted, rows)
    draws = {f"{DRAWS}{kind}": drawn for kind, drawn in found.draws.items()}
    own = {"units": rivals.units[rows], "copies": rivals.copies[rows], "values": found.values}
    return own | draws, {"status": status[rows]}


def _view(run: ActiveRun, pair: ComparedPair, statistics: Any) -> View:
    parts, needs = run.parts, {each.needs for each in statistics}
    runner, noise = parts.runner, noise_images(run)
    return view_of(parts.graph, pair.layer, needs, noise, runner.device, runner.check)


def _rivals(pair: ComparedPair) -> tuple[Rivals, list[str]]:
    """Return the images of a pair, with stored responses, and their status."""
    images = pair.images()
    status = _status(images)
    responses = None
    if pair.shown is not None:
        responses = pair.shown[0].of(images[0]), pair.shown[1].of(images[1])
    ok = np.array([reason == "ok" for reason in status])
    added = [each.added for each in images]
    rivals = Rivals(added[0], added[1], images[0].units, images[0].copies, ok, responses)
    return rivals, status


def _status(images: list[Images]) -> list[str]:
    both = zip(*(each.status for each in images), strict=True)
    return [first if first != "ok" else second for first, second in both]


def _ceilings(run: ActiveRun, pair: ComparedPair, statistics: Any) -> Written:
    """Return medians over a sample of units between float32 and float64, by init and statistic."""
    rivals, _ = _rivals(pair)
    view = _view(run, pair, statistics)
    both = [each for each in statistics if each.of_both]
    rows = [number for number, each in enumerate(statistics) if each.of_both]
    found: list[Float[np.ndarray, " statistics"]] = []
    for climb, exact, population in zip(pair.climbs, pair.exact, rivals.populations, strict=True):
        images, twin = read_images(climb.result), read_images(exact.result)
        images = images.taken(np.flatnonzero(np.isin(images.units, twin.units)))
        ok = np.array([reason == "ok" for reason in _status([images, twin])])
        own = Rivals(images.added, twin.added, images.units, images.copies, ok)
        same = (population, population)
        values = compare_rivals(own, view, Wanted(both), populations=same).values
        medians = np.full(len(statistics), np.nan)
        medians[rows] = [_median(unit_means(images.units, row)) for row in values]
        found.append(medians)
    return {"ceilings": np.stack(found)}, {}


def _median(values: Float[np.ndarray, " units"]) -> float:
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if len(defined) else float("nan")


def _twins(pair: ComparedPair, statistics: Any) -> Written:
    """Return the similarities of all units of all twins.

    Those of images are computed. Others need the network of the twin, and are there if it has them.
    """
    parts: list[Float[np.ndarray, "statistics units"]] = []
    alone: list[Statistic] = [each for each in statistics if each.needs == IMAGES]
    rows = [number for number, each in enumerate(statistics) if each.needs == IMAGES]
    for twin in pair.twins:
        images = paired(pair.inits, [read_images(result) for result in twin.results])
        ok = np.array([reason == "ok" for reason in _status(images)])
        units = images[0].units
        rivals = Rivals(images[0].added, images[1].added, units, images[0].copies, ok)
        values = compare_rivals(rivals, View(), Wanted(alone)).values
        means = [unit_means(units, row) for row in values]
        whole = np.full((len(statistics), len(np.unique(units))), np.nan)
        whole[rows] = np.array(means).reshape(len(rows), -1)
        for row, statistic in enumerate(statistics):
            if statistic.needs != IMAGES:
                whole[row] = _from_table(twin, pair, statistic.name, pd.unique(units))
        parts.append(whole)
    return {"values": np.concatenate(parts, axis=1)}, {}


def _from_table(
    twin: TwinAscents, pair: ComparedPair, statistic: str, units: Int[np.ndarray, " units"]
) -> Float[np.ndarray, " units"]:
    """Return a statistic of the units of a twin from its own table; NaN if that lacks it."""
    if twin.compared is None:
        return np.full(len(units), np.nan)
    table = read_table(twin.run.paths.tables, SIMILARITY.name)
    own = (table["layer"] == pair.layer.name) & (table["statistic"] == statistic)
    own &= (table["init_a"] == pair.inits[0]) & (table["init_b"] == pair.inits[1])
    means = table[own].groupby("unit")["value"].mean()  # the same beside every null
    return means.reindex(units).to_numpy(np.float64)
