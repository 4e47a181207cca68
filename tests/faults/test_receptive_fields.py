"""Maps of receptive fields: killed and resumed, and by two processes, the same bits."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.faults.conftest import Bench, shards, tables

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

FIELDS = (
    "stages=[top_patches,receptive_fields]",
    "layers=[conv1]",
    "units=0:18",  # two blocks of methods without stimuli
    "images.limit=8",
    "stimulus=[sparse_noise]",
    "stimulus.sparse_noise.stimuli=5000",  # two parts
    "receptive_fields.methods=[gradient]",
    "receptive_fields.patches=2",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """The out folder of a run that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    Bench(folder, photographs).run(folder / "out", *FIELDS, timeout=280)
    return folder / "out"


def assert_same(out: Path, other: Path) -> None:
    ours, theirs = shards(out), shards(other)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert tables(out) == tables(other)


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(bench: Bench, whole: Path):
    out, every = bench.folder / "out", len(shards(whole))
    stored: dict[str, int] = {}
    for count in range(1, every, 2):
        process = bench.start_until(out, count, *FIELDS)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        now = {name: (out / name).stat().st_mtime_ns for name in shards(out)}
        assert stored.items() <= now.items()  # what was there is not done again
        stored = now
    assert len(stored) < every
    bench.run(out, *FIELDS, timeout=280)
    assert_same(out, whole)


def test_two_processes_leave_the_same_bits_as_one(bench: Bench, whole: Path):
    out = bench.folder / "out"
    bench.run(out, *FIELDS, "runner.devices=2", "runner.threads=2", timeout=280)
    assert_same(out, whole)
