"""The batch scripts, with a stand-in for python that says how it was called."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from tests.slurm.conftest import Submit

SCRIPTS = Path(__file__).parents[2] / "slurm"
SHELL_FILES = [
    Path(__file__).with_name("cluster.sh"),
    *(path for path in SCRIPTS.iterdir() if path.suffix != ".md"),
]

# When they are stopped, rank 1 needs longer than rank 0, at whose end srun tells it to stop too.
STAND_IN = """#!/bin/sh
trap 'exit 75' TERM
restart=${SLURM_RESTART_COUNT:-0}
printf '%s\\n' "$SLURM_PROCID/$SLURM_NTASKS $restart $*" >>"$TOLD/${SLURM_ARRAY_TASK_ID:-0}"
if [ "$STOP" = "${SLURM_ARRAY_TASK_ID:-0}" ] && [ $restart = 0 ]; then
    trap '' TERM
    sleep "$SLURM_PROCID"
    exit 75
fi
[ "$STOP" != cancelled ] || { scancel "$SLURM_JOB_ID"; sleep 100; }
exit "$CODE"
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in notes its calls, a file for each task of an array."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(STAND_IN)
    python.chmod(0o755)
    notes = tmp_path / "told"
    notes.mkdir()
    monkeypatch.setenv("PATH", f"{python.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("TOLD", str(notes))
    monkeypatch.setenv("STOP", "none")
    monkeypatch.setenv("CODE", "0")
    return notes


@pytest.mark.parametrize("path", SHELL_FILES, ids=lambda path: path.name)
def test_shell_can_read_it(path: Path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    shell = "bash" if first.endswith("bash") else "sh"
    done = subprocess.run([shell, "-n", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readme_names_every_file_and_no_other():
    text = (SCRIPTS / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"slurm/([\w.]+)", text)) - {"README.md"}
    assert named == {path.name for path in SCRIPTS.iterdir()} - {"README.md"}


@pytest.mark.slurm
def test_run_on_one_node_goes_back_to_the_queue_when_it_is_stopped(
    finished_job: Submit, told: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STOP", "0")
    finished_job("--ntasks-per-node=2", SCRIPTS / "one_node.sbatch", "layers=[conv1]")
    call = "-m pipeline runner.devices=auto layers=[conv1]"
    calls = [f"{rank}/2 {restart} {call}" for restart in (0, 1) for rank in (0, 1)]
    assert sorted((told / "0").read_text().splitlines()) == sorted(calls)


@pytest.mark.slurm
def test_failed_run_fails_once(finished_job: Submit, told: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CODE", "1")
    finished_job(SCRIPTS / "one_node.sbatch")
    assert len((told / "0").read_text().splitlines()) == 1


@pytest.mark.slurm
def test_cancelled_run_does_not_come_back(
    finished_job: Submit, told: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STOP", "cancelled")
    finished_job(SCRIPTS / "one_node.sbatch")
    assert len((told / "0").read_text().splitlines()) == 1


@pytest.mark.slurm
def test_array_runs_every_line_and_requeues_only_the_stopped_one(
    finished_job: Submit, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("STOP", "3")  # the last task, whose job number is that of the array
    lines = ["layers=[conv1,conv2] seed=1", 'name="two words"', "units=0:2"]
    (tmp_path / "runs.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "layers=c").touch()  # which brackets, taken for a pattern, would find
    finished_job("--array=1-3%2", SCRIPTS / "array.sbatch", "runs.txt", "tracking=none")
    call = "-m pipeline runner.devices=auto tracking=none"
    assert {path.name: path.read_text().splitlines() for path in told.iterdir()} == {
        "1": [f"0/1 0 {call} layers=[conv1,conv2] seed=1"],
        "2": [f"0/1 0 {call} name=two words"],
        "3": [f"0/1 0 {call} units=0:2", f"0/1 1 {call} units=0:2"],
    }


@pytest.mark.slurm
def test_two_processes_on_one_node_make_one_run(
    finished_job: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    few = ("layers=conv1", "units=0:2", "images.limit=4", "optimizer.steps=2", "tracking=none")
    script = ("--ntasks-per-node=2", SCRIPTS / "one_node.sbatch")
    job = finished_job(*script, *few, "stages=[top_patches,ascent]", "runner.accelerator=cpu")
    log = (tmp_path / f"artiphys-{job}.log").read_text()
    (folder,) = (tmp_path / "outputs" / "runs" / "main").iterdir()
    assert pipeline.open_run(folder).record["state"] == "finished", log
