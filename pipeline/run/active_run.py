"""An active run: what its stages share, in one of its processes."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pipeline.config.build import read_settings
from pipeline.errors import StoreError, listed
from pipeline.run.parts import Parts
from pipeline.store.code import own_targets
from pipeline.store.files import lost_below, write_bytes
from pipeline.store.identity import described_images
from pipeline.store.layout import Layout, RunPaths, file_name
from pipeline.store.provenance import provenance
from pipeline.store.results import HasResult, Result, find_result
from pipeline.store.secrets import without_queries
from pipeline.tracking import Tracker, none

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from pipeline.images.image_sets import ImageSet
    from pipeline.runner.runner import Work

Item = TypeVar("Item")
Planned = TypeVar("Planned", bound=HasResult)


@dataclass
class ActiveRun:
    """An active run, in one of its processes.

    Attributes:
        parts: everything built from the configuration.
        layout: paths below ``out``.
        paths: the files of this run, once it has a folder; only the leading process writes there.
        tracker: receives tables, figures and progress.
        code: digests of the code of the user's own stages, by stage name.
        plans: plans made so far, by stage name.
        enlisted: results in the record of this run, by stage and name.
        unreadable: images that could not be read, with the reasons.
        done: number of work items computed in this run, by all processes.
        facts: further entries for the record of the run.
    """

    parts: Parts
    layout: Layout
    paths: RunPaths
    tracker: Tracker
    code: Mapping[str, str] = field(default_factory=dict[str, str])
    plans: dict[str, Any] = field(default_factory=dict[str, Any])
    enlisted: dict[tuple[str, str], Result] = field(default_factory=dict[tuple[str, str], Result])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    done: int = 0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def planned(
        cls, parts: Parts, layout: Layout, code: Mapping[str, str] | None = None
    ) -> ActiveRun:
        """Return a run without a folder or tracking, for queries about the store."""
        paths = RunPaths(layout.runs(parts.config.name))
        return cls(parts, layout, paths, none()(paths.folder, {}, None, ""), code or {})

    @property
    def leads(self) -> bool:
        """Whether this process writes tables and figures."""
        return self.parts.runner.ranks.leads

    @cached_property
    def images(self) -> ImageSet:
        """The image set, recognized if it was searched before with other file times.

        All processes must first access it at the same time: they wait for the leading one.
        """
        from pipeline.run.image_lists import known_images

        with self.parts.runner.ranks.leader_first():
            images = known_images(self.layout, self.parts.images)
        option = self.parts.config.images
        own = described_images(option) if own_targets(option) else {}
        return replace(images, settings=images.settings | own)

    def settings(self, stage: Any) -> Any:
        """Return the settings of a user's own stage: its dataclass, from ``own.<name>``.

        Raises:
            ConfigError: the stage has no such setting, or a value has the wrong type.
        """
        return read_settings(stage.config, self.parts.config.own.get(stage.name), stage.name)

    # Plans and results.

    def plan(self, stage: Any) -> Any:
        """Return the plan of a stage, which is made once.

        Raises:
            ArtiphysError: its settings are invalid.
        """
        if stage.name not in self.plans:
            self.plans[stage.name] = stage.plan(self)
        return self.plans[stage.name]

    def planned_results(self, name: str) -> list[Result]:
        """Return the results of a stage; none if it has not been planned."""
        return list(self.plans[name].results) if name in self.plans else []

    def result(
        self,
        stage: Any,
        layer: str,
        name: str,
        settings: Mapping[str, Any],
        items: Sequence[str],
        place: str = "",
    ) -> Result:
        """Return the result that some settings determine, whether or not the store holds it.

        Args:
            stage: stage of the result; its version is part of the key.
            layer: name of the layer.
            name: a name that is unique in this run.
            settings: everything that determines the result, as plain data; for a user's own stage,
                its code and its settings are added.
            items: names of its work items.
            place: folder of the store; the stage's name by default.
        """
        folder = (place or stage.name, self.parts.network.identity, layer)
        if stage.name in self.code:
            own = asdict(self.settings(stage)) if stage.config is not None else {}
            settings = {**settings, "code": self.code[stage.name], "own": own}
        return find_result(self.layout, folder, settings, items, stage.version, name)

    def missing(self, planned: Sequence[Planned]) -> list[Planned]:
        """Return those whose results lack items; the leading process decides for all."""
        lacking = [n for n, item in enumerate(planned) if self.leads and item.result.missing()]
        numbers: list[int] = json.loads(self.parts.runner.ranks.broadcast(json.dumps(lacking)))
        return [planned[number] for number in numbers]

    def enlist(self, results: Iterable[Result]) -> None:
        """Add results to the record of this run."""
        for result in results:
            self.enlisted.setdefault((result.stage, result.name), result)

    @property
    def looked_for(self) -> list[Path]:
        """Files that the run would have used if the store had held them."""
        others = [
            result
            for plan in self.plans.values()
            for result in (*plan.results, *plan.consulted)
            if (result.stage, result.name) not in self.enlisted
            or self.enlisted[result.stage, result.name].key != result.key
        ]
        return sorted({result.paths.item(item) for result in others for item in result.items})

    # Work.

    def begin(self, result: Result, state: str, seconds: float = 0.0) -> None:
        """Record what a result is and how this run makes it.

        Args:
            result: a result of this run.
            state: ``begun`` or ``finished``.
            seconds: time taken, including other results made together with it.
        """
        made = {"state": state, "seconds": round(seconds, 2)}
        result.begin(self.paths.name, self._provenance | made)

    @contextmanager
    def making(self, results: Sequence[Result]) -> Generator[None]:
        """Record how results are made, before and after all processes make them."""
        for result in results if self.leads else ():
            self.begin(result, "begun")
        self.parts.runner.ranks.barrier()
        start = time.monotonic()
        yield
        for result in results if self.leads else ():
            self.begin(result, "finished", time.monotonic() - start)

    def make(
        self,
        results: Sequence[Result],
        items: Sequence[Item],
        work: Work[Item, Any, Any, Any],
        label: str,
        *,
        tf32: bool = False,
    ) -> None:
        """Compute the missing items of some results with all processes, and report to the tracker.

        Args:
            results: results to which the items belong.
            items: all items, in the order in which they are handed out.
            work: computes an item.
            label: stage and unit of count, as in ``ascent: ascents``.
            tf32: whether the device may multiply in TF32, if the configuration asks for it.
        """
        runner, stage = self.parts.runner, label.partition(":")[0]
        runner.allow_tf32(tf32 and self.parts.config.precision == "tf32")
        try:
            with self.making(results):
                self.done += runner.do(
                    items, work, label, lambda share: self.tracker.log({f"{stage}/share": share})
                )
        finally:
            runner.allow_tf32(False)

    def mend(self) -> None:
        """Rewrite lost or damaged metadata of results that are otherwise complete."""
        for result in self.enlisted.values():
            if not result.missing() and not result.is_described():
                self.begin(result, "found")

    def check_files(self) -> None:
        """Check that the files that the run wrote into its folder are still there.

        Raises:
            StoreError: a file is gone, or another program has changed it.
        """
        lost = lost_below(self.paths.folder)
        if lost:
            names = listed([f"'{path}'" for path in lost], 1)
            raise StoreError(
                f"out: {names} disappeared or changed during the run; repeat the command, which "
                "keeps finished work"
            )

    # Files of the run.

    def table(self, name: str, columns: Sequence[str], table: pd.DataFrame, csv: bool) -> None:
        """Write a table of the run, and send it to the tracker if it is short.

        What the image set knows of its images is added to the tables that name them.
        """
        from pipeline.images.columns import with_image_columns
        from pipeline.store.tables import write_table

        own = list(table.columns)
        if "images" in vars(self):  # or else no stage has asked for them
            table = with_image_columns(table, self.images)
        added = [column for column in table.columns if column not in own]
        write_table(self.paths.tables, name, [*columns, *added], table, csv)
        if len(table) <= 10_000:
            self.tracker.table(name, table)

    def figure(self, name: str, figure: Figure, dpi: int = 300) -> None:
        """Write a figure of the run in all chosen formats, and send the PNG to the tracker."""
        from pipeline.figures import style

        for kind in self.parts.config.figures.formats:
            content = style.render(figure, cast("Any", kind), dpi)
            path = self.paths.figures / f"{file_name(name)}.{kind}"
            write_bytes(path, content)
            if kind == "png":
                self.tracker.figure(name, path)

    def video(self, name: str, videos: Mapping[str, bytes]) -> None:
        """Write a video of the run in each format, and send it to the tracker."""
        for kind, content in videos.items():
            path = self.paths.figures / f"{file_name(name)}.{kind}"
            write_bytes(path, content)
            self.tracker.video(f"{name}.{kind}", path)

    @cached_property
    def _provenance(self) -> dict[str, Any]:
        parts = self.parts
        return provenance() | {
            "run": self.paths.name,
            "device": str(parts.runner.device),
            "processes": parts.runner.ranks.size,
            "seed": parts.config.seed,
            "weights": {"source": parts.network.weights, "sha256": parts.network.digest},
            "images": dict(self.images.settings) | {"count": len(self.images)},
            "config": without_queries(asdict(parts.config)),
        }
