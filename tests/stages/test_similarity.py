"""The stage: the numbers of the library and of correlations, and all that they depend on."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pipeline
from pipeline.config.similarity import SimilarityConfig
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.machine import Machine
from pipeline.stages.similarity import STAGE, cost, drawing
from pipeline.stages.similarity.compared_runs import find_compared_runs
from pipeline.stages.similarity.comparisons import similarity_tests
from pipeline.stages.similarity.cost import similarity_cost
from pipeline.stages.similarity.findings import comparison_findings
from pipeline.stages.similarity.plan import plan_similarity, similarity_faults
from pipeline.stages.similarity.sections import unit_sections
from tests.conftest import RunPipeline, table_columns

SMALL = (
    "layers=[conv1,conv2]",
    "units=[2,11,7,5,0,9]",
    "images.limit=2",
    "init=[zeros,noise]",
    "init.copies=2",
    "optimizer.steps=2",
    "similarity.draws=3",
    "similarity.statistics=[pearson,ssim,field_weighted,response_profile,d_prime]",
    "figures.formats=[]",
    "runner.threads=1",
)


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("similarity")
    stages = "stages=[ascent,correlations,similarity]"
    return run_pipeline(*SMALL, f"out={out}", stages)


@pytest.fixture(scope="module")
def opened(first: ActiveRun) -> Any:
    return pipeline.open_run(first.paths.folder)


def test_tables_have_the_columns_of_the_contract_and_all_rows(opened: Any):
    for table in STAGE.tables:
        assert tuple(getattr(opened, table.name)) == table_columns()[table.name]
    pairs = {("zeros", "zeros"): 1, ("zeros", "noise"): 2, ("noise", "noise"): 1}
    statistics, nulls, layers, units = 5, 2, 2, 6
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
    np.testing.assert_array_equal(of_inits["q"], expected["q"])
    mixed = tests.query("test == 'mixed' and measure == 'pearson'")
    assert mixed["units"].tolist() == [6, 6]
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
    again = run_pipeline(*SMALL, f"out={first.layout.out}", stages, "runner.threads=2")
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
    small = (*SMALL, "layers=[conv1]", "similarity.statistics=[pearson,d_prime]")
    stages = "stages=[ascent,similarity]"
    other = run_pipeline(*small, "model.weights=random", f"out={tmp_path}", stages)
    twins = f"similarity.twins=[{other.paths.folder}]"
    run = run_pipeline(*small, f"out={first.layout.out}", stages, twins)
    table = pipeline.open_run(run.paths.folder).similarity
    twin = table.query("null_kind == 'twin' and init_a == 'zeros' and init_b == 'noise'")
    opened = pipeline.open_run(other.paths.folder)
    images = [opened.images("conv1", init) for init in ("zeros", "noise")]
    expected = pipeline.similarity(*images, "pearson", nulls=[]).table
    check_twin(twin.query("statistic == 'pearson'"), expected)
    # Statistics of responses need the network of the twin: they are those of its own table.
    own = opened.similarity.query("init_a == 'zeros' and init_b == 'noise'")
    expected = own.query("statistic == 'd_prime' and null_kind == 'units'")
    check_twin(twin.query("statistic == 'd_prime'"), expected)
    assert set(pipeline.open_run(run.paths.folder).similarity_summary["note"]) == {""}


def check_twin(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    of_units = expected.groupby("unit", sort=False)["value"].mean()
    np.testing.assert_allclose(found["null"], of_units.mean())
    assert (found["draws"] == len(of_units)).all()
    ahead = (of_units.to_numpy() >= found["value"].to_numpy()[:, None] - 1e-9).sum(axis=1)
    np.testing.assert_allclose(found["p"], (1 + ahead) / (1 + len(of_units)))


@pytest.fixture(scope="module")
def by_adam(first: ActiveRun, run_pipeline: RunPipeline) -> ActiveRun:
    chosen = ("layers=[conv1]", "name=adam", "stages=[ascent,similarity]")
    settings = (*chosen, "optimizer=adam", "optimizer.steps=2")
    return run_pipeline(*SMALL, *settings, f"out={first.layout.out}")


def test_runs_by_other_optimizers_are_compared_unit_by_unit(
    first: ActiveRun, by_adam: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    """As in a notebook, from the tables of both runs; this run is among those of the folder."""
    folder = str(first.paths.folder.parent.parent)
    monkeypatch.setattr(first.parts.config.similarity, "runs", [folder])
    monkeypatch.setattr(first.parts, "layers", first.parts.layers[:1])
    plan = plan_similarity(first)
    assert not plan.faults
    tests = similarity_tests(first, plan)
    found = tests[tests["test"] == "runs"].set_index(["measure", "layer", "inits"])
    assert len(found) == 2 + 3 * 5  # inits, and pairs of inits by statistics
    assert set(found["a"] + " " + found["b"]) == {"optimizer=sgd optimizer=adam"}
    assert found.index.get_level_values("layer").unique() == ["conv1"]
    both = [pipeline.open_run(run.paths.folder) for run in (first, by_adam)]
    ascents = pd.concat([run.ascents for run in both]).query("layer == 'conv1'")
    expected = pipeline.paired_tests(ascents, "final_response", "optimizer", by=["layer", "init"])
    own = found.loc["final_response"]
    for column in ("units", "difference", "effect", "p", "q"):
        np.testing.assert_array_equal(own[column], expected[column])
    names = zip(("sgd", "adam"), both, strict=True)
    values = pd.concat([run.similarity.assign(optimizer=name) for name, run in names])
    values = values.query("layer == 'conv1' and statistic == 'ssim' and null_kind == 'units'")
    by = ["layer", "init_a", "init_b"]
    expected = pipeline.paired_tests(values, "value", "optimizer", by=by)
    np.testing.assert_array_equal(found.loc["ssim"]["q"], expected["q"])
    (line,) = comparison_findings(tests[tests["test"] == "runs"])
    least = int((found["q"] <= 0.05).sum())
    assert line.startswith(f"similarity: optimizer=sgd and optimizer=adam differ in {least} of ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"runs": ["nowhere"]}, "similarity: 'nowhere' neither is nor contains a run; give run"),
        (
            {"runs": ["OWN"]},
            "similarity.runs: OWN holds no finished run with other settings than this one; give",
        ),
        (
            {"window": 5, "runs": ["ADAM"]},
            "similarity.runs: 'ADAM' has similarity.window=7, and this run 5, so that their ssim"
            " differs; use the same",
        ),
        (
            {"statistics": ["cosine"], "runs": ["ADAM"]},
            "similarity.runs: 'ADAM' lacks the statistic cosine; it has pearson, ssim, field_",
        ),
        (
            {"layers": 2, "runs": ["ADAM"]},
            "similarity.runs: 'ADAM' lacks the layer conv2; it has conv1",
        ),
    ],
)
def test_runs_that_cannot_be_compared(
    first: ActiveRun,
    by_adam: ActiveRun,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    message: str,
):
    places = {"OWN": str(first.paths.folder), "ADAM": str(by_adam.paths.folder)}
    if settings.get("layers", 1) == 1:
        monkeypatch.setattr(first.parts, "layers", first.parts.layers[:1])
    for name, value in settings.items():
        if name == "layers":
            continue
        given = [places.get(place, place) for place in value] if name == "runs" else value
        monkeypatch.setattr(first.parts.config.similarity, name, given)
    for place, folder in places.items():
        message = message.replace(place, folder)
    (fault,) = plan_similarity(first).faults
    assert fault.startswith(message)


def test_runs_of_other_weights_have_no_partners(
    first: ActiveRun, by_adam: ActiveRun, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(first.parts.config.similarity, "runs", [str(by_adam.paths.folder)])
    monkeypatch.setattr(first.parts, "layers", first.parts.layers[:1])
    assert not plan_similarity(first).faults
    network = replace(first.parts.network, digest="0" * 64)
    monkeypatch.setattr(first.parts, "network", network)
    with pytest.raises(ConfigError, match="is of another network or of other weights, whose units"):
        find_compared_runs(first, ["pearson"])


def test_without_statsmodels_all_else_is_tested(
    first: ActiveRun, opened: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "statsmodels.regression.mixed_linear_model", None)
    found = similarity_tests(first, first.plan(STAGE))
    mixed = found["test"] == "mixed"
    assert mixed.sum() == 2 * 5
    sentence = (
        "mixed models need statsmodels, which is not installed; run"
        " pip install 'artiphys[statistics]'"
    )
    assert set(found[mixed]["note"]) == {sentence}
    assert comparison_findings(found) == [f"similarity: {sentence}"]
    whole = opened.similarity_tests
    rest = whole[whole["test"] != "mixed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[~mixed].reset_index(drop=True), rest, check_dtype=False)


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
    layer = first.parts.layers[1]
    (section,) = unit_sections(first, first.plan(STAGE), layer)(11)
    data = section.data()
    (part,) = (each for each in data["parts"] if each["title"] == "zeros and noise")
    own = opened.similarity.query(
        "layer == 'conv2' and unit == 11 and init_a == 'zeros' and init_b == 'noise'"
    )
    (shown,) = (each for each in part["numbers"] if each["name"] == "SSIM")
    own = own.query("statistic == 'ssim'")
    assert shown["value"] == pytest.approx(own["value"].mean(), rel=1e-5)
    units, phase = (
        own.query(f"null_kind == '{kind}'").mean(numeric_only=True) for kind in ("units", "phase")
    )
    assert shown["note"].replace("\N{MINUS SIGN}", "-") == (
        f"units {units['null']:.2g} (p = {units['p']:.2g}), phases {phase['null']:.2g}"
        f" (p = {phase['p']:.2g})"
    )


def test_the_summary_of_the_run_and_its_figures(first: ActiveRun, monkeypatch: pytest.MonkeyPatch):
    (line,) = (
        line
        for line in first.facts["findings"]
        if line.startswith("similarity: conv2, zeros and noise")
    )
    assert re.search(r"null units: pearson [-\d.e]+ \(null [-\d.e]+\), ssim ", line)
    drawn: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(first.parts.config.figures, "formats", ["png"])
    monkeypatch.setattr(drawing, "statistics_by_layer", lambda rows: rows)
    monkeypatch.setattr(first, "figure", lambda name, rows: drawn.setdefault(name, rows))
    drawing.draw(first, first.plan(STAGE))
    assert list(drawn) == [
        "similarity_zeros_zeros", "similarity_zeros_noise", "similarity_noise_noise",
    ]  # fmt: skip
    assert {len(rows) for rows in drawn.values()} == {2 * 2 * 5}


def test_the_time_grows_with_draws(first: ActiveRun, monkeypatch: pytest.MonkeyPatch):
    """Each draw takes as long as the last, beside what is done once."""
    monkeypatch.setattr(cost, "timed", lambda _machine, worker: worker() and 1.0)
    machine = Machine(first.parts.runner, 1)
    few = similarity_cost(first, first.plan(STAGE), machine)
    assert few.seconds["similarity"] == pytest.approx(sum(few.layer_seconds.values()))
    assert list(few.layer_seconds) == ["conv1", "conv2"]
    rows = sum(
        len(range(*rows.indices(99))) for p in first.plan(STAGE).pairs for rows in p.blocks.values()
    )
    # 1 s for 8 images without a draw; a draw is no slower, so that it counts as a tenth.
    assert few.seconds["similarity"] == pytest.approx(rows * (1 + 0.1 * 6) / 8)
