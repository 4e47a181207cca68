"""The stage: the numbers of the library, known cells, resumable, reasons for what is missing."""

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
from pipeline.miniature import gabor_bank
from pipeline.run.active_run import ActiveRun
from pipeline.stages.ascent.results import find_climb
from pipeline.stages.best_gabor import STAGE
from pipeline.stages.best_gabor.cost import gabor_cost
from pipeline.stages.best_gabor.plan import gabor_faults, plan_gabors
from tests.conftest import RunPipeline, table_columns
from tests.stages.conftest import copy_store

UNITS = [2, 7, 11]
SMALL = (
    "layers=[conv1]",
    "units=[2,11,7]",
    "images.limit=4",
    "search.keep=4",
    "init=[zeros,noise]",
    "optimizer.steps=3",
    "best_gabor.steps=4",
    "figures.formats=[]",
)
WHOLE = (*SMALL, "stages=[top_patches,ascent,best_gabor]")
ALONE = (*SMALL, "stages=[best_gabor]")


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("best_gabor")
    stages = ("stages=[top_patches,ascent,best_gabor,pages]", "figures.formats=[png]")
    return run_pipeline(*WHOLE, *stages, f"out={out}", "runner.threads=1")


def table_of(run: ActiveRun) -> pd.DataFrame:
    return pipeline.open_run(run.paths.folder).best_gabor


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item of the stage in the store, by result and name."""
    return {
        f"{each.result.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def ascended(run: ActiveRun, init: str) -> np.ndarray:
    result = find_climb(run, run.parts.layers[0], init).result
    return np.concatenate([result.read(item)[0]["images"] for item in result.items])


def test_its_table_is_that_of_the_library(first: ActiveRun):
    table = table_of(first)
    assert tuple(table) == table_columns()["best_gabor"]
    responses = {}
    for init in ("zeros", "noise"):
        found = pipeline.best_gabor(
            pipeline.network("miniature"),
            "conv1",
            units=UNITS,
            images=first.images,
            ascents={"conv1": ascended(first, init)},
            rms=1.0,
            steps=4,
        ).table
        responses[init] = found["ascent_response"]
        same = [
            name
            for name in found
            if not str(name).startswith(("ascent_", "gabor_over_a", "reason"))
        ]
        pd.testing.assert_frame_equal(table[same], found[same], check_exact=True, check_dtype=False)
    both = pd.DataFrame(responses)
    np.testing.assert_array_equal(table["ascent_response"], both.max(axis=1))
    assert table["ascent_init"].tolist() == both.idxmax(axis=1).tolist()
    assert (table["ascent_copy"] == 0).all()
    evoked = [table[f"{name}response"] - table["blank"] for name in ("", "ascent_")]
    np.testing.assert_allclose(table["gabor_over_ascent"], evoked[0] / evoked[1])
    assert (table["reason"] == "").all()


def test_no_bit_depends_on_other_units_workers_or_interruptions(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    given = (*WHOLE, f"out={tmp_path}", "runner.threads=2")
    lost = [(each.result, item) for each in first.plan(STAGE) for item in each.result.items]
    copy_store(first, tmp_path, lost)
    again = run_pipeline(*given)
    assert again.done == len(lost) == 4  # grid, Gabors, patches and ascents
    assert items(again) == items(first)
    alone = table_of(run_pipeline(*given, "units=[7]", "stages=[top_patches,best_gabor]"))
    own = table_of(first).query("unit == 7").reset_index(drop=True)
    same = [name for name in own if "ascent" not in name and name != "reason"]
    pd.testing.assert_frame_equal(alone[same], own[same], check_exact=True)


def test_the_contrast_can_be_that_of_each_top_patch(first: ActiveRun, run_pipeline: RunPipeline):
    given = (*WHOLE, f"out={first.parts.config.out}", "best_gabor.rms=null")
    table = table_of(run_pipeline(*given))
    expected = pipeline.best_gabor(
        pipeline.network("miniature"), "conv1", units=UNITS, images=first.images, steps=4
    )
    for name in ("rms", "orientation", "response", "patch_response", "gabor_over_patch"):
        np.testing.assert_array_equal(table[name], expected.table[name])
    # As of every unit the contrast is its own, and the grid has the median of the whole layer.
    single = table_of(run_pipeline(*given, "units=[11]", "stages=[best_gabor]"))
    own = table.query("unit == 11").reset_index(drop=True)
    assert single["response"].tolist() == own["response"].tolist()


def test_what_is_missing_is_said_and_used_once_it_is_there(
    run_pipeline: RunPipeline, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    given = (*ALONE, "units=[2]", f"out={tmp_path}")
    table = table_of(run_pipeline(*given))
    assert table["reason"].tolist() == [
        "the store holds no top patches of its layer; the store holds no ascents of its layer"
    ]
    lacking = ["gabor_over_patch", "gabor_over_ascent", "patch_response", "patch_rank"]
    assert table[lacking].isna().all(axis=None)
    assert np.isfinite(table[["response", "orientation", "gain"]]).all(axis=None)
    said = "gabor_over_ascent will be missing in conv1: the store holds no ascents of its layer"
    assert said in capfd.readouterr().out
    run_pipeline(*given, "stages=[ascent]")
    again = run_pipeline(*given)
    assert again.done == 1  # the comparison with ascents
    found = table_of(again)
    assert np.isfinite(found["gabor_over_ascent"]).all()
    assert found["reason"].tolist() == ["the store holds no top patches of its layer"]
    whole = table_of(run_pipeline(*given, "objective=[channel_mean]"))
    assert whole["reason"].str.endswith("the ascents are not of receptive fields").all()


SETTINGS = [("rms", 0.5), ("rms", None), ("color", "free"), ("displayable", True), ("steps", 5)]


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_every_setting_is_in_the_keys(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    keys = {each.result.key for each in plan_gabors(first)}
    grids = {each.result.key for each in plan_gabors(first).grids}
    monkeypatch.setattr(first.parts.config.best_gabor, name, value)
    changed = {each.result.key for each in plan_gabors(first)}
    assert changed & keys == (grids if name == "steps" else set())


def test_the_contrast_of_patches_depends_on_the_search(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(first.parts.config.best_gabor, "rms", None)
    keys = {each.result.key for each in plan_gabors(first)}
    monkeypatch.setattr(first.parts.config.search, "keep", 3)
    monkeypatch.setitem(first.plans, "top_patches", None)
    first.plans.pop("top_patches")
    assert {each.result.key for each in plan_gabors(first)}.isdisjoint(keys)


def test_the_cost_counts_every_number(first: ActiveRun):
    cost = gabor_cost(first, first.plan(STAGE))
    stored = [each.result.read(item)[0] for each in first.plan(STAGE) for item in each.result.items]
    assert cost.disk == sum(array.nbytes for arrays in stored for array in arrays.values())
    assert cost.missing == 0
    # A multiplication and an addition for each of 9 x 9 x 3 weights: of 24 units for the grid, and
    # three times (forward and backward) for each step of five climbs of three units.
    grid = len(first.plan(STAGE).grids[0].of.search.grid(np.ones(1)))
    assert cost.operations["best_gabor"] == 2 * 243 * (24 * grid + 3 * 5 * 4 * 3)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rms=-1", "best_gabor.rms: -1.0 is not a positive number; photographs have about 1, and"),
        (
            "rms=null",
            "best_gabor.rms: is null, for the contrast of top patches, but the store holds no top"
            " patches of its layer, conv1, for these weights and images; add top_patches to stages,"
            " or give a contrast, as in best_gabor.rms=1",
        ),
        ("color=grey", "best_gabor.color: 'grey' is not one of gray, free; nearest: gray"),
        ("steps=0", "best_gabor.steps: 0 is not positive; use 1 or more"),
    ],
)
def test_what_is_refused(run_pipeline: RunPipeline, tmp_path: Path, setting: str, message: str):
    with pytest.raises(ConfigError, match="^" + re.escape(message)):
        run_pipeline(*ALONE, f"best_gabor.{setting}", f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_its_summary_and_its_figure(first: ActiveRun):
    assert re.fullmatch(
        r"best_gabor: conv1: 3 of 3 units have one, median gabor over ascent \d\.\d\d \(3 units\),"
        r" median gabor over patch \d\.\d\d \(3 units\)",
        first.facts["findings"][0],
    )
    assert {path.name for path in first.paths.figures.glob("*.png")} == {"best_gabor_by_layer.png"}


def test_pages_show_all_images_at_one_contrast_with_the_numbers_of_the_table(first: ActiveRun):
    row = table_of(first).set_index("unit").loc[11]
    path = first.paths.site / "assets" / "data" / "conv1" / "11.js"
    text = path.read_text(encoding="utf-8")
    data = json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]
    (section,) = data["sections"]
    assert section["title"] == "Best Gabor"
    pictures, responses, parameters = section["parts"]
    assert [each["name"] for each in pictures["maps"]] == [
        "best Gabor", "ascent image", "top patch",
    ]  # fmt: skip
    assert all(each["image"]["width"] == 9 for each in pictures["maps"])
    assert pictures["maps"][1]["captions"][1] == f"from {row['ascent_init']}"
    numbers = {each["name"]: each for part in (responses, parameters) for each in part["numbers"]}
    assert numbers["best Gabor"]["value"] == pytest.approx(row["response"], rel=1e-4)
    index = numbers["best Gabor / ascent image"]["value"]
    assert index == pytest.approx(row["gabor_over_ascent"], rel=1e-4)
    assert numbers["orientation"]["value"] == pytest.approx(row["orientation"], rel=1e-4)
    assert numbers["frequency"]["note"] == f"{row['frequency_per_degree']:.3g} cycles per degree"


def test_simple_cells_of_the_ground_truth_recover_their_gabor(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(gabor_bank, "KERNEL", 85)  # cells of at most three degrees
    run = run_pipeline(
        "model=gabor_bank",
        "model.cells=3",
        "layers=[conv3]",
        "units=[0,2]",
        "images.limit=1",
        "stages=[best_gabor]",
        "best_gabor.steps=50",
        f"out={tmp_path}",
    )
    table: Any = table_of(run)
    truth = run.parts.network.module.truth.iloc[[0, 2]].reset_index(drop=True)
    assert (truth["kind"] == "simple").all()
    turn = (table["orientation"] - truth["orientation"] + 90) % 180 - 90
    assert np.abs(turn).max() < 1
    pairs = {
        "frequency_per_degree": "frequency_per_degree",
        "sigma_along_degrees": "sigma_along",
        "sigma_across_degrees": "sigma_across",
    }
    for found, known in pairs.items():
        np.testing.assert_allclose(table[found], truth[known], rtol=0.03)
    assert np.abs(table[["x_degrees", "y_degrees"]]).max(axis=None) < 0.02


def test_fields_too_small_for_a_gabor_say_so(
    run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.stages.best_gabor.results.SMALLEST_FIELD", 10)
    given = (*ALONE, "stages=[top_patches,best_gabor]", "figures.formats=[png]")
    run = run_pipeline(*given, f"out={tmp_path}")
    table = table_of(run)
    assert table["reason"].tolist() == ["its field is smaller than 3 pixels"] * 3
    numbers = ["orientation", "response", "gain", "peak", "color_0", "gabor_over_patch"]
    assert table[numbers].isna().all(axis=None)
    assert table["patch_response"].notna().all()
    assert not list(run.paths.figures.glob("*"))
    assert run.facts["findings"] == [
        "best_gabor: conv1: 0 of 3 units have one, no gabor over ascent, no gabor over patch"
    ]
    assert gabor_cost(run, run.plan(STAGE)).operations == {"best_gabor": 0}


def test_networks_whose_mean_is_black_cannot_display_gabors(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(first.parts.network.preprocessing.__dict__, "mean", (0.0, 0.4, 0.4))
    monkeypatch.setattr(first.parts.config.best_gabor, "displayable", True)
    plan = plan_gabors(first)
    assert not plan.gabors
    (fault,) = gabor_faults(first, plan)
    assert fault.startswith(
        "best_gabor.displayable: the mean color of the preprocessing is as dark"
    )
