"""Stimulus sets for a layer, from a notebook."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pipeline
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError
from pipeline.stimuli.bars import bars_4b
from pipeline.stimuli.field import Colors
from pipeline.stimuli.sets import BUILDERS

NET = pipeline.network("miniature")


def test_every_set_has_a_file_of_its_name():
    assert {path.stem for path in (conf_dir() / "stimulus").glob("*.yaml")} == set(BUILDERS)


def test_a_name_and_its_function_give_the_same():
    given = [pipeline.stimulus_set(NET, s, "conv1", divider=1.0) for s in ("bars_4b", bars_4b)]
    one, other = (each.draw([3, 50]) for each in given)
    assert torch.equal(one, other)
    assert given[0].size == (9, 9)


def test_bounds_are_the_darkest_and_brightest_pixels():
    bars = pipeline.stimulus_set(NET, "bars_4a", "conv3", colors="bounds")
    pixels = NET.preprocessing.pixels(bars.draw([0, 1, 20_000]))
    assert (pixels.min(), pixels.max()) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
    own = Colors((0.0,) * 3, (2.0,) * 3, (1.0,) * 3)
    gray = pipeline.stimulus_set(NET, "v4_shapes", "conv3", colors=own, width=10.0).draw([0])
    assert gray[0, :, 0, 0].tolist() == [1.0, 1.0, 1.0]


def test_an_option_may_have_the_name_of_what_is_drawn():
    noise = pipeline.stimulus_set(NET, "sparse_noise", "conv1", stimuli=7)
    assert len(noise) == 7


def test_a_network_of_one_channel_gets_one():
    own = nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 8, 3))
    net = pipeline.network(own, input_size=(1, 20, 30))
    assert pipeline.stimulus_set(net, "sine_1", "conv2").draw([0]).shape == (1, 1, 9, 9)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ("bars4a", {}, "nor a function; nearest: bars_4a"),
        (Path("/no/such/folder"), {}, "'/no/such/folder' is neither a set"),
        ("bars_4b", {"dividers": 2}, "dividers: bars_4b takes no such option; it takes divider;"),
        ("pictures", {}, "folder: must be given for pictures"),
        ("bars_4b", {"divider": 0.0}, "divider: 0.0 is not a positive number"),
        ("bars_4a", {"colors": "bound"}, "^colors: 'bound' is not one of published, bounds;"),
        (lambda field: field, {}, "returned a Field, and must return a"),
    ],
)
def test_what_is_wrong_is_told(given: Any, options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        pipeline.stimulus_set(NET, given, "conv2", **options)


@pytest.mark.parametrize("name", BUILDERS)
def test_options_of_sets_can_be_given_in_a_notebook(name: str):
    own = inspect.signature(pipeline.stimulus_set).parameters
    options = list(inspect.signature(BUILDERS[name]).parameters)[1:]
    assert not {*options} & {*own}
