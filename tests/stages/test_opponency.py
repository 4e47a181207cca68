"""The stage: the numbers of the library, resumable, the same bits for any number of workers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.stages.opponency import STAGE
from pipeline.stages.opponency.cost import opponency_cost
from pipeline.stages.opponency.results import channel_faults, plan_opponency
from tests.conftest import RunPipeline, table_columns
from tests.stages.conftest import copy_store

SMALL = (
    "stages=[opponency]",
    "layers=[conv1,conv2]",
    "units=[2,11,7]",
    "images.limit=4",
    "opponency.where=field",
    "figures.formats=[]",
)


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("opponency")
    stages = ("stages=[opponency,pages]", "figures.formats=[png]")
    return run_pipeline(*SMALL, f"out={out}", *stages, "runner.threads=1")


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store, by layer and name."""
    return {
        f"{each.layer.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def test_its_tables_are_those_of_the_library(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    found = opened.opponency
    assert tuple(found) == table_columns()["opponency"]
    units = found["unit"].unique().tolist()
    assert sorted(units) == [2, 7, 11]
    expected = pipeline.opponency(
        pipeline.network("miniature"),
        "conv1",
        units=units,
        baseline="all",
        require_positive_baseline="all",
        at="all",
        where="field",
    )
    pd.testing.assert_frame_equal(
        found[found["layer"] == "conv1"].drop(columns="model"),
        expected,
        check_dtype=False,
        rtol=1e-4,
        atol=1e-4,
    )
    fractions = opened.opponency_fractions
    assert tuple(fractions) == table_columns()["opponency_fractions"]
    own = pipeline.opponency_fractions(found)
    pd.testing.assert_frame_equal(
        fractions.drop(columns="model"), own[[*fractions.columns[1:]]], check_dtype=False
    )


def test_the_summary_has_a_line_for_each_layer(first: ActiveRun):
    share = r"\d+% \[\d+%, \d+%\]"
    assert re.fullmatch(
        r"opponency: conv1: opponent \(black baseline above 0\):"
        rf" spectral {share}, spatial {share}, double {share}",
        first.facts["findings"][0],
    )


def test_its_figures_are_written(first: ActiveRun):
    drawn = {path.name for path in first.paths.figures.glob("*.png")}
    assert drawn == {"opponency_by_layer.png", "opponency_hues.png"}


def test_responses_are_stored_by_set_before_and_after_the_nonlinearity(first: ActiveRun):
    conv2 = first.plan(STAGE)[1].responses
    assert conv2.gray_levels.shape == (2, 3, 3)
    assert conv2.hues.shape == (2, 360, 3)
    assert conv2.gratings.shape == (2, 960, 3)
    assert (conv2.gratings[0] < 0).any()
    np.testing.assert_array_equal(conv2.gratings[1], np.maximum(conv2.gratings[0], 0))


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    lost = [(each.result, item) for each in first.plan(STAGE) for item in ("gratings", "hues")]
    copy_store(first, tmp_path, lost)
    again = run_pipeline(*SMALL, f"out={tmp_path}", "runner.threads=3")
    assert again.done == len(lost)
    assert items(again) == items(first)


@pytest.mark.parametrize(("name", "value"), [("where", "image"), ("gray_hues", True)])
def test_everything_that_is_shown_is_in_the_key(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    keys = {each.result.key for each in plan_opponency(first)}
    monkeypatch.setattr(first.parts.config.opponency, name, value)
    assert {each.result.key for each in plan_opponency(first)}.isdisjoint(keys)


def test_the_cost_counts_every_stimulus_and_byte(first: ActiveRun):
    cost = opponency_cost(first, first.plan(STAGE))
    assert cost.disk == sum(
        each.result.read(item)[0]["responses"].nbytes
        for each in first.plan(STAGE)
        for item in each.result.items
    )
    assert cost.missing == 0
    # A multiplication and an addition for each of 24 x 9 x 9 x 3 weights and stimulus of conv1.
    (conv1,) = (each for each in first.plan(STAGE) if each.layer.name == "conv1")
    assert opponency_cost(first, [conv1]).operations["opponency"] == 1323 * 2 * 24 * 243


def test_networks_of_one_channel_are_a_fault(first: ActiveRun, monkeypatch: pytest.MonkeyPatch):
    preprocessing = first.parts.network.preprocessing
    monkeypatch.setitem(preprocessing.__dict__, "mean", (0.5,))
    assert not list(plan_opponency(first))
    (fault,) = channel_faults(first, ())
    assert fault == (
        "stages: opponency is measured with colors and needs a network of 3 channels, and"
        " miniature has 1; leave it out"
    )


def test_what_is_refused(run_pipeline: RunPipeline, tmp_path: Path):
    message = "opponency.where: 'map' is not one of image, field"
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, "opponency.where=map", f"out={tmp_path}")


def test_pages_show_the_numbers_of_the_table(first: ActiveRun):
    table = pipeline.open_run(first.paths.folder).opponency
    section = unit_section(first, 11)
    assert section["title"] == "Opponency"
    demanded, whatever, extremes, curve = section["parts"]
    own = table[(table["layer"] == "conv1") & (table["unit"] == 11) & (table["at"] == "pre")]
    spectral = own[own["kind"] == "spectral"].set_index(["baseline", "require_positive_baseline"])
    for part, demand in ((demanded, True), (whatever, False)):
        black, gray, white = (
            spectral.loc[(baseline, demand), "class"] for baseline in ("black", "gray", "white")
        )
        (shown,) = (n for n in part["numbers"] if n["name"] == "spectral, black field")
        assert shown["value"] == black
        assert shown["note"] == f"gray: {gray}, white: {white}"
    hue = spectral.loc[("black", True), "max_hue"]
    assert extremes["numbers"][0]["value"] == hue
    hues, black = curve["curves"][:2]
    assert hues["x"][int(np.argmax(hues["y"]))] == hue
    assert black["y"][0] == pytest.approx(spectral.loc[("black", True), "baseline_response"])


def unit_section(run: ActiveRun, unit: int) -> Any:
    path = run.paths.site / "assets" / "data" / "conv1" / f"{unit}.js"
    text = path.read_text(encoding="utf-8")
    data = json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]
    (section,) = data["sections"]
    return section
