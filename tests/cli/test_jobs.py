"""Jobs: what they are called, what became of them, and which are told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from pipeline.cli import jobs
from pipeline.cli.jobs import ALONE, Job, RememberSweep, own_settings, read_job, report, summarize
from pipeline.errors import ConfigError
from pipeline.runner.stopping import Stopped
from pipeline.store.layout import SweepPaths


def test_a_job_keeps_its_identity_in_tracking_whatever_it_runs_on(composed):
    config = composed("optimizer=adam", "name=mine")
    identity = ALONE.identity(config)
    elsewhere = replace(config, out="/scratch", runner={"devices": 8}, tracking={"mode": "online"})
    assert Job(("seed=1",), Path("/sweep"), 3).identity(elsewhere) == identity
    for other in (replace(config, seed=1), replace(config, name="other"), composed("name=mine")):
        assert ALONE.identity(other) != identity
    assert len(identity) == 16


def test_the_runs_of_a_sweep_share_a_group_and_a_run_alone_has_none(composed):
    config = composed("name=mine")
    assert Job((), Path("/sweep"), 3).group(config) == "mine"
    assert ALONE.group(config) is None
    assert Job(("a=1",), Path("/sweep"), 3).facts(config) == {
        "overrides": ["a=1"],
        "tracked_as": ALONE.identity(config),
        "group": "mine",
        "job": 3,
    }


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ConfigError("layers: 'x' is not there"), "failed", "layers: 'x' is not there"),
        (ZeroDivisionError("oh"), "failed", "ZeroDivisionError: oh"),
        (Stopped("SIGTERM"), "stopped", "it was stopped by SIGTERM"),
        (KeyboardInterrupt(), "stopped", "it was interrupted"),
    ],
)
def test_how_a_job_ends_is_noted_with_the_reason(tmp_path: Path, error, state, reason):
    job = Job(("seed=1",), tmp_path / "sweep", 2)

    def fail() -> None:
        with report(job):
            job.ran(tmp_path / "runs" / "main" / "now")
            assert read_job(tmp_path / "sweep", 2)["state"] == "running"
            raise error

    with pytest.raises(type(error)):
        fail()
    known = read_job(tmp_path / "sweep", 2)
    assert known == {
        "overrides": ["seed=1"],
        "state": state,
        "reason": reason,
        "run": "../runs/main/now",
    }
    with report(job):
        pass
    assert read_job(tmp_path / "sweep", 2)["state"] == "finished"


def test_a_damaged_note_is_as_if_the_job_had_never_run(tmp_path: Path):
    job = Job((), tmp_path, 0)
    job.ended("finished")
    SweepPaths(tmp_path).job(0).write_text("{")
    assert read_job(tmp_path, 0) == {}
    assert read_job(tmp_path, 1) == {}


def test_jobs_that_did_not_finish_are_told_at_the_end(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "_sweeps", [(tmp_path, 5)])
    for number, (seed, state) in enumerate([(0, "finished"), (1, "failed"), (2, "finished")]):
        Job(("name=x", f"seed={seed}"), tmp_path, number).ended(state, "so it is" * (seed == 1))
    assert summarize() == 3
    assert capsys.readouterr().out == (
        "sweep: 2 of 5 jobs finished\n  job 1 (seed=1) failed: so it is\n  2 not begun\n"
        "the same command runs only what is missing\n"
    )


def test_two_sweeps_begun_in_one_second_have_folders_of_their_own(tmp_path: Path, monkeypatch):
    known: list[tuple[Path, int]] = []
    monkeypatch.setattr(jobs, "_sweeps", known)
    monkeypatch.setenv("HOME", str(tmp_path))
    for seeds in ("0,1", "0,1,2"):
        hydra = {"overrides": {"task": [f"seed={seeds}"], "hydra": []}, "sweep": {"dir": "~/a'é/t"}}
        config = OmegaConf.create({"hydra": hydra})
        OmegaConf.set_readonly(config, True)
        RememberSweep().on_multirun_start(config)
        folder = known[-1][0]
        assert folder.is_dir()
        assert config.hydra.sweep.dir == str(folder)
        (override,) = OverridesParser.create().parse_overrides(config.hydra.overrides.hydra)
        assert (override.key_or_group, override.value()) == ("hydra.sweep.dir", str(folder))
    assert known == [(tmp_path / "a'é" / "t", 2), (tmp_path / "a'é" / "t_2", 3)]


def test_only_what_differs_names_a_job():
    assert own_settings([["a=1", "b=2"], ["a=1", "b=3"]]) == ["b=2", "b=3"]
    assert own_settings([["a=1", "b=2"]]) == ["a=1 b=2"]
