"""What the stages of one run share: parts, paths, tracking, and the record of the run."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pandas as pd

from pipeline.config.parts import Parts
from pipeline.errors import StoreError
from pipeline.figures import style
from pipeline.images.image_sets import ImageSet
from pipeline.runner.runner import Work
from pipeline.session.known_images import known_images
from pipeline.store.code import code_digest, own_targets
from pipeline.store.files import lost_below, write_bytes
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.provenance import provenance
from pipeline.store.results import Result, find_result
from pipeline.store.secrets import without_queries
from pipeline.store.tables import write_table
from pipeline.tracking import Tracker, none

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pipeline.session.searched import Searched

log = logging.getLogger(__name__)

Item = TypeVar("Item")


@dataclass
class Session:
    """One run at work, in one of its processes.

    Attributes:
        parts: everything built from the configuration.
        layout: the paths below ``out``.
        paths: the files of this run, once it has a folder; only the leading process writes there.
        tracker: told of tables, figures and progress.
        results: where the results of the run lie, by stage and name, for its record.
        asked: the results themselves.
        searched: extremes that have been read, by the key of their result.
        unreadable: images that could not be read, with reasons.
        looked_for: files of the store that the run would have used, had they been there.
        done: how many work items were computed in this run, by all processes.
        facts: more for the record of the run.
    """

    parts: Parts
    layout: Layout
    paths: RunPaths
    tracker: Tracker
    results: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    unreadable: dict[str, str] = field(default_factory=dict[str, str])
    asked: list[Result] = field(default_factory=list[Result])
    searched: dict[str, Searched] = field(default_factory=dict[str, "Searched"])
    looked_for: set[Path] = field(default_factory=set[Path])
    done: int = 0
    facts: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def planned(cls, parts: Parts, layout: Layout) -> Session:
        """Return a run that has no folder yet and is not tracked, to ask what the store holds."""
        paths = RunPaths(layout.runs(parts.config.name))
        return cls(parts, layout, paths, none()(paths.folder, {}, None, ""))

    @property
    def leads(self) -> bool:
        """Whether this process writes tables and figures."""
        return self.parts.runner.ranks.leads

    @cached_property
    def images(self) -> ImageSet:
        """The image set, known again where it was searched before under other times.

        All processes must first ask for it at the same time: they wait for the one that leads.
        """
        with self.parts.runner.ranks.leader_first():
            images = known_images(self.layout, self.parts.images)
        own = own_targets(self.parts.config.images)
        code = {"code": code_digest(own)} if own else {}
        return replace(images, settings=images.settings | code)

    @property
    def found_everything(self) -> bool:
        """Whether all that the run asked for was there before it."""
        return not self.done and not any(result.missing() for result in self.asked)

    def result(
        self, stage: str, layer: str, name: str, settings: Mapping[str, Any], items: Sequence[str]
    ) -> Result:
        """Return a result of this run and note in its record where it lies."""
        result = self._place(stage, layer, settings, items)
        folder = result.folder.relative_to(self.layout.out).as_posix()
        if name not in self.results.setdefault(stage, {}):
            self.results[stage][name] = {"folder": folder, "items": list(items)}
            self.asked.append(result)
        return result

    def find(
        self, stage: str, layer: str, settings: Mapping[str, Any], items: Sequence[str]
    ) -> Result:
        """Return a result that this run may look at, but does not ask for."""
        result = self._place(stage, layer, settings, items)
        self.looked_for.update(result.paths.item(item) for item in items)
        return result

    def _place(
        self, stage: str, layer: str, settings: Mapping[str, Any], items: Sequence[str]
    ) -> Result:
        place = (stage, self.parts.network.identity, layer)
        return find_result(self.layout, place, settings, items)

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
        self.parts.runner.ranks.meet()
        start = time.monotonic()
        yield
        for result in results if self.leads else ():
            self.begin(result, "finished", time.monotonic() - start)

    def make(
        self,
        results: Sequence[Result],
        plan: Sequence[Item],
        work: Work[Item, Any, Any, Any],
        label: str,
        *,
        tf32: bool = False,
    ) -> None:
        """Compute, with all processes, what is missing of some results, and tell the tracker.

        Args:
            results: to which the items belong.
            plan: all items, in the order in which they are dealt out.
            work: how an item is computed.
            label: stage and what is counted, as in ``ascent: ascents``.
            tf32: whether the device may multiply so, if the configuration wants it.
        """
        runner, stage = self.parts.runner, label.partition(":")[0]
        runner.allow_tf32(tf32 and self.parts.config.precision == "tf32")
        try:
            with self.making(results):
                self.done += runner.do(
                    plan, work, label, lambda share: self.tracker.log({f"{stage}/share": share})
                )
        finally:
            runner.allow_tf32(False)

    def mend(self) -> None:
        """Describe results again that are whole, but whose manifest has been lost or damaged."""
        for result in self.asked:
            if not result.missing() and not result.is_described():
                self.begin(result, "found")

    def check_files(self) -> None:
        """Check that what the run has written into its folder is still there.

        Raises:
            StoreError: something is gone, or has been changed by another program.
        """
        lost = lost_below(self.paths.folder)
        if lost:
            more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
            raise StoreError(
                f"out: '{lost[0]}'{more} went or changed while the run was at work; give the same"
                " command again, which keeps what is finished"
            )

    def table(self, name: str, table: pd.DataFrame) -> None:
        """Write a table of the run; short ones go to the tracker too."""
        write_table(self.paths.tables, name, table)
        if len(table) <= 10_000:
            self.tracker.table(name, table)

    def figure(self, name: str, figure: Figure, dpi: int = 300) -> None:
        """Write a figure of the run in all formats asked for; the tracker shows the PNG."""
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
