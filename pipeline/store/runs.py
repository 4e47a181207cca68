"""Runs: open a finished run in a notebook.

>>> import pipeline
>>> run = pipeline.open_run("outputs/runs/main")         # the newest run of that name
>>> run.correlations.groupby("layer").r.median()
>>> images = run.images("conv2", "top_patch")            # images.added, images.start ...
>>> images.added[images.of(7)]                           # those of unit 7, copy by copy
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.errors import StoreError, nearest
from pipeline.store.layout import STAMP, RunPaths
from pipeline.store.records import read_record
from pipeline.store.results import Result
from pipeline.store.summaries import short_repr
from pipeline.store.tables import read_table, table_names


@dataclass(frozen=True)
class Images:
    """The ascents of one layer from one init, raw float32 pixels in network-input space.

    Arrays are in the order of ``units``, in which copies repeat a unit; ``of(unit)`` returns the
    indices of a unit.

    Attributes:
        units: unit numbers, in the order of the arrays.
        image: the images after the last step.
        start: the starting images.
        status: per image, as in the table of ascents.
        copies: number of each image among those of its unit, which are adjacent.
    """

    units: Int[np.ndarray, " images"]
    image: Float[np.ndarray, "images 3 height width"]
    start: Float[np.ndarray, "images 3 height width"]
    status: list[str]
    copies: Int[np.ndarray, " images"]

    __repr__ = short_repr

    @property
    def added(self) -> Float[np.ndarray, "images 3 height width"]:
        """The change made by the ascent, image - start, which is what is correlated."""
        return self.image - self.start

    def taken(self, at: Int[np.ndarray, " _"]) -> Images:
        """Return some of the images, in another order."""
        status = [self.status[index] for index in at.tolist()]
        return Images(self.units[at], self.image[at], self.start[at], status, self.copies[at])

    def of(self, unit: int) -> Int[np.ndarray, " _"]:
        """Return the indices of the images of a unit, copy by copy; -1 is the layer as a whole.

        Raises:
            StoreError: there are none.
        """
        at = np.flatnonzero(self.units == unit)
        if not len(at):
            known = list(map(str, dict.fromkeys(self.units.tolist())))
            raise StoreError(
                f"images: unit {unit} is not among the {len(known)} that the run climbed,"
                f" {known[0]} to {known[-1]}"
            )
        return at


def read_images(result: Result) -> Images:
    """Return the images of one result of the ascent stage.

    Raises:
        StoreError: an item is missing or damaged.
    """
    names = ("units", "images", "starts", "copies")
    parts = [result.read(item, names) for item in result.items]
    joined = {name: np.concatenate([arrays[name] for arrays, _ in parts]) for name in names}
    status = [status for _, notes in parts for status in notes["status"]]
    return Images(joined["units"], joined["images"], joined["starts"], status, joined["copies"])


@dataclass(frozen=True)
class Animation:
    """The ascents of one unit by one optimizer, step by step, raw pixels in network-input space.

    Attributes:
        steps: numbers of the recorded steps, from 0 (the start) to the last (the final image).
        frames: the images of every copy at these steps.
        responses: before every step and after the last; NaN from the first that is not finite.
        status: per copy, as in the table of ascents.
    """

    steps: Int[np.ndarray, " frames"]
    frames: Float[np.ndarray, "frames copies 3 height width"]
    responses: Float[np.ndarray, "copies steps_and_one"]
    status: list[str]

    __repr__ = short_repr

    @property
    def added(self) -> Float[np.ndarray, "frames copies 3 height width"]:
        """The change of each image up to each step."""
        return self.frames - self.frames[:1]


def animation_name(layer: str, init: str, unit: int | None, optimizer: str) -> str:
    """Return the unique name of an animation in a run; a negative unit is the layer as a whole."""
    own = [] if unit is None or unit < 0 else [str(unit)]
    return "/".join([layer, init, *own, optimizer])


def read_animation(result: Result) -> Animation:
    """Return the one item of a result of the animate stage.

    Raises:
        StoreError: it is missing or damaged.
    """
    found, notes = result.read(result.items[0])
    return Animation(found["steps"], found["frames"], found["responses"], notes["status"])


class Run:
    """A run on disk: its configuration, its tables as DataFrames and its images.

    Tables are attributes, such as ``top_patches``, ``ascents``, ``trajectories``, ``correlations``
    and ``correlation_summary``; ``tables`` lists the existing ones. Images are in network-input
    space; ``pixels`` returns them to pixels.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = RunPaths(folder)
        self.record = read_record(self.paths)

    def __repr__(self) -> str:
        model = self.record.get("model", {}).get("name", "no model")
        layers = ", ".join(self.record.get("layers", {})) or "no layers"
        state = self.record.get("state", "unknown")
        return f"Run({str(self.paths.folder)!r}: {model}, {layers}, {state})"

    @property
    def tables(self) -> list[str]:
        """The names of the tables that the run has."""
        return table_names(self.paths.tables)

    def __dir__(self) -> list[str]:
        """List the tables of the run, too, so that notebooks complete their names."""
        return [*super().__dir__(), *self.tables]

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_") or name == "paths":  # accessed before the folder is set
            raise AttributeError(f"a run has no '{name}'")
        if name not in self.tables:
            known = ", ".join(self.tables) or "none"
            raise AttributeError(
                f"{self!r} has no table '{name}'; it has {known}{nearest(name, self.tables)}"
            )
        return read_table(self.paths.tables, name)

    def images(self, layer: str, init: str) -> Images:
        """Return the final images of a layer's ascents with their starts.

        Raises:
            StoreError: the run did not climb that layer from that init, or the store was moved.
        """
        return read_images(self.result("ascent", f"{layer}/{init}"))

    def frames(
        self, layer: str, init: str, unit: int | None = None
    ) -> Float[np.ndarray, "frames 3 height width"]:
        """Return the frames of a dream, raw float32 pixels in network-input space.

        Args:
            layer: layer of the dream.
            init: init of the dream.
            unit: unit of the dream, unless it is of the layer as a whole.

        Raises:
            StoreError: the run did not dream that, or the store was moved.
        """
        name = f"{layer}/{init}" + ("" if unit is None else f"/{unit}")
        result = self.result("dream", name)
        return np.concatenate(
            [result.read(item, ("images",))[0]["images"] for item in result.items]
        )

    def animation(
        self, layer: str, init: str, unit: int | None = None, optimizer: str | None = None
    ) -> Animation:
        """Return the ascents of a unit step by step.

        Args:
            layer: layer of the ascents.
            init: init of the ascents.
            unit: unit of the ascents, unless they are of the layer as a whole.
            optimizer: name of the optimizer, if several were compared.

        Raises:
            StoreError: the run did not animate that, or the store was moved.
        """
        name = animation_name(layer, init, unit, optimizer or "")
        if optimizer is None:
            known = self.record["results"].get("animate", {})
            found = [
                other
                for other in (each.removeprefix(name) for each in known if each.startswith(name))
                if "/" not in other
            ]
            if len(found) > 1:
                raise StoreError(
                    f"{self!r} has animations of '{name.rstrip('/')}' by {', '.join(found)}; choose"
                    " one as optimizer"
                )
            name = name + found[0] if found else name.rstrip("/")
        return read_animation(self.result("animate", name))

    def result(self, stage: str, name: str) -> Result:
        """Return a result of the run, by its stage and name.

        Raises:
            StoreError: the run has no result with that name.
        """
        found = self.record["results"].get(stage, {})
        if name not in found:
            raise StoreError(
                f"{self!r} has no result of the stage '{stage}' for '{name}'; it has"
                f" {', '.join(found) or 'none'}{nearest(name, found)}"
            )
        place = found[name]
        return Result(self.paths.out / place["folder"], {}, place["items"], from_before=True)


Opened = TypeVar("Opened", bound=Run)


def find_run(path: str | Path, kind: type[Opened]) -> Opened:
    """Return a run, from its folder or as the newest in the folder of all runs with one name.

    Among several runs, the newest finished one is opened, or the newest if none has finished; runs
    that only collect others are ignored.

    Raises:
        StoreError: there is no run, or its record is damaged.
    """
    folder = Path(path).expanduser()
    if not (folder / "record.json").is_file():
        runs = sorted((found.parent for found in folder.glob("*/record.json")), key=by_time)
        if not runs:
            raise StoreError(f"'{path}' is not a run and holds none; give <out>/runs/<name>")
        finished = [run for run in runs if _is_finished(_record(run))]
        folder = (finished or runs)[-1]
    try:
        return kind(folder.absolute())
    except (OSError, ValueError) as error:
        raise StoreError(f"'{folder / 'record.json'}' cannot be read ({error})") from error


def by_time(folder: Path) -> tuple[float, int]:
    """Return the time of a run's last record, and its number among runs of the same second.

    The name of its folder contains the local time, whose order is unreliable across time zones and
    daylight saving changes; it is only used if there is no record.
    """
    stamp, number = folder.name[:19], folder.name[20:]
    try:
        time = datetime.fromisoformat(_record(folder)["time"])
    except (TypeError, KeyError, ValueError):
        time = datetime.strptime(stamp, STAMP) if is_stamp(folder.name) else datetime(1970, 1, 2)
    return time.timestamp(), int(number) if number.isdecimal() else 0


def is_stamp(name: str) -> bool:
    """Return whether a folder has a name like those of runs."""
    with suppress(ValueError):
        return datetime.strptime(name[:19], STAMP).year > 1
    return False


def _is_finished(record: Mapping[str, Any]) -> bool:
    return record.get("state") == "finished" and "collected" not in record


def _record(folder: Path) -> dict[str, Any]:
    try:
        return read_record(RunPaths(folder))
    except (OSError, ValueError):
        return {}
