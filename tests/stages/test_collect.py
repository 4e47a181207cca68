"""Collecting: runs of the pipeline, and what a command for them leaves and says."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import pipeline
from pipeline.errors import StoreError
from tests.conftest import Compose, RunPipeline, table_columns
from tests.stages.sweep_runs import make_run

TINY = (
    "stages=[ascent,correlations]",
    "init=[zeros,noise]",
    "layers=[conv1,conv2]",
    "units=0:3",
    "images.limit=2",
    "optimizer.steps=2",
    "figures.formats=[]",
    "name=mysweep",
)
COLLECT = ("stages=[collect]", "figures.formats=[]")
DRAWN = ("stages=[collect]", "figures.formats=[png,svg]")


@pytest.fixture
def two(composed: Compose, tmp_path: Path) -> Path:
    """The runs of a sweep of two optimizers, and one that failed."""
    for minute, optimizer in enumerate(("sgd", "adam")):
        make_run(tmp_path, composed("name=mysweep", f"optimizer={optimizer}"), minute)
    make_run(tmp_path, composed("name=mysweep", "seed=9"), 5, state="failed")
    return tmp_path


def test_runs_of_the_pipeline_are_collected_as_they_are(run_pipeline: RunPipeline, tmp_path: Path):
    sources = {
        f"optimizer={optimizer}": run_pipeline(*TINY, f"optimizer={optimizer}", f"out={tmp_path}")
        for optimizer in ("adam", "sgd")
    }
    session = run_pipeline(*COLLECT, f"collect.runs=[{tmp_path}/runs/mysweep]", f"out={tmp_path}")
    run = pipeline.open_run(session.paths.folder)
    assert run.tables == ["sweep_correlations", "sweep_summary"]
    assert (run.paths.tables / "sweep_summary.csv").is_file()
    for name, source in (
        ("sweep_correlations", "correlations"),
        ("sweep_summary", "correlation_summary"),
    ):
        table = getattr(run, name)
        assert tuple(table.columns) == table_columns()[name]
        parts = [getattr(pipeline.open_run(s.paths.folder), source) for s in sources.values()]
        expected = pd.concat(parts, ignore_index=True)
        pd.testing.assert_frame_equal(table[expected.columns], expected)
        assert list(table["job"].unique()) == list(sources)


def test_record_says_which_runs_are_in_the_tables_and_why_others_are_not(
    run_pipeline: RunPipeline, two: Path
):
    session = run_pipeline(*COLLECT, "name=mysweep", f"out={two}")
    record = json.loads(session.paths.record.read_text())
    assert record["state"] == "finished"
    assert record["computed"] == 2
    assert record["collected"] == {
        "optimizer=adam": "runs/mysweep/2030-01-01_00-01-00",
        "optimizer=sgd": "runs/mysweep/2030-01-01_00-00-00",
    }
    assert record["left_out"] == {"runs/mysweep/2030-01-01_00-05-00": "failed"}
    assert "model" not in record  # no network was asked


def test_figure_is_drawn_in_every_format_and_tracked(
    run_pipeline: RunPipeline, two: Path, monkeypatch: pytest.MonkeyPatch
):
    told: list[tuple[str, str]] = []

    class Tracker:
        def log(self, values):
            pass

        def table(self, name, table):
            told.append(("table", name))

        def figure(self, name, path):
            assert path.is_file()
            told.append(("figure", name))

        def finish(self, *, failed):
            told.append(("failed", str(failed)))

    monkeypatch.setattr("pipeline.tracking.none", lambda: lambda *_: Tracker())
    session = run_pipeline(*DRAWN, "name=mysweep", f"out={two}")
    assert sorted(path.name for path in session.paths.figures.iterdir()) == [
        "sweep.png",
        "sweep.svg",
    ]
    assert "optimizer=adam" in (session.paths.figures / "sweep.svg").read_text()
    assert told == [
        ("figure", "sweep"),
        ("table", "sweep_correlations"),
        ("table", "sweep_summary"),
        ("failed", "False"),
    ]


def test_second_collection_leaves_the_same_files(run_pipeline: RunPipeline, two: Path):
    first, second = (run_pipeline(*DRAWN, "name=mysweep", f"out={two}") for _ in range(2))
    for part in ("tables", "figures"):
        left = [
            {path.name: path.read_bytes() for path in (session.paths.folder / part).iterdir()}
            for session in (first, second)
        ]
        assert left[0]
        assert left[0] == left[1]


def test_runs_of_this_name_are_collected_if_none_are_given(
    run_pipeline: RunPipeline, composed: Compose, two: Path
):
    make_run(two, composed("name=other"), 7)
    session = run_pipeline(*COLLECT, "name=other", f"out={two}")
    assert session.facts["collected"] == {"": "runs/other/2030-01-01_00-07-00"}


def test_run_that_is_left_out_is_named(run_pipeline: RunPipeline, two: Path):
    session = run_pipeline(*COLLECT, "name=mysweep", f"out={two}")
    log = session.paths.log.read_text()
    assert "INFO collect: 2 runs\n" in log
    assert "INFO collect: left out, failed: mysweep/2030-01-01_00-05-00\n" in log


def test_runs_of_another_out_are_named_in_full(
    run_pipeline: RunPipeline, two: Path, tmp_path_factory: pytest.TempPathFactory
):
    out = tmp_path_factory.mktemp("elsewhere")
    session = run_pipeline(*COLLECT, f"collect.runs=[{two}]", f"out={out}")
    assert session.facts["collected"]["optimizer=sgd"] == f"{two}/runs/mysweep/2030-01-01_00-00-00"


@pytest.mark.parametrize("stages", ["[collect]", "[train,collect]", "[ascent,collect]"])
def test_nothing_to_collect_is_refused_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path, stages: str
):
    out = tmp_path / "out"
    with pytest.raises(StoreError) as caught:
        run_pipeline(f"stages={stages}", f"out={out}")
    assert str(caught.value) == (
        f"collect: '{out}/runs/main' neither is nor contains a run; give run folders or folders"
        " that contain runs, as in collect.runs=[outputs/runs/mysweep]"
    )
    assert not out.exists()


def test_after_other_stages_the_former_runs_are_collected(run_pipeline: RunPipeline, two: Path):
    stages = "stages=[ascent,correlations,collect]"
    session = run_pipeline(*TINY, stages, f"out={two}")
    assert list(session.facts["collected"]) == ["optimizer=adam", "optimizer=sgd"]
    assert list(session.facts["left_out"].values()) == ["failed"]  # this run is not looked at
    assert (session.paths.tables / "correlations.parquet").is_file()
