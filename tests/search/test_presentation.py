"""Presenting a set gives the responses of the plain network to every stimulus, drawn by itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import pipeline
from pipeline.errors import ConfigError
from pipeline.networks import sparse_convolution
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.networks.receptive_fields import smallest_canvas, strides
from pipeline.networks.sparse_convolution import convolve_changes
from pipeline.search.presentation import Presentation, field_of, nearest_unit
from pipeline.stimuli.bars import bars_4a, bars_4c7o
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.color_gratings import isoluminant_gratings, spatial_opponency
from pipeline.stimuli.compound_gratings import center_surround
from pipeline.stimuli.degree_gratings import gratings
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.marques import blank
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.stimuli.textures import textures
from pipeline.stimuli.uniform_colors import hues, isoluminant_discs

TABLE = pd.DataFrame(
    {"orientation": [0.0, 50.0], "frequency_per_degree": [1.0, 2.0], "diameter_degrees": [1.0, 2.0]}
)


def plain(net: Network, layer: Layer, images: Tensor) -> Tensor:
    """Lay stimuli on a canvas and run the network as it is."""
    canvas = smallest_canvas(net.graph, layer.node)
    box = canvas.box
    whole = torch.zeros(len(images), images.shape[1], *canvas.size)
    whole[:, :, box.top : box.bottom, box.left : box.right] = images
    with torch.inference_mode():
        maps = net.graph.truncated([layer.node])(whole)
    return maps[:, :, *canvas.position]


def assert_presented(net: Network, name: str, stimuli: StimulusSet, blocks: int = 3) -> None:
    layer = net.layer(name)
    presentation = Presentation(net.graph, layer, stimuli)
    step = max(1, len(presentation.blocks) // blocks)
    for block in presentation.blocks[::step]:
        rows, responses = presentation.respond(block)
        some = torch.randperm(len(rows))[:24]
        wanted = plain(net, layer, stimuli.draw(rows[some]))
        torch.testing.assert_close(responses[some], wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def miniature() -> Network:
    return pipeline.network("miniature")


@pytest.mark.parametrize("draw", [bars_4a, bars_4c7o, sin1, sparse_noise, bars_on_stride])
@pytest.mark.parametrize("name", ["conv1", "conv3"])
def test_a_set_is_answered_as_by_the_whole_network(
    miniature: Network, draw: Callable[[Field], StimulusSet], name: str
):
    assert_presented(miniature, name, draw(field_of(miniature.graph, miniature.layer(name))))


@pytest.mark.parametrize("colored", [False, True])
def test_noise_of_one_or_three_planes_too(miniature: Network, colored: bool):
    own = field_of(miniature.graph, miniature.layer("conv2"))
    assert_presented(miniature, "conv2", dense_noise(own, 40, colored=colored))


@pytest.mark.parametrize(
    "first",
    [
        nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 6, 5)),  # no convolution reads the image
        nn.Conv2d(1, 6, 5, padding=2, padding_mode="reflect"),
        nn.Conv2d(1, 6, (5, 3), stride=(2, 1), padding=2, dilation=2),
    ],
)
def test_whatever_a_network_begins_with(first: nn.Module):
    module = nn.Sequential(first, nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3))
    net = pipeline.network(module, input_size=(1, 40, 44))
    name = net.layers.name.iloc[-1]
    assert_presented(net, name, bars_4a(field_of(net.graph, net.layer(name))))


def test_every_stimulus_is_presented_once(miniature: Network):
    for draw in (bars_4a, bars_on_stride):
        stimuli = draw(field_of(miniature.graph, miniature.layer("conv1")))
        presentation = Presentation(miniature.graph, miniature.layer("conv1"), stimuli)
        rows = torch.cat([presentation.respond(block)[0] for block in presentation.blocks])
        assert rows.sort().values.tolist() == list(range(len(stimuli)))


def test_threads_do_not_disturb_one_another(miniature: Network):
    layer = miniature.layer("conv3")
    stimuli = bars_4a(field_of(miniature.graph, layer))
    presentation = Presentation(miniature.graph, layer, stimuli)
    blocks = presentation.blocks[::40]
    alone = [presentation.respond(block)[1] for block in blocks]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda block: presentation.respond(block)[1], blocks))
    assert all(map(torch.equal, alone, together))


def test_a_set_for_another_layer_is_refused(miniature: Network):
    stimuli = bars_4a(Field(30, 30))
    sentence = r"^stimulus: bars_4a is drawn for a receptive field of 30 x 30 pixels, and that of "
    with pytest.raises(ConfigError, match=sentence + r"conv1 has 9 x 9; draw the set for this"):
        Presentation(miniature.graph, miniature.layer("conv1"), stimuli)


def test_positions_cannot_step_where_units_see_different_fields():
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(3), nn.Conv2d(4, 5, 1))
    net = pipeline.network(pooled, input_size=(3, 20, 20))
    layer = net.layer("conv2")
    box = smallest_canvas(net.graph, layer.node).box
    stimuli = bars_on_stride(Field(box.height, box.width, 2))
    with pytest.raises(
        ConfigError, match=r"^layers: a set that steps by the stride, .* cannot be shown to conv2"
    ):
        Presentation(net.graph, layer, stimuli)


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(0, 18), st.integers(0, 20), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(1, 4),
    st.booleans(),
)
def test_what_changes_is_convolved_wherever_it_lies(
    box: tuple[int, int, int, int], kernel: tuple[int, int], stride: int, has_blank: bool
):
    top, left, height, width = box
    rng = torch.Generator().manual_seed(0)
    blank = torch.randn(1, 2, 19, 21, generator=rng) if has_blank else None
    maps = torch.zeros(3, 2, 19, 21) if blank is None else blank.repeat(3, 1, 1, 1)
    part = maps[:, :, top : top + height, left : left + width]
    part += torch.randn(part.shape, generator=rng)
    weight = torch.randn(5, 2, *kernel, generator=rng)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse_convolution, "WORTHWHILE", 0)
        found = convolve_changes(maps, blank, weight, stride)
    wanted = F.conv2d(maps if blank is None else maps - blank, weight, None, stride)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda field: gratings(field, TABLE, contrasts=[0.1, 1.0], phases=4),
        lambda field: center_surround(field, 1, [1.0], surround_contrasts=[0.0, 1.0], phases=4),
        lambda field: isoluminant_gratings(field, 4, frequencies=[1.0], phases=2),
        lambda field: isoluminant_discs(field, 4),
        lambda field: textures(field, samples=1),
        spatial_opponency,
        hues,
        blank,
    ],
)
def test_sets_in_degrees_and_color_are_answered_too(miniature: Network, build):
    """Among them sets with equal stimuli, such as phases 0 and 1 cycle, which all have answers."""
    layer = miniature.layer("conv2")
    colors = Colors.bounds((0.5,) * 3, (0.25,) * 3)
    screen = Screen(96, 96, 8.0, (0.5, -0.25))
    stimuli = build(field_of(miniature.graph, layer, colors, screen))
    assert_presented(miniature, "conv2", stimuli)
    presentation = Presentation(miniature.graph, layer, stimuli)
    rows = torch.cat([presentation.respond(block)[0] for block in presentation.blocks])
    assert rows.sort().values.tolist() == list(range(len(stimuli)))


def test_a_place_on_the_screen_is_seen_as_in_the_whole_image(miniature: Network):
    """The nearest unit's response to the field is that to the whole image, drawn at the place."""
    layer, colors = miniature.layer("conv2"), Colors.bounds((0.5,) * 3, (0.25,) * 3)
    screen = Screen(96, 96, 8.0, (0.75, -0.5))
    (row, column), shift = nearest_unit(miniature.graph, layer, screen)
    spacing = strides(miniature.graph, layer.node)[0]
    assert spacing
    assert max(map(abs, shift)) <= spacing / 2
    stimuli = gratings(field_of(miniature.graph, layer, colors, screen), TABLE, phases=2)
    place = (0.75 * 12, -0.5 * 12)  # 12 pixels per degree, about the center of the image
    images = gratings(Field(96, 96, 1, colors, screen, place), TABLE, phases=2)
    with torch.inference_mode():
        maps = miniature.graph.truncated([layer.node])(images.draw(range(len(images))))
    whole = maps[:, :, row, column]
    presentation = Presentation(miniature.graph, layer, stimuli)
    for block in presentation.blocks:
        rows, responses = presentation.respond(block)
        torch.testing.assert_close(responses, whole[rows], rtol=1e-4, atol=1e-4)


def test_without_a_place_stimuli_are_on_the_center_of_the_field(miniature: Network):
    field = field_of(miniature.graph, miniature.layer("conv3"), None, Screen(96, 96))
    assert field.shift == (0.0, 0.0)
    assert gratings(field, TABLE).table["x"].unique().tolist() == [0.0]
