"""A rig's loop between two processes that are killed again and again, and on a full disk."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import pipeline
from pipeline.errors import StoreError
from pipeline.library.evolution import Evolved
from pipeline.synthesis.evolution.scorers import folder
from tests.library.conftest import plain_module
from tests.synthesis.evolution.scorers.simulated_rig import SimulatedRig, at_work, of_network
from tests.synthesis.evolution.stand_ins import climbing, raw

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
WARM = ["torch", "pipeline.library.evolution", "tests.synthesis.evolution.stand_ins"]


def evolve(**options: object) -> Evolved:
    net = pipeline.network(plain_module(), input_size=(1, 20, 30), mean=[0.5], std=[0.25])
    given = {"searcher": climbing(), "generator": raw(), "queries": 160, "restarts": 2}
    return pipeline.evolve(net, "conv2", [1, 4], **{**given, **options})


def search(path: str, result: str) -> None:
    """Do the experiment in a process of its own."""
    found = evolve(score=folder(path, poll=0.005, timeout=120.0))
    found.history.to_parquet(f"{result}.parquet")
    np.save(f"{result}.npy", found.images.numpy())


@contextmanager
def rig(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have a rig work in a process of its own."""
    command = [sys.executable, "-m", "tests.synthesis.evolution.scorers.simulated_rig", str(path)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shown(path: Path) -> list[Path]:
    """Return the manifests that have been written."""
    return [*path.glob("*/*/manifest.csv")]


def test_both_programs_are_killed_and_the_bits_are_those_of_the_network(tmp_path: Path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    path, result, chance = tmp_path / "rig", tmp_path / "result", random.Random(0)

    def started() -> multiprocessing.context.ForkServerProcess:
        process = context.Process(target=search, args=(str(path), str(result)))
        process.start()
        return process

    for _ in range(2):
        with rig(path):  # and killed with every fourth kill of the experiment
            for _ in range(4):
                before = len(shown(path))
                process = started()
                while len(shown(path)) == before:
                    assert process.is_alive()
                    time.sleep(0.005)
                time.sleep(chance.uniform(0, 0.1))
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()
    assert not result.with_suffix(".npy").exists()
    with rig(path):
        process = started()
        process.join(300)
    assert process.exitcode == 0
    wanted = evolve(bits=8)
    assert np.array_equal(np.load(result.with_suffix(".npy")), wanted.images.numpy())
    history = pd.read_parquet(result.with_suffix(".parquet"))
    for measure in ("best", "mean", "queries", "missing"):
        assert history[measure].tolist() == wanted.history[measure].tolist()


def test_a_full_disk_is_told_and_nothing_is_lost(small_disk: Path):
    path, other = small_disk / "rig", small_disk / "other"
    scorer = folder(path, poll=0.005, timeout=60.0)
    with suppress(OSError), other.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    os.truncate(other, other.stat().st_size - 400_000)  # room for less than all
    with at_work(SimulatedRig(path, of_network())):
        with pytest.raises(StoreError, match=r"^scorer: the disk .*; free some space and repeat"):
            evolve(score=scorer, queries=160)
        assert len(shown(path)) > 0
        assert not [*path.rglob(".*")]
        other.unlink()
        found = evolve(score=scorer, queries=160)
    assert torch.equal(found.images, evolve(bits=8, queries=160).images)
