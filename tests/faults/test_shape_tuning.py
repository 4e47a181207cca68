"""Tuning to shapes after a kill, and by two processes: the same bits in every array and table."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Bench, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SHAPES = (
    "stages=[shape_tuning]",
    "layers=[conv1,conv2]",
    "units=0:4",
    "images.limit=4",
    "shape_tuning.width=12",
    "shape_tuning.positions=[-26,-24,-12,-10,-8,0,8,10,12,24,26]",
    "shape_tuning.shuffles=2",
    "figures.formats=[png]",
)


def tables(out: Path) -> dict[str, bytes]:
    """Return the tables of the last run."""
    (*_, last) = sorted(out.glob("runs/*/*/tables"))
    return {path.name: path.read_bytes() for path in sorted(last.glob("*.csv"))}


def test_a_killed_run_and_two_processes_leave_the_same_bits(bench: Bench):
    whole, killed, shared = (bench.folder / name for name in ("whole", "killed", "shared"))
    bench.run(whole, *SHAPES)
    bench.write_seconds = 0.1
    process = bench.start_until(killed, 5, *SHAPES)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    bench.write_seconds = 0.0
    before = shards(killed)
    assert 5 <= len(before) < len(shards(whole)) == 26
    bench.run(killed, *SHAPES)
    bench.run(shared, *SHAPES, "runner.devices=2", timeout=280)
    assert before.items() <= shards(killed).items()
    assert shards(killed) == shards(shared) == shards(whole)
    assert tables(killed) == tables(shared) == tables(whole)
    assert {"shape_tuning.csv", "shape_tuning_summary.csv"} <= tables(whole).keys()
