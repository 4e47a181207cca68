"""Presenting bars and gratings to AlexNet gives what its plain network answers on a canvas."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import pipeline
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.bars import bars_4a
from pipeline.stimuli.field import Field
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.stimulus_set import StimulusSet

# By hand: side of the field, side of a canvas whose border no padding reaches, upper left pixel of
# the field on it, row and column of the unit, how many modules there are up to the layer.
PLACES = {
    "conv1": (11, 15, 2, 1, 1),
    "conv2": (51, 63, 6, 3, 4),
    "conv3": (99, 127, 14, 3, 7),
}
BLOCKS = {"conv1": 1, "conv2": 8, "conv3": 8}


@pytest.fixture(scope="module")
def features(reference_data: Path) -> nn.Sequential:
    """Return the first seven modules of torchvision's AlexNet."""
    modules = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
    )  # fmt: skip
    weights = load_file(reference_data / "weights" / "alexnet_conv1-3.safetensors")
    modules.load_state_dict({name.removeprefix("features."): w for name, w in weights.items()})
    return modules.eval().requires_grad_(False)


@pytest.mark.parametrize("build", [bars_4a, sin1])
@pytest.mark.parametrize("name", list(PLACES))
def test_responses_are_those_of_the_plain_network(
    features: nn.Sequential, name: str, build: Callable[[Field], StimulusSet]
):
    side, canvas, corner, unit, count = PLACES[name]
    net = pipeline.network(features, input_size=(3, 227, 227))
    layer = net.layer(name)
    stimuli = build(field_of(net.graph, layer))
    assert stimuli.size == (side, side)
    presentation = Presentation(net.graph, layer, stimuli)
    rng = np.random.default_rng(0)
    blocks = rng.choice(len(presentation.blocks), BLOCKS[name], replace=False)
    answers = [presentation.respond(presentation.blocks[block]) for block in blocks]
    rows, found = (torch.cat(parts) for parts in zip(*answers, strict=True))
    chosen = rng.permutation(len(rows))[:400]
    rows, found = rows[chosen], found[chosen]
    assert len(rows) >= 100
    inside = slice(corner, corner + side)
    for some, responses in zip(rows.split(50), found.split(50), strict=True):
        images = torch.zeros(len(some), 3, canvas, canvas)
        images[:, :, inside, inside] = stimuli.draw(some)
        with torch.inference_mode():
            wanted = features[:count](images)[:, :, unit, unit]
        torch.testing.assert_close(responses, wanted, rtol=0, atol=1e-3)
