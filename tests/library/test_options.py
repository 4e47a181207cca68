"""Options by name, and networks of any number of channels."""

from __future__ import annotations

import inspect
import logging
from pathlib import Path

import pytest
import torch
from torch import nn

import pipeline
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError
from pipeline.library.options import known_options
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import seeded
from pipeline.synthesis.optimizers import sgd

GROUPS = {  # of the command line, by argument
    "objective": "objective", "start": "init", "optimizer": "optimizer",
    "parameterization": "parameterization", "constraint": "constraint",
    "regularizers": "regularizer", "smoothings": "smoothing", "transforms": "transform",
    "gradient": "gradient",
}  # fmt: skip
STACKS = {"standard"}  # of several options, which have names of their own
NAMED = [(argument, name) for argument in GROUPS for name in known_options(argument)]


@pytest.fixture(scope="module", params=[1, 4])
def net(request: pytest.FixtureRequest) -> Network:
    """A square network of one channel or of four."""
    channels: int = request.param
    with seeded(0):
        module = nn.Sequential(
            nn.Conv2d(channels, 4, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
    return pipeline.network(module, input_size=(channels, 48, 48))


@pytest.mark.parametrize("argument", GROUPS)
def test_names_are_those_of_the_command_line(argument: str):
    files = {path.stem for path in (conf_dir() / GROUPS[argument]).glob("*.yaml")} - STACKS
    names = set(pipeline.Options.names()[argument])
    assert files <= names
    assert names - files <= {"fit"}  # what transforms end in


def test_docstrings_name_every_option():
    text = f"{inspect.getdoc(pipeline.ascend)}{inspect.getdoc(pipeline.Options)}"
    for names in pipeline.Options.names().values():
        for name in names:
            assert f"``{name}``" in text, name


REFUSED = {
    "class_logit": "objective.category: must be given", "alignment": "set copies to 2",
    "class_probability": "objective.category: must be given", "diversity": "set copies to 2",
    "direction": "needs settings", "cosine_direction": "needs settings", "result": "needs settings",
    "named": "needs settings", "crop": "needs settings", "resize": "needs settings",
    "top_patch": "no top patches", "mean_patch": "no top patches", "maco": "learns from images",
    "ball": "'natural'", "contrast": "'natural'", "norm": "'natural'",
    "decorrelated": "mixes red, green and blue, and the images have",
}  # fmt: skip
IN_COLOR = ("inversion", "caricature", "image")  # which compare with, or start from, a photograph


@pytest.mark.parametrize(("argument", "name"), NAMED)
def test_every_option_makes_images_of_any_channels_or_says_why_not(
    net: Network, argument: str, name: str
):
    channels = len(net.preprocessing.mean)
    given = {"objective": "channel_mean", "optimizer": sgd(steps=2), "start": "noise"}
    given |= {argument: name}
    if argument == "parameterization":
        given["start"] = "parameters"
    sentence = REFUSED.get(name)
    if name in IN_COLOR and channels == 4:
        sentence = "the picture has 3 channels, and the network takes 4"
    if sentence is not None:
        with pytest.raises(ConfigError, match=sentence):
            pipeline.ascend(net, "conv2", **given)
        return
    found = pipeline.ascend(net, "conv2", **given)
    # A start is not far from itself in any direction: what is measured from there has no gradient.
    assert set(found.status) == {"zero_gradient" if name == "accentuation" else "ok"}
    assert found.images.shape[1] == channels


def test_a_blur_treats_every_channel_as_a_network_of_one_does(net: Network):
    from pipeline.synthesis.smoothing import blur

    images = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    smooth = blur(sigma=1.0, kernel=5).image
    assert smooth is not None
    alone = torch.cat([smooth(images[:, [channel]], 0, 1) for channel in range(4)], 1)
    torch.testing.assert_close(smooth(images, 0, 1), alone, rtol=0, atol=1e-6)


def test_a_clip_has_bounds_for_every_channel(net: Network):
    from pipeline.synthesis.constraints import clip

    channels = len(net.preprocessing.mean)
    low = [-0.1 * (channel + 1) for channel in range(channels)]
    start = torch.full((1, channels, 48, 48), -5.0)
    given = {"objective": "channel_mean", "optimizer": sgd(steps=1, lr=1e-9), "start": start}
    found = pipeline.ascend(net, "conv2", [0], constraint=clip(low, 2.0), **given)
    torch.testing.assert_close(found.images.amin((0, 2, 3)), torch.tensor(low), rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match=f"are not {channels} numbers each, one per channel"):
        pipeline.ascend(net, "conv2", [0], constraint=clip([-1.0] * 3, 2.0), **given)


def test_copies_that_will_be_equal_are_noted(net: Network, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        found = pipeline.ascend(net, "conv1", [0], copies=2, optimizer=sgd(steps=1))
    assert torch.equal(found.images[0], found.images[1])
    assert "copies: all 2 copies from 'zeros' will be the same" in caplog.text
    assert "start='noise'" in caplog.text


def test_a_gradient_rule_without_its_operation_is_refused():
    net = pipeline.network(nn.Conv2d(3, 4, 3), input_size=8)
    with pytest.raises(ConfigError, match=r"gradient: the network has no ReLU .* gradient='plain'"):
        pipeline.ascend(net, "conv1", [0], gradient="guided")


def test_the_notebook_shows_the_names_of_every_argument():
    text = (Path(__file__).parents[2] / "docs" / "notebook.md").read_text()
    for argument, names in pipeline.Options.names().items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{argument}`"))
        for name in names:
            assert f"`{name}`" in row, (argument, name)
