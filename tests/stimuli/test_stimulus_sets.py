"""What holds for every set: the sum of planes, single draws, sizes, flags, errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from pipeline.errors import ConfigError
from pipeline.stimuli.bars import bars_4a, bars_4b, bars_4c7o
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.blocks import blocks
from pipeline.stimuli.checkerboards import checkerboards
from pipeline.stimuli.color_gratings import (
    cone_gratings,
    isoluminant_gratings,
    spatial_opponency,
)
from pipeline.stimuli.compound_gratings import center_surround, plaids
from pipeline.stimuli.degree_gratings import contrast_series
from pipeline.stimuli.edges import drifting_edges
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.gratings import sin1, sine_1, sine_2
from pipeline.stimuli.looks import polarities
from pipeline.stimuli.marques import (
    blank,
    marques_orientation,
    marques_receptive_field,
    marques_size,
    marques_spatial_frequency,
)
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.parameters import in_degrees
from pipeline.stimuli.shapes import shapes, v4_shapes
from pipeline.stimuli.stimulus_set import StimulusSet, compose
from pipeline.stimuli.textures import textures
from pipeline.stimuli.uniform_colors import (
    full_field_colors,
    gray_levels,
    hues,
    isoluminant_discs,
)

Builder = Callable[[Field], StimulusSet]
BUILDERS: list[Builder] = [
    bars_4a, bars_4b, bars_4c7o, bars_on_stride, blocks, checkerboards, dense_noise, drifting_edges,
    shapes, sin1, sine_1, sine_2, sparse_noise, v4_shapes,
    blank, marques_receptive_field, marques_orientation, marques_spatial_frequency, marques_size,
    contrast_series, plaids, center_surround, textures, hues, gray_levels, full_field_colors,
    isoluminant_discs, isoluminant_gratings, cone_gratings, spatial_opponency,
]  # fmt: skip
IN_COLOR = (
    bars_4c7o, blocks, hues, full_field_colors, isoluminant_discs, isoluminant_gratings,
    cone_gratings,
)  # fmt: skip
SCREEN = Screen(64, 64)
COLORS = Colors.bounds([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], gray=0.5)
every_set = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)


def some_rows(stimuli: StimulusSet, count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).choice(len(stimuli), min(count, len(stimuli)), replace=False)


@every_set
def test_a_batch_is_its_single_stimuli_bit_for_bit(build: Builder):
    stimuli = build(Field(23, 26, 4, COLORS, SCREEN))
    rows = some_rows(stimuli)
    together = stimuli.draw(rows)
    assert together.shape == (len(rows), 3, 23, 26)
    assert together.dtype == torch.float32
    for row, stimulus in zip(rows, together, strict=True):
        assert torch.equal(stimuli.draw([row])[0], stimulus)
    assert torch.equal(stimuli.draw(rows[::-1].copy()), together.flip(0))


@every_set
def test_the_first_layer_of_stimuli_is_that_of_their_planes(build: Builder):
    stimuli = build(Field(19, 21, 4, COLORS, SCREEN))
    rows = torch.from_numpy(some_rows(stimuli))
    kernel = torch.randn(5, 3, 19, 21, generator=torch.Generator().manual_seed(2)).double()
    direct = functional.conv2d(stimuli.draw(rows).double(), kernel)[:, :, 0, 0]
    planes = stimuli.planes(stimuli.geometry[rows]).double()
    per_channel = torch.einsum("nkhw,uchw->nkcu", planes, kernel)
    weights = stimuli.weights[rows].double()
    ground = torch.einsum("nc,uchw->nu", stimuli.background[rows].double(), kernel)
    summed = ground + torch.einsum("nkc,nkcu->nu", weights, per_channel)
    torch.testing.assert_close(direct, summed, rtol=0, atol=1e-4)


@every_set
def test_stimuli_stay_between_black_and_white(build: Builder):
    stimuli = build(Field(17, 22, 4, COLORS, SCREEN))
    drawn = stimuli.draw(some_rows(stimuli, 100))
    black, white = (torch.tensor(color)[:, None, None] for color in (COLORS.black, COLORS.white))
    assert (drawn - black).min() > -1e-5
    assert (white - drawn).min() > -1e-5


@every_set
def test_every_geometry_has_rows_and_tables_have_flags(build: Builder):
    stimuli = build(Field(17, 22, 4, COLORS, SCREEN))
    assert stimuli.table.index.equals(pd.RangeIndex(len(stimuli)))
    assert stimuli.table[["aliased", "clipped"]].dtypes.tolist() == [bool, bool]
    assert stimuli.geometry.unique().tolist() == list(range(stimuli.geometries))
    assert len(stimuli.background) == len(stimuli.weights) == len(stimuli.geometry) == len(stimuli)
    assert not stimuli.table.isna().any(axis=None)


@every_set
def test_processes_of_their_own_draw_the_same(build: Builder):
    stimuli = build(Field(17, 22, 4, COLORS, SCREEN))
    rows = some_rows(stimuli, 5)
    assert torch.equal(pickle.loads(pickle.dumps(stimuli)).draw(rows), stimuli.draw(rows))


@every_set
def test_networks_of_one_channel_see_all_sets_but_those_in_color(build: Builder):
    field = Field(17, 22, 4, Colors.published(1), SCREEN)
    if build in IN_COLOR:
        with pytest.raises(ConfigError, match="needs a network of 3 channels"):
            build(field)
    else:
        assert build(field).draw([0]).shape == (1, 1, 17, 22)


@pytest.mark.parametrize("build", [bars_4a, sin1, v4_shapes, drifting_edges, bars_on_stride])
def test_a_margin_adds_pixels_around_the_canvas(build: Builder):
    stimuli = build(Field(18, 21, 4))
    numbers = torch.from_numpy(some_rows(stimuli)) % stimuli.geometries
    wide = stimuli.planes(numbers, margin=(3, 5))
    assert wide.shape[2:] == (24, 31)
    assert torch.equal(wide[:, :, 3:-3, 5:-5], stimuli.planes(numbers))


@pytest.mark.gpu
@every_set
def test_a_gpu_draws_the_same(build: Builder):
    stimuli = build(Field(23, 26, 4, COLORS, SCREEN))
    rows = some_rows(stimuli)
    drawn = stimuli.draw(rows, "cuda")
    assert drawn.device.type == "cuda"
    torch.testing.assert_close(drawn.cpu(), stimuli.draw(rows), rtol=0, atol=1e-5)


def test_no_rows_give_no_stimuli():
    assert bars_4a(Field(11, 11)).draw([]).shape == (0, 3, 11, 11)


@pytest.mark.parametrize("row", [-1, 33_984])
def test_stimuli_that_do_not_exist_are_named(row: int):
    with pytest.raises(
        ConfigError, match=f"rows: {row} is not one of bars_4a, which are numbered from 0 to 33983"
    ):
        bars_4a(Field(51, 51)).draw([0, row])


def test_geometries_that_do_not_exist_are_named():
    with pytest.raises(ConfigError, match="geometries: 16992 is not one of bars_4a"):
        bars_4a(Field(51, 51)).planes([16_992])


def test_a_table_without_flags_is_refused():
    bars = bars_4a(Field(11, 11))
    table = pd.DataFrame({"x": [0.0], "clipped": [False]})
    with pytest.raises(ConfigError, match=r"stimulus.own: its table lacks the flags aliased; add"):
        compose("own", Field(11, 11), table, polarities(Colors.published()), bars.renderer)


def test_masks_are_not_taken_for_numbers():
    bars = bars_4a(Field(11, 11))
    with pytest.raises(ConfigError, match=r"rows: are of type bool; .* np.flatnonzero"):
        bars.draw(pd.Index(bars.table["clipped"]))


def test_degrees_are_pixels_by_pixels_per_degree():
    table = in_degrees(sin1(Field(51, 51)).table, 25.5)
    assert table["x_degrees"].iloc[0] == pytest.approx(-0.75)
    assert table["diameter_degrees"].iloc[0] == pytest.approx(1.5)
    assert table["frequency_per_degree"].iloc[0] == pytest.approx(0.51)
    assert "orientation_degrees" not in table
    squares = sparse_noise(Field(51, 51), stimuli=2, per_frame=2).table
    found = in_degrees(squares, 2.0)["y_1_degrees"]
    assert found.tolist() == (squares["y_1"] / 2).tolist()
    with pytest.raises(ConfigError, match=r"pixels_per_degree: 0.0 is not a positive number"):
        in_degrees(table, 0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Field(0, 5), "stimulus.field.height: 0 is not a positive number of pixels"),
        (lambda: Field(5, 5, stride=0), "stimulus.field.stride: 0 is not a positive number"),
        (lambda: Colors((0.0,), (1.0, 1.0), (0.5,)), "have 1, 2 and 1 channels"),
        (lambda: Colors((), (), ()), "have 0, 0 and 0 channels"),
        (lambda: Colors((0.0,), (1.0,), (1.5,)), "is not between black"),
        (lambda: Colors((1.0,), (1.0,), (1.0,)), "is not between black"),
        (lambda: Colors.bounds([0.5], [0.5, 0.5]), "are not one number per channel"),
        (lambda: Colors.bounds([0.5], [0.0]), "with a positive std"),
        (lambda: Colors.bounds([0.5], [1.0], gray=1.5), "1.5 is not a pixel value from 0 to 1"),
    ],
)
def test_fields_and_colors_that_cannot_be_are_named(build: Callable[[], object], message: str):
    with pytest.raises(ConfigError, match=message):
        build()


def test_gray_is_the_mean_color_or_a_pixel_value():
    assert Colors.bounds([0.4, 0.6], [0.2, 0.2]).gray == (0, 0)
    assert Colors.bounds([0.4, 0.6], [0.2, 0.2], gray=0.5).gray == pytest.approx((0.5, -0.5))
