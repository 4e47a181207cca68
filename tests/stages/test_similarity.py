"""The stage: the numbers of the library and of correlations, and all that they depend on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.similarity import SimilarityConfig
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.stages.similarity import STAGE
from pipeline.stages.similarity.cost import similarity_cost
from pipeline.stages.similarity.plan import plan_similarity, similarity_faults
from tests.conftest import RunPipeline, table_columns

SMALL = (
    "layers=[conv1,conv2]",
    "units=[2,11,7,5]",
    "images.limit=2",
    "init=[zeros,noise]",
    "init.copies=2",
    "optimizer.steps=2",
    "similarity.draws=3",
    "similarity.statistics=[pearson,ssim,field_weighted,response_profile,d_prime]",
    "figures.formats=[png]",
)
NO_FIGURES = "figures.formats=[]"


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("similarity")
    stages = "stages=[ascent,correlations,similarity,pages]"
    return run_pipeline(*SMALL, f"out={out}", stages, "runner.threads=1")


@pytest.fixture(scope="module")
def opened(first: ActiveRun) -> Any:
    return pipeline.open_run(first.paths.folder)


def test_tables_have_the_columns_of_the_contract_and_all_rows(opened: Any):
    for table in STAGE.tables:
        assert tuple(getattr(opened, table.name)) == table_columns()[table.name]
    pairs = {("zeros", "zeros"): 1, ("zeros", "noise"): 2, ("noise", "noise"): 1}
    statistics, nulls, layers, units = 5, 2, 2, 4
    rows = opened.similarity.groupby(["init_a", "init_b"]).size()
    assert rows.to_dict() == {p: statistics * nulls * layers * units * n for p, n in pairs.items()}
    assert len(opened.similarity_summary) == statistics * nulls * layers * len(pairs)
    assert len(opened.similarity_selectivity) == layers * 2 * units * 2


def test_pearson_is_the_r_of_correlations(opened: Any):
    own = opened.similarity.query("statistic == 'pearson' and null_kind == 'units'")
    columns = ["layer", "unit", "copy", "init_a", "init_b"]
    both = own.merge(opened.correlations, on=columns)
    assert len(both) == len(own) == len(opened.correlations)
    np.testing.assert_allclose(both["value"], both["r"], rtol=1e-9)
    ceilings = opened.similarity_summary.query("statistic == 'pearson' and null_kind == 'units'")
    both = ceilings.merge(opened.correlation_summary, on=["layer", "init_a", "init_b"])
    np.testing.assert_allclose(both["ceiling"], both["noise_ceiling"], rtol=1e-9)
    np.testing.assert_allclose(both["value"], both["median"])


def test_values_are_those_of_the_library(opened: Any):
    net = pipeline.network("miniature")
    images = [opened.images("conv2", init) for init in ("zeros", "noise")]
    statistics = list(dict.fromkeys(opened.similarity["statistic"]))
    found = pipeline.similarity(*images, statistics, net=net, layer="conv2", draws=3)
    own = opened.similarity.query(
        "layer == 'conv2' and init_a == 'zeros' and init_b == 'noise' and null_kind == 'units'"
    ).reset_index(drop=True)
    columns = ["unit", "copy", "statistic", "value", "draws", "status"]
    # Both are float32 responses, of batches of other sizes.
    pd.testing.assert_frame_equal(found.table[columns], own[columns], check_dtype=False, rtol=1e-4)


def test_copies_from_zeros_are_the_ceiling_across_seeds(opened: Any):
    """Copies from zeros are equal, those from noise are not."""
    rows = opened.similarity_summary.query("statistic == 'pearson' and null_kind == 'units'")
    rows = rows.query("layer == 'conv2'").set_index(["init_a", "init_b"])
    assert rows.loc[("zeros", "zeros"), "seed_ceiling"] == pytest.approx(1)
    noise = rows.loc[("noise", "noise"), "value"]
    assert rows.loc[("zeros", "noise"), "seed_ceiling"] == noise < 0.99


def test_selectivity_is_by_the_responses_of_the_unit_network(opened: Any):
    """From zeros nothing but the addition is there, so that it is the final response."""
    found = opened.similarity_selectivity.query("init == 'zeros'")
    both = found.merge(opened.ascents, on=["layer", "init", "unit", "copy"])
    np.testing.assert_allclose(both["response"], both["final_response"], rtol=1e-4, atol=1e-6)


def test_tests_are_of_inits_and_of_a_mixed_model_over_copies(opened: Any):
    tests = opened.similarity_tests
    of_inits = tests.query("test == 'inits'")
    expected = pipeline.paired_tests(opened.ascents, "final_response", "init")
    np.testing.assert_allclose(of_inits["difference"], expected["difference"])
    assert set(of_inits["note"]) == {"only 4 units differ; the test needs 6 or more"}
    mixed = tests.query("test == 'mixed' and measure == 'pearson'")
    assert mixed["units"].tolist() == [4, 4]
    assert mixed["difference"].notna().all() or mixed["note"].str.len().min() > 0


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store, by result and name."""
    return {
        f"{each.result.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline
):
    before = items(first)
    (pair,) = (each for each in first.plan(STAGE).pairs if each.result.name == "conv2/zeros/noise")
    for item in pair.result.items:
        pair.result.paths.item(item).unlink()
    stages = "stages=[ascent,similarity]"
    again = run_pipeline(*SMALL, NO_FIGURES, f"out={first.layout.out}", stages, "runner.threads=2")
    assert again.done == len(pair.result.items)
    assert items(again) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("draws", 4),
        ("nulls", ["units"]),
        ("shift", 3),
        ("window", 5),
        ("statistics", ["pearson", "ssim", "shift_tolerant"]),
    ],
)
def test_all_settings_are_in_the_keys_of_pairs(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, name: str, value: object
):
    chosen = ["pearson", "ssim", "shift_tolerant", "d_prime"]
    monkeypatch.setattr(first.parts.config.similarity, "statistics", chosen)
    before = {each.result.key for each in plan_similarity(first).pairs}
    monkeypatch.setattr(first.parts.config.similarity, name, value)
    assert {each.result.key for each in plan_similarity(first).pairs}.isdisjoint(before)


def test_settings_of_statistics_that_are_not_chosen_are_in_no_key(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(first.parts.config.similarity, "statistics", ["pearson"])
    before = [each.result.key for each in plan_similarity(first)]
    monkeypatch.setattr(first.parts.config.similarity, "window", 9)
    monkeypatch.setattr(first.parts.config.similarity, "shift", 9)
    assert [each.result.key for each in plan_similarity(first)] == before


def test_an_untrained_twin_is_one_more_null(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    small = (*SMALL, "layers=[conv1]", "similarity.statistics=[pearson,d_prime]", NO_FIGURES)
    other = run_pipeline(*small, "model.weights=random", f"out={tmp_path}", "stages=[ascent]")
    twins = f"similarity.twins=[{other.paths.folder}]"
    stages = "stages=[ascent,similarity]"
    run = run_pipeline(*small, f"out={first.layout.out}", stages, twins)
    table = pipeline.open_run(run.paths.folder).similarity
    twin = table.query("null_kind == 'twin' and init_a == 'zeros' and init_b == 'noise'")
    images = [pipeline.open_run(other.paths.folder).images("conv1", i) for i in ("zeros", "noise")]
    expected = pipeline.similarity(*images, "pearson", nulls=[]).table
    of_units = expected.groupby("unit", sort=False)["value"].mean()
    pearson = twin.query("statistic == 'pearson'")
    np.testing.assert_allclose(pearson["null"], of_units.mean())
    assert (pearson["draws"] == 4).all()
    ahead = (of_units.to_numpy() >= pearson["value"].to_numpy()[:, None] - 1e-9).sum(axis=1)
    np.testing.assert_allclose(pearson["p"], (1 + ahead) / 5)
    assert twin.query("statistic == 'd_prime'")["p"].isna().all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"nulls": ["unit"]},
            "similarity.nulls: 'unit' is not one of units, phase, noise; nearest",
        ),
        ({"nulls": ["phase"] * 2}, "similarity.nulls: ['phase', 'phase'] names a null twice"),
        ({"draws": 0}, "similarity.draws: 0 is not positive; use 1 or more"),
        ({"shift": -1}, "similarity.shift: -1 pixels are negative; use 0 or more"),
        ({"window": 8}, "similarity.window: 8 is not an odd number of pixels from 3; use 7"),
    ],
)
def test_values_that_are_refused(settings: dict[str, Any], message: str):
    (fault,) = SimilarityConfig(**settings).faults()
    assert fault.startswith(message)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "statistics",
            ["spearmen"],
            "similarity.statistics: 'spearmen' is not one of all, pearson, spearman",
        ),
        ("twins", ["nowhere"], "similarity.twins: 'nowhere' is not a run and holds none"),
    ],
)
def test_what_cannot_be_planned_is_a_fault(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch, name: str, value: object, message: str
):
    monkeypatch.setattr(first.parts.config.similarity, name, value)
    (fault,) = similarity_faults(first, plan_similarity(first))
    assert fault.startswith(message)


def test_a_single_init_of_one_copy_is_a_fault(run_pipeline: RunPipeline, tmp_path: Path):
    message = (
        "stages: similarity compares ascents, and there is one init of one copy; use"
        " init=[zeros,top_patch] or init.copies=2, or leave it out"
    )
    single = ("init=[zeros]", "init.copies=1", "stages=[ascent,similarity]", f"out={tmp_path}")
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SMALL, *single)


def test_ascents_that_the_store_lacks_are_a_fault(
    first: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(first.parts.config, "stages", ["similarity"])
    assert not list(similarity_faults(first, plan_similarity(first)))
    monkeypatch.setattr(first.parts.config.similarity, "draws", 4)
    plan = plan_similarity(first)
    monkeypatch.setattr(type(plan.pairs[0].climbs[0].result), "missing", lambda _self: ["item"])
    (fault,) = similarity_faults(first, plan)
    assert fault == (
        "similarity: the store does not hold all ascents of conv1 from zeros for this"
        " configuration; add ascent to stages"
    )


def test_the_cost_counts_every_stored_draw(first: ActiveRun):
    cost = similarity_cost(first, first.plan(STAGE))
    stored = sum(
        array.nbytes
        for pair in first.plan(STAGE).pairs
        for item in pair.blocks
        for array in pair.result.read(item)[0].values()
    )
    assert cost.disk == stored
    assert cost.missing == 0


def test_pages_show_the_numbers_of_the_table(first: ActiveRun, opened: Any):
    path = first.paths.site / "assets" / "data" / "conv2" / "11.js"
    text = path.read_text(encoding="utf-8")
    data = json.loads("[" + text.removeprefix("artiphys.put(").removesuffix(");\n") + "]")[1]
    (section,) = (each for each in data["sections"] if each["title"] == "Similarity")
    (part,) = (each for each in section["parts"] if each["title"] == "zeros and noise")
    own = opened.similarity.query(
        "layer == 'conv2' and unit == 11 and init_a == 'zeros' and init_b == 'noise'"
    )
    (shown,) = (each for each in part["numbers"] if each["name"] == "SSIM")
    own = own.query("statistic == 'ssim'")
    assert shown["value"] == pytest.approx(own["value"].mean(), rel=1e-5)
    units, phase = (
        own.query(f"null_kind == '{kind}'").mean(numeric_only=True) for kind in ("units", "phase")
    )
    assert shown["note"] == (
        f"units: {units['null']:.3g}, p = {units['p']:.2g}; phase: {phase['null']:.3g},"
        f" p = {phase['p']:.2g}"
    )


def test_the_summary_of_the_run_and_its_figures(first: ActiveRun):
    (line,) = (
        line
        for line in first.facts["findings"]
        if line.startswith("similarity: conv2, zeros and noise")
    )
    assert re.search(r"null units: pearson [-\d.e]+ \(null [-\d.e]+\), ssim ", line)
    drawn = {path.name for path in first.paths.figures.glob("similarity_*.png")}
    assert drawn == {
        "similarity_zeros_zeros.png", "similarity_zeros_noise.png", "similarity_noise_noise.png",
    }  # fmt: skip
