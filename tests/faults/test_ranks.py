"""One process or several: the same bits, and a clear end when one of them dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import assert_same, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.mark.parametrize("processes", [2, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_several_processes_leave_the_same_bits_as_one(bench, undisturbed: Path, processes: int):
    out = bench.folder / "out"
    said = bench.run(out, f"runner.devices={processes}", timeout=280)
    assert "done in" in said
    assert_same(out, undisturbed)
    made_by = f'"processes": {processes},'
    provenance = list(out.glob("store/ascent/*/*/*/provenance/*.json"))
    assert provenance
    assert all(made_by in path.read_text() for path in provenance)


@pytest.mark.timeout(300)
def test_a_killed_process_is_named_soon_and_the_same_command_completes(bench, undisturbed: Path):
    out = bench.folder / "out"
    process = bench.start_until(out, 6, "runner.devices=2")
    ranks = workers(process.pid or 0)
    assert len(ranks) == 2
    assert [listening(pid) for pid in (process.pid or 0, *ranks)] == [set(), set(), set()]
    kept = shards(out)
    os.kill(ranks[1], signal.SIGKILL)
    told = time.monotonic()
    process.join(30)
    assert process.exitcode == 1, bench.said()
    assert time.monotonic() - told < 30
    assert "error: runner: process 1 of 2 was killed (SIGKILL), perhaps for want" in bench.said()
    bench.run(out, "runner.devices=2", timeout=200)
    assert kept.items() <= shards(out).items()
    assert_same(out, undisturbed)


@pytest.mark.timeout(300)
def test_what_one_process_raises_ends_all_with_its_words(bench, photographs: Path):
    out = bench.folder / "out"
    said = bench.run(
        out,
        "runner.devices=2",
        "images.limit=20",
        "+objective.unit_response.factor=1",
        code=1,
        timeout=200,
    )
    assert (
        ": objective.unit_response.factor: pipeline.synthesis.objectives.unit_response takes"
        in said
    )
    assert "Traceback" not in said


def listening(pid: int) -> set[str]:
    """Return the sockets of a process that wait for whoever comes over the network."""
    tables = [Path(f"/proc/net/{kind}").read_text().splitlines()[1:] for kind in ("tcp", "tcp6")]
    waiting = {line.split()[9] for table in tables for line in table if line.split()[3] == "0A"}
    links = [_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return {link[8:-1] for link in links if link.startswith("socket:[")} & waiting


def _target(link: Path) -> str:
    """Return where a descriptor leads; nowhere once the process has closed it."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""


def workers(pid: int) -> list[int]:
    """Return the processes that a run has started for its ranks, in their order."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return sorted(child for child, command in commands.items() if b"spawn_main" in command)
