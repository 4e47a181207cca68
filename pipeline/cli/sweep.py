"""``artiphys sweep submit|status|collect|cancel|clean``: sweeps that outlive the terminal.

submit   OVERRIDE ...  compose, check and freeze every job, and hand them to Slurm as one array
status   [NAME]        count the results of every job in the store
collect  NAME          gather the finished jobs into tables and a figure
cancel   NAME          cancel the jobs in Slurm; finished work is kept
clean    NAME          delete the frozen jobs and Slurm's logs; results are kept
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pipeline.cli import slurm
from pipeline.cli.frozen import (
    FrozenJob,
    Sweep,
    composed,
    find_sweep,
    freeze,
    launcher,
    note_submitted,
    open_sweep,
    unfinished,
)
from pipeline.cli.job_status import KILLED, standing
from pipeline.cli.jobs import ALONE, Job, own_settings, read_job
from pipeline.cli.output import say
from pipeline.cli.slurm import in_queue
from pipeline.cli.text_table import text_table
from pipeline.config.overrides import quoted
from pipeline.config.schema import Config
from pipeline.errors import ConfigError, StoreError
from pipeline.store.checksummed import read_document
from pipeline.store.layout import Layout, RunPaths

ABOUT = {
    "status": "count the results of every job in the store; without NAME, list the sweeps",
    "collect": "gather the finished jobs into tables and a figure",
    "cancel": "cancel the jobs in Slurm; finished work is kept",
    "clean": "delete the frozen jobs and Slurm's logs; runs and results are kept",
}


def main(arguments: Sequence[str]) -> int:
    """Run the sub-command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="artiphys sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    submitting = commands.add_parser("submit", help="check, freeze and submit a sweep")
    submitting.add_argument("overrides", nargs="*", help="overrides as for artiphys -m")
    for name, about in ABOUT.items():
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("name", nargs="?" if name == "status" else None)
        command.add_argument("--out", default="outputs", help="the value of out=... in the sweep")
    chosen = parser.parse_args(arguments)
    if chosen.command == "submit":
        return submit(chosen.overrides)
    if chosen.name is None:
        return _list_sweeps(chosen.out)
    sweep = open_sweep(chosen.out, chosen.name)
    return {"status": status, "collect": collect, "cancel": cancel, "clean": clean}[chosen.command](
        sweep
    )


def submit(overrides: Sequence[str]) -> int:
    """Check every job and submit those that have not finished; the same command continues.

    Raises:
        ConfigError: an override is wrong, a job has a fault, or Slurm cannot be reached.
    """
    own = [override for override in overrides if not _for_hydra(override)]
    settings = launcher([override for override in overrides if _for_hydra(override)])
    jobs = composed(own)
    _refuse_queued(find_sweep(jobs))
    finished = {number: run for number, run in enumerate(map(_finished, jobs)) if run is not None}
    left = [number for number in range(len(jobs)) if number not in finished]
    _check([jobs[number] for number in left])
    with _alone(find_sweep(jobs)):
        _refuse_queued(find_sweep(jobs))  # another command may have finished it meanwhile
        sweep = freeze(jobs, own)
        for number, run in finished.items():
            _note_finished(sweep, number, run)
        say(f"sweep {sweep.name}: {len(jobs)} jobs, {len(finished)} of them finished")
        if left:
            array = _submit(sweep, left, settings)
            note_submitted(sweep, array)
            say(f"submitted {len(left)} jobs to Slurm as {array}")
        else:
            say("nothing is left to submit")
    out = "" if jobs[0][1].out == "outputs" else f" --out {jobs[0][1].out}"
    for command in ("status", "collect", "cancel"):
        say(f"  artiphys sweep {command} {sweep.name}{out}")
    return 0


def status(sweep: Sweep) -> int:
    """Show every job with its state and its results in the store."""
    try:
        queued, doubt = in_queue(sweep.submitted), None
    except StoreError as error:
        queued, doubt = None, str(error)
    rows = [standing(sweep, number, queued) for number in range(len(sweep.overrides))]
    cells = [("job", "settings", "state", "results", "last sign")]
    for number, (given, row) in enumerate(zip(own_settings(sweep.overrides), rows, strict=True)):
        items = f"{row.done} of {row.items}" if row.items else ""
        cells.append((str(number), given, row.state, items, row.seen))
    heading, *lines = text_table(cells, left=(1, 2))
    say(heading)
    for line, row in zip(lines, rows, strict=True):
        say(line)
        if row.reason:
            say(f"      {row.reason}")
    finished = sum(row.state == "finished" for row in rows)
    say(f"{finished} of {len(rows)} jobs finished")
    if doubt is not None:
        say(f"the states are those last reported by the jobs; {doubt}")
    return 1 if any(row.state in ("failed", KILLED) for row in rows) else 0


def collect(sweep: Sweep) -> int:
    """Gather the finished jobs of a sweep, as ``stages=[collect]`` does."""
    from pipeline.cli.run import run

    known = [read_job(sweep.paths.folder, n) for n in range(len(sweep.overrides))]
    runs = [job["run"] for job in known if job.get("state") == "finished"]
    if not runs:
        raise StoreError(f"sweep: no job of '{sweep.name}' has finished yet")
    folders = [str((sweep.paths.folder / run).resolve()) for run in runs]
    listed = f"[{','.join(map(quoted, folders))}]"
    overrides = [
        "stages=[collect]",
        f"collect.runs={listed}",
        f"out={quoted(str(sweep.paths.out))}",
    ]
    config, frozen = composed(overrides)[0][1], read_document(sweep.paths.config(0))["config"]
    run(replace(config, name=frozen["name"], tracking=frozen["tracking"]), ALONE)
    return 0


def cancel(sweep: Sweep) -> int:
    """Cancel the jobs of a sweep in Slurm.

    Raises:
        ArtiphysError: Slurm does not answer, or reports an error.
    """
    queued = in_queue(sweep.submitted)
    if queued:
        slurm.cancel(queued)
    say(f"sweep {sweep.name}: {len(queued)} jobs cancelled; finished work is kept")
    return 0


def clean(sweep: Sweep) -> int:
    """Delete the files of a sweep other than its results.

    Raises:
        StoreError: it has jobs in Slurm, Slurm does not answer, or the folder cannot be deleted.
    """
    with _alone(sweep):
        queued = in_queue(sweep.submitted)
        if queued:
            raise StoreError(
                f"sweep: '{sweep.name}' has jobs in Slurm ({', '.join(queued)}); cancel it first"
            )
        try:
            shutil.rmtree(sweep.paths.folder)
        except OSError as error:
            raise StoreError(
                f"sweep: '{error.filename}' cannot be deleted ({error.strerror})"
            ) from error
    say(f"sweep {sweep.name} is deleted; its runs and results are kept")
    return 0


@contextmanager
def _alone(sweep: Sweep) -> Generator[None]:
    """Lock a sweep against other submit or clean commands, on any machine.

    Raises:
        StoreError: another command holds the lock, or the folder cannot be written.
    """
    mark = sweep.paths.submitting
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch(exist_ok=False)
    except FileExistsError:
        raise StoreError(
            f"sweep: another command is submitting or cleaning '{sweep.name}'; wait for it or, "
            f"if it was killed, delete '{mark}'"
        ) from None
    except OSError as error:
        raise StoreError(f"out: '{mark}' cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def _refuse_queued(sweep: Sweep) -> None:
    queued = in_queue(sweep.submitted)
    if queued:
        raise ConfigError(
            f"sweep: '{sweep.name}' has jobs in Slurm already ({', '.join(queued)}); see "
            f"artiphys sweep status {sweep.name}, or cancel it first"
        )


def _check(jobs: Sequence[tuple[list[str], Config]]) -> None:
    """Show the estimated cost of every job; raise an error if any has a fault."""
    from pipeline.cli.check import check_job
    from pipeline.cli.check_table import overview

    checked = [check_job(config, elsewhere=True) for _, config in jobs]
    say(overview(own_settings([overrides for overrides, _ in jobs]), checked))
    faults = sum(len(job.faults) for job in checked)
    if faults:
        raise ConfigError(
            f"sweep: {_count(faults, 'fault')} in {_count(len(jobs), 'job')}; nothing was submitted"
        )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _finished(job: tuple[list[str], Config]) -> RunPaths | None:
    """Return a finished run of a job, if there is one."""
    from pipeline.cli.run import run_fingerprint
    from pipeline.run.repeats import find_finished

    layout = Layout(job[1].out)
    config = replace(job[1], out=str(layout.out))
    return find_finished(layout, run_fingerprint(config))


def _note_finished(sweep: Sweep, number: int, run: RunPaths) -> None:
    """Record the finished run of a job, which this sweep need not run."""
    job = Job(tuple(sweep.overrides[number]), sweep.paths.folder, number)
    job.ran(run.folder)
    job.ended("finished")


def _submit(sweep: Sweep, numbers: Sequence[int], settings: dict[str, Any]) -> str:
    """Submit jobs to Slurm as one array and return its id."""
    import submitit

    own = {"_target_", "submitit_folder", "max_num_timeout"}
    common = {"timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes"}
    common |= {"name", "stderr_to_stdout"}
    try:
        executor = submitit.AutoExecutor(
            folder=sweep.paths.logs,
            cluster="slurm",
            slurm_max_num_timeout=settings["max_num_timeout"],
        )
        given = settings | {"name": sweep.name}
        executor.update_parameters(
            **{
                key if key in common else f"slurm_{key}": v
                for key, v in given.items()
                if key not in own
            }
        )
        with executor.batch():
            submitted = [executor.submit(FrozenJob(sweep.paths.folder, n)) for n in numbers]
    except Exception as error:  # sbatch's own error message
        reason = str(error).strip().splitlines()[-1]
        raise ConfigError(f"sweep: Slurm rejects the jobs ({reason})") from error
    return submitted[0].job_id.partition("_")[0]


def _list_sweeps(out: str) -> int:
    plans = sorted(Layout(out).sweeps.glob("*/sweep.json"))
    if not plans:
        say(f"no sweeps in {out}")
    for plan in plans:
        sweep = open_sweep(out, plan.parent.name)
        left = len(unfinished(sweep))
        jobs = len(sweep.overrides)
        say(f"{sweep.name}: {jobs - left} of {jobs} jobs finished")
    return 0


def _for_hydra(override: str) -> bool:
    return override.lstrip("+~").startswith("hydra")
