"""Networks from a user's class or function by its name, as from the module itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import pipeline
from pipeline.errors import ArtiphysError, ConfigError, NetworkError
from pipeline.networks.loading.module import module_network, preprocessing_of
from pipeline.store.identity import option_name

CODE = """
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self, channels=3, width=4):
        super().__init__(nn.Conv2d(channels, width, 3), nn.ReLU(), nn.Conv2d(width, 5, 3))


def fixed(channels=3):
    net = Net(channels)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.arange(weight.numel()).view_as(weight) / weight.numel())
    return net


def half_fixed():
    net = fixed()
    nn.init.normal_(net[2].weight)
    return net


def broken():
    return {"weights": 3}
"""
SIZE = [2, 12, 16]
WIDE = {"channels": 2, "width": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    """A folder with a file of networks, on the path, and weights of one."""
    place = tmp_path_factory.mktemp("lab")
    (place / "lab_nets.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(place)
        import lab_nets  # pyright: ignore[reportMissingImports]

        random = torch.Generator().manual_seed(5)
        weights = lab_nets.Net(**WIDE).state_dict()
        weights = {name: torch.randn(w.shape, generator=random) for name, w in weights.items()}
        averages = {name: w + 1 for name, w in weights.items()}
        torch.save({"model": weights, "ema": averages}, place / "net.pth")
        yield place


def refused(*arguments: object, **named: object) -> str:
    with pytest.raises(ArtiphysError) as caught:
        module_network(*arguments, **named)  # pyright: ignore[reportArgumentType]
    return str(caught.value)


def test_a_class_by_name_is_the_same_network_as_the_module(folder: Path):
    import lab_nets  # pyright: ignore[reportMissingImports]

    weights = str(folder / "net.pth")
    named = module_network(
        "lab_nets.Net", SIZE, weights, arguments=WIDE, mean=[0.4, 0.5], std=0.2, resize=20
    )
    given = pipeline.network(
        lab_nets.Net(**WIDE), weights=weights, input_size=SIZE, mean=[0.4, 0.5], std=0.2, resize=20
    )
    assert named.identity == given.identity
    assert named.identity.startswith("Net-")
    assert named.graph.digest == given.graph.digest
    assert named.preprocessing == given.preprocessing
    assert named.preprocessing.std == (0.2, 0.2)
    assert named.preprocessing.resize == 20
    assert named.layers["field"].tolist() == [(3, 3), (5, 5)]


def test_a_place_in_the_file_is_chosen(folder: Path):
    weights = str(folder / "net.pth")
    asked = {"arguments": WIDE}
    raw = module_network("lab_nets.Net", SIZE, weights, **asked)
    averaged = module_network("lab_nets.Net", SIZE, weights, "ema", **asked)
    for one, other in zip(raw.module.parameters(), averaged.module.parameters(), strict=True):
        assert torch.equal(one + 1, other)
    assert refused("lab_nets.Net", SIZE, "random", "ema", **asked) == (
        "model.weights_key: 'ema' is a place in a file, and model.weights is 'random'; give the"
        " file, or leave weights_key out"
    )


def test_random_and_given_weights_are_not_mistaken_for_each_other(folder: Path, caplog):
    del folder
    first, again = (module_network("lab_nets.Net", 12, "random", seed=3) for _ in range(2))
    assert first.digest == again.digest != module_network("lab_nets.Net", 12, "random").digest
    assert "are random, as another seed gives others" in refused("lab_nets.Net", 12, "default")
    kept = module_network("lab_nets.fixed", 12, "default")
    assert kept.weights == "its own"
    assert "are not random" in refused("lab_nets.fixed", 12, "random")
    assert module_network("lab_nets.fixed", 12, "default", shuffled=True).digest != kept.digest
    assert not caplog.messages
    module_network("lab_nets.half_fixed", 12, "default")
    assert caplog.messages == [
        "model.weights: of the weights that lab_nets.half_fixed returns, '0.weight' and 2 more are"
        " the same for every seed, and '2.weight' are random"
    ]


@pytest.mark.parametrize(
    ("target", "named", "said"),
    [
        ("Net", {}, "model.target: 'Net' is not a dotted name, such as my_net.MyNet"),
        ("lab_nets.Nett", {}, "'lab_nets' has no class or function 'Nett'; nearest: Net"),
        ("labnets.Net", {}, "'labnets' cannot be imported (No module named 'labnets'); is it in"),
        ("lab_nets.broken", {}, "'lab_nets.broken' returns dict, no torch.nn.Module"),
        ("lab_nets.Net", {"arguments": {"depth": 3}}, "unexpected keyword argument 'depth'"),
        ("lab_nets.Net", {"resize": 8}, "model.resize: 8 is not null or a number of pixels of at"),
        ("lab_nets.Net", {"interpolation": "box"}, "'box' is not one of bilinear, bicubic"),
        ("lab_nets.Net", {"mean": [0.5]}, "model.mean: [0.5] are not 3 numbers, one per channel"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(folder: Path, target, named, said):
    del folder
    assert said in refused(target, [3, 12, 12], "random", **named)


def test_sizes_are_channels_height_and_width():
    assert preprocessing_of(64).input_size == (64, 64)
    assert preprocessing_of([48, 64]).channels == 3
    assert preprocessing_of([13, 48, 64]).channels == 13
    for wrong in (True, 0, [1, 2, 3, 4], [3, 8.5, 8], "64"):
        with pytest.raises(NetworkError, match="is no side, height and width, or channels"):
            preprocessing_of(wrong)  # pyright: ignore[reportArgumentType]


def test_networks_of_different_sources_have_different_names():
    loading = "pipeline.networks.loading"
    torchvision = {"_target_": f"{loading}.torchvision.torchvision_network", "name": "resnet18"}
    timm = {"_target_": f"{loading}.timm.timm_network", "name": "resnet18"}
    module = {"_target_": f"{loading}.module.module_network", "name": None, "target": "a.Net"}
    names = [option_name(option) for option in (torchvision, timm, module, module | {"name": "n"})]
    assert names == ["resnet18", "timm/resnet18", "Net", "n"]


def test_library_options_of_modules_are_refused_for_names():
    with pytest.raises(ConfigError, match="resize: 'miniature' has its own"):
        pipeline.network("miniature", resize=100)
    with pytest.raises(ConfigError, match="weights_key: is a place in a weights file"):
        pipeline.network(torch.nn.Conv2d(1, 2, 3), input_size=(1, 8, 8), weights_key="ema")
