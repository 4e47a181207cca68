"""Sweeps where Slurm answers, forgets or is silent: its commands are stand-ins here."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.cli import frozen
from pipeline.cli.frozen import composed, freeze, open_sweep
from pipeline.cli.jobs import Job
from pipeline.cli.sweep import main as sweep
from pipeline.errors import ConfigError, StoreError

SILENT = 'echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1'
FORGETFUL = 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1'
# As the real one: states that a user leaves out are left out.
BUSY = '[ "$SQUEUE_STATES" ] || case "$*" in *78*) echo 78_0; echo 78_1;; *) exit 0;; esac'
UNKNOWN = r"^sweep: squeue failed \(.*\), so it is unknown whether jobs still wait or run; try"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put stand-ins for Slurm's commands on the path; what scancel is told is in ``told``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def command(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    command("scancel", f'echo "$@" >>{tmp_path}/told')
    return command


@pytest.fixture
def made(tmp_path: Path):
    """A sweep of two jobs of which two arrays were submitted."""
    found = freeze(composed([f"out={tmp_path}/out", "seed=0,1"]), [])
    frozen.note_submitted(found, "77")
    frozen.note_submitted(found, "78")
    return found


def call(made, command: str) -> int:
    return sweep([command, made.name, "--out", str(made.paths.out)])


@pytest.mark.parametrize("script", [SILENT, "exit 3", None])
@pytest.mark.parametrize("command", ["cancel", "clean"])
def test_where_slurm_does_not_say_nothing_is_cancelled_or_cleaned(
    slurm, made, tmp_path: Path, script, command
):
    if script is not None:
        slurm("squeue", script)
    with pytest.raises(StoreError, match=UNKNOWN):
        call(made, command)
    assert made.paths.plan.exists()
    assert not made.paths.submitting.exists()
    assert not (tmp_path / "told").exists()


def test_what_slurm_has_forgotten_is_gone(slurm, made, capsys):
    slurm("squeue", FORGETFUL)
    assert call(made, "cancel") == 0
    assert "0 jobs cancelled" in capsys.readouterr().out
    assert call(made, "clean") == 0
    assert not made.paths.folder.exists()


def test_only_arrays_in_the_queue_are_cancelled_and_none_is_cleaned(
    slurm, made, tmp_path: Path, monkeypatch, capsys
):
    monkeypatch.setenv("SQUEUE_STATES", "RUNNING")
    slurm("squeue", BUSY)
    with pytest.raises(StoreError, match=r"has jobs in Slurm \(78_0, 78_1\); cancel it first"):
        call(made, "clean")
    assert call(made, "cancel") == 0
    assert "2 jobs cancelled" in capsys.readouterr().out
    assert (tmp_path / "told").read_text() == "78\n"


@pytest.mark.parametrize(("script", "state"), [(SILENT, "running"), (BUSY, "killed")])
def test_the_status_says_what_slurm_knows(slurm, made, monkeypatch, capsys, script, state):
    slurm("squeue", script)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "77")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    job = Job(("seed=1",), made.paths.folder, 1)
    job.began()
    job.ran(made.paths.out / "runs" / "main" / "now")
    assert call(made, "status") == (state == "killed")
    said = capsys.readouterr().out
    assert state in said.splitlines()[2].split()
    doubt = "the states are those last reported by the jobs; sweep: squeue failed (slurm_load"
    assert (doubt in said) == (script is SILENT)


def test_a_sweep_is_submitted_by_one_command_at_a_time(slurm, made, tmp_path: Path, monkeypatch):
    slurm("squeue", FORGETFUL)
    monkeypatch.setattr("pipeline.cli.sweep._check", lambda jobs: None)
    given = ["submit", f"out={tmp_path}/out", "seed=0,1"]
    inner: list[str] = []

    def submit(found, numbers, settings) -> str:
        with pytest.raises(StoreError) as refused:
            sweep(given)
        inner.append(str(refused.value))
        slurm("squeue", "echo 79_0")
        return "79"

    monkeypatch.setattr("pipeline.cli.sweep._submit", submit)
    assert sweep(given) == 0
    assert inner == [
        f"sweep: another command is submitting or cleaning '{made.name}'; wait for it or, if it"
        f" was killed, delete '{made.paths.submitting}'"
    ]
    assert open_sweep(tmp_path / "out", made.name).submitted == ["77", "78", "79"]
    with pytest.raises(ConfigError, match="has jobs in Slurm already"):
        sweep(given)


def test_a_sweep_is_not_looked_for_outside_its_folder(tmp_path: Path):
    with pytest.raises(StoreError, match=r"^sweep: '\.\./x' cannot be the name of a folder"):
        sweep(["clean", "../x", "--out", str(tmp_path)])


def test_that_there_are_no_sweeps_is_said(tmp_path: Path, capsys):
    assert sweep(["status", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"no sweeps in {tmp_path}\n"
