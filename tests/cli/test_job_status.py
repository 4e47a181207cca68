"""How jobs stand, from the moment they wait until their results have gone."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.cli.frozen import Sweep
from pipeline.cli.job_status import JobStatus, standing
from pipeline.cli.jobs import Job
from pipeline.store.layout import Layout, RunPaths
from pipeline.store.records import write_record
from pipeline.store.results import Result


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(Layout(tmp_path).sweep("mine"), [["seed=0"]])


@pytest.fixture
def begun(sweep: Sweep) -> RunPaths:
    """The run of the only job."""
    paths = Layout(sweep.paths.out).new_run("mine", datetime(2030, 1, 1))
    Job(("seed=0",), sweep.paths.folder, 0).ran(paths.folder)
    return paths


@pytest.fixture
def result(sweep: Sweep, begun: RunPaths) -> Result:
    """What the run has asked for: two items, of which one is there."""
    place = "store/ascent/net/conv1/key"
    record = {"results": {"ascent": {"conv1/zeros": {"folder": place, "items": ["a", "b"]}}}}
    write_record(begun, record)
    result = Result(sweep.paths.out / place, {}, ["a", "b"])
    result.write("a", {})
    return result


def test_a_job_that_has_not_begun_waits(sweep):
    assert standing(sweep, 0) == JobStatus("waiting", "", 0, 0, "")


def test_a_job_is_running_before_its_run_has_a_record(sweep, begun):
    assert standing(sweep, 0) == JobStatus("running", "", 0, 0, "")


def test_results_are_counted_in_the_store(sweep, result):
    assert (standing(sweep, 0).done, standing(sweep, 0).items) == (1, 2)
    result.write("b", {})
    assert standing(sweep, 0).done == 2


def test_a_finished_job_whose_results_have_gone_is_incomplete(sweep, result):
    job = Job(("seed=0",), sweep.paths.folder, 0)
    job.ended("finished")
    assert standing(sweep, 0).state == "incomplete"
    result.write("b", {})
    assert standing(sweep, 0).state == "finished"


@pytest.mark.parametrize(
    ("queued", "state"),
    [(["7_0"], "killed"), ([], "killed"), (["7_0", "7_1"], "running"), (None, "running")],
)
def test_a_job_that_slurm_has_no_more_was_killed(monkeypatch, sweep, queued, state):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    job = Job(("seed=0",), sweep.paths.folder, 0)
    job.began()
    job.ran(sweep.paths.out / "runs" / "mine" / "now")
    found = standing(sweep, 0, queued)
    assert found.state == state
    assert found.reason.startswith("it is no longer in Slurm") == (state == "killed")
    job.ended("finished")
    assert standing(sweep, 0, queued).state == "finished"


def test_a_reason_is_handed_on(sweep, begun):
    Job((), sweep.paths.folder, 0).ended("failed", "the disk is full")
    assert (standing(sweep, 0).state, standing(sweep, 0).reason) == ("failed", "the disk is full")


@pytest.mark.parametrize(
    ("seconds", "words"), [(90, "2 min ago"), (7200, "2 h ago"), (200_000, "2 days ago")]
)
def test_the_last_sign_is_that_of_the_log(sweep, begun, seconds, words):
    begun.log.touch()
    os.utime(begun.log, (time.time() - seconds,) * 2)
    assert standing(sweep, 0).seen == words
