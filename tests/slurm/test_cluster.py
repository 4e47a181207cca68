"""The tests' own Slurm does what the tests of the pipeline rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm.conftest import Run, Submit

pytestmark = pytest.mark.slurm


def test_tasks_on_two_nodes_know_their_numbers(slurm: Run):
    tell = "echo $SLURM_PROCID of $SLURM_NTASKS at $MASTER_ADDR on $SLURMD_NODENAME"
    told = slurm("srun", "--nodes=2", "--ntasks-per-node=1", "sh", "-c", tell)
    assert sorted(told.splitlines()) == [
        "0 of 2 at 127.0.0.1 on node1",
        "1 of 2 at 127.0.0.1 on node2",
    ]


def test_tasks_are_told_their_gpus(slurm: Run):
    told = slurm("srun", "--gpus-per-node=2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert told == "0,1\n"


def test_array_of_four_runs_two_at_a_time(finished_job: Submit, tmp_path: Path):
    count = "squeue --noheader --states=running --jobs=$SLURM_ARRAY_JOB_ID | wc -l"
    finished_job("--array=0-3%2", "--output=%a", f"--wrap={count}")
    running = {path.name: int(path.read_text()) for path in tmp_path.iterdir()}
    assert sorted(running) == ["0", "1", "2", "3"]
    assert set(running.values()) <= {1, 2}


def test_requeued_job_runs_again_and_knows(finished_job: Submit, tmp_path: Path):
    script = (
        "echo count ${SLURM_RESTART_COUNT:-0};"
        ' [ "$SLURM_RESTART_COUNT" ] || { scontrol requeue $SLURM_JOB_ID; sleep 100; }'
    )
    finished_job("--requeue", "--open-mode=append", "--output=log", f"--wrap={script}")
    told = (tmp_path / "log").read_text().splitlines()
    assert [line for line in told if line.startswith("count")] == ["count 0", "count 1"]


def test_accounting_knows_a_failed_job(slurm: Run):
    # Without it, submitit would wait forever for a job that was killed.
    job = slurm("sbatch", "--parsable", "--output=/dev/null", "--wrap=exit 3").strip()
    slurm(
        "sh", "-c", f"until sacct -nX -j {job} -o State,ExitCode | grep -q FAILED; do sleep 1; done"
    )
    assert slurm("sacct", "-nXP", "-j", job, "-o", "State,ExitCode") == "FAILED|3:0\n"
