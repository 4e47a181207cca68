"""Finished runs of opponency side by side: seeds of random weights are one condition."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.errors import StoreError
from tests.conftest import RunPipeline, table_columns

RULE = ["layer", "kind", "baseline", "require_positive_baseline", "at", "class"]
SMALL = (
    "stages=[opponency]",
    "layers=[conv1]",
    "units=0:4",
    "images.limit=2",
    "figures.formats=[]",
)
CONTROLS = ("stages=[opponency_controls]", "name=controls", "figures.formats=[png]")


def test_seeds_of_random_weights_are_networks_of_one_condition(
    run_pipeline: RunPipeline, tmp_path: Path
):
    named = (*SMALL, f"out={tmp_path}", "name=controls")
    runs = {
        weights: [run_pipeline(*named, f"model.weights={weights}", f"seed={n}") for n in (0, 1)]
        for weights in ("random", "default")
    }
    session = run_pipeline(*CONTROLS, f"out={tmp_path}")
    found = pipeline.open_run(session.paths.folder).opponency_controls
    assert tuple(found) == table_columns()["opponency_controls"]
    assert (session.paths.figures / "opponency_controls.png").is_file()
    tables = {
        weights: [
            pipeline.open_run(run.paths.folder).opponency_fractions.set_index(RULE) for run in own
        ]
        for weights, own in runs.items()
    }
    random = found[found["condition"] == "model.weights=random"].set_index(RULE)
    one, other = tables["random"]
    assert (random["networks"] == 2).all()
    assert not one["fraction"].equals(other["fraction"])
    expected = (one["fraction"] + other["fraction"]) / 2
    assert abs(random["fraction"] - expected).max() < 1e-12
    # A trained network is the same whatever the seed: one, with intervals over its units.
    trained = found[found["condition"] == "model.weights=default"].set_index(RULE)
    assert (trained["networks"] == 1).all()
    for column in ("fraction", "low", "high"):
        assert trained[column].equals(tables["default"][0].loc[trained.index, column])


def test_without_a_finished_run_it_says_what_to_do(run_pipeline: RunPipeline, tmp_path: Path):
    with pytest.raises(StoreError, match=r"^collect: 'absent' neither is nor contains a run; give"):
        run_pipeline(*CONTROLS, f"out={tmp_path}", "collect.runs=[absent]")
