"""The stage: the numbers of the library, resumable, the same bits for any number of workers."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.schema import Config
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.repeats import fingerprint
from pipeline.stages.shape_tuning import STAGE
from pipeline.stages.shape_tuning.results import LayerFits, ShapePlan, plan_shapes
from tests.conftest import RunPipeline, few_models, table_columns
from tests.stages.conftest import copy_store

SMALL = (
    "stages=[shape_tuning]",
    "layers=[conv1,conv2]",
    "units=[2,5,7]",
    "images.limit=4",
    "shape_tuning.width=12",
    "shape_tuning.positions=[-26,-24,-12,-10,-8,0,8,10,12,24,26]",
    "shape_tuning.shuffles=2",
    "figures.formats=[]",
)


@pytest.fixture(scope="module", autouse=True)
def _few_models() -> Iterator[None]:
    with few_models():
        yield


@pytest.fixture(scope="module")
def first(
    _few_models: None, run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory
) -> ActiveRun:
    out = tmp_path_factory.mktemp("shapes")
    stages = ("stages=[shape_tuning,pages]", "figures.formats=[png]")
    return run_pipeline(*SMALL, f"out={out}", *stages, "runner.threads=1")


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store, by layer and name."""
    return {
        f"{each.layer.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def keys(plan: ShapePlan) -> set[str]:
    """Return the keys of the responses."""
    return {each.result.key for each in plan.shapes}


def test_its_table_is_that_of_the_library(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    found = opened.shape_tuning
    assert tuple(found) == table_columns()["shape_tuning"]
    expected = pipeline.shape_tuning(
        pipeline.network("miniature"),
        ["conv1", "conv2"],
        units=[2, 5, 7],
        width=12,
        positions=[-26, -24, -12, -10, -8, 0, 8, 10, 12, 24, 26],
        shuffles=2,
    )
    assert found["model"].unique().tolist() == ["miniature"]
    pd.testing.assert_frame_equal(
        found.drop(columns="model"), expected, check_dtype=False, rtol=1e-4, atol=1e-4
    )
    assert (
        found["reason"].str.contains("smaller than shapes of 12").tolist()
        == [True] * 3 + [False] * 3
    )


def test_the_summary_has_a_row_and_a_line_for_each_layer(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    found = opened.shape_tuning_summary
    assert tuple(found) == table_columns()["shape_tuning_summary"]
    own = pipeline.shape_summary(opened.shape_tuning)
    pd.testing.assert_frame_equal(found.drop(columns="model"), own, check_dtype=False)
    assert found["layer"].tolist() == ["conv1", "conv2"]
    assert found["moved"].tolist() == [0, 3]
    assert re.fullmatch(
        r"shape_tuning: conv2: 3 of 3 units fitted, median APC r 0\.\d\d, \d+% above 0\.5"
        r" \[\d+%, \d+%\], median translation invariance 0\.\d\d \[-?0\.\d\d, -?0\.\d\d\]",
        first.facts["findings"][1],
    )


def test_its_figures_are_written(first: ActiveRun):
    drawn = {path.name for path in first.paths.figures.glob("*.png")}
    assert drawn == {f"shape_tuning_{name}.png" for name in ("fit", "invariance", "units")}


def test_responses_are_stored_by_position(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    assert len(opened.shape_stimuli) == 362
    conv2 = first.plan(STAGE)[1]
    arrays, notes = conv2.result.read("position-005")
    assert arrays["responses"].shape == (362, 3)
    assert notes == {"x": 0.0}
    best = int(arrays["responses"][:, 1].argmax())
    row = opened.shape_tuning.query("layer == 'conv2' and unit == 5").iloc[0]
    assert opened.shape_stimuli.loc[best, ["shape", "rotation"]].tolist() == [
        row["best_shape"],
        row["best_rotation"],
    ]
    blank = conv2.result.read("blank")[0]["responses"]
    assert blank.shape == (1, 3)


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    kept = ("position-000", "position-005")
    results = [each.result for each in first.plan(STAGE)]
    lost = [(result, item) for result in results for item in result.items if item not in kept]
    copy_store(first, tmp_path, lost)
    again = run_pipeline(*SMALL, f"out={tmp_path}", "runner.threads=2")
    assert again.done == len(lost)
    assert items(again) == items(first)
    whole, resumed = (pipeline.open_run(run.paths.folder) for run in (first, again))
    pd.testing.assert_frame_equal(whole.shape_tuning, resumed.shape_tuning)


def test_what_is_shown_determines_the_result_and_shuffles_do_not(
    first: ActiveRun, run_pipeline: RunPipeline
):
    out = f"out={first.layout.out}"
    shuffled = run_pipeline(*SMALL, out, "shape_tuning.shuffles=3")
    assert shuffled.done == 2  # the fits of two layers
    assert keys(shuffled.plan(STAGE)) == keys(first.plan(STAGE))
    gray = run_pipeline(*SMALL, out, "shape_tuning.background=[0.1,0.1,0.1]", "layers=[conv1]")
    assert keys(gray.plan(STAGE)).isdisjoint(keys(first.plan(STAGE)))
    assert gray.done == 12 + 1
    first_response, other = (
        run.plan(STAGE)[0].result.read("position-005")[0]["responses"] for run in (first, gray)
    )
    assert np.abs(first_response - other).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 13.0),
        ("positions", [-2.0, 0.0, 2.0]),
        ("figure", [0.5, 0.5, 0.5]),
        ("background", [0.0, 0.0, 0.1]),
    ],
)
def test_everything_that_is_shown_is_in_the_key(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    before = keys(plan_shapes(first))
    monkeypatch.setattr(first.parts.config.shape_tuning, name, value)
    assert keys(plan_shapes(first)).isdisjoint(before)


@pytest.mark.parametrize(("shuffles", "same"), [(0, True), (2, False)])
def test_the_seed_matters_to_fits_where_there_are_shuffles(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, shuffles: int, same: bool
):
    monkeypatch.setattr(first.parts.config.shape_tuning, "shuffles", shuffles)
    before = [each.result.key for each in plan_shapes(first).fits]
    monkeypatch.setattr(first.parts.config, "seed", 1)
    assert ([each.result.key for each in plan_shapes(first).fits] == before) == same


def own_elements(path: Path, curvature: float) -> Path:
    """Write a table in which every shape has an element at its number of degrees."""
    numbers = np.arange(362)
    curvatures = np.where(numbers % 7 == 0, curvature, -0.2)
    table = pd.DataFrame({"stimulus": numbers, "angle": numbers, "curvature": curvatures})
    table.to_csv(path, index=False)
    return path


def test_elements_of_ones_own_change_fits_and_no_response(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    path = own_elements(tmp_path / "own.csv", 0.5)
    given = (*SMALL, f"out={first.layout.out}", f"shape_tuning.elements={path}")
    one = run_pipeline(*given)
    assert one.done == 2  # every response was there, and fits of two layers were not
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert pipeline.open_run(one.paths.folder).record["shape_elements"] == digest
    tables = [pipeline.open_run(run.paths.folder).shape_tuning for run in (first, one)]
    library = pipeline.shape_tuning(
        pipeline.network("miniature"),
        ["conv1", "conv2"],
        units=[2, 5, 7],
        width=12,
        positions=[0],
        elements=pd.read_csv(path),
    )
    np.testing.assert_allclose(tables[1]["apc_r"], library["apc_r"], atol=1e-4)
    assert (np.abs(tables[0]["apc_r"] - tables[1]["apc_r"]) > 1e-3).all()


def test_a_run_with_other_elements_in_the_same_file_is_not_taken_for_a_former_one(
    tmp_path: Path, composed: Callable[..., Config]
):
    config = composed(*SMALL, f"shape_tuning.elements={own_elements(tmp_path / 'own.csv', 0.5)}")
    before = fingerprint(config)
    assert fingerprint(config) == before
    own_elements(tmp_path / "own.csv", 0.6)
    assert fingerprint(config) != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "shape_tuning.elements: 'own.csv' cannot be read as CSV (No columns to parse"),
        ("stimulus,angle\n0,1\n", "shape_tuning.elements: the table lacks the columns curvature"),
        (
            "stimulus,angle,curvature\n0,1,0.5\n1,2,0.5\n",
            "shape_tuning.elements: the table has elements of 2 stimuli, and 362 shapes are shown;"
            " give those of stimuli 0 to 361",
        ),
    ],
)
def test_files_of_elements_that_are_refused(
    run_pipeline: RunPipeline,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
):
    monkeypatch.chdir(tmp_path)
    Path("own.csv").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, "shape_tuning.elements=own.csv", f"out={tmp_path / 'out'}")
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("width=0", "shape_tuning.width: 0.0 is not a positive number of pixels"),
        ("positions=[1,2]", "shape_tuning.positions: [1.0, 2.0] must be pixels in ascending"),
        ("shuffles=-1", "shape_tuning.shuffles: -1 is negative; use 0 or more"),
        (
            "figure=[1,1]",
            "shape_tuning.figure: [1.0, 1.0] has 2 values; give one per channel, of which the"
            " network has 3",
        ),
    ],
)
def test_what_is_refused(run_pipeline: RunPipeline, tmp_path: Path, setting: str, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, f"shape_tuning.{setting}", f"out={tmp_path}")


def test_pages_show_the_numbers_of_the_table(first: ActiveRun):
    table = pipeline.open_run(first.paths.folder).shape_tuning.query("layer == 'conv2'")
    for _, row in table.iterrows():
        section, responses = unit_section(first, row["unit"]), unit_responses(first, row["unit"])
        numbers, best, worst = section["parts"][:3]
        shown = [number["value"] for number in numbers["numbers"]]
        names = (
            "apc_r", "translation_invariance", "mu_angle", "spread_angle", "mu_curvature",
            "spread_curvature", "kurtosis", "sparseness",
        )  # fmt: skip
        np.testing.assert_allclose(np.array(shown, float), [row[name] for name in names], rtol=1e-5)
        assert best["outlines"][0]["value"] == pytest.approx(responses.max(), rel=1e-5)
        assert worst["outlines"][0]["value"] == pytest.approx(responses.min(), rel=1e-5)
        name = f"shape {row['best_shape']}, rotated by {row['best_rotation']}°"
        assert best["outlines"][0]["name"] == name


def test_pages_made_again_fit_nothing(
    first: ActiveRun, run_pipeline: RunPipeline, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LayerFits, "make", lambda *_: pytest.fail("fitted again"))
    again = run_pipeline(*SMALL, f"out={first.layout.out}", "stages=[pages]")
    assert again.done == 0
    assert unit_data(again, 5)["sections"] == unit_data(first, 5)["sections"] != []


def test_pages_of_settings_that_the_store_does_not_hold_show_none(
    first: ActiveRun, run_pipeline: RunPipeline
):
    out = first.parts.config.out
    other = run_pipeline(*SMALL, f"out={out}", "stages=[pages]", "shape_tuning.width=13")
    assert unit_data(other, 5)["sections"] == []


def unit_data(run: ActiveRun, unit: int) -> Any:
    path = run.paths.site / "assets" / "data" / "conv2" / f"{unit}.js"
    text = path.read_text(encoding="utf-8")
    return json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]


def unit_section(run: ActiveRun, unit: int) -> Any:
    (section,) = unit_data(run, unit)["sections"]
    assert section["title"] == "Tuning to shapes"
    return section


def unit_responses(run: ActiveRun, unit: int) -> np.ndarray:
    """Return the responses of a unit of conv2 to the shapes at the center."""
    conv2 = run.plan(STAGE)[1]
    return conv2.result.read("position-005")[0]["responses"][:, conv2.units.index(unit)]
