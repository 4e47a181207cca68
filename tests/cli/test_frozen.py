"""Frozen sweeps: the jobs that Hydra would make, and what is noted of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.cli import frozen
from pipeline.cli.frozen import (
    composed,
    freeze,
    launcher,
    open_sweep,
    say_if_code_changed,
    unfinished,
)
from pipeline.cli.jobs import Job
from pipeline.cli.sweep import main as sweep
from pipeline.errors import ConfigError, StoreError
from pipeline.store.checksummed import read_document


@pytest.mark.parametrize(
    "overrides",
    [
        ["seed=0,1", "optimizer=sgd,adam"],
        ["optimizer=sgd,adam", "seed=3", "optimizer.lr=0.1,0.2"],
        ["layers=[conv1],[conv2,conv3]", "units=[0,1]", "name='a b'"],
        ["seed=range(0,3)", "units='0:4'"],
        ["images.limit=5"],
    ],
)
def test_the_jobs_are_those_of_hydras_own_sweeper_in_its_order(overrides):
    parsed = OverridesParser.create().parse_overrides(overrides)
    (expected,) = BasicSweeper.split_arguments(parsed, None)
    assert [job for job, _ in composed(overrides)] == expected


def test_every_job_is_composed_with_its_own_values():
    jobs = composed(["seed=4,5", "optimizer=sgd,adam"])
    values = [(config.seed, config.optimizer["_target_"].rpartition(".")[2]) for _, config in jobs]
    assert values == [(4, "sgd"), (4, "adam"), (5, "sgd"), (5, "adam")]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer=sdg", "optimizer: 'sdg' is not an option; choose from adam"),
        ("seeds=1", "seeds: there is no such key; nearest: seed"),
        ("seed=interval(0,1)", "seed: only lists, choices and ranges can be swept"),
        ("seed", "'seed' is not KEY=VALUE, such as seed=VALUE"),
    ],
)
def test_a_wrong_override_is_one_sentence(override, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")) as caught:
        composed([override])
    assert "\n" not in str(caught.value)


def test_settings_of_slurm_come_from_the_command_line(monkeypatch):
    monkeypatch.setenv("ARTIPHYS_SLURM_MINUTES", "7")
    settings = launcher(["hydra.launcher.partition=gpu", "hydra.launcher.mem_gb=3"])
    assert (settings["partition"], settings["mem_gb"], settings["timeout_min"]) == ("gpu", 3, 7)
    assert settings["max_num_timeout"] > 0


def test_the_same_jobs_are_the_same_sweep_and_others_another(tmp_path: Path):
    given = ["seed=0,1", "name=mine", f"out={tmp_path}"]
    first = freeze(composed(given), given)
    frozen.note_submitted(first, "17")
    again = freeze(composed(given), given)
    assert again.name == first.name
    assert again.name.startswith("mine-")
    assert open_sweep(tmp_path, first.name).submitted == ["17"]
    other = freeze(composed(["seed=0,2", *given[1:]]), given)
    assert other.name != first.name
    config = read_document(first.paths.config(1))["config"]
    assert (config["seed"], config["name"], config["out"]) == (1, "mine", str(tmp_path))


def test_only_unfinished_jobs_are_left(tmp_path: Path):
    given = ["seed=0,1,2", f"out={tmp_path}"]
    made = freeze(composed(given), given)
    Job((), made.paths.folder, 1).ended("finished")
    Job((), made.paths.folder, 2).ended("failed", "no")
    assert unfinished(made) == [0, 2]


def test_other_code_than_was_frozen_is_told(tmp_path: Path, monkeypatch, caplog):
    made = freeze(composed([f"out={tmp_path}"]), [])
    assert read_document(made.paths.plan)["code"] == frozen.code_version()
    now = {"version": "9.9", "digest": "ab" * 32, "git": {"commit": "c" * 40, "dirty": True}}
    monkeypatch.setattr(frozen, "code_version", lambda: now)
    say_if_code_changed(made.paths.folder)
    record = caplog.records[-1]
    assert "the code has changed since the sweep was frozen" in record.getMessage()
    assert "and is now 9.9 (abababab, commit cccccccc with changes)" in record.getMessage()


def test_an_unknown_sweep_is_refused_with_those_that_there_are(tmp_path: Path):
    made = freeze(composed([f"out={tmp_path}"]), [])
    with pytest.raises(StoreError) as caught:
        open_sweep(tmp_path, "nine")
    assert str(caught.value) == (
        f"sweep: there is no 'nine' in '{tmp_path}/sweeps', which has {made.name}"
    )


def test_sweeps_are_listed_and_cleaned(tmp_path: Path, capsys):
    made = freeze(composed([f"out={tmp_path}", "seed=0,1"]), [])
    Job((), made.paths.folder, 0).ended("finished")
    assert sweep(["status", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{made.name}: 1 of 2 jobs finished\n"
    assert sweep(["clean", made.name, "--out", str(tmp_path)]) == 0
    assert not made.paths.folder.exists()


def test_a_sweep_with_faults_is_refused_whole(tmp_path: Path, capsys):
    with pytest.raises(ConfigError, match=r"^sweep: 2 faults in 2 jobs; nothing was submitted$"):
        sweep(["submit", f"out={tmp_path}/out", "layers=[conv8],[conv9]", "images.limit=3"])
    said = capsys.readouterr().out
    assert "'conv8' is not in miniature" in said
    assert "'conv9' is not in miniature" in said
    assert not (tmp_path / "out").exists()
