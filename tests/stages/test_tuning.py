"""The stage: the numbers of the library, stored once, resumable, for any number of workers."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import torch

import pipeline
from pipeline.errors import ConfigError
from pipeline.pages.sections import Numbers
from pipeline.run.active_run import ActiveRun
from pipeline.stages.tuning import STAGE, stored_measures
from pipeline.stages.tuning.sections import unit_sections
from pipeline.stages.tuning.shown import about_rates, shown_rows
from tests.conftest import RunPipeline, table_columns
from tests.stages.conftest import copy_store

PROPERTIES = ["orientation", "contrast", "hue"]
SMALL = (
    "stages=[tuning]",
    "layers=[conv1]",
    "units=[2,5,7]",
    "images.limit=4",
    "figures.formats=[]",
    f"tuning.properties=[{','.join(PROPERTIES)}]",
    "tuning.draws=4",
)


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("tuning")
    return run_pipeline(*SMALL, f"out={out}", "runner.threads=1", "figures.formats=[png]")


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store."""
    return {
        f"{each.result.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def test_its_tables_are_those_of_the_library(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    expected = pipeline.tuning(
        pipeline.network("miniature"), "conv1", PROPERTIES, units=[2, 5, 7], draws=4
    )
    tables = {
        "tuning": expected.table,
        "tuning_curves": expected.curves,
        "tuning_populations": expected.population(),
    }
    for name, table in tables.items():
        found = getattr(opened, name)
        assert tuple(found) == table_columns()[name]
        assert found["model"].unique().tolist() == ["miniature"]
        pd.testing.assert_frame_equal(
            found.drop(columns="model"), table, check_dtype=False, check_exact=True
        )
    assert opened.tuning["low"].notna().any()


def test_the_summary_has_a_line_for_each_layer(first: ActiveRun):
    assert re.fullmatch(
        r"tuning: conv1: 3 units, median circular variance 0\.\d\d, \d+% of 3 simple",
        first.facts["findings"][0],
    )


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    results = [each.result for each in first.plan(STAGE) if "hue" not in each.result.name]
    lost = [(result, item) for result in results for item in result.items]
    copy_store(first, tmp_path, lost)
    again = run_pipeline(*SMALL, f"out={tmp_path}", "runner.threads=2")
    assert again.done == len(lost) == 4  # blank, orientations, contrasts and measures
    assert items(again) == items(first)


def test_other_properties_use_the_responses_again(first: ActiveRun, run_pipeline: RunPipeline):
    out = first.parts.config.out
    again = run_pipeline(*SMALL[:-2], f"out={out}", "tuning.properties=[hue,simple]")
    assert again.done == 1  # measures alone
    wider = run_pipeline(*SMALL[:-2], f"out={out}", "tuning.properties=[hue]", "units=[4]")
    assert wider.done == 2  # hues to that unit, and measures; blank and orientations are of all
    seen = "screen.visual_degrees=4"
    other = run_pipeline(*SMALL[:-2], f"out={out}", "tuning.properties=[hue]", seen)
    assert other.done == 4


def test_measures_of_another_version_are_made_again_from_the_same_responses(
    first: ActiveRun, run_pipeline: RunPipeline, monkeypatch: pytest.MonkeyPatch
):
    before = {each.result.name: each.result.key for each in first.plan(STAGE)}
    monkeypatch.setattr(stored_measures, "VERSION", stored_measures.VERSION + 1)
    again = run_pipeline(*SMALL, f"out={first.parts.config.out}")
    assert again.done == 1
    changed = [e.result.name for e in again.plan(STAGE) if e.result.key != before[e.result.name]]
    assert changed == ["conv1/measures"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "properties=[sizes]",
            "tuning.properties: 'sizes' is neither a property nor one of the groups",
        ),
        ("properties=[]", "tuning.properties: the list is empty"),
        ("rate_maps=[marques]", "tuning.rate_maps: 'marques' is not one of identity, marques2020"),
        ("rate_maps=[]", "tuning.rate_maps: the list is empty; choose from identity, marques2020"),
        ("draws=1", "tuning.draws: 1 is too few for an interval; use 2 or more, or 0 for none"),
        ("noise=white", "tuning.noise: 'white' is not a kind of noise; allowed are gaussian"),
    ],
)
def test_what_is_refused(run_pipeline: RunPipeline, tmp_path: Path, setting: str, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, f"tuning.{setting}", f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_its_figures_go_to_the_run(first: ActiveRun):
    found = {path.stem for path in first.paths.figures.iterdir()}
    names = {"populations", "populations_without_macaque", "by_layer", "units"}
    assert found == {f"tuning_{name}" for name in names}


def test_pages_show_the_card_of_measured_units(first: ActiveRun):
    (layer,) = first.parts.layers
    sections = unit_sections(first, first.plan(STAGE), layer)
    assert sections(4) == []  # is not measured
    (section,) = sections(5)
    kinds = [type(part).__name__ for part in section.parts]
    assert kinds == ["Numbers", "Numbers", "Numbers", "Ring", "Plot", "Plot", "Ring"]
    table = pipeline.open_run(first.paths.folder).tuning
    shown = table.query("unit == 5 and at == 'post' and rate_map == 'identity'")
    variance = shown.set_index("property").loc["circular_variance", "value"]
    (orientation, *_) = section.parts
    assert isinstance(orientation, Numbers)
    assert [each.value for each in orientation.numbers if each.name == "circular variance"] == [
        pytest.approx(variance)
    ]
    assert "after the nonlinearity, responses as they are" in section.about


def test_layers_without_a_nonlinearity_are_shown_as_they_are():
    seen = pipeline.network("miniature")
    filters = torch.nn.Sequential(seen.module.features[0])
    bare = pipeline.network(filters, input_size=(3, 96, 96), mean=0.5, std=0.5)
    found = pipeline.tuning(bare, "conv1", "orientation", units=[5])
    shown, curves = shown_rows(found.table), shown_rows(found.curves)
    assert set(shown["at"]) == set(curves["at"]) == {"pre"}
    assert about_rates(shown) == "no nonlinearity follows, responses as they are"
    followed = pipeline.tuning(seen, "conv1", "orientation", units=[5])
    tables = found.table.assign(layer="bare"), followed.table
    both = shown_rows(pd.concat(tables, ignore_index=True))
    assert both.groupby("layer")["at"].unique().map(list).to_dict() == {
        "bare": ["pre"],
        "conv1": ["post"],
    }
    assert about_rates(both) == "after the nonlinearity, where one follows, responses as they are"
