"""Runs that are killed at random moments lose nothing and end as if nothing had happened."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from pipeline.runner.stopping import STOPPED
from pipeline.runner.workers import WRITERS
from pipeline.store.layout import Layout
from tests.faults.conftest import Bench, assert_same, files, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

# A few items of every stage that leaves something in the store or in the run folder.
EVERY_STAGE = (
    "stages=[top_patches,ascent,correlations,figures,animate,dream,export,pages]",
    "layers=[conv1,conv2]",
    "units=0:4",
    "images.limit=16",
    "optimizer.steps=4",
    "dream.levels=2",
    "dream.steps=2",
    "animate.units=[conv2/1]",
)
LANES = 1
# Blocks that workers have begun, that are being written, and the one that is being handed over.
IN_FLIGHT = 2 * LANES + WRITERS + 1


def begun(out: Path, count: int) -> bool:
    return len(list(out.glob("runs/*/*/config.yaml"))) > count


@pytest.mark.parametrize(
    ("stages", "kills"),
    [
        pytest.param((), 100, id="100 kills", marks=pytest.mark.slow),
        pytest.param(EVERY_STAGE, 5, id="every stage, 5 kills"),
        pytest.param(EVERY_STAGE, 60, id="every stage, 60 kills", marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(3600)
def test_killed_runs_lose_nothing_and_end_bit_identical(
    bench: Bench, stages: tuple[str, ...], kills: int
):
    """SIGKILL and SIGTERM by turns, at moments spread over the whole run."""
    rng, out, undisturbed = random.Random(kills), bench.folder / "out", bench.folder / "undisturbed"
    bench.run(undisturbed, *stages)
    killed, complete, most = 0, 0, 0.0
    lasts = _duration(undisturbed)
    while killed < kills or complete == 0:
        before = _times(out)
        process = bench.start(out, *stages)
        runs = len(list(out.glob("runs/*/*/config.yaml")))
        while process.is_alive() and not begun(out, runs):
            time.sleep(0.005)
        if killed < kills:
            process.join(rng.uniform(0, lasts))
        if process.is_alive() and killed < kills:
            number = signal.SIGKILL if killed % 2 else signal.SIGTERM
            told = time.monotonic()
            os.kill(process.pid or 0, number)
            process.join(10)  # it ends within seconds
            most = max(most, time.monotonic() - told)
        else:
            process.join(300)
        # A signal may come just after the end.
        assert process.exitcode in (0, -signal.SIGKILL, STOPPED), bench.said()[-2000:]
        if process.exitcode:
            killed += 1
        else:
            ours, theirs = files(out), files(undisturbed)
            assert ours.keys() == theirs.keys()
            assert [name for name in ours if ours[name] != theirs[name]] == []
            complete += 1
        after = _times(out)
        # Zero items lost, and none that was there done again.
        assert {name: after.get(name) for name in before} == before
        if not process.exitcode:
            shutil.rmtree(out)
    sys.stdout.write(f"{killed} kills, {complete} complete runs, at most {most:.2f} s to stop\n")


def _duration(out: Path) -> float:
    """Return about how long the work of an undisturbed run took."""
    made = sorted(path.stat().st_mtime for path in out.rglob("*") if path.is_file())
    return (made[-1] - made[0]) * 1.1 + 0.1


def _times(out: Path) -> dict[str, int]:
    return {name: (out / name).stat().st_mtime_ns for name in shards(out)} if out.exists() else {}


def test_at_most_the_items_in_flight_are_done_again(bench: Bench, undisturbed: Path):
    """Also where the disk is so slow that more could be computed than is written."""
    out = bench.folder / "out"
    search = len([name for name in shards(undisturbed) if "/top_patches/" in name])
    bench.write_seconds = 0.3
    process = bench.start_until(out, search + 12)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    assert len([p for p in Layout(out).store.rglob(".*") if p.is_file()]) <= WRITERS
    bench.write_seconds = 0.0
    bench.run(out)
    climbed = bench.climbed.read_text().splitlines()
    again = len(climbed) - len(set(climbed))
    sys.stdout.write(f"{again} of {len(set(climbed))} blocks were climbed again\n")
    assert again <= IN_FLIGHT
    assert len(set(climbed)) == len([name for name in shards(out) if "/ascent" in name])
    assert_same(out, undisturbed)


def test_files_that_were_not_synced_are_not_taken_for_whole(bench: Bench, undisturbed):
    """Power loss: what a killed run was writing lies there truncated, under any name it had."""
    out = bench.folder / "out"
    process = bench.start_until(out, 20)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    rng = random.Random(4)
    for name, content in rng.sample(sorted(shards(out).items()), 8):
        keep = rng.choice([0, 1, len(content) // 2, len(content) - 1])
        (out / name).write_bytes(content[:keep])
    for path in Layout(out).store.rglob(".*"):
        path.write_bytes(path.read_bytes()[:7])
    said = bench.run(out)
    assert said.count("and is computed again") == 8
    assert_same(out, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_stopped_run_says_where_and_exits_so_that_it_is_queued_again(bench: Bench, number):
    out = bench.folder / "out"
    process = bench.start_until(out, 30)
    os.kill(process.pid or 0, number)
    process.join(30)
    assert process.exitcode == STOPPED == 75
    assert "stopped at ascent: " in bench.said()
    (record,) = out.glob("runs/*/*/record.json")
    assert '"state": "stopped"' in record.read_text()
