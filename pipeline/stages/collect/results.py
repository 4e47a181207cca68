"""Sweeps: any set of finished runs as two tidy tables.

>>> import pipeline
>>> sweep = pipeline.collect("outputs/runs/mysweep")
>>> sweep.summary.pivot_table(index="layer", columns=["model", "optimizer"], values="median")
>>> sweep.runs["optimizer=adam"].images("conv2", "zeros")
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from glob import glob
from pathlib import Path, PurePath
from typing import Any

import pandas as pd
from pyarrow import ArrowException
from pyarrow.parquet import read_metadata

from pipeline.config.schema import Config
from pipeline.errors import StoreError, listed
from pipeline.run.active_run import ActiveRun
from pipeline.stages.collect import SWEEP_CORRELATIONS, SWEEP_SUMMARY
from pipeline.stages.correlations import CORRELATIONS, SUMMARY
from pipeline.stages.correlations import STAGE as CORRELATIONS_STAGE
from pipeline.stages.stage import Stage, Table
from pipeline.store.jobs import Settings, identity, job_names, job_settings
from pipeline.store.layout import Layout
from pipeline.store.natural_order import natural_order
from pipeline.store.records import is_as_recorded, read_checksummed_record, read_config
from pipeline.store.runs import Run, by_time, is_stamp
from pipeline.store.tables import read_table

Place = str | Path
SOURCES = ((SWEEP_CORRELATIONS, CORRELATIONS), (SWEEP_SUMMARY, SUMMARY))
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """Which runs can be collected: those with certain tables of a stage, of its version.

    Attributes:
        stage: the stage.
        tables: its tables.
        own: those that collecting writes; a run with these alone is no run to collect.
        key: the key of the configuration that names the runs.
    """

    stage: Stage[Any]
    tables: tuple[Table, ...]
    own: tuple[Table, ...]
    key: str = "collect.runs"

    @property
    def reader(self) -> str:
        """The stage that reads the runs."""
        return self.key.partition(".")[0]


CORRELATED = Wanted(CORRELATIONS_STAGE, (CORRELATIONS, SUMMARY), tuple(own for own, _ in SOURCES))


@dataclass(frozen=True)
class Sweep:
    """A set of finished runs.

    Attributes:
        correlations: the table ``sweep_correlations``.
        summary: the table ``sweep_summary``.
        runs: the run of every job, in the order of the tables.
        left_out: folders of the runs that are not in the tables, with the reasons.
    """

    correlations: pd.DataFrame
    summary: pd.DataFrame
    runs: dict[str, Run]
    left_out: dict[Path, str]

    def __repr__(self) -> str:
        return f"Sweep({len(self.runs)} runs: {', '.join(job or 'one job' for job in self.runs)})"


@dataclass(frozen=True)
class Finished:
    """The finished runs in some folders that have what is wanted, and why others are left out."""

    runs: list[tuple[Run, Settings]]
    left_out: dict[Path, str]

    @property
    def group(self) -> str | None:
        """The W&B group of the runs, if their records agree on one."""
        groups = [run.record.get("group") for run, _ in self.runs]
        return groups[0] if groups.count(groups[0]) == len(groups) else None


class _Unfit(Exception):
    """Raised if a run cannot be collected; the message gives the reason."""


def collect(*places: Place) -> Sweep:
    """Return the finished runs in some folders as two tables.

    Rows are in the order of the jobs, and within a job in the order of the run. If several runs
    have the same configuration, the newest is used. Nothing else depends on when or where the runs
    were made.

    Args:
        places: run folders, folders that contain runs at any depth, or glob patterns of these.

    Raises:
        StoreError: a folder contains no run, or no run has finished with correlations.
    """
    known: tuple[Any, ...] = places
    wrong = [place for place in known if not isinstance(place, str | Path)]
    if wrong or not places:
        given = f"{type(wrong[0]).__name__} is not the path of runs" if wrong else "none are given"
        raise StoreError(f"places: {given}; give folders that contain runs, such as 'outputs/runs'")
    return joined(find_finished_runs(places))


def joined(found: Finished) -> Sweep:
    """Return finished runs as two tables, as ``collect`` does."""
    newest, left_out = newest_by_identity(found)
    names = job_names([settings for _, settings in newest])
    jobs = dict(zip(names, newest, strict=True))
    jobs = {name: jobs[name] for name in sorted(jobs, key=natural_order)}
    correlations, summary = (
        pd.concat([_labelled(table, source, job, *jobs[job]) for job in jobs], ignore_index=True)
        for table, source in SOURCES
    )
    runs = {job: run for job, (run, _) in jobs.items()}
    return Sweep(correlations, summary, runs, left_out)


def newest_by_identity(found: Finished) -> tuple[list[tuple[Run, Settings]], dict[Path, str]]:
    """Return the newest run of each configuration, and why others are left out."""
    left_out = dict(found.left_out)
    newest: dict[str, tuple[Run, Settings]] = {}
    for run, settings in sorted(found.runs, key=lambda pair: _age(pair[0])):
        older = newest.get(identity(settings))
        if older is not None:
            left_out[older[0].paths.folder] = "a newer run has the same configuration"
        newest[identity(settings)] = (run, settings)
    return list(newest.values()), left_out


def find_finished_runs(places: Sequence[Place], wanted: Wanted = CORRELATED) -> Finished:
    """Return the runs that have what is wanted; runs that only collect do not count.

    Raises:
        StoreError: a folder contains no run, or no run has finished with what is wanted.
    """
    runs: list[tuple[Run, Settings]] = []
    left_out: dict[Path, str] = {}
    for folder in dict.fromkeys(
        folder for place in places for folder in _run_folders(place, wanted)
    ):
        try:
            run = Run(folder)
            if set(run.tables) != {table.name for table in wanted.own}:
                runs.append((run, _check(run, wanted)))
        except _Unfit as reason:
            left_out[folder] = str(reason)
        except FileNotFoundError as error:
            left_out[folder] = f"without its {Path(str(error.filename)).name}"
        except (OSError, ValueError, TypeError, AttributeError, ArrowException) as error:
            own = type(error) is ValueError  # not its subclasses
            left_out[folder] = f"damaged ({error if own else type(error).__name__})"
    if not runs:
        raise StoreError(_none_finished(places, left_out, wanted))
    return Finished(runs, left_out)


def _run_folders(place: Place, wanted: Wanted) -> Iterator[Path]:
    path = Path(place).expanduser()
    # Path.glob raises an error for some patterns.
    matches = [] if path.exists() else sorted(glob(str(path), recursive=True))  # noqa: PTH207
    tops = [Path(match) for match in matches] or [path]
    nothing = True
    for top in tops:
        for folder, inner, files in os.walk(top):
            if "record.json" in files or ("config.yaml" in files and is_stamp(Path(folder).name)):
                nothing = False
                yield Path(folder).absolute()
                inner.clear()
            if "runs" in inner and "store" in inner:
                inner.remove("store")  # the store contains thousands of folders, but no runs
            inner.sort()
    if nothing:
        raise StoreError(
            f"{wanted.reader}: '{place}' neither is nor contains a run; give run folders or folders"
            f" that contain runs, as in {wanted.key}=[outputs/runs/mysweep]"
        )


def _check(run: Run, wanted: Wanted) -> Settings:
    """Return the settings of a run; raise ``_Unfit`` if it cannot be collected."""
    state = run.record.get("state")
    if state != "finished":
        raise _Unfit(str(state or "not finished"))
    # Columns of the same name may have another meaning.
    stage = wanted.stage
    if run.record.get("stage_versions", {}).get(stage.name) != stage.version:
        raise _Unfit("made by another version")
    tables = [run.paths.tables / f"{source.name}.parquet" for source in wanted.tables]
    if not all(path.is_file() for path in tables):
        raise _Unfit(f"no {stage.name}")
    _check_files(run, [run.paths.config, *tables])
    for source, path in zip(wanted.tables, tables, strict=True):
        table = read_metadata(path)
        if not table.num_rows:
            raise _Unfit(f"no {stage.name}")
        if list(table.schema.names) != list(source.columns):
            raise _Unfit("made by another version")
    settings = job_settings(read_config(run.paths))
    if not {"seed", "precision"} <= settings.keys():
        raise _Unfit("made by another version")
    return settings


def _check_files(run: Run, files: Sequence[Path]) -> None:
    """Check files of a run against the digests in its record."""
    if "files" not in run.record:
        raise _Unfit("made by an earlier version, which recorded no digests of its files")
    record = read_checksummed_record(run.paths)
    for path in files:
        if not path.is_file():
            raise _Unfit(f"{path.name} is missing")
        if not is_as_recorded(run.paths, record, path):
            raise _Unfit(f"{path.name} was changed after the run")


def _none_finished(places: Sequence[Place], left_out: dict[Path, str], wanted: Wanted) -> str:
    some = [f"{folder.parent.name}/{folder.name}: {why}" for folder, why in left_out.items()]
    reasons = f" ({listed(some, 3, last=', ')})" if some else ""
    where = ", ".join(f"'{place}'" for place in places)
    return (
        f"{wanted.reader}: no run in {where} has finished with {wanted.stage.name}{reasons}; finish"
        f" one first, or give other folders in {wanted.key}"
    )


def _age(run: Run) -> tuple[tuple[float, int], str]:
    """Return a key that sorts runs from oldest to newest, across machines and folders."""
    return by_time(run.paths.folder), str(run.paths.folder)


def _labelled(wanted: Table, source: Table, job: str, run: Run, settings: Settings) -> pd.DataFrame:
    labels = {
        "job": job,
        "weights": PurePath(str(settings.get("model.weights", ""))).name,
        **{key: settings[key] for key in ("objective", "optimizer", "seed", "precision")},
    }
    table = read_table(run.paths.tables, source.name)
    return pd.DataFrame(table.assign(**labels), columns=list(wanted.columns))


# As a stage.


@dataclass(frozen=True)
class Collection:
    """The runs that had finished before this one began; the stage stores no result."""

    finished: Finished
    results: tuple[()] = ()
    consulted: tuple[()] = ()

    @cached_property
    def sweep(self) -> Sweep:
        """The collected runs."""
        return joined(self.finished)


def plan_collection(run: ActiveRun) -> Collection:
    """Return the runs to collect.

    Raises:
        StoreError: a folder contains no run, or no run has finished with correlations.
    """
    return Collection(find_finished_runs(collected_places(run.parts.config, run.layout)))


def collected_places(config: Config, layout: Layout) -> list[str]:
    """Return the folders to collect from; by default, those of runs with the same name."""
    return config.collect.runs or [str(layout.runs(config.name))]


def tracking_group(collection: Collection) -> str | None:
    """Return the W&B group that the runs agree on."""
    return collection.finished.group


def sweep_correlations(_run: ActiveRun, collection: Collection) -> pd.DataFrame:
    """Return the correlations of every job."""
    return collection.sweep.correlations


def sweep_summary(_run: ActiveRun, collection: Collection) -> pd.DataFrame:
    """Return the summary of every job."""
    return collection.sweep.summary


def tell_left_out(stage: str, left_out: Mapping[Path, str]) -> None:
    """Log which runs are left out, and why."""
    for reason in dict.fromkeys(left_out.values()):
        folders = [folder for folder, why in left_out.items() if why == reason]
        names = listed([f"{each.parent.name}/{each.name}" for each in folders], 3, last=", ")
        log.info("%s: left out, %s: %s", stage, reason, names)
