"""Pictures: an image made for a unit, and what the units that match it best prefer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.errors import ArtiphysError
from pipeline.figures import scaling
from pipeline.figures.best_matches import Match, Matched
from pipeline.images.patches import cut_patch
from pipeline.run.active_run import ActiveRun
from pipeline.search.transfer import central_field
from pipeline.stages.transfer.results import Norms, Seen
from pipeline.stages.transfer.sources import TOP_PATCH, Shown, Source

Image = Float[np.ndarray, "height width channels"]
CAPTION = (
    "Left: the image ({scaled}). Beside it, for each network, the unit that responds most by z,"
    " with the {part} of the image set to which that unit responds most; z of its response to the"
    " image at the left, and its percentile among those to the image set."
)


class Pictures:
    """Images of one source with their matches in other networks.

    Args:
        run: the run.
        seen: the responses of all layers to the images of one source.
        table: rows of ``transfer`` about them.
    """

    def __init__(self, run: ActiveRun, seen: Sequence[Seen], table: pd.DataFrame) -> None:
        self.active, self.source = run, seen[0].source
        self.norms = {(e.norms.seer.name, e.norms.layer.name): e.norms for e in seen}
        self.best = _strongest(table)
        self._shown: Shown | None = None

    @property
    def shown(self) -> Shown:
        """The images, read once."""
        if self._shown is None:
            self._shown = self.source.read()
        return self._shown

    @property
    def units(self) -> list[int]:
        """The units that have an image."""
        return list(dict.fromkeys(self.best["unit"].tolist()))

    def of(self, unit: int) -> Matched:
        """Return the first image of a unit with its best match in each network.

        Raises:
            ArtiphysError: an image cannot be read any more.
        """
        row = int(np.flatnonzero(self.shown.units == unit)[0])
        image = displayed(self.active, self.source, self.shown.images[row].numpy())
        copy = int(self.shown.copies[row])
        own = self.best.loc[(self.best["unit"] == unit) & (self.best["copy"] == copy)]
        return Matched(f"{self.source.layer.name}/{unit}", image, (), list(self._matches(own)))

    def _matches(self, rows: pd.DataFrame) -> Iterator[Match]:
        for row in rows.to_dict("records"):
            layer, unit = str(row["layer_b"]), int(row["unit_b"])
            patch = preferred_patch(self.norms[str(row["network"]), layer], unit)
            yield Match(
                str(row["network"]), layer, unit, float(row["z"]), float(row["percentile"]), patch
            )


def _strongest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the highest z for each image and network, in whichever layer."""
    own = table.loc[table["rank"] == 0].dropna(subset=["z"])
    first = own.sort_values("z", ascending=False, kind="stable")
    return first.drop_duplicates(subset=["unit", "copy", "network"]).sort_index()


def displayed(run: ActiveRun, source: Source, image: np.ndarray) -> Image:
    """Return an image for display: patches in their own colors, ascents scaled to their range."""
    scale = run.parts.images.pixel_scale
    if source.kind == TOP_PATCH and scale is not None:
        return scaling.to_pixels(image, *scale)
    return scaling.to_display(image)


def preferred_patch(norms: Norms, unit: int) -> Image | None:
    """Return what a unit responds to most in the image set: what its field at the center sees.

    The whole image, if the responses are the largest on the map; ``None`` if it cannot be read.
    """
    run = norms.seer.run
    try:
        image = run.images.read(int(norms.strongest[unit]))
    except ArtiphysError:
        return None
    if run.parts.config.transfer.at == "center":
        image = cut_patch(image, central_field(run.parts.sized_network, norms.layer))
    scale = run.parts.images.pixel_scale
    shown = image.numpy()
    return scaling.to_display(shown) if scale is None else scaling.to_pixels(shown, *scale)


def caption(run: ActiveRun, source: Source) -> str:
    """Return what is shown, and how it is scaled."""
    scaled = "own colors" if source.kind == TOP_PATCH else "scaled to its range of values"
    part = "part" if run.parts.config.transfer.at == "center" else "picture"
    return CAPTION.format(scaled=scaled, part=part)
