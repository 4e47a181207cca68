"""Evolution that is killed at random moments goes on from its checkpoints to the same bits."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import pytest

from pipeline.runner.stopping import STOPPED
from pipeline.store.files import is_temporary
from pipeline.store.layout import CHECKPOINT, Layout
from tests.faults.conftest import Bench, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

SEARCHES = (
    "stages=[evolution]",
    "layers=[conv2]",
    "units=[3,17]",
    "images.limit=8",
    "searcher=[genetic,spherical]",
    "generator=[grid]",
    "evolution.queries=1500",
    "figures.formats=[png]",
)


def tables(out: Path) -> dict[str, bytes]:
    """Return the tables of the last run."""
    (*_, last) = sorted(out.glob("runs/*/*/tables"))
    return {path.name: path.read_bytes() for path in sorted(last.glob("*.parquet"))}


def left(out: Path) -> list[Path]:
    """Return the checkpoints that a store holds, without files that a kill left half written."""
    found = Layout(out).store.rglob(f"*{CHECKPOINT}")
    return sorted(path for path in found if not is_temporary(path))


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_searches_go_on_from_their_checkpoints(
    bench: Bench, kills: int, monkeypatch: pytest.MonkeyPatch
):
    """SIGKILL and SIGTERM by turns; each run gets a little further than the one before."""
    monkeypatch.setattr(Bench, "checkpoint_seconds", 0.05)
    rng, whole, killed = random.Random(kills), bench.folder / "whole", bench.folder / "killed"
    bench.run(whole, *SEARCHES)
    went_on = 0
    for number in range(kills):
        before = shards(killed) if killed.exists() else {}
        runs = len(list(killed.glob("runs/*/*/config.yaml")))
        process = bench.start(killed, *SEARCHES)
        while process.is_alive() and len(list(killed.glob("runs/*/*/config.yaml"))) == runs:
            process.join(0.01)
        process.join(rng.uniform(0, 1.5))
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGTERM if number % 2 else signal.SIGKILL)
        process.join(30)
        assert process.exitcode in (0, -signal.SIGKILL, STOPPED), bench.said()[-2000:]
        went_on += bool(left(killed))
        assert before.items() <= shards(killed).items()
    bench.run(killed, *SEARCHES)
    sys.stdout.write(f"{kills} kills, {went_on} of which left checkpoints\n")
    assert went_on
    assert "begun anew" not in bench.said()
    assert shards(killed) == shards(whole)
    assert tables(killed) == tables(whole)
    assert not left(killed)
