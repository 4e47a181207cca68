"""The stage: the numbers of the library to the bit, resumable, for any number of workers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.cli.check import check_job
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.search import stimulus_responses
from pipeline.stages.bar_tuning import STAGE, results
from pipeline.store.layout import Layout
from tests.conftest import Compose, RunPipeline, here, table_columns
from tests.stages.conftest import copy_store

UNITS = [3, 5, 7]
SMALL = (
    "stages=[bar_tuning]",
    "layers=[conv1,conv2]",
    "units=[3,5,7]",
    "images.limit=4",
    "stimulus=[sin1,bars_on_stride]",
    "figures.formats=[]",
)


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("bars")
    return run_pipeline(*SMALL, f"out={out}", "runner.threads=1", "figures.formats=[png]")


@pytest.fixture
def active(first: ActiveRun, composed: Compose, tmp_path: Path):
    """Return the run of a configuration, with the network of the first run."""

    def found(*overrides: str) -> ActiveRun:
        parts = Parts(composed(*SMALL, f"out={tmp_path}", *overrides), here())
        parts.network, parts.sized_network = first.parts.network, first.parts.sized_network
        return ActiveRun.planned(parts, Layout(tmp_path))

    return found


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store, by result and name."""
    return {
        f"{each.result.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def test_what_is_stored_is_what_the_library_finds_to_the_bit(first: ActiveRun):
    net = pipeline.network("miniature")
    found = pipeline.bar_tuning(net, ["conv1", "conv2"], units=UNITS)
    opened = pipeline.open_run(first.paths.folder)
    curves, preferred = opened.bar_tuning, opened.bar_preferences
    assert tuple(curves) == table_columns()["bar_tuning"]
    assert tuple(preferred) == table_columns()["bar_preferences"]
    pd.testing.assert_frame_equal(
        curves[list(found.curves)], found.curves, check_exact=True, check_dtype=False
    )
    pd.testing.assert_frame_equal(
        preferred[list(found.preferred)], found.preferred, check_exact=True, check_dtype=False
    )
    assert set(curves["method"]) == {"bars_on_stride"}
    degree = 8.0 / 96  # 8 degrees for the 96 pixels of the network's input
    np.testing.assert_allclose(preferred["length_degrees"], preferred["length"] * degree)
    assert curves["peak"].sum() == 2 * 3 * 5  # layers, units, parameters


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    copy_store(first, tmp_path, [(first.plan(STAGE)[1].result, "block-0000")])
    again = run_pipeline(*SMALL, f"out={tmp_path}", "runner.threads=2")
    assert again.done == 1
    assert items(again) == items(first)


def test_blocks_of_units_give_the_same_curves(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(results, "UNITS", 2)
    divided = run_pipeline(*SMALL, "layers=[conv1]", f"out={tmp_path}")
    (each,) = divided.plan(STAGE)
    assert list(each.blocks.values()) == [[3, 5], [7]]
    for table, whole in zip(each.read(), first.plan(STAGE)[0].read(), strict=True):
        pd.testing.assert_frame_equal(table, whole, rtol=1e-5)


def test_each_set_of_bars_has_its_own_rows_under_its_name(
    run_pipeline: RunPipeline, first: ActiveRun, tmp_path: Path
):
    mine = "{_target_: pipeline.stimuli.bars.bars_4b, _partial_: true, divider: 1.0}"
    run = run_pipeline(
        *SMALL, f"out={first.layout.out}", "layers=[conv1]", f"+stimulus.coarse={mine}"
    )
    assert run.done == 1  # the other set was in the store
    table = pipeline.open_run(run.paths.folder).bar_preferences
    assert list(table.groupby("method").size().items()) == [("bars_on_stride", 3), ("coarse", 3)]


def test_figures_sections_and_lines_say_the_numbers_of_the_tables(first: ActiveRun):
    drawn = {path.name for path in first.paths.figures.glob("*.png")}
    assert drawn == {f"bar_tuning_{layer}_bars_on_stride.png" for layer in ("conv1", "conv2")}
    opened = pipeline.open_run(first.paths.folder)
    preferred = opened.bar_preferences.query("layer == 'conv2'").set_index("unit")
    read = STAGE.sections(first, first.plan(STAGE), first.parts.layers[1])
    (section,) = read(5)
    assert section.title == "Tuning to bars"
    assert section.about.endswith("The set is bars at strides.")
    length = next(part for part in section.parts if getattr(part, "title", "") == "Length")
    best = length.curves[0]
    assert best.x[best.y.argmax()] == preferred.loc[5, "length"]
    assert read(99) == []
    (line,) = [text for text in first.facts["findings"] if "conv2" in text]
    width = preferred["width"].median()
    assert re.fullmatch(
        r"bar_tuning: conv2 by bars_on_stride: 3 of 3 units respond, median preferred length"
        rf" \d+\.\d px \(\d\.\d\d degrees\) and width {width:.1f} px \({width / 12:.2f} degrees\),"
        r" \d+% prefer white bars",
        line,
    )


def test_a_unit_that_responds_to_all_bars_alike_has_a_section_that_says_so(
    active, first: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    def silent(self):
        curves, preferred = read(self)
        lost = preferred.assign(reason="responds to all bars alike")
        return curves[curves["unit"] != 3], lost

    read = results.LayerBars.read
    monkeypatch.setattr(results.LayerBars, "read", silent)
    sections = STAGE.sections(first, first.plan(STAGE), first.parts.layers[0])
    (section,) = sections(3)
    (words,) = section.parts
    assert words.text == "Responds to all bars alike."


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        (["screen.colors=bounds"], False),
        (["units=[3,5]"], False),
        (["stimulus=[bars_4b]"], False),
        (["screen.visual_degrees=4", "seed=1", "stimulus=[bars_on_stride]"], True),
    ],
)
def test_a_setting_misses_where_it_matters(
    active, first: ActiveRun, overrides: list[str], same: bool
):
    before = [each.result.key for each in first.plan(STAGE)]
    after = [each.result.key for each in active(*overrides).plan(STAGE)]
    assert (after == before) == same
    assert len(after) == 2


def test_the_arguments_of_a_set_are_in_the_key(active):
    one, other = (
        active("stimulus=[bars_4b]", f"stimulus.bars_4b.divider={n}").plan(STAGE)[0].result.key
        for n in (1.0, 2.0)
    )
    assert one != other


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "stimulus=[sin1,bars_4c7o]",
            "stimulus: the stage bar_tuning needs bars in two polarities, and [sin1,bars_4c7o] has"
            " none; add one of bars_on_stride, bars_4a, bars_4b, as in"
            " stimulus=[sin1,bars_4c7o,bars_on_stride]",
        ),
        (
            "stimulus=[sin1] stages=[top_patches,receptive_fields,bar_tuning]",
            "as in stimulus=[sin1,bars_on_stride], or leave the stage out, as in"
            " stages=[top_patches,receptive_fields]",
        ),
        (
            "stimulus=[]",
            "stimulus: the stage bar_tuning needs bars in two polarities, and the list",
        ),
        (
            "stimulus=[bars_4b] stimulus.bars_4b.divider=-1.0",
            "stimulus.bars_4b.divider: -1.0 is not a positive number",
        ),
    ],
)
def test_what_is_refused_before_work(
    run_pipeline: RunPipeline, tmp_path: Path, overrides: str, message: str
):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, f"out={tmp_path}", *overrides.split())
    assert not list(tmp_path.rglob("*.safetensors"))


def test_responses_that_take_too_much_memory_are_refused_before_work(
    active, monkeypatch: pytest.MonkeyPatch
):
    run = active()
    monkeypatch.setattr(stimulus_responses, "LARGEST", 1 << 10)
    fault, *_ = STAGE.check(run, run.plan(STAGE))
    assert fault.startswith("units: the responses of 3 units to the ")
    assert "stimuli of bars_on_stride take 0.0 GiB" in fault


def test_the_check_counts_operations_and_bytes(composed: Compose, tmp_path: Path):
    checked = check_job(composed(*SMALL, "layers=[conv1]", f"out={tmp_path}"))
    assert not checked.faults
    assert checked.totals.seconds["bars"] > 0
    (row,) = checked.rows
    # A kernel of 3 x 9 x 9 for 32 units, two operations a weight; 96 bars in two polarities on a
    # canvas for all positions, and fewer than 100 bars around the best one of each of 3 units.
    one = 2 * 3 * 9 * 9 * row.of
    assert row.operations["bars"] > 96 * 2 * one
    assert checked.totals.disk > 0
