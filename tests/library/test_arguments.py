"""Arguments of any kind: used, or refused in one sentence that names them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ArtiphysError, ConfigError, ImageError, NetworkError, StoreError
from pipeline.library.arguments import as_arguments
from pipeline.networks.loading.network import Network
from pipeline.synthesis.objectives import channel_mean, layer_mean
from pipeline.synthesis.optimizers import sgd
from pipeline.synthesis.transforms import jitter
from tests.library.conftest import plain_module

IMAGES = torch.randn(3, 1, 20, 30, generator=torch.Generator().manual_seed(0))
MAKE_FIRST = "net: Sequential is not what pipeline.network returns; call it first"
AT = "at: {} is not one of max, mean, center, all"
pytestmark = pytest.mark.usefixtures("untyped")


@pytest.mark.parametrize(
    "call",
    [
        lambda net: pipeline.responses(net, IMAGES, "conv1"),
        lambda net: pipeline.top_patches(net, IMAGES, "conv1"),
        lambda net: pipeline.ascend(net, "conv1"),
        lambda net: pipeline.dream(net, "conv1", IMAGES[0]),
        lambda net: pipeline.export(net, "conv1"),
        lambda net: pipeline.receptive_field(net=net, layer="conv1"),
    ],
)
def test_a_bare_module_is_refused_everywhere(call: Callable[[Any], object]):
    with pytest.raises(ConfigError, match=MAKE_FIRST):
        call(plain_module())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"at": "min"}, AT.format("'min'")),
        ({"at": 3}, AT.format(3)),
        ({"layers": 3}, "layers: 3 is not 'all', the name of a layer or a list of names"),
        ({"layers": ["conv1", 3]}, r"layers: \['conv1', 3\] is not 'all'"),
        ({"layers": "convl1"}, "layers: 'convl1' is not in Sequential.*nearest: conv1"),
        ({"units": -1}, "units: -1 is not 'all', a number"),
        ({"units": np.array([4])}, r"units: \[4\] goes beyond conv1, which has units 0 to 3"),
        ({"batch_size": 2.5}, "batch_size: 2.5 is not a whole number"),
        ({"batch_size": None}, "batch_size: None is not a whole number"),
        ({"images": []}, "images: list is no kind of images"),
        ({"images": np.array(3.0)}, r"images: shape \(\) is not that of images"),
        ({"images": np.array([None])}, "images: an array of object is no array of images"),
        (
            {"images": [IMAGES[0], IMAGES[0, :, :19]]},
            r"images: network input of shapes \(1, 20, 30\) and \(1, 19, 30\) is not of one size",
        ),
    ],
)
def test_responses_say_what_is_wrong(own: Network, arguments: dict[str, Any], sentence: str):
    with pytest.raises((ConfigError, ImageError), match=f"^{sentence}"):
        pipeline.responses(own, **({"images": IMAGES, "layers": "conv1"} | arguments))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"layer": ["conv1"]}, r"layer: \['conv1'\] is not the name of a layer"),
        ({"layer": "convl1"}, "layer: 'convl1' is not in Sequential"),
        ({"copies": "3"}, "copies: '3' is not a whole number"),
        ({"seed": "a"}, "seed: 'a' is not a whole number"),
        ({"optimizer": "adma"}, "optimizer: 'adma' is no Optimizer; give one of sgd, .*: adam"),
        ({"optimizer": torch.optim.SGD}, "optimizer: type is no Optimizer; give one of sgd"),
        ({"optimizer": "named"}, "optimizer: named needs settings; give .*optimizers.named"),
        ({"objective": [channel_mean()]}, "objective: list is no Objective; give one of"),
        (
            {"objective": lambda seen: seen.own.detach().mean((1, 2))},
            "objective: its score has no gradient",
        ),
        ({"objective": "diversity"}, "objective: .* set copies to 2 or more"),
        ({"size": 20}, "size: images of this objective have the size of the receptive field"),
        ({"size": -1, "objective": "channel_mean"}, "size: -1 is no side, or height and width"),
        ({"objective": layer_mean()}, "units: this objective is of the layer as a whole"),
        ({"objective": "channel_mean", "gradient": "sharp"}, "gradient: 'sharp' is no Gradient"),
        ({"constraint": "norm"}, "constraint: what is 'natural' follows from top patches"),
        ({"start": "top_patch"}, "start: there are no top patches here"),
        ({"start": [1.0]}, "start: list is no Init"),
        ({"start": torch.zeros(1, 5, 5)}, "start: a tensor of shape .* is not"),
        ({"start": torch.full((1, 1, 5, 5), torch.nan)}, "start: image 0 holds values"),
        ({"transforms": "jitter"}, "jitter.pixels: 8 leaves nothing of images of 5 x 5"),
        (
            {"smoothings": "cascade", "parameterization": "fourier"},
            "smoothings: 'cascade' smooths a gradient that is an image, but the gradient of 'four",
        ),
        ({"parameterization": "cppn"}, "start: 'zeros' is an image, and 'cppn' has no inverse"),
    ],
)
def test_ascents_say_what_is_wrong(own: Network, arguments: dict[str, Any], sentence: str):
    with pytest.raises((ConfigError, ImageError), match=f"^{sentence}"):
        pipeline.ascend(own, **({"layer": "conv1", "units": [0]} | arguments))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"start": IMAGES}, r"start: float32 of shape \(3, 1, 20, 30\) is no network input"),
        ({"start": torch.zeros(3, 20, 30)}, r"start: float32 of shape \(3, 20, 30\) is no"),
        ({"start": (IMAGES[0] * 9).byte()}, "start: uint8 of shape"),
        ({"start": None}, "start: NoneType is no network input"),
        ({"unit": 1}, "unit: this objective is of the layer as a whole"),
        ({"unit": 9, "objective": "channel_mean"}, r"unit: \[9\] goes beyond conv1"),
        ({"objective": "channel_mean"}, "unit: must be given"),
        ({"objective": lambda seen: seen.own.mean((1, 2))}, "unit: must be given"),
        ({"copies": 2}, "copies: is no option"),
        ({"size": 9}, "size: is no option"),
        ({"levels": 2.5}, "levels: 2.5 is not a whole number"),
        ({"levels": 40}, "levels: 40 sizes by 1.4 begin at 0 x 0"),
        ({"ratio": 0.5}, "ratio: 0.5 is not at least 1"),
        ({"ratio": "a"}, "ratio: 'a' is not a number"),
        ({"carry": 3}, "carry: 3 is not one of whole, details"),
    ],
)
def test_dreams_say_what_is_wrong(own: Network, arguments: dict[str, Any], sentence: str):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        pipeline.dream(own, **({"layer": "conv1", "start": IMAGES[0]} | arguments))


def test_a_dream_of_a_unit_raises_its_response_by_a_function_of_ones_own(own: Network):
    found = [
        pipeline.dream(own, "conv1", IMAGES[0].numpy(), unit=2, objective=objective, levels=1)
        for objective in (lambda seen: seen.own.mean((1, 2)), "channel_mean", channel_mean)
    ]
    means = [own.module[0](image)[2].mean() for image in (IMAGES[0], found[0].image)]
    assert means[1] > means[0]
    for other in found[1:]:
        torch.testing.assert_close(other.image, found[0].image, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"units": [4]}, "units: .* goes beyond conv1"),
        ({"units": -1}, "units: -1 is not"),
        ({"units": [0, 0]}, "units: .* names a unit twice"),
        ({"rank": -1}, "rank: -1 is not at least 0"),
        ({"rank": 1.5}, "rank: 1.5 is not a whole number"),
        ({"rank": 2}, "rank: 2 is beyond the 2 kept"),
        ({"sign": 0}, "patches: 'conv1' with sign 0 was not searched"),
        ({"layer": 3}, "patches: '3' with sign 1 was not searched"),
    ],
)
def test_patches_say_what_is_wrong(own: Network, arguments: dict[str, Any], sentence: str):
    found = pipeline.top_patches(own, IMAGES, "conv1", keep=2)
    with pytest.raises((ConfigError, ImageError), match=f"^{sentence}"):
        found.patches(**({"layer": "conv1", "units": "all"} | arguments))


@pytest.mark.parametrize("position", [5, (1,), (1, 2, 3), (1.5, 2), (-1, 0), (20, 0), "center"])
def test_what_is_no_position_is_refused(own: Network, position: Any):
    with pytest.raises(ConfigError, match=r"^position: .* is not a row and a column of the map"):
        pipeline.receptive_field(own, "conv1", position)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"input_size": 64}, "input_size: 'miniature' has its own; for another give the module"),
        ({"mean": [0.0] * 3}, "mean: 'miniature' has its own"),
        ({"std": 1.0}, "std: 'miniature' has its own"),
        ({"name": "other"}, "name: 'miniature' has its own"),
        ({"weights": "nowhere.pth"}, "weights: there is no file 'nowhere.pth'"),
        ({"model": "alexnit"}, "model: 'alexnit' is not one of .* nearest: alexnet"),
        ({"model": nn.Conv2d(1, 2, 3), "input_size": True}, "input_size: True is no side"),
        ({"model": nn.Conv2d(1, 2, 3), "input_size": 8, "std": "1"}, "std: .*not 3 numbers"),
        ({"model": nn.Conv2d(1, 2, 3), "input_size": 8, "mean": "a"}, "mean: 'a' are not numbers"),
    ],
)
def test_networks_use_what_they_are_given_or_refuse_it(arguments: dict[str, Any], sentence: str):
    with pytest.raises(ArtiphysError, match=f"^{sentence}"):
        pipeline.network(**({"model": "miniature"} | arguments))


def test_one_number_stands_for_the_mean_of_all_channels_and_arrays_for_sizes():
    net = pipeline.network(nn.Conv2d(2, 4, 3), input_size=np.array([2, 8, 9]), mean=0.5)
    assert net.preprocessing.mean == (0.5, 0.5)
    assert net.layers.map_size.tolist() == [(6, 7)]


@pytest.mark.parametrize(
    ("key", "argument"),
    [
        ("responses.at: 'x' is not one", "at: 'x' is not one"),
        ("search.keep: 0 is not positive", "keep: 0 is not positive"),
        ("model.weights: there is no file", "weights: there is no file"),
        ("images.root: '/x' holds no picture", "images: '/x' holds no picture"),
        ("images: 'init.copies.png' is no", "images: 'init.copies.png' is no"),
        ("set init.copies to 2", "set copies to 2"),
        ("smoothing.blur.kernel: 3 is", "blur.kernel: 3 is"),
    ],
)
def test_keys_of_the_command_line_become_arguments(key: str, argument: str):
    assert as_arguments(key) == argument


def test_no_error_of_a_small_picture_names_a_key_of_the_command_line(tmp_path, own: Network):
    small = pipeline.network(plain_module(), input_size=(1, 20, 30)).preprocessing
    images = [np.zeros((3, 3, 1), np.uint8)]
    unsized = pipeline.network(plain_module(), input_size=(1, 20, 30))
    object.__setattr__(unsized, "preprocessing", small.sized(resize=None))
    with pytest.raises(ImageError, match="smaller than the crop of 30 x 20; enlarge it") as found:
        pipeline.responses(unsized, images, "conv1")
    assert not re.search(r"\b(images|search|responses|init)\.\w", str(found.value))


def test_a_network_stays_where_it_is_when_a_layer_is_exported(own: Network):
    weights = own.module[0].weight
    pipeline.export(own, "conv1")
    assert own.module[0].weight is weights
    assert own.device == weights.device


def test_what_is_no_path_of_a_run_is_refused():
    with pytest.raises(StoreError, match=r"^path: NoneType is not the path of a run$"):
        pipeline.open_run(None)  # type: ignore[arg-type]


def test_what_are_no_paths_of_runs_is_refused():
    with pytest.raises(StoreError, match="places: int is not the path of runs; give folders that"):
        pipeline.collect("outputs", 3)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="places: none are given; give folders that contain"):
        pipeline.collect()


@pytest.mark.parametrize(
    ("misspelled", "meant"),
    [("optimiser", "optimizer"), ("sed", "seed"), ("regulariser", "regularizers")],
)
def test_the_nearest_argument_is_suggested(own: Network, misspelled: str, meant: str):
    with pytest.raises(ConfigError, match=f"^{misspelled}: is no option; .*; nearest: {meant}$"):
        pipeline.ascend(own, "conv2", [1], **{misspelled: 1})


def test_parts_are_shown_in_one_short_line(own: Network):
    images = pipeline.image_set(own, np.zeros((500, 1, 20, 30), np.float32))
    assert repr(images) == "ImageSet(500 images of 20 x 30: 0, 1, 2, and 497 more)"
    assert repr(own.layer("conv2")) == "Layer(conv2: module 3, 6 units, map 8 x 13)"
    assert repr(pipeline.Options()) == "Options()"
    made = pipeline.Options(copies=2, size=(48, 64), transforms=[jitter(4)])
    assert repr(made) == "Options(transforms=[jitter], copies=2, size=(48, 64))"


def test_a_weight_is_a_number():
    with pytest.raises(ConfigError, match="objective: weight 'a' is no number"):
        channel_mean(weight="a")  # type: ignore[arg-type]


def test_optimizers_may_be_named_made_or_given_as_functions(own: Network):
    found = [
        pipeline.ascend(own, "conv2", [1], optimizer=optimizer).images
        for optimizer in ("sgd", sgd, sgd(), None)
    ]
    for other in found[1:]:
        assert torch.equal(other, found[0])


def test_an_error_keeps_its_type_and_its_first_traceback(own: Network):
    with pytest.raises(NetworkError, match=r"^model: the network does not run at") as found:
        pipeline.responses(own, torch.zeros(1, 1, 2, 2), "conv1")
    assert found.value.__traceback__ is not None
