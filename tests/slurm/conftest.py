"""A throw-away Slurm of two virtual nodes, for tests marked ``slurm``."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

CLUSTER = Path(__file__).with_name("cluster.sh")
UNAVAILABLE = 77  # cluster.sh's exit code where there cannot be a Slurm

Run = Callable[..., str]
Submit = Callable[..., str]


@pytest.fixture(scope="session")
def slurm() -> Iterator[Run]:
    """Run a command against the cluster and return what it prints."""
    # Not pytest's folder, whose path may be too long for a socket, and which is kept.
    state = Path(tempfile.mkdtemp(prefix="slurm-"))
    environment = os.environ | {"CLUSTER_PORT": str(_free_ports(5))}
    done = subprocess.run(
        [CLUSTER, "up", state],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        if done.returncode == UNAVAILABLE:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, done.stderr
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(state / "etc" / "slurm.conf"))
            yield _run
    finally:
        subprocess.run([CLUSTER, "down", state], env=environment, check=False)
        shutil.rmtree(state, ignore_errors=True)


def _run(*command: str | Path, cwd: Path | None = None, timeout: float = 120) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,  # what cannot be satisfied waits in the queue forever
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def finished_job(slurm: Run, tmp_path: Path) -> Submit:
    """Submit a job in the test's folder and return its number once it has left the queue."""

    def submit(*options: str | Path) -> str:
        job = slurm("sbatch", "--parsable", *options, cwd=tmp_path).strip()
        # Not sbatch --wait, which asks only every half minute.
        slurm("sh", "-c", f'while [ "$(squeue -h -j {job})" ]; do sleep 0.2; done')
        return job

    return submit


def _free_ports(count: int) -> int:
    """Return the first of as many free ports, below those that the system hands out by itself."""
    while True:
        # Not the tests' own random numbers, which two sessions may share.
        first = random.SystemRandom().randrange(15000, 32000)
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
