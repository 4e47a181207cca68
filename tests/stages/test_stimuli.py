"""The stage that writes stimulus sets: pictures that show the same, and tables that say what."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.config.screen import ScreenConfig, StimuliConfig
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.search.presentation import Presentation
from pipeline.stages.stimuli.results import chosen_numbers
from pipeline.stimuli.field import Colors
from pipeline.stimuli.stimulus_set import StimulusSet
from tests.conftest import RunPipeline

SETS = ("stages=[stimuli]", "layers=[conv2]", "images.limit=3", "seed=5")
NET = pipeline.network("miniature")


@pytest.fixture(scope="module")
def exported(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("stimuli")
    chosen = ("stimulus=[bars_4a,sin1]", "stimuli.limit=60", "screen.visual_degrees=6")
    return run_pipeline(*SETS, *chosen, f"out={out}")


@pytest.fixture(scope="module")
def large(run_pipeline: RunPipeline, tmp_path_factory: pytest.TempPathFactory) -> ActiveRun:
    out = tmp_path_factory.mktemp("stimuli")
    chosen = ("stimulus=[v4_shapes]", "stimulus.v4_shapes.width=12.0", "stimuli.limit=4")
    colors = ("screen.colors=bounds", "screen.background=0.5")
    return run_pipeline(
        *SETS, *chosen, *colors, "stimuli.magnify=3", "stimuli.margin=2", f"out={out}"
    )


def folder(run: ActiveRun, name: str) -> Path:
    return run.paths.stimuli / "conv2" / name


def responses(stimuli: StimulusSet) -> np.ndarray:
    """Return the responses of all units of conv2, in the order of stimulus numbers."""
    network = Presentation(NET.graph, NET.layer("conv2"), stimuli)
    parts = [network.respond(block) for block in network.blocks]
    rows, answers = (torch.cat([part[k] for part in parts]) for k in (0, 1))
    return answers[rows.argsort()].numpy()


@pytest.mark.parametrize("name", ["bars_4a", "sin1"])
def test_a_folder_is_a_set_with_the_same_responses(exported: ActiveRun, name: str):
    again = pipeline.stimulus_set(NET, folder(exported, name), "conv2")
    stimuli = pipeline.stimulus_set(NET, name, "conv2")
    numbers = again.table["number"].to_numpy()
    drawn = stimuli.draw(numbers)
    rounding = (again.draw(range(60)) - drawn).abs().max()
    assert 0 < rounding < 1.001 / 255  # half a step of 2/255
    unit_network = NET.unit_network("conv2")
    found = responses(again)
    for unit in (0, 7, 20):
        before = unit_network(drawn, torch.full((60,), unit)).numpy()
        spread = float(np.ptp(before))
        assert spread > 0.1
        assert found[:, unit] == pytest.approx(before, abs=0.01 * spread)


def test_sets_in_degrees_are_written_too(run_pipeline: RunPipeline, tmp_path: Path):
    chosen = ("stimulus=[marques_size,isoluminant_discs]", "stimuli.limit=5", f"out={tmp_path}")
    screen = ("screen.visual_degrees=4", "screen.center=[0.5,0.25]", "screen.colors=bounds")
    run = run_pipeline(*SETS, *chosen, *screen)
    stimuli = pipeline.stimulus_set(
        NET, "marques_size", "conv2", colors="bounds", visual_degrees=4.0, center=(0.5, 0.25)
    )
    table = pd.read_csv(folder(run, "marques_size") / "stimuli.csv")
    expected = stimuli.table.loc[table["number"]]
    for name in ("x", "x_degrees", "diameter", "diameter_degrees", "frequency_per_degree"):
        np.testing.assert_allclose(table[name], expected[name])
    np.testing.assert_allclose(table["diameter"], 24 * table["diameter_degrees"])
    assert not table.columns.duplicated().any()
    pixels = np.asarray(Image.open(folder(run, "marques_size") / table["file"].iloc[0]))
    drawn = NET.preprocessing.pixels(stimuli.draw([int(table["number"].iloc[0])]))
    assert np.abs(pixels / 255 - drawn[0].permute(1, 2, 0).numpy()).max() < 0.6 / 255


def test_tables_give_sizes_in_pixels_and_degrees(exported: ActiveRun):
    pixel = 6 / 96  # degrees, of an input of 96 pixels
    table = pd.read_csv(folder(exported, "bars_4a") / "stimuli.csv")
    expected = pipeline.stimulus_set(NET, "bars_4a", "conv2").table.loc[table["number"]]
    for column in ("length", "width", "x", "y"):
        np.testing.assert_allclose(table[column], expected[column])
        np.testing.assert_allclose(table[f"{column}_degrees"], expected[column] * pixel)
    for column in ("orientation", "polarity", "aliased", "clipped"):
        assert table[column].tolist() == expected[column].tolist()
    assert not {"orientation_degrees", "polarity_degrees"} & {*table.columns}
    gratings = pd.read_csv(folder(exported, "sin1") / "stimuli.csv")
    # 0.16 cycles per pixel and 16 pixels per degree
    assert gratings.query("frequency == 0.16")["frequency_per_degree"].unique() == (
        pytest.approx(2.56)
    )


def test_the_table_of_sets_says_what_was_written(exported: ActiveRun):
    sets = pipeline.open_run(exported.paths.folder).stimulus_sets.set_index("set")
    assert sets["stimuli"].to_dict() == {"bars_4a": 33_984, "sin1": 113_280}
    assert sets["written"].tolist() == [60, 60]
    assert sets["picture_width_degrees"].tolist() == pytest.approx([29 * 6 / 96] * 2)
    for name, row in sets.iterrows():
        table = pd.read_csv(exported.paths.folder / str(row["folder"]) / "stimuli.csv")
        files = {path.name for path in folder(exported, str(name)).glob("*.png")}
        assert files == {*table["file"]}
        assert (row["aliased"], row["clipped"]) == (table["aliased"].sum(), table["clipped"].sum())


def test_pictures_are_magnified_and_surrounded_by_gray(large: ActiveRun):
    path = sorted(folder(large, "v4_shapes").glob("*.png"))[1]
    pixels = np.asarray(Image.open(path))
    assert pixels.shape == ((29 + 4) * 3, (29 + 4) * 3, 3)
    small = pixels[1::3, 1::3]
    np.testing.assert_array_equal(pixels, small.repeat(3, 0).repeat(3, 1))
    assert small.max() == 255
    assert np.unique(small[:2]).tolist() == [128]  # half of 255, rounded
    seen = NET.preprocessing
    colors = Colors.bounds(seen.mean, seen.std, 0.5)
    shapes = pipeline.stimulus_set(NET, "v4_shapes", "conv2", colors=colors, width=12.0)
    drawn = seen.pixels(shapes.draw([int(path.stem)]))[0].permute(1, 2, 0).numpy()
    assert small[2:-2, 2:-2] / 255 == pytest.approx(drawn, abs=0.51 / 255)


def test_subsets_depend_on_the_seed_and_smaller_ones_are_within_larger():
    few, more, other = (
        set(chosen_numbers(1000, StimuliConfig(limit=limit), seed, "dots").tolist())
        for limit, seed in ((20, 0), (70, 0), (20, 1))
    )
    assert (len(few), len(more)) == (20, 70)
    assert few < more
    assert few != other
    everything = chosen_numbers(9, StimuliConfig(limit=20), 0, "dots")
    assert everything.tolist() == [*range(9)]


def test_many_pictures_are_written_only_when_asked_for():
    with pytest.raises(ConfigError) as error:
        chosen_numbers(33_984, StimuliConfig(), 0, "bars_4a for conv2")
    assert str(error.value) == (
        "stimuli: bars_4a for conv2 has 33984 pictures, more than 10000; choose some at random with"
        " stimuli.limit=1000, or all with stimuli.limit=33984"
    )
    assert len(chosen_numbers(10_000, StimuliConfig(), 0, "dots")) == 10_000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("stimulus=[]", "stimulus: the list is empty"),
        ("stimulus.bars_on_stride.divider=2", "takes no such argument"),
        (
            "screen.colors=bound",
            "'bound' is not one of published, bounds; nearest: bounds",
        ),
        ("screen.background=0.5", "the published colors have a gray of their own"),
        ("stimuli.magnify=0", "stimuli.magnify: 0 is not a whole number from 1 to 64"),
    ],
)
def test_faults_are_told_before_anything_is_written(
    run_pipeline: RunPipeline, tmp_path: Path, given: str, message: str
):
    key = f"+{given}" if "divider" in given else given
    with pytest.raises(ConfigError, match=re.escape(message)):
        run_pipeline(*SETS, key, f"out={tmp_path}")
    assert not list(tmp_path.rglob("*.png"))


def test_settings_out_of_range_are_told():
    assert list(ScreenConfig().faults()) == list(StimuliConfig().faults()) == []
    found = [
        *ScreenConfig(center=[0.5]).faults(),
        *ScreenConfig(visual_degrees=0).faults(),
        *ScreenConfig(colors="bounds", background=2.0).faults(),
        *StimuliConfig(limit=0, margin=-1).faults(),
    ]
    assert found == [
        "screen.center: [0.5] is not a place on the screen; give degrees to the right and down, as"
        " in screen.center=[0.5,0.5], or null",
        "screen.visual_degrees: 0 is not above 0 and at most 180",
        "screen.background: 2.0 is not a pixel value from 0 to 1",
        "stimuli.limit: 0 is not positive; use 1 or more, or null",
        "stimuli.margin: -1 is not a number of pixels from 0 to 4096",
    ]
