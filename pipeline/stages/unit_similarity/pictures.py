"""Pictures of units for figures and pages: their ascents, and their images group by group."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.figures import scaling
from pipeline.figures.facets import Faceted, chosen_images
from pipeline.pages.sections import Picture
from pipeline.run.active_run import ActiveRun
from pipeline.stages.unit_similarity.results import ComparedUnits, UnitFacets
from pipeline.store.runs import Images, read_images

NEIGHBORS = 4  # on the page of a unit
Image = Float[np.ndarray, "height width channels"]


class SimilarUnits:
    """The units most like one, by ascents from one init."""

    def __init__(self, compared: ComparedUnits) -> None:
        self.compared = compared

    @cached_property
    def images(self) -> Images:
        """The ascents, read once."""
        return read_images(self.compared.climb.result)

    def of(self, unit: int) -> list[Picture]:
        """Return the ascent of a unit and those of the units most like it; none if undefined."""
        matrices, units = self.compared.matrices, self.compared.units
        if unit not in units:
            return []
        row = units.index(unit)
        likeness = np.where(np.arange(len(units)) == row, np.nan, matrices["images"][row])
        order = np.argsort(-np.where(np.isnan(likeness), -np.inf, likeness), kind="stable")
        nearest = [n for n in order.tolist()[:NEIGHBORS] if np.isfinite(likeness[n])]
        if not nearest:
            return []
        pictures = [Picture(f"{self.compared.layer.name}/{unit}", self._image(unit))]
        for other in nearest:
            said = [f"{name} {matrix[row, other]:.2f}" for name, matrix in matrices.items()]
            name = f"{self.compared.layer.name}/{units[other]}"
            pictures.append(Picture(name, self._image(units[other]), said))
        return pictures

    def _image(self, unit: int) -> Image:
        return scaling.to_display(self.images.image[self.images.of(unit)[0]])


class FacetPictures:
    """The images of units, group by group."""

    def __init__(self, run: ActiveRun, facets: UnitFacets) -> None:
        self.active, self.facets = run, facets
        self.rows: dict[int, Mapping[str, float]] = {
            int(row["unit"]): {str(name): float(value) for name, value in row.items()}
            for row in facets.tables["facets"].to_dict("records")
        }
        self.groups: pd.DataFrame = facets.tables["images"]

    @property
    def name(self) -> str:
        """What the images are."""
        init = self.facets.images.init
        return f"ascents from {init}" if init else "top patches"

    def candidates(self, most: int) -> list[int]:
        """Return the units that have groups, the smallest p and the largest silhouette first."""
        known = [unit for unit, row in self.rows.items() if row["groups"]]
        order = sorted(known, key=lambda unit: (self.rows[unit]["p"], -self._excess(unit)))
        return order[:most]

    def _excess(self, unit: int) -> float:
        return self.rows[unit]["silhouette"] - self.rows[unit]["null"]

    def sizes(self, unit: int) -> str:
        """Return the sizes of the groups of a unit, such as ``12 + 8``; empty if there are none."""
        labels = self._labels(unit)
        return " + ".join(map(str, np.bincount(labels[labels >= 0]).tolist()))

    def _labels(self, unit: int) -> Int[np.ndarray, " n"]:
        return self.groups.loc[self.groups["unit"] == unit, "facet"].to_numpy()

    def of(self, unit: int) -> Faceted:
        """Return some images of a unit that has groups.

        Raises:
            ArtiphysError: an image cannot be read any more.
        """
        labels = self._labels(unit)
        images, _ = self.facets.images.read([unit])[unit]
        chosen = chosen_images(labels)
        shown = [self._displayed(images[n].numpy()) for n in chosen]
        p = self.rows[unit]["p"]
        name = f"{self.facets.layer.name}/{unit}: {self.sizes(unit)}, p\u00a0=\u00a0{p:.2g}"
        return Faceted(name, shown, labels[chosen].tolist())

    def _displayed(self, image: np.ndarray) -> Image:
        scale = self.active.parts.images.pixel_scale
        if self.facets.images.kind == "top_patch" and scale is not None:
            return scaling.to_pixels(image, *scale)
        return scaling.to_display(image)

    @property
    def caption(self) -> str:
        """How images are scaled."""
        if self.facets.images.kind == "top_patch":
            return "Top patches are in their own colors."
        return "Ascents are scaled to their range of values."
