"""Sweeps on a real Slurm, disturbed while they work, leave what a local sweep leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Run

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(900)]

GIVEN = (
    "layers=[conv1,conv2,conv3]",
    "units=0:8",
    "images.limit=40",
    "optimizer.steps=300",
    "search.keep=4",
    "stages=[top_patches,ascent,correlations]",
    "runner.accelerator=cpu",
    "tracking=none",
    "name=test",
)
SWEPT = ("optimizer=sgd,adam", "seed=0,1")


def artiphys(folder: Path, *arguments: str, code: int = 0, timeout: float = 400) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_until(arrived: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not arrived():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def collected(out: Path) -> dict[str, bytes]:
    newest = max(out.glob("runs/*/*/tables/sweep_correlations.parquet"), key=os.path.getmtime)
    return {path.name: path.read_bytes() for path in sorted(newest.parent.glob("*.parquet"))}


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The collected tables of the same sweep, run here one job after the other."""
    folder = tmp_path_factory.mktemp("local")
    artiphys(folder, "-m", *GIVEN, *SWEPT)
    artiphys(folder, *GIVEN[-3:], "stages=[collect]")
    return collected(folder / "outputs")


@pytest.fixture
def cluster(slurm: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name, value in {"PARALLEL": 2, "CPUS": 1, "MEMORY_GB": 2, "MINUTES": 60}.items():
        monkeypatch.setenv(f"ARTIPHYS_SLURM_{name}", str(value))
    return slurm


def at_work(folder: Path, number: int) -> Callable[[], bool]:
    """Say whether a job has begun and not ended."""

    def begun() -> bool:
        paths = list(folder.glob(f"outputs/sweeps/*/jobs/{number}.json"))
        return bool(paths) and json.loads(paths[0].read_text())["state"] == "running"

    return begun


def disturb(slurm: Run, folder: Path) -> None:
    """Cancel the second job while it works, and requeue the third one."""
    (array,) = {line.split("_")[0] for line in slurm("squeue", "-h", "-r", "-o", "%i").split()}
    wait_until(at_work(folder, 1))
    slurm("scancel", f"{array}_1")
    wait_until(at_work(folder, 2))
    slurm("scontrol", "requeue", f"{array}_2")


def test_a_submitted_sweep_is_completed_by_the_same_command(cluster: Run, tmp_path: Path, local):
    said = artiphys(tmp_path, "sweep", "submit", *GIVEN, *SWEPT)
    (name,) = [path.name for path in (tmp_path / "outputs" / "sweeps").iterdir()]
    assert f"sweep {name}: 4 jobs, 0 of them finished" in said
    disturb(cluster, tmp_path)
    busy = artiphys(tmp_path, "sweep", "submit", *GIVEN, *SWEPT, code=1)
    assert f"error: sweep: '{name}' has jobs in Slurm already (" in busy
    wait_until(lambda: not cluster("squeue", "-h"))
    status = artiphys(tmp_path, "sweep", "status", name)
    assert "3 of 4 jobs finished" in status
    assert "optimizer=sgd seed=1" in status
    again = artiphys(tmp_path, "sweep", "submit", *GIVEN, *SWEPT)
    assert f"sweep {name}: 4 jobs, 3 of them finished\nsubmitted 1 jobs to Slurm" in again
    wait_until(lambda: not cluster("squeue", "-h"))
    assert "4 of 4 jobs finished" in artiphys(tmp_path, "sweep", "status", name)
    artiphys(tmp_path, "sweep", "collect", name)
    assert collected(tmp_path / "outputs") == local
    # Cleaned up, with results kept.
    artiphys(tmp_path, "sweep", "cancel", name)
    artiphys(tmp_path, "sweep", "clean", name)
    assert not (tmp_path / "outputs" / "sweeps" / name).exists()
    assert collected(tmp_path / "outputs") == local


def test_a_multirun_on_slurm_is_completed_by_the_same_command(cluster: Run, tmp_path: Path, local):
    command = ("-m", *GIVEN, *SWEPT, "hydra/launcher=slurm")
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", *command], cwd=tmp_path, stdout=said, stderr=said
        )
        wait_until(lambda: bool(cluster("squeue", "-h")))
        disturb(cluster, tmp_path)
        assert process.wait(300) != 0, (tmp_path / "said").read_text()
    summary = (tmp_path / "said").read_text()
    # The launcher waits no longer when a job ends without a result; Slurm goes on with the others.
    assert "job 1 (optimizer=sgd seed=1) stopped: it was stopped by SIGTERM" in summary
    assert "the same command runs only what is missing" in summary
    wait_until(lambda: not cluster("squeue", "-h"))
    artiphys(tmp_path, *command)
    artiphys(tmp_path, *GIVEN[-3:], "stages=[collect]")
    assert collected(tmp_path / "outputs") == local


def test_two_tasks_of_srun_leave_the_same_bits_as_one_process(cluster: Run, tmp_path: Path):
    one, two = tmp_path / "one", tmp_path / "two"
    artiphys(tmp_path, *GIVEN, f"out={one}")
    command = (sys.executable, "-m", "pipeline", *GIVEN, f"out={two}", "runner.devices=auto")
    ranks = ("srun", "--nodes=2", "--ntasks-per-node=1", "--time=10", "--kill-on-bad-exit=1")
    said = cluster(*ranks, *command, cwd=tmp_path, timeout=300)
    assert said.count("done in") == 1  # the leader alone speaks
    shards = [
        {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.safetensors")}
        for out in (one, two)
    ]
    assert shards[0] == shards[1]
    assert len(shards[0]) > 10


def test_a_task_of_srun_that_is_killed_ends_the_run_and_the_same_command_completes_it(
    cluster: Run, tmp_path: Path
):
    command = (sys.executable, "-m", "pipeline", *GIVEN, "optimizer.steps=4000")
    ranks = ("srun", "--ntasks=2", "--time=10", "--job-name=killed")
    process = subprocess.Popen(
        [*ranks, *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_until(lambda: len(list(tmp_path.glob("outputs/store/ascent*/*/*/*/*.safetensors"))) > 0)
    victims = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/environ")
        if b"SLURM_JOB_NAME=killed\0" in _environment(path)
        and b"SLURM_PROCID=1\0" in _environment(path)
    ]
    assert victims
    for pid in victims:
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
    killed = time.monotonic()
    said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "process 1 of 2 has died: no sign of life" in said or "Killed" in said, said
    assert time.monotonic() - killed < 30
    cluster(*ranks[:3], *command[:-1], "optimizer.steps=2", cwd=tmp_path, timeout=200)


def _environment(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
