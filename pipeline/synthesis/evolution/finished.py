"""Finished searches as arrays, and the tables made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.synthesis.evolution.film import Film
from pipeline.synthesis.evolution.loop import MEASURES, Evolution

ONE_GENERATION = "the queries allow a single generation, so that nothing evolved"


@dataclass(frozen=True)
class Finished:
    """Searches that have ended.

    Attributes:
        units: unit of each search.
        restarts: its number among those of the unit.
        images: best image of each search, in network-input space, as it was shown; NaN if no
            response was measured.
        observed: its score, the largest that was observed.
        noise_free: the response to it without noise, computed anew; NaN if responses are measured.
        contrasts: its contrast.
        found: whether there is one.
        history: what was measured (``loop.MEASURES``) in each generation.
        queries: pictures shown to each unit until the end of each generation.
        references: scores of the references, observed and without noise, at each showing.
        shown: number of generations before each showing of the references.
        film: best image so far after some of the generations.
        film_generations: numbers of these, from 1.
    """

    units: Int[np.ndarray, " searches"]
    restarts: Int[np.ndarray, " searches"]
    images: Float[np.ndarray, "searches c height width"]
    observed: Float[np.ndarray, " searches"]
    noise_free: Float[np.ndarray, " searches"]
    contrasts: Float[np.ndarray, " searches"]
    found: Int[np.ndarray, " searches"]
    history: Float[np.ndarray, "measures generations searches"]
    queries: Int[np.ndarray, " generations"]
    references: Float[np.ndarray, "2 showings searches references"]
    shown: Int[np.ndarray, " showings"]
    film: Float[np.ndarray, "frames searches c height width"]
    film_generations: Int[np.ndarray, " frames"]

    @classmethod
    def of(
        cls, searches: Sequence[tuple[int, int]], evolution: Evolution, film: Film | None = None
    ) -> Finished:
        """Return the searches of an evolution that has ended.

        Args:
            searches: unit and restart of each.
            evolution: the searches.
            film: what was filmed of them.
        """
        best, shown = evolution.best(), evolution.references()
        numbers = np.array(searches, np.int64)
        history = evolution.history()
        film = Film(evolution, 0) if film is None else film
        return cls(
            numbers[:, 0],
            numbers[:, 1],
            best.images.numpy(),
            best.observed,
            best.noise_free,
            best.contrasts,
            best.found.astype(np.int64),
            np.stack([history[name] for name in MEASURES]),
            np.array(evolution.queries(), np.int64),
            np.stack([*shown.values()], 1) if shown else np.zeros((2, 0, len(numbers), 0)),
            np.array([*shown], np.int64),
            film.images,
            film.generations,
        )

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Finished:
        """Return searches from their arrays, by name."""
        return cls(**{each.name: arrays[each.name] for each in fields(cls)})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def search_table(of: Finished, contrast: float | None, budget: int) -> pd.DataFrame:
    """Return one row per search.

    ``response`` is the largest score observed, ``noise_free`` the response to that image without
    noise and adaptation, ``start`` the largest score of the first generation, ``contrast`` that of
    the image, ``queries_to_90`` when the best so far had made 90 % of its way from the start to the
    end, and ``reason`` says where something is missing or unusual.

    Args:
        of: the searches.
        contrast: at which pictures were to be shown, if there was one.
        budget: number of queries that each search was allowed.
    """
    curves = of.history[MEASURES.index("best")]
    start, end = curves[0], curves[-1]
    reached = np.nan_to_num(curves, nan=-np.inf) >= start + 0.9 * (end - start)
    table = _searches(of)
    table["response"], table["noise_free"] = of.observed, of.noise_free
    table["start"], table["contrast"] = start, of.contrasts
    table["queries"] = of.queries[-1]
    table["queries_to_90"] = np.where(reached.any(0), of.queries[reached.argmax(0)], np.nan)
    rows = zip(of.found.tolist(), of.contrasts.tolist(), (start == end).tolist(), strict=True)
    over = "" if of.queries[-1] <= budget else _over(int(of.queries[-1]), budget)
    once = over or (ONE_GENERATION if len(of.queries) == 1 else "")
    table["reason"] = [_reason(*row, contrast, once) for row in rows]
    return table


def history_table(of: Finished) -> pd.DataFrame:
    """Return one row per search and generation, counted from 1, with what was measured."""
    searches, count = _searches(of), len(of.queries)
    table = searches.loc[np.repeat(searches.index, count)].reset_index(drop=True)
    table["generation"] = np.tile(np.arange(1, count + 1), len(searches))
    table["queries"] = np.tile(of.queries, len(searches))
    for measure, values in zip(MEASURES, of.history, strict=True):
        table[measure] = values.T.ravel()
    return table.astype({"missing": int})


def reference_table(of: Finished) -> pd.DataFrame:
    """Return one row per search, showing and reference image, by number of generations before."""
    count = of.references.shape[3]
    searches = _searches(of)
    tables: list[pd.DataFrame] = []
    for number, generation in enumerate(of.shown.tolist()):
        observed, noise_free = of.references[:, number]
        table = searches.loc[np.repeat(searches.index, count)].reset_index(drop=True)
        table["generation"] = generation
        table["reference"] = np.tile(np.arange(count), len(searches))
        table["response"], table["noise_free"] = observed.ravel(), noise_free.ravel()
        tables.append(table)
    if tables:
        return pd.concat(tables, ignore_index=True)
    columns = ["generation", "reference", "response", "noise_free"]
    return searches.iloc[:0].reindex(columns=["unit", "restart", *columns])


def _searches(of: Finished) -> pd.DataFrame:
    """Return one row per search."""
    return pd.DataFrame({"unit": of.units, "restart": of.restarts})


def _over(queries: int, budget: int) -> str:
    return f"one generation takes {queries} queries, more than the {budget} allowed"


def _reason(found: int, contrast: float, unchanged: bool, wanted: float | None, once: str) -> str:
    """Return what is missing or unusual about the best image of a search."""
    if not found:
        return "no response was measured"
    if wanted is not None and contrast < 0.99 * wanted:
        return f"too few pixels differ from the mean color for a contrast of {wanted:g}"
    if once:
        return once
    return "no picture was better than those of the first generation" if unchanged else ""
