"""The stage: the maps of the library, resumable, the same bits for any number of workers."""

from __future__ import annotations

import re
import shutil
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pipeline
from pipeline.cli.check import check_job
from pipeline.config.build import complete
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.search.effective_fields import map_effective_fields
from pipeline.search.field_mapping import map_by_stimuli
from pipeline.search.patch_maps import PatchMapper, map_by_patches
from pipeline.search.presentation import Presentation, field_of
from pipeline.stages.receptive_fields import STAGE, results
from pipeline.stages.receptive_fields.cost import map_bytes
from pipeline.stages.receptive_fields.drawing import best_fitted
from pipeline.stages.receptive_fields.plan import FieldPlan, field_faults
from pipeline.stages.receptive_fields.results import FieldMaps, arrays_of
from pipeline.stages.top_patches.results import read_patches
from pipeline.store.layout import Layout
from tests.conftest import RunPipeline, compose_config, here, table_columns

UNITS = [3, 5, 7]
BARE = (
    "stages=[receptive_fields]", "layers=[conv1]", "units=[3,5,7]", "images.limit=4",
    "figures.formats=[]",
)  # fmt: skip
SMALL = (
    *BARE,
    "stages=[top_patches,receptive_fields]",
    "search.keep=3",
    "stimulus=[bars_on_stride,sparse_noise]",
    "stimulus.sparse_noise.stimuli=200",
    "receptive_fields.methods=[gradient,effective]",
    "receptive_fields.patches=2",
)


@pytest.fixture(scope="module")
def first(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("fields")
    return run_pipeline(*SMALL, f"out={out}", "runner.threads=1", "figures.formats=[png]")


settings_of = cache(compose_config)


@pytest.fixture
def active(first: ActiveRun, tmp_path: Path):
    """Return the run of a configuration, with the network of the first run, and its plan."""

    def found(*overrides: str, given: tuple[str, ...] = SMALL) -> tuple[ActiveRun, FieldPlan]:
        parts = Parts(settings_of(*given, *overrides), here())
        parts.network, parts.sized_network = first.parts.network, first.parts.sized_network
        run = ActiveRun.planned(parts, Layout(tmp_path))
        return run, run.plan(STAGE)

    return found


@pytest.fixture
def keys(active):
    """Return the keys of the maps of a configuration, by method."""

    def found(*overrides: str, given: tuple[str, ...] = SMALL) -> dict[str, str]:
        _, plan = active(*overrides, given=given)
        assert not plan.faults
        return {each.method: each.result.key for each in plan.maps}

    return found


def by_method(run: ActiveRun) -> dict[str, FieldMaps]:
    return {each.method: each for each in run.plan(STAGE).maps}


def items(run: ActiveRun) -> dict[str, bytes]:
    """Return the bytes of every item in the store, by result and name."""
    return {
        f"{each.result.name}/{item}": each.result.paths.item(item).read_bytes()
        for each in run.plan(STAGE)
        for item in each.result.items
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_what_is_stored_is_what_the_library_finds_to_the_bit(first: ActiveRun):
    parts = first.parts
    graph, (layer,) = parts.graph, parts.layers
    bars = complete(parts.stimulus("bars_on_stride"), "stimulus", field_of(graph, layer))
    expected = {
        "bars_on_stride": map_by_stimuli(Presentation(graph, layer, bars), UNITS),
        "effective": map_effective_fields(graph, layer, UNITS),
        "gradient": map_by_patches(
            PatchMapper(graph, layer, "gradient"),
            UNITS,
            lambda rank, sign: read_patches(first, layer, UNITS, rank, sign),
            2,
        ),
    }
    for method, mapped in expected.items():
        each = by_method(first)[method]
        stored, _ = each.result.read("block-0000")
        wanted = arrays_of(mapped)
        assert stored.keys() == wanted.keys()
        for name, array in wanted.items():
            np.testing.assert_array_equal(stored[name], array, err_msg=f"{method}: {name}")
            np.testing.assert_array_equal(getattr(each.read(), name), array)
    assert expected["bars_on_stride"].maps.dtype == np.float32
    assert expected["bars_on_stride"].maps.any()


def test_its_tables_are_those_of_the_library(first: ActiveRun):
    opened = pipeline.open_run(first.paths.folder)
    net = pipeline.network("miniature")
    found = pipeline.map_receptive_fields(net, "conv1", "bars_on_stride", units=UNITS)
    table = opened.receptive_fields
    assert tuple(table) == table_columns()["receptive_fields"]
    ours = table[table["method"].str.startswith("bars")].reset_index(drop=True)
    shared = [name for name in found.summary if name in ours]
    assert len(shared) > 25
    pd.testing.assert_frame_equal(ours[shared], found.summary[shared], check_dtype=False)
    degree = 8.0 / 96  # 8 degrees for the 96 pixels of the network's input
    np.testing.assert_allclose(table["radius_50_degrees"], table["radius_50"] * degree)
    assert set(table["field_width"]) == {9}
    strongest = opened.receptive_field_stimuli
    assert tuple(strongest) == table_columns()["receptive_field_stimuli"]
    ours = strongest[strongest["method"] == "bars_on_stride"].reset_index(drop=True)
    wanted = found.responses[["unit", "sign", "rank", "stimulus", "response", "x", "length"]]
    pd.testing.assert_frame_equal(ours[list(wanted)], wanted, check_dtype=False)
    np.testing.assert_allclose(ours["length_degrees"], ours["length"] * degree)
    assert ours["others"].str.contains('"step_x":').all()


def test_every_method_is_compared_with_every_other(first: ActiveRun):
    table = pipeline.open_run(first.paths.folder).map_agreement
    assert tuple(table) == table_columns()["map_agreement"]
    pairs = {frozenset(pair) for pair in table[["first", "second"]].itertuples(index=False)}
    names = by_method(first).keys() | {"bars_on_stride_non_overlapping"}
    assert pairs == {frozenset((a, b)) for a in names for b in names if a != b}
    assert len(table) == len(pairs) * 2 * len(UNITS)
    found = pipeline.map_receptive_fields(
        pipeline.network("miniature"), "conv1", "bars_on_stride", units=UNITS
    ).agreement()
    ours = table.query("first == 'bars_on_stride' and second.str.endswith('overlapping')")
    names = ["sign", "unit", "correlation", "iou", "distance"]
    pd.testing.assert_frame_equal(ours[names].reset_index(drop=True), found[names])


def test_figures_are_drawn_of_all_layers_and_of_some_units(first: ActiveRun):
    drawn = {path.name for path in first.paths.figures.glob("*.png")}
    assert drawn == {
        f"receptive_fields_{name}.png" for name in ("agreement", "sizes", "maps_conv1")
    }


def test_the_units_that_are_drawn_are_those_that_a_gaussian_explains_best(first: ActiveRun):
    table = pipeline.open_run(first.paths.folder).receptive_fields
    means = table[table["sign"] == 1].assign(fxvar=table["fxvar"].fillna(0))
    means = means.groupby("unit")["fxvar"].mean()
    assert best_fitted(table, 2) == means.sort_values(ascending=False).index[:2].tolist()
    nothing = table.assign(fxvar=np.nan)
    assert best_fitted(nothing, 3) == UNITS


def test_the_end_says_how_many_units_have_a_field_and_where(first: ActiveRun):
    (line,) = [line for line in STAGE.summary(first, first.plan(STAGE)) if "by gradient" in line]
    pattern = (
        r"receptive_fields: conv1 by gradient: 3 of 3 units have a field, median diameter"
        r" \d+\.\d px \(\d\.\d\d degrees\), center \d+\.\d px \(\d\.\d\d degrees\) from that of"
        r" the theoretical field"
    )
    assert re.fullmatch(pattern, line)


def test_a_run_that_was_stopped_continues_with_the_same_bits(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path
):
    shutil.copytree(first.layout.out / "store", tmp_path / "store")
    kept = {by_method(first)["effective"].result.key}
    lost = [each.result for each in first.plan(STAGE) if each.result.key not in kept]
    for result in lost:
        path = result.paths.item("block-0000").relative_to(first.layout.out)
        (tmp_path / path).unlink()
    again = run_pipeline(*SMALL, f"out={tmp_path}", "runner.threads=3")
    assert again.done == len(lost)
    assert items(again) == items(first)
    whole, resumed = (pipeline.open_run(run.paths.folder) for run in (first, again))
    for name in ("receptive_fields", "receptive_field_stimuli", "map_agreement"):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(resumed, name))


def test_a_new_method_adds_its_own_and_finds_all_else(first: ActiveRun, run_pipeline: RunPipeline):
    out = f"out={first.layout.out}"
    more = run_pipeline(*SMALL, out, "receptive_fields.methods=[gradient,guided_backprop]")
    # The maps, their summary, and the pairs with three other methods.
    assert more.done == 1 + 1 + 3


def test_all_responses_are_kept_if_asked(first: ActiveRun, run_pipeline: RunPipeline):
    kept = run_pipeline(
        *SMALL,
        f"out={first.layout.out}",
        "stages=[receptive_fields]",
        "receptive_fields.methods=[]",
        "receptive_fields.keep_responses=true",
    )
    stored, _ = by_method(kept)["sparse_noise"].result.read("block-0000")
    responses = stored["all_responses"]
    assert responses.shape == (3, 200)
    np.testing.assert_array_equal(stored["responses"][:, 0], -np.sort(-responses, axis=1)[:, :100])
    table = pipeline.open_run(kept.paths.folder).receptive_field_stimuli
    assert len(table) == 2 * 3 * 2 * 100


@pytest.mark.parametrize(
    ("overrides", "misses"),
    [
        (["stimulus.sparse_noise.seed=1"], {"sparse_noise"}),
        (["screen.colors=bounds"], {"bars_on_stride", "sparse_noise"}),
        (["receptive_fields.keep_responses=true"], {"bars_on_stride", "sparse_noise"}),
        (["receptive_fields.patches=1"], {"gradient"}),
        (["search.keep=2"], {"gradient"}),
        (["images.limit=3"], {"gradient"}),
        (["units=[3,5]"], {"bars_on_stride", "sparse_noise", "gradient", "effective"}),
        (["seed=1"], {"effective"}),
        (["screen.visual_degrees=4", "runner.threads=2"], set()),
    ],
)
def test_a_setting_misses_where_it_matters_and_nowhere_else(keys, overrides, misses):
    assert changed(keys(), keys(*overrides)) == misses


def test_sets_in_degrees_depend_on_the_screen_and_on_their_table(keys, tmp_path: Path):
    table = tmp_path / "best.csv"
    table.write_text("orientation,frequency_per_degree,diameter_degrees\n30,2,1\n")
    given = (
        *(one for one in SMALL if "stimulus" not in one),
        "stimulus=[marques_receptive_field,gratings]",
        f"stimulus.gratings.table={table}",
    )
    before = keys(given=given)
    shown = ("marques_receptive_field", "gratings")
    for screen in ("screen.visual_degrees=4", "screen.center=[0.5,0.5]"):
        assert all(keys(screen, given=given)[name] != before[name] for name in shown)
    table.write_text("orientation,frequency_per_degree,diameter_degrees\n40,2,1\n")
    after = keys(given=given)
    assert after["marques_receptive_field"] == before["marques_receptive_field"]
    assert after["gratings"] != before["gratings"]


def test_the_gray_of_the_screen_misses(keys):
    before = keys("screen.colors=bounds")
    after = keys("screen.colors=bounds", "screen.background=0.3")
    assert changed(before, after) == {"bars_on_stride", "sparse_noise"}


@pytest.mark.parametrize(
    ("change", "misses"),
    [
        (lambda folder: Image.new("L", (4, 4), 254).save(folder / "a.png"), True),
        (lambda folder: (folder / "stimuli.csv").write_text("file,x,y\na.png,1,0\n"), True),
        (lambda folder: (folder / "another").write_text("that is not shown"), False),
    ],
)
def test_pictures_are_known_by_what_they_show(keys, tmp_path: Path, change, misses: bool):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "stimuli.csv").write_text("file,x,y\na.png,0,0\n")
    Image.new("L", (4, 4), 255).save(folder / "a.png")
    given = (*BARE, "stimulus=[pictures]")
    before = keys(f"stimulus.pictures.folder={folder}", given=given)
    moved = folder.rename(tmp_path / "elsewhere")
    assert keys(f"stimulus.pictures.folder={moved}", given=given) == before
    change(moved)
    after = keys(f"stimulus.pictures.folder={moved}", given=given)
    assert changed(before, after) == ({"pictures"} if misses else set())


def test_own_sets_are_known_by_their_code_and_their_arguments(
    active, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "own_set.py"

    def found(code: str, size: int = 5) -> FieldPlan:
        module.write_text(f"from pipeline.stimuli.blocks import blocks\n{code}\n")
        sys.modules.pop("own_set", None)
        option = f"{{_target_: own_set.own, _partial_: true, size: {size}}}"
        return active("stimulus=[]", f"+stimulus.mine={option}", given=BARE)[1]

    def key(code: str, size: int = 5) -> str:
        (each,) = found(code, size).maps
        return each.result.key

    plain = key("def own(field, size): return blocks(field)")
    assert key("def own(field, size): return blocks(field)") == plain
    assert key("def own(field, size): return blocks( field)") != plain
    assert key("def own(field, size): return blocks(field)", size=6) != plain
    assert found("def own(field, size): return size").faults == [
        "stimulus.mine: returned a int, not a pipeline.stimuli.stimulus_set.StimulusSet, as compose"
        " there makes one"
    ]


def test_textures_of_pictures_are_known_by_what_they_show(keys, tmp_path: Path):
    given = (*BARE, "stimulus=[textures]", f"stimulus.textures.folder={tmp_path}")
    noise = np.random.default_rng(0).integers(0, 256, (2, 60, 60), np.uint8)
    Image.fromarray(noise[0]).save(tmp_path / "a.png")
    before = keys(given=given)
    (tmp_path / "another").write_text("that is not shown")
    assert keys(given=given) == before
    Image.fromarray(noise[1]).save(tmp_path / "a.png")
    assert changed(before, keys(given=given)) == {"textures"}


def test_own_sets_depend_on_the_screen_even_under_the_name_of_one_that_does_not(
    active, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "set_in_degrees.py").write_text(
        "from pipeline.stimuli.bars import bars_4b\n"
        "def own(field): return bars_4b(field, divider=field.seen.pixels_per_degree / 12)\n"
    )
    option = "+stimulus.mine={_target_: set_in_degrees.own, _partial_: true}"
    found = [
        active("stimulus=[]", option, f"screen.visual_degrees={degrees}", given=BARE)[1].maps[0]
        for degrees in (4, 8)
    ]
    assert found[0].shown.count != found[1].shown.count
    assert found[0].result.key != found[1].result.key


@pytest.mark.parametrize(
    ("overrides", "messages"),
    [
        (
            ["stimulus=[drifting_edges,checkerboards,dense_noise]"],
            ["stimulus.drifting_edges: cannot map receptive fields, as its table has no columns x"],
        ),
        (
            ["receptive_fields.methods=[gradients]"],
            ["receptive_fields.methods: 'gradients' is not one of gradient, guided_backprop"],
        ),
        (
            ["receptive_fields.methods=[gradient]"],
            [
                "receptive_fields: the store holds no top patches of conv1 for these weights and"
                " images, which 'gradient' needs; add top_patches to stages"
            ],
        ),
        (
            [
                "stages=[top_patches,receptive_fields]",
                "receptive_fields.methods=[gradient]",
                "receptive_fields.patches=5",
            ],
            ["receptive_fields.patches: 5 are more than the 4 patches kept per unit (search.keep"],
        ),
        (
            ["stimulus=[]"],
            ["stimulus: the list is empty, and so is receptive_fields.methods; choose one or more"],
        ),
    ],
)
def test_what_cannot_be_mapped_is_said_before_work(
    active, overrides: list[str], messages: list[str]
):
    faults = list(field_faults(*active(*overrides, given=BARE)))
    for fault, message in zip(faults, messages, strict=True):
        assert fault.startswith(message)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("patches=0", "receptive_fields.patches: 0 is not positive; use 1 or more, or null"),
        ("methods=[occlusion,occlusion]", "names a method twice"),
    ],
)
def test_values_that_are_refused(
    run_pipeline: RunPipeline, tmp_path: Path, setting: str, message: str
):
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*BARE, f"receptive_fields.{setting}", f"out={tmp_path}")


def test_the_check_counts_what_is_computed_and_stored(first: ActiveRun):
    """Nine by nine pixels; the disk is what the files hold, but for names and checksums."""
    checked = check_job(compose_config(*SMALL, f"out={first.layout.out}"))
    assert not checked.faults
    plan = first.plan(STAGE)
    cost = STAGE.cost(first, plan, None)
    assert cost.missing == 0
    stored = sum(
        array.nbytes
        for each in plan.maps
        for item in each.result.items
        for array in each.result.read(item)[0].values()
    )
    assert sum(map_bytes(each) for each in plan.maps) == stored
    # A kernel of 3 x 9 x 9, two operations a weight: forward and as much for the gradient, of 3
    # units, top and bottom, 2 patches; and of 20 images of noise.
    one = 2 * 3 * 9 * 9
    assert cost.operations["gradient"] == one * 2 * 3 * 2 * 2
    assert cost.operations["effective"] == one * 2 * 3 * 20
    assert "are measured" in checked.facts["measures"]


def test_units_are_mapped_in_blocks_with_the_same_maps(
    first: ActiveRun, run_pipeline: RunPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(results, "SHOWN_TO", 2)
    divided = run_pipeline(
        *BARE, "stimulus=[sparse_noise]", "stimulus.sparse_noise.stimuli=200", f"out={tmp_path}"
    )
    (each,) = divided.plan(STAGE).maps
    assert list(each.blocks.values()) == [[3, 5], [7]]
    np.testing.assert_array_equal(each.read().maps, by_method(first)["sparse_noise"].read().maps)


def test_pages_show_the_maps_of_all_methods_with_the_numbers_of_the_table(first: ActiveRun):
    layer = first.parts.layers[0]
    read = STAGE.sections(first, first.plan(STAGE), layer)
    (section,) = read(5)
    assert [getattr(part, "title", "") for part in section.parts] == [
        "bars at strides", "bars at strides, non-overlapping", "sparse noise", "gradient",
        "effective field",
    ]  # fmt: skip
    gradient = next(each for each in first.plan(STAGE).maps if each.method == "gradient")
    row = pipeline.open_run(first.paths.folder).receptive_fields.query(
        "unit == 5 and method == 'gradient' and sign == -1"
    ).iloc[0]  # fmt: skip
    shown = section.parts[3].maps[1]
    np.testing.assert_array_equal(shown.values, gradient.read().maps[UNITS.index(5), 1])
    x = row["x"] if np.isnan(row["gauss_x"]) else row["gauss_x"]
    degrees = row["x_degrees"] / row["x"] * x
    said = f"{x:.1f}, ", f"({degrees:.2f}, "
    caption = shown.captions[0].replace("\u00a0", " ").replace("\u2212", "-")
    assert all(text.replace("-0.0,", "0.0,") in caption for text in said)
    assert section.parts[2].maps[1].name == "dark raises the response"
    assert read(99) == []
