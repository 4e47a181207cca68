"""A user's own option, from a folder of their own: the example of the README, word for word."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import pipeline

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_works(tmp_path: Path):
    text = README.read_text(encoding="utf-8")
    section = text.split("## Add your own")[1].split("\n## ")[0]
    (python,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (yaml,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (command,) = re.findall(r"PYTHONPATH=\. artiphys (.*)", section)
    (tmp_path / "mine.py").write_text(python)
    (tmp_path / "conf" / "init").mkdir(parents=True)
    (tmp_path / "conf" / "init" / "constant.yaml").write_text(yaml)
    few = ["stages=[ascent]", "layers=conv1", "units=0:2", "images.limit=2", "tracking=none"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *command.split(), *few, "optimizer.steps=1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = pipeline.open_run(tmp_path / "outputs" / "runs" / "main")
    start = run.images("conv1", "constant").start
    np.testing.assert_array_equal(start, np.full_like(start, 0.2))
