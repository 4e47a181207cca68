"""A user's own options, from a folder of their own: those of docs/own.md, and an objective."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pipeline
from pipeline.store.runs import Run

OWN = Path(__file__).parents[2] / "docs" / "own.md"
FEW = ("layers=conv1", "units=0:2", "images.limit=2", "tracking=none", "optimizer.steps=1")

OBJECTIVE = """
from pipeline.synthesis.objectives import Objective, Seen


def power(exponent: float = 2.0, weight: float = 1.0) -> Objective:
    def score(seen: Seen):
        return seen.own.abs().pow(exponent).mean((1, 2))

    return Objective(score, weight)
"""
OBJECTIVE_YAML = """\
# @package objective.power
_target_: own_objective.power
exponent: 2.0
weight: 1.0
"""


def options(path: Path) -> None:
    """Write options of one's own as files, each where its first line says."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"# @package (\w+)(?:\.(\w+))?", text)
    group, name = named[0] if named else ("model", "")
    name = name or re.findall(r"_target_: [\w.]+\.(\w+)", text)[0]
    folder = path.parent / "conf" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(text)


def run(folder: Path, *arguments: str, stage: str = "ascent") -> Run:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline",
            *arguments,
            f"stages=[{stage}]",
            *FEW,
            "optimizer.steps=1",
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pipeline.open_run(folder / "outputs" / "runs" / "main")


@pytest.mark.commands
def test_the_examples_of_the_docs_work(tmp_path: Path):
    section = OWN.read_text(encoding="utf-8").split("\n## A stage")[0]
    python = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    commands = re.findall(r"PYTHONPATH=\. artiphys (.*)", section)
    (tmp_path / "mine.py").write_text("\n\n".join(python))
    for number, yaml in enumerate(re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)):
        (tmp_path / f"{number}.yaml").write_text(yaml)
        options(tmp_path / f"{number}.yaml")
    command = next(command for command in commands if "init=" in command)
    done = run(tmp_path, *command.split(), "objective=[channel_mean,sparse]")
    start = done.images("conv1", "flat").start
    np.testing.assert_array_equal(start, np.full_like(start, 0.2))
    assert set(done.ascents["objective"]) == {"channel_mean+sparse"}
    command = next(command for command in commands if "images=" in command)
    table = run(tmp_path, *command.split(), stage="responses").response_images
    assert table["image"].tolist() == ["noise-0", "noise-1"]
    assert table["image_half"].tolist() == [0, 1]
    command = next(command for command in commands if "stimulus=" in command)
    sets = run(tmp_path, *command.split(), stage="stimuli").stimulus_sets
    assert dict(zip(sets["set"], sets["written"], strict=True)) == {
        "rings": 8,
        "drifting_edges": 256,
    }
    command = next(command for command in commands if "searcher=" in command)
    few = ("generator=[grid]", "evolution.queries=60", "evolution.rivals=[]")
    found = run(tmp_path, *command.split()[:2], *command.split()[3:], *few, stage="evolution")
    climbed = found.evolution.query("searcher == 'hill_climber'")
    assert (climbed["response"] > climbed["start"]).all()
    command = next(command for command in commands if "model=" in command)
    own = command.replace("model.weights=tiny.pth", "model.weights=random")
    assert set(run(tmp_path, *own.split(), "init=[zeros]").ascents["model"]) == {"tiny"}


@pytest.mark.slow
def test_an_objective_is_one_function_and_one_file(tmp_path: Path):
    (tmp_path / "own_objective.py").write_text(OBJECTIVE)
    (tmp_path / "power.yaml").write_text(OBJECTIVE_YAML)
    options(tmp_path / "power.yaml")
    own = ("--config-dir", "conf", "objective=[power]", "objective.power.exponent=1.0")
    table = run(tmp_path, *own, "init=[zeros]").ascents
    assert set(table["objective"]) == {"power"}
    # At zeros every response of the first layer inside the image is its bias.
    bias = np.abs(_biases())
    assert table["start_response"].to_numpy() == pytest.approx(bias, rel=1e-5)
    assert (table["final_response"] > table["start_response"]).all()


def _biases() -> np.ndarray:
    from pipeline.miniature.network import miniature

    return miniature().module.state_dict()["features.0.bias"][:2].numpy()
