"""What a run does not load: it would take longer than torch, and than the work of a small run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands
# Lightning and what it loads; torch's compiler, which much of torch loads; what figures need.
SLOW = ["lightning_fabric", "torchmetrics", "torchvision", "torch._dynamo", "sympy", "scipy"]
REPORT = f"""
import atexit, sys
atexit.register(lambda: print("loaded", *(set({SLOW}) & set(sys.modules)), file=sys.stderr))
from pipeline.cli import main
main()
"""


def loaded(tmp_path: Path, *overrides: str) -> list[str]:
    """Return which of the slow packages a run of the embedded network has loaded."""
    small = ["layers=[conv1]", "units=[0]", "optimizer.steps=2", "stages=[ascent]", "init=[zeros]"]
    fixed = ["tracking=none", "runner.accelerator=cpu", f"out={tmp_path / 'out'}"]
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *small, *fixed, *overrides],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    assert len(list((tmp_path / "out").glob("runs/main/*/tables/ascents.parquet"))) == 1
    last = done.stderr.strip().splitlines()[-1].split()
    assert last[0] == "loaded"
    return sorted(last[1:])


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["optimizer=momentum", "init=[noise,image]", "images=photographs"],
        ["optimizer=adam", "smoothing=[blur]", "runner.accelerator=auto"],
    ],
    ids=["plain", "pictures", "smoothed"],
)
def test_a_run_of_one_process_loads_nothing_that_it_does_not_use(tmp_path: Path, overrides):
    assert loaded(tmp_path, *overrides) == []


def test_several_processes_are_started_by_lightning(tmp_path: Path):
    assert "lightning_fabric" in loaded(tmp_path, "runner.devices=2")
