"""A stage from outside the package: a module on the path, asked for by its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.cli.check import check_job
from pipeline.errors import ConfigError, StoreError
from pipeline.stages.catalog import chosen_stages, own_faults
from tests.conftest import Compose, RunPipeline

SOURCE = '''
"""How much a unit's top patches differ: the standard deviation of their responses."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.stages.stage import Cost, Plan, Stage, Table, WorkItems
from pipeline.stages.top_patches import STAGE as TOP_PATCHES
from pipeline.stages.top_patches.results import find_search


@dataclass
class Settings:
    ranks: int = 3


@dataclass(frozen=True)
class Spread:
    layer: object
    result: object


def plan(run):
    ranks = run.settings(STAGE).ranks
    def one(layer):
        settings = {"search": find_search(run, layer).result.key, "ranks": ranks}
        return Spread(layer, run.result(STAGE, layer.name, layer.name, settings, ["spread"]))
    return Plan(map(one, run.parts.layers))


def check(run, planned):
    if run.settings(STAGE).ranks < 2:
        yield f"own.spread.ranks: {run.settings(STAGE).ranks} is not 2 or more"


class Work:
    def __init__(self, run):
        self.active = run

    def needed(self, each):
        return not each.result.holds("spread")

    def size(self, each):
        return 1

    def parts(self, each):
        return [each]

    def load(self, each):
        return each

    def run(self, each):
        kept = find_search(self.active, each.layer).extremes.by_sign[1].responses
        return kept[:, : self.active.settings(STAGE).ranks].std(1).numpy()

    def begin(self, each):
        return Written(each)


class Written:
    def __init__(self, each):
        self.each = each

    def add(self, spread):
        self.spread = spread

    def write(self):
        self.each.result.write("spread", {"spread": self.spread})


def work(run, planned):
    missing = run.missing(planned)
    if missing:
        yield WorkItems([each.result for each in missing], planned, Work(run), "spread: layers")


def spreads(run, planned):
    frames = [
        pd.DataFrame({
            "layer": each.layer.name,
            "unit": run.parts.units[each.layer.name],
            "spread": each.result.read("spread")[0]["spread"][run.parts.units[each.layer.name]],
        })
        for each in planned
    ]
    return pd.concat(frames, ignore_index=True)


STAGE = Stage(
    "spread",
    "measure how much the responses to a unit's top patches differ",
    plan=plan,
    needs=("top_patches",),
    tables=(
        Table(
            "spreads",
            "one row per layer and unit",
            {"layer": "its name", "unit": "its number", "spread": "standard deviation"},
            spreads,
            csv=True,
        ),
    ),
    config=Settings,
    check=check,
    cost=lambda run, planned, machine: Cost(disk=4 * sum(e.layer.units for e in planned)),
    work=work,
    summary=lambda run, planned: [f"spread: {len(planned)} layers"],
)
'''
EXPERIMENT = """
# @package _global_
stages: [top_patches, my_lab_spread]
own:
  spread:
    ranks: 4
"""
SMALL = ("layers=[conv1,conv2]", "units=0:5", "images.limit=12", "search.keep=6")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the module of a stage, on the path."""
    (tmp_path / "my_lab_spread.py").write_text(SOURCE)
    conf = tmp_path / "conf" / "experiment"
    conf.mkdir(parents=True)
    (conf / "spread.yaml").write_text(EXPERIMENT)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("my_lab_spread", None)
    return tmp_path


def test_a_stage_of_ones_own_runs_checks_resumes_and_is_tabled(
    lab: Path, run_pipeline: RunPipeline, composed: Compose
):
    stages = ("stages=[top_patches,my_lab_spread]", "own.spread.ranks=4", f"out={lab / 'out'}")
    checked = check_job(composed(*SMALL, *stages, "tracking=none"))
    assert checked.faults == []
    # A block of twelve images, six patches of both signs, 12 bytes each; and a number a unit.
    assert checked.totals.disk == (24 + 32) * (2 * 6 * 12 + 4)
    first = run_pipeline(*SMALL, *stages)
    assert first.facts["findings"] == ["spread: 2 layers"]
    run = pipeline.open_run(first.paths.folder)
    top = run.top_patches.query("sign == 1 and rank < 4")
    expected = top.groupby(["layer", "unit"]).response.std()
    found = run.spreads.set_index(["layer", "unit"]).spread
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-5)
    assert run.record["stage_versions"]["spread"] == 1
    assert (first.paths.tables / "spreads.csv").is_file()
    assert run_pipeline(*SMALL, *stages).done == 0
    lost = next(first.layout.store.glob("spread/*/conv2/*/spread.safetensors"))
    content = lost.read_bytes()
    lost.unlink()
    assert run_pipeline(*SMALL, *stages).done == 1
    assert lost.read_bytes() == content
    assert run_pipeline(*SMALL, *stages, "own.spread.ranks=3").done == 2  # another key


def test_its_faults_are_told_with_all_others(lab: Path, composed: Compose):
    stages = ("stages=[top_patches,my_lab_spread]", "own.spread.ranks=1", f"out={lab / 'out'}")
    config = composed(*SMALL, *stages, "tracking=none", "search.batch_size=0")
    assert check_job(config).faults == ["search.batch_size: 0 is not positive; use 1 or more"]
    config = composed(*SMALL, *stages, "tracking=none")
    assert check_job(config).faults == ["own.spread.ranks: 1 is not 2 or more"]
    config = composed(*SMALL, *stages, "tracking=none", "own.spread.rank=1")
    (fault,) = check_job(config).faults
    assert fault == "own.spread.rank: the stage has no such setting; it has ranks; nearest: ranks"
    config = composed(*SMALL, *stages, "tracking=none", "own.spread.ranks=many")
    (fault,) = check_job(config).faults
    assert fault.startswith("own.spread.ranks: Value 'many' of type 'str' could not be converted")
    config = composed(*SMALL, *stages, "tracking=none", "own.spraed.ranks=4")
    assert check_job(config).faults == [
        "own.spraed: no stage of this run that has settings is called 'spraed'; nearest: spread"
    ]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("own.spread.ranks=abc", "own.spread.ranks: Value 'abc' of type 'str' could not be"),
        ("own.spread.ranks=2.5", "own.spread.ranks: Value '2.5' of type 'float' could not be"),
        ("own.spread=5", "own.spread: 5 are not settings by name; .* own.spread.ranks=VALUE"),
    ],
)
def test_settings_of_another_type_are_refused_before_anything_is_planned(
    lab: Path, composed: Compose, setting: str, sentence: str
):
    config = composed(*SMALL, "stages=[top_patches,my_lab_spread]", f"out={lab / 'out'}", setting)
    (fault,) = own_faults(config)
    assert re.match(sentence, fault)


def test_code_that_its_module_imports_is_in_its_key(
    lab: Path, run_pipeline: RunPipeline, composed: Compose
):
    (lab / "my_lab_numbers.py").write_text("def spread(kept):\n    return kept.std(1)\n")
    source = SOURCE.replace("from dataclasses", "import my_lab_numbers\nfrom dataclasses")
    source = source.replace("return kept[:, :", "kept = kept[:, :").replace(
        "].std(1).numpy()", "]\n        return my_lab_numbers.spread(kept).numpy()"
    )
    (lab / "my_lab_spread.py").write_text(source)
    stages = ("stages=[top_patches,my_lab_spread]", f"out={lab / 'out'}")
    assert run_pipeline(*SMALL, *stages).done == 3
    assert run_pipeline(*SMALL, *stages).done == 0
    (lab / "my_lab_numbers.py").write_text("def spread(kept):\n    return kept.var(1)\n")
    for name in ("my_lab_numbers", "my_lab_spread"):  # as in a process of its own
        sys.modules.pop(name)
    assert run_pipeline(*SMALL, *stages).done == 2


@pytest.mark.commands
def test_an_experiment_of_ones_own_asks_for_it_on_the_command_line(lab: Path):
    command = [
        sys.executable, "-m", "pipeline", "--config-dir", str(lab / "conf"), "experiment=spread",
        *SMALL, f"out={lab / 'out'}", "tracking=none", "runner.accelerator=cpu",
    ]  # fmt: skip
    paths = f"{lab}{os.pathsep}{Path(__file__).parents[2]}"
    for _ in range(2):
        done = subprocess.run(
            command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert "repeats" in done.stdout
    (lab / "my_lab_spread.py").write_text(SOURCE.replace(".std(1)", ".var(1)"))
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert "repeats" not in done.stdout  # its code has changed


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, r"^stages: 'own_broken' is not a stage; the stages are"),
        ("", r"^stages: module 'lab.own_broken' has no STAGE$"),
        ("STAGE = 3", r"^stages: STAGE of 'lab.own_broken' is not a pipeline.stages.stage.Stage$"),
        ("1 / 0", r"^stages: 'lab.own_broken' cannot be imported \(division by zero\)$"),
        (
            "from pipeline.stages.stage import Stage\nSTAGE = Stage('ascent', 'climb')",
            r"^stages: 'lab.own_broken' is called 'ascent', like a stage of artiphys; rename it$",
        ),
        (
            "from pipeline.stages.stage import Stage, Table\n"
            "STAGE = Stage('x', 'x', tables=(Table('ascents', 'x', {}, print),))",
            r"^stages: 'x' writes a table 'ascents', as 'ascent' does; rename the table of",
        ),
    ],
)
def test_what_is_no_stage_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str | None, sentence: str
):
    (tmp_path / "lab").mkdir()
    if source is not None:
        (tmp_path / "lab" / "own_broken.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("lab", None)
    sys.modules.pop("lab.own_broken", None)
    with pytest.raises(ConfigError, match=sentence):
        chosen_stages(["own_broken" if source is None else "lab.own_broken"])


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        ("return {}['q']", KeyError, "'q'"),
        ("return [1]", StoreError, "table 'spreads' of 'spread' is a list, not a DataFrame"),
    ],
)
def test_what_fails_in_it_is_named(
    lab: Path, run_pipeline: RunPipeline, broken: str, error: type, words: str
):
    source = SOURCE.replace(
        "def spreads(run, planned):", f"def spreads(run, planned):\n    {broken}"
    )
    (lab / "my_lab_spread.py").write_text(source)
    given = ("stages=[top_patches,my_lab_spread]", f"out={lab / 'out'}", "units=0:2")
    with pytest.raises(error, match=words) as caught:
        run_pipeline(*SMALL, *given)
    notes = ["This happened in the stage 'spread'."] if error is KeyError else []
    assert getattr(caught.value, "__notes__", []) == notes


def test_a_table_with_other_columns_is_refused(lab: Path, run_pipeline: RunPipeline):
    source = SOURCE.replace('"spread": each.result', '"spreads": each.result')
    (lab / "my_lab_spread.py").write_text(source)
    with pytest.raises(StoreError, match=r"^table 'spreads' has columns \['layer', 'unit', 'spr"):
        run_pipeline(
            *SMALL, "stages=[top_patches,my_lab_spread]", f"out={lab / 'out'}", "units=0:2"
        )
