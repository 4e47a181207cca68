"""The benchmarks run: every part once, on little. What they measure is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_part_gives_its_figures(tmp_path):
    parts = [
        "ascent",
        "search",
        "files",
        "stimuli",
        "evolution",
        "vocabulary",
    ]  # whole commands are timed by make bench alone
    words = [sys.executable, "-m", "tests.benchmarks", "--quick", "--out", str(tmp_path), *parts]
    root = Path(__file__).parents[2]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    stored = json.loads(file.read_text())
    parts = {"ascent", "search", "decode", "stimuli", "evolution", "vocabulary"}
    assert set(stored["rows"]) == parts
    for rows in stored["rows"].values():
        for row in rows:
            assert all(value > 0 for name, value in row.items() if name.endswith(("_us", "_per_s")))
    assert stored["machine"]["peak_gflops"] > 1
