"""The stage: the numbers of the library, stored once, for other networks and their keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pipeline
from pipeline.errors import ArtiphysError
from pipeline.images.photographs import photographs
from pipeline.pages.sections import Maps, Plot
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.transfer import STAGE, drawing
from pipeline.stages.transfer.sections import unit_sections
from pipeline.store.layout import Layout
from tests.conftest import RunPipeline, compose_config, here, table_columns

OTHER = (
    "+model@transfer.to.other=miniature", "transfer.to.other.weights=random",
    "transfer.to.other.seed=1", "+transfer.layers.other=[conv1,conv2]",
)  # fmt: skip
SMALL = (
    "layers=[conv1]", "units=[2,5,7]", "init=[zeros]", "images.limit=6", "search.keep=2",
    "optimizer.steps=4", "transfer.crops=[0.5]", "transfer.jpeg=[50]", "transfer.shifts=[2]",
    "transfer.noise=[0.1]", "transfer.robust=2", "transfer.keep=2",
)  # fmt: skip
ALL = ("stages=[top_patches,ascent,transfer]", *SMALL, *OTHER)


@pytest.fixture(scope="module")
def drawn() -> Iterator[dict[str, Any]]:
    """Take what the stage draws, by name of the figure; figures have tests of their own."""
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("transfer_matrix", "best_matches", "robustness_curves"):
            patch.setattr(drawing, name, lambda *given: given[0])
        patch.setattr(ActiveRun, "figure", lambda _, name, figure: found.update({name: figure}))
        yield found


@pytest.fixture(scope="module")
def first(
    run_pipeline: RunPipeline,
    tmp_path_factory: pytest.TempPathFactory,
    drawn: dict[str, Any],
) -> ActiveRun:
    return run_pipeline(*ALL, f"out={tmp_path_factory.mktemp('transfer')}", "runner.threads=1")


def test_its_tables_are_those_of_the_library(first: ActiveRun):
    run, net = pipeline.open_run(first.paths.folder), pipeline.network("miniature")
    images = photographs(net.preprocessing, limit=6)
    other = pipeline.network("miniature", weights="random", seed=1)
    found = {
        name: pipeline.transfer(run, seen, layers, source=net, image_set=images, keep=2)
        for name, seen, layers in (("itself", net, "conv1"), ("other", other, ["conv1", "conv2"]))
    }
    table = run.transfer.query("kind == 'ascent'")
    assert tuple(table) == table_columns()["transfer"]
    for name, expected in found.items():
        own = table[table["network"] == name].reset_index(drop=True)
        columns = [column for column in expected.table if column in own]
        pd.testing.assert_frame_equal(own[columns], expected.table[columns], check_dtype=False)
    cells = run.transfer_layers
    assert tuple(cells) == table_columns()["transfer_layers"]
    ascents = cells.query("kind == 'ascent' and network == 'other'").set_index("layer_b")
    assert ascents["z_median"].tolist() == pytest.approx(
        found["other"].layers["z_median"], rel=1e-5
    )
    # Units of other seeds have the same numbers, in the same layer alone.
    assert ascents["own_rank"].notna().tolist() == [True, False]
    levels: dict[str, Any] = {"crops": [0.5], "jpeg": [50], "shifts": [2], "noise": [0.1]}
    robust = pipeline.robustness(run, source=net, image_set=images, **levels)
    own = run.transfer_robustness.query("network == 'itself' and kind == 'ascent'")
    columns = [column for column in robust if column in own]
    pd.testing.assert_frame_equal(
        own[columns].reset_index(drop=True), robust.query("unit != 7")[columns], check_dtype=False
    )


def test_a_stopped_run_goes_on_where_it_was(first: ActiveRun, run_pipeline: RunPipeline):
    plan, out = first.plan(STAGE), f"out={first.parts.config.out}"
    lost = [plan.norms[0].result, plan.seen[1].result, plan.changed[0].result]
    paths = [result.paths.item(result.items[0]) for result in lost]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    again = run_pipeline(*ALL, out, "transfer.kinds=[ascent]", "runner.threads=2")
    assert again.done == len(lost)
    assert [path.read_bytes() for path in paths] == before


def keys(*overrides: str) -> dict[str, set[str]]:
    """Return the keys of all results, by their folder of the store."""
    parts = Parts(compose_config(*ALL, *overrides), here())
    run = ActiveRun.planned(parts, Layout(Path("unused")))
    found: dict[str, set[str]] = {}
    for result in run.plan(STAGE).results:
        found.setdefault(result.stage, set()).add(f"{result.name} {result.key}")
    return found


@pytest.mark.parametrize(
    ("setting", "others"),
    [
        ("transfer.to.other.seed=2", {"transfer", "transfer_norms", "transfer_changed"}),
        ("images.limit=5", {"transfer", "transfer_norms", "transfer_changed"}),
        ("optimizer.steps=5", {"transfer", "transfer_changed"}),
        ("transfer.scale=field", {"transfer", "transfer_changed"}),
        ("transfer.contrast=null", {"transfer", "transfer_changed"}),
        ("transfer.at=max", {"transfer", "transfer_norms", "transfer_changed"}),
        ("transfer.jpeg=[51]", {"transfer_changed"}),
        ("transfer.keep=3", set()),
    ],
)
def test_results_are_others_by_whatever_they_depend_on(
    first: ActiveRun, setting: str, others: set[str]
):
    before = {stage: set() for stage in ("transfer", "transfer_norms", "transfer_changed")}
    for result in first.plan(STAGE).results:
        before[result.stage].add(f"{result.name} {result.key}")
    after = keys(setting)
    assert {stage for stage in before if before[stage] != after[stage]} == others


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("transfer.at=middle", "transfer.at: 'middle' is not one of center, max"),
        ("transfer.kinds=[ascents]", "'ascents' is not one of ascent, top_patch; nearest: ascent"),
        ("transfer.kinds=[]", "transfer.kinds: the list is empty; choose from ascent, top_patch"),
        ("transfer.jpeg=[0]", "transfer.jpeg: 0 is not a quality from 1 to 95"),
        ("transfer.keep=0", "transfer.keep: 0 is not positive; use 1 or more"),
        ("+transfer.layers.x=[conv1]", "transfer.layers.x: no network of transfer.to has this nam"),
        ("+model@transfer.to.itself=miniature", "transfer.to.itself: the network itself has this"),
        (
            "+transfer.to.vgg.weights=random",
            "transfer.to.vgg: has settings, but no network is chosen for it; choose one, as in"
            " +model@transfer.to.vgg=alexnet",
        ),
    ],
)
def test_values_are_checked(override: str, message: str):
    assert message in "".join(compose_config(override).transfer.faults())


def test_networks_and_images_are_checked_before_any_work(run_pipeline: RunPipeline, tmp_path: Path):
    for override, message in (
        ("transfer.layers.other=[conv9]", "transfer.layers.other: 'conv9' is not in miniature"),
        ("transfer.to.other.weights=no.pt", "transfer.to.other.weights: there is no file 'no.pt'"),
        ("stages=[transfer]", "transfer: the store holds no ascents of conv1 from zeros; add asc"),
    ):
        with pytest.raises(ArtiphysError, match=re.escape(message)):
            run_pipeline(*ALL, override, f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_pages_and_figures_show_the_matches(first: ActiveRun, drawn: dict[str, Any]):
    for kind in ("ascent_zeros", "top_patch"):
        percentiles, drops = (drawn[f"transfer_{name}_{kind}"] for name in ("percentile", "drop"))
        assert set(percentiles["network"]) == {"itself", "other"}
        assert set(drops["network"]) == {"other"}  # its own is 0 by definition
        assert [row.name for row in drawn[f"transfer_matches_{kind}"]] == [
            "conv1/2", "conv1/5", "conv1/7",
        ]  # fmt: skip
        for network in ("itself", "other"):
            robust = drawn[f"transfer_robustness_{kind}_{network}"]
            assert set(robust["unit"]) == {2, 5}
    (layer,) = first.parts.layers
    sections = unit_sections(first, first.plan(STAGE), layer)
    assert sections(4) == []  # has no image
    ascent, patch = sections(5)
    assert (ascent.title, patch.title) == ("Transfer: ascent from zeros", "Transfer: top patch")
    pictures = ascent.parts[0]
    assert isinstance(pictures, Maps)
    assert [each.name for each in pictures.maps] == ["image", "itself", "other"]
    assert [part.title for part in ascent.parts if isinstance(part, Plot)]


def test_the_summary_names_the_best_unit_for_each_of_a_few_images(first: ActiveRun):
    said, table = first.facts["findings"], pipeline.open_run(first.paths.folder).transfer
    assert any(line.startswith("transfer: ascents from zeros -> other: best ma") for line in said)
    own = table.query("unit == 5 and kind == 'ascent' and network == 'other' and rank == 0")
    rows = own.sort_values("z", ascending=False).to_dict("records")
    expected = [
        f"transfer: conv1/5, ascent from zeros -> other {row['layer_b']}: unit {row['unit_b']},"
        f" response {row['response']:.3g}, percentile {row['percentile']:.1f}, z {row['z']:.1f}"
        for row in rows
    ]
    assert [
        line for line in said if line.startswith("transfer: conv1/5, asc") and "other" in line
    ] == expected
    assert len(expected) == 2  # one for each layer, the strongest first


def test_what_was_not_asked_for_is_not_planned():
    parts = Parts(compose_config("layers=[conv1]", "stages=[ascent,pages]"), here())
    assert not ActiveRun.planned(parts, Layout(Path("unused"))).plan(STAGE)
