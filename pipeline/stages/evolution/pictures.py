"""Stored searches as figures and pages show them: in their own colors, as they were shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.figures.animated_ascent import AnimatedAscent
from pipeline.figures.evolution_animation import animated_search
from pipeline.figures.evolution_names import Method
from pipeline.figures.evolution_pictures import FilmStrip, FinalImage
from pipeline.figures.scaling import to_pixels
from pipeline.run.active_run import ActiveRun
from pipeline.stages.evolution.plan import EvolutionPlan
from pipeline.stages.evolution.results import Searches
from pipeline.stages.evolution.tables import comparisons, known

Shown = Float[np.ndarray, "height width channels"]
TOP_PATCH, ASCENT = "top patch", "ascent image"


class Pictures:
    """The images of a run's searches of one layer, scored by one scorer.

    Args:
        run: the run.
        plan: its searches.
        searches: those of the layer and the scorer.
        table: their rows of the table ``evolution``.
        history: their rows of the table ``evolution_history``.
    """

    def __init__(
        self,
        run: ActiveRun,
        plan: EvolutionPlan,
        searches: Sequence[Searches],
        table: pd.DataFrame,
        history: pd.DataFrame,
    ) -> None:
        self.run, self.searches = run, searches
        self.table, self.history = table, history
        self.compared = comparisons(run, plan)[searches[0].layer.name]

    @property
    def units(self) -> list[int]:
        """The units, in order."""
        return list(self.compared.units)

    @property
    def evolved(self) -> list[Searches]:
        """The searches with a generator; the rivals if there are no others."""
        return [each for each in self.searches if each.method.generator] or list(self.searches)

    def final(self, unit: int) -> list[FinalImage]:
        """Return top patch, best images and ascent image of a unit, as far as they are known."""
        row = self.units.index(unit)
        found: list[FinalImage] = []
        if np.isfinite(self.table["top_patch"]).any():
            response = float(self.compared.top_responses[row])
            found.append(self._image(TOP_PATCH, self.compared.top_patches[row], response))
        for each in self.searches:
            rows = self._of(self.table, each, unit)
            best = int(rows[known(rows, "noise_free", "response")].fillna(-np.inf).argmax())
            response = float(rows[known(rows, "noise_free", "response")].iloc[best])
            found.append(self._image(_name(each), each.images[unit][best], response))
        if np.isfinite(self.table["ascent"]).any():
            response = float(self.compared.ascent_responses[row])
            found.append(self._image(ASCENT, self.compared.ascents[row], response))
        return found

    def top_patch(self, unit: int) -> float:
        """Return the response to the top patch of a unit, NaN if it is not known."""
        rows = self.table.loc[self.table["unit"] == unit, "top_patch"]
        return float(rows.iloc[0])

    def strip(self, each: Searches, unit: int, name: str = "") -> FilmStrip:
        """Return the generations of the first search of a unit by a method."""
        images, generations = each.film(unit)
        rows = self._first(each, unit).iloc[generations - 1]
        shown = np.stack([self._shown(image) for image in images])
        responses = rows[known(rows, "noise_free", "best")].to_numpy(np.float64)
        return FilmStrip(name or _name(each), shown, rows["queries"].tolist(), responses)

    def animated(self, each: Searches, unit: int) -> AnimatedAscent:
        """Return the same search as an animation."""
        rows = self._first(each, unit)
        responses = rows[known(rows, "noise_free", "best")].to_numpy(np.float64)
        return animated_search(self.strip(each, unit), rows["queries"].tolist(), responses)

    def _first(self, each: Searches, unit: int) -> pd.DataFrame:
        rows = self._of(self.history, each, unit)
        return rows.loc[rows["restart"] == 0]

    def _of(self, table: pd.DataFrame, each: Searches, unit: int) -> pd.DataFrame:
        _, searcher, generator = each.names
        own = (table["searcher"] == searcher) & (table["generator"] == generator)
        return table.loc[own & (table["unit"] == unit)]

    def _image(self, name: str, image: np.ndarray, response: float) -> FinalImage:
        return FinalImage(name, self._shown(image) if np.isfinite(image).all() else None, response)

    def _shown(self, image: Float[np.ndarray, "channels height width"]) -> Shown:
        seen = self.run.parts.network.preprocessing
        return to_pixels(image, seen.mean, seen.std)


def _name(each: Searches) -> str:
    return Method(*each.method.names).name


def pictures_by_layer(
    run: ActiveRun, plan: EvolutionPlan, table: pd.DataFrame, history: pd.DataFrame
) -> dict[tuple[str, str], Pictures]:
    """Return the images of a run, by layer and scorer."""
    groups: dict[tuple[str, str], list[Searches]] = {}
    for each in plan:
        groups.setdefault((each.layer.name, each.scorer.name), []).append(each)
    return {
        names: Pictures(run, plan, each, _rows(table, *names), _rows(history, *names))
        for names, each in groups.items()
    }


def _rows(table: pd.DataFrame, layer: str, scorer: str) -> pd.DataFrame:
    return table.loc[(table["layer"] == layer) & (table["scorer"] == scorer)]
