"""A user's own option, from a folder of their own: the example of the README, word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

import pipeline

README = Path(__file__).parents[2] / "README.md"


def _section() -> str:
    return README.read_text(encoding="utf-8").split("## Add your own")[1].split("\n## ")[0]


def test_the_example_of_the_readme_works(tmp_path: Path):
    section = _section()
    (python,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (yaml,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (command,) = re.findall(r"PYTHONPATH=\. artiphys (.*)", section)
    (tmp_path / "mine.py").write_text(python)
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "flat.yaml").write_text(yaml)
    _run(tmp_path, command)
    run = pipeline.open_run(tmp_path / "outputs" / "runs" / "main")
    start = run.images("conv1", "flat").start
    np.testing.assert_array_equal(start, np.full_like(start, 0.2))


def test_the_objective_of_the_readme_works(tmp_path: Path):
    indented = textwrap.dedent("".join(re.findall(r"^(?:    .*)?\n", _section(), re.MULTILINE)))
    python, yaml = re.search(
        r"(from pipeline.ascent.objectives.*?)(# @package objective.*?)\n\n", indented, re.DOTALL
    ).groups()  # type: ignore[union-attr]
    (tmp_path / "mine.py").write_text(python)
    (tmp_path / "conf" / "objective").mkdir(parents=True)
    (tmp_path / "conf" / "objective" / "sparse.yaml").write_text(yaml)
    _run(tmp_path, "--config-dir conf objective=[channel_mean,sparse] init=[noise]")
    ascents = pipeline.open_run(tmp_path / "outputs" / "runs" / "main").ascents
    assert (ascents.objective == "channel_mean+sparse").all()
    assert (ascents.final_response > ascents.start_response).all()


def _run(folder: Path, command: str) -> None:
    few = ["stages=[ascent]", "layers=conv1", "units=0:2", "images.limit=2", "tracking=none"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *command.split(), *few, "optimizer.steps=1"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
