"""``slurm/upload_wandb.sh``, with a stand-in for wandb."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "slurm" / "upload_wandb.sh"

# Marks what it uploads, as wandb does; answers 0 either way, as wandb may.
STAND_IN = """#!/bin/sh
cat >/dev/null
echo "$*" >>"$TOLD"
case $2 in *broken*) exit 0 ;; esac
for file in "$2"/*.wandb; do touch "$file.synced"; done
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs with spaces"
    for name in ("a", "b", "broken"):
        run = folder / "runs" / name / "2026" / "wandb" / f"offline-run-1-{name}"
        run.mkdir(parents=True)
        (run / f"run-{name}.wandb").touch()
        (run.parent / "latest-run").symlink_to(run.name)
    return folder


def upload(folder: Path, tmp_path: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    program = tmp_path / "bin" / "wandb"
    program.parent.mkdir(exist_ok=True)
    program.write_text(STAND_IN)
    program.chmod(0o755)
    told = tmp_path / "told"
    told.unlink(missing_ok=True)
    told.touch()
    path = f"{program.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [SCRIPT, folder],
        env=os.environ | {"PATH": path, "TOLD": str(told)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done, sorted(line.rpartition("-")[2] for line in told.read_text().splitlines())


def test_every_run_is_uploaded_once_and_failures_are_named(runs: Path, tmp_path: Path):
    done, asked = upload(runs, tmp_path)
    assert asked == ["a", "b", "broken"]
    assert done.returncode == 1
    assert "2 uploaded, 0 uploaded before, 1 failed" in done.stdout
    assert "offline-run-1-broken" in done.stdout.splitlines()[-1]
    done, asked = upload(runs, tmp_path)
    assert asked == ["broken"]
    assert "0 uploaded, 2 uploaded before, 1 failed" in done.stdout


def test_a_run_that_has_grown_is_uploaded_again(runs: Path, tmp_path: Path):
    upload(runs, tmp_path)
    (file,) = runs.rglob("run-a.wandb")
    later = file.stat().st_mtime + 1
    os.utime(file, (later, later))
    _, asked = upload(runs, tmp_path)
    assert asked == ["a", "broken"]


def test_without_failures_it_exits_with_0(tmp_path: Path):
    done, asked = upload(tmp_path, tmp_path)
    assert (done.returncode, asked) == (0, [])
    assert "0 uploaded, 0 uploaded before, 0 failed" in done.stdout


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    done, _ = upload(tmp_path / "nowhere", tmp_path)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
