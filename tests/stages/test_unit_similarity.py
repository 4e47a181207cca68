"""The stage: the numbers of the library, stored once, under keys that hold what they depend on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import pipeline
from pipeline.errors import ArtiphysError
from pipeline.images.photographs import photographs
from pipeline.library.ascent import Ascents
from pipeline.pages.sections import Maps, Numbers
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.unit_similarity import STAGE, drawing
from pipeline.stages.unit_similarity.sections import unit_sections
from pipeline.store.layout import Layout
from tests.conftest import RunPipeline, compose_config, here, table_columns

ALL = (
    "stages=[top_patches,ascent,unit_similarity]", "layers=[conv1]", "units=[2,5,7,9]",
    "init=[noise]", "init.copies=4", "images.limit=6", "search.keep=5", "optimizer.steps=3",
    "unit_similarity.draws=9", "unit_similarity.permutations=99", "unit_similarity.groups=2",
)  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> Iterator[dict[str, Any]]:
    """Take what the stage draws, by name of the figure; figures have tests of their own."""
    found: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("similarity_matrices", "facet_images"):
            patch.setattr(drawing, name, lambda *given: given[0])
        patch.setattr(ActiveRun, "figure", lambda _, name, figure: found.update({name: figure}))
        yield found


@pytest.fixture(scope="module")
def first(
    run_pipeline: RunPipeline,
    tmp_path_factory: pytest.TempPathFactory,
    drawn: dict[str, Any],
) -> ActiveRun:
    return run_pipeline(*ALL, f"out={tmp_path_factory.mktemp('units')}", "runner.threads=1")


def test_its_tables_are_those_of_the_library(first: ActiveRun):
    run, net = pipeline.open_run(first.paths.folder), pipeline.network("miniature")
    images = photographs(net.preprocessing, limit=6)
    stored = run.images("conv1", "noise")
    tensors = {name: torch.from_numpy(getattr(stored, name)) for name in ("image", "start")}
    ascents = Ascents(
        stored.units, stored.copies, tensors["start"], tensors["image"],
        torch.zeros(len(stored.units), 1), stored.status, "conv1", net,
    )  # fmt: skip
    alike = pipeline.unit_similarity(net, ascents, image_set=images, groups=2, permutations=99)
    for name, expected in (("agreement", alike.agreement), ("clusters", alike.clusters)):
        own: Any = getattr(run, f"unit_{name}")
        assert tuple(own) == table_columns()[f"unit_{name}"]
        pd.testing.assert_frame_equal(own[list(expected)], expected, check_dtype=False, rtol=1e-5)
    pairs = run.unit_pairs.set_index(["unit_a", "unit_b"])
    for name, matrix in alike.matrices.items():
        assert pairs.loc[(5, 9), name] == pytest.approx(matrix[1, 3], rel=1e-5)
    top = pipeline.top_patches(net, images, "conv1", keep=5, units=[2, 5, 7, 9])
    of_kinds = run.unit_facets.groupby("kind")
    for kind, shown in (("ascent", ascents), ("top_patch", top)):
        expected = pipeline.unit_facets(net, shown, image_set=images, draws=9)
        own: Any = of_kinds.get_group(kind).reset_index(drop=True)
        pd.testing.assert_frame_equal(own[list(expected)], expected, check_dtype=False, rtol=1e-4)
    counted = run.unit_facet_images.groupby(["kind", "unit"])["facet"].agg(["size", "max"])
    facets = run.unit_facets.set_index(["kind", "unit"])
    assert counted["size"].tolist() == facets["images"].tolist()
    assert (counted["max"] + 1).tolist() == facets["groups"].tolist()


def test_a_stopped_run_goes_on_where_it_was(first: ActiveRun, run_pipeline: RunPipeline):
    plan, out = first.plan(STAGE), f"out={first.parts.config.out}"
    lost = [plan.norms[0].result, plan.compared[0].result, plan.facets[1].result]
    paths = [result.paths.item(result.items[0]) for result in lost]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    again = run_pipeline(*ALL, out, "runner.threads=2")
    assert again.done == len(lost)
    assert [path.read_bytes() for path in paths] == before


def keys(*overrides: str) -> dict[str, set[str]]:
    """Return the keys of all results, by their folder of the store."""
    run = ActiveRun.planned(Parts(compose_config(*ALL, *overrides), here()), Layout(Path("unused")))
    found: dict[str, set[str]] = {}
    for result in run.plan(STAGE).results:
        found.setdefault(result.stage, set()).add(f"{result.name} {result.key}")
    return found


NORMS, FACETS = "unit_norms", "unit_facets"


@pytest.mark.parametrize(
    ("setting", "others"),
    [
        ("images.limit=5", {NORMS, FACETS, STAGE.name}),
        ("optimizer.steps=4", {FACETS, STAGE.name}),
        ("seed=1", {FACETS, STAGE.name}),
        ("unit_similarity.at=mean", {NORMS, FACETS, STAGE.name}),
        ("unit_similarity.shift=3", {STAGE.name}),
        ("unit_similarity.draws=19", {FACETS}),
        ("unit_similarity.patches=4", {FACETS}),
        ("search.keep=4", {FACETS}),
    ],
)
def test_results_are_others_by_whatever_they_depend_on(
    first: ActiveRun, setting: str, others: set[str]
):
    before: dict[str, set[str]] = {}
    for result in first.plan(STAGE).results:
        before.setdefault(result.stage, set()).add(f"{result.name} {result.key}")
    after = keys(setting)
    assert {stage for stage in before if before[stage] != after.get(stage)} == others


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("unit_similarity.at=all", "unit_similarity.at: 'all' is not one of max, mean, center"),
        ("unit_similarity.most=1", "unit_similarity.most: 1 is too small; use 2 or more"),
        ("units=[5]", "units: unit_similarity compares units of conv1 with each other, and 1 is"),
        ("objective=[layer_mean]", "stages: unit_similarity compares units, and ascents of this"),
        ("images.limit=1", "images: unit_similarity compares responses over the image set, which"),
        ("stages=[unit_similarity]", "the store holds no ascents of conv1 from noise; add ascent"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_work(
    override: str, message: str, run_pipeline: RunPipeline, tmp_path: Path
):
    with pytest.raises(ArtiphysError, match=re.escape(message)):
        run_pipeline(*ALL, override, f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_figures_and_pages_show_units_and_their_groups(first: ActiveRun, drawn: dict[str, Any]):
    assert drawn["unit_similarity_conv1_noise"] == [2, 5, 7, 9]
    groups = first.plan(STAGE).facets[1].tables["facets"]["groups"]
    assert len(drawn["unit_facets_conv1_top_patch"]) == (groups > 0).sum()
    (layer,) = first.parts.layers
    sections = unit_sections(first, first.plan(STAGE), layer)
    assert sections(4) == []  # was not chosen
    (section,) = sections(5)
    similar = section.parts[0]
    assert isinstance(similar, Maps)
    names = [each.name for each in similar.maps]
    assert (names[0], sorted(names[1:])) == ("conv1/5", ["conv1/2", "conv1/7", "conv1/9"])
    likeness = [float(each.captions[0].split()[1]) for each in similar.maps[1:]]
    assert likeness == sorted(likeness, reverse=True)
    titles = [part.title for part in section.parts if isinstance(part, Numbers)]
    assert titles == ["Facets of ascents from noise", "Facets of top patches"]
    said = [line for line in first.facts["findings"] if line.startswith("unit_similarity")]
    assert said[0].startswith("unit_similarity: conv1 from noise: images and weights r = ")
    assert "of 4 units, at most 0.2 expected by chance" in said[1]
