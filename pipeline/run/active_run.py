"""A run at work: what its stages share, in one of its processes."""

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
from pipeline.store.code import code_digest, own_targets
from pipeline.store.files import lost_below, write_bytes
from pipeline.store.layout import Layout, RunPaths
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
    """One run at work, in one of its processes.

    Attributes:
        parts: everything built from the configuration.
        layout: the paths below ``out``.
        paths: the files of this run, once it has a folder; only the leading process writes there.
        tracker: told of tables, figures and progress.
        code: digests of the code of stages of one's own, by the stage's name.
        plans: of the stages that have been planned, by name.
        enlisted: the results of this run, in its record by stage and name.
        unreadable: images that could not be read, with reasons.
        done: how many work items were computed in this run, by all processes.
        facts: more for the record of the run.
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
        """Return a run that has no folder yet and is not tracked, to ask what the store holds."""
        paths = RunPaths(layout.runs(parts.config.name))
        return cls(parts, layout, paths, none()(paths.folder, {}, None, ""), code or {})

    @property
    def leads(self) -> bool:
        """Whether this process writes tables and figures."""
        return self.parts.runner.ranks.leads

    @cached_property
    def images(self) -> ImageSet:
        """The image set, known again where it was searched before under other times.

        All processes must first ask for it at the same time: they wait for the one that leads.
        """
        from pipeline.run.image_lists import known_images

        with self.parts.runner.ranks.leader_first():
            images = known_images(self.layout, self.parts.images)
        own = own_targets(self.parts.config.images)
        code = {"code": code_digest(own)} if own else {}
        return replace(images, settings=images.settings | code)

    def settings(self, stage: Any) -> Any:
        """Return the settings of a stage of one's own: its dataclass, from ``own.<name>``.

        Raises:
            ConfigError: it has no such setting, or a value is of another type.
        """
        return read_settings(stage.config, self.parts.config.own.get(stage.name), stage.name)

    # Plans and results.

    def plan(self, stage: Any) -> Any:
        """Return the plan of a stage, which is made once.

        Raises:
            ArtiphysError: its settings make no plan.
        """
        if stage.name not in self.plans:
            self.plans[stage.name] = stage.plan(self)
        return self.plans[stage.name]

    def planned_results(self, name: str) -> list[Result]:
        """Return the results of a stage, if it has been planned."""
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
        """Return the result that settings determine, whether it is there or not.

        Args:
            stage: that it is of; its version is in the key.
            layer: name of the layer.
            name: what tells the result apart in this run.
            settings: everything that determines it, as plain data; of a stage of one's own its
                code and its settings are added.
            items: the names of its work items.
            place: folder of the store; that of the stage's name by default.
        """
        folder = (place or stage.name, self.parts.network.identity, layer)
        if stage.name in self.code:
            own = asdict(self.settings(stage)) if stage.config is not None else {}
            settings = {**settings, "code": self.code[stage.name], "own": own}
        return find_result(self.layout, folder, settings, items, stage.version, name)

    def missing(self, planned: Sequence[Planned]) -> list[Planned]:
        """Return what lacks items of its result: the same in all processes, as the leader says."""
        lacking = [n for n, item in enumerate(planned) if self.leads and item.result.missing()]
        numbers: list[int] = json.loads(self.parts.runner.ranks.broadcast(json.dumps(lacking)))
        return [planned[number] for number in numbers]

    def enlist(self, results: Iterable[Result]) -> None:
        """Note in the record that results belong to this run."""
        for result in results:
            self.enlisted.setdefault((result.stage, result.name), result)

    @property
    def looked_for(self) -> list[Path]:
        """Files of the store that the run would have used, had they been there."""
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
        """Write down what a result is and how this run makes it.

        Args:
            result: of this run.
            state: ``begun`` or ``finished``.
            seconds: that it took, with the results that were made together with it.
        """
        made = {"state": state, "seconds": round(seconds, 2)}
        result.begin(self.paths.name, self._provenance | made)

    @contextmanager
    def making(self, results: Sequence[Result]) -> Generator[None]:
        """Write down, before and after all processes make results, how they are made."""
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
        """Compute, with all processes, what is missing of some results, and tell the tracker.

        Args:
            results: to which the items belong.
            items: all of them, in the order in which they are handed out.
            work: how an item is computed.
            label: stage and what is counted, as in ``ascent: ascents``.
            tf32: whether the device may multiply so, if the configuration wants it.
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
        """Describe results again that are whole, but whose metadata has been lost or damaged."""
        for result in self.enlisted.values():
            if not result.missing() and not result.is_described():
                self.begin(result, "found")

    def check_files(self) -> None:
        """Check that what the run has written into its folder is still there.

        Raises:
            StoreError: something is gone, or has been changed by another program.
        """
        lost = lost_below(self.paths.folder)
        if lost:
            names = listed([f"'{path}'" for path in lost], 1)
            raise StoreError(
                f"out: {names} went or changed while the run was at work; give the same"
                " command again, which keeps what is finished"
            )

    # Files of the run.

    def table(self, name: str, columns: Sequence[str], table: pd.DataFrame, csv: bool) -> None:
        """Write a table of the run; short ones go to the tracker too."""
        from pipeline.store.tables import write_table

        write_table(self.paths.tables, name, columns, table, csv)
        if len(table) <= 10_000:
            self.tracker.table(name, table)

    def figure(self, name: str, figure: Figure, dpi: int = 300) -> None:
        """Write a figure of the run in all formats asked for; the tracker shows the PNG."""
        from pipeline.figures import style

        for kind in self.parts.config.figures.formats:
            content = style.render(figure, cast("Any", kind), dpi)
            path = self.paths.figures / f"{name}.{kind}"
            write_bytes(path, content)
            if kind == "png":
                self.tracker.figure(name, path)

    def video(self, name: str, videos: Mapping[str, bytes]) -> None:
        """Write a video of the run, by format, and show it to the tracker."""
        for kind, content in videos.items():
            path = self.paths.figures / f"{name}.{kind}"
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
