"""Best Gabors after a kill, and by two processes: the same bits in every array and table."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.conftest import Bench, shards, tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

GABORS = (
    "stages=[top_patches,ascent,best_gabor]",
    "layers=[conv1]",
    "units=0:6",
    "images.limit=4",
    "search.keep=4",
    "init=[zeros]",
    "optimizer.steps=2",
    "best_gabor.rms=null",
    "best_gabor.steps=3",
)


def test_a_killed_run_and_two_processes_leave_the_same_bits(bench: Bench):
    whole, killed, shared = (bench.folder / name for name in ("whole", "killed", "shared"))
    bench.run(whole, *GABORS)
    there = {kind: len(list(whole.glob(f"store/{kind}/**/*.safetensors"))) for kind in PLACES}
    assert there == PLACES
    bench.write_seconds = 0.1
    process = bench.start_until(killed, len(shards(whole)) - 16, *GABORS)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    bench.write_seconds = 0.0
    before = shards(killed)
    assert 0 < len(list(killed.glob("store/best_gabor/**/*.safetensors"))) < 6
    bench.run(killed, *GABORS)
    bench.run(shared, *GABORS, "runner.devices=2", timeout=280)
    assert before.items() <= shards(killed).items()
    assert shards(killed) == shards(shared) == shards(whole)
    assert tables(killed) == tables(shared) == tables(whole)


PLACES = {"best_gabor_grid": 1, "best_gabor": 6, "best_gabor_patches": 6, "best_gabor_ascents": 6}
