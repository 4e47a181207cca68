"""Networks by name, with what their weights declare and with what they lack."""

import hashlib

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.images.preprocessing import Preprocessing
from pipeline.miniature.network import miniature
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.torchvision import (
    WITH_TRANSFORM_INPUT,
    torchvision_names,
    torchvision_network,
)


def test_seeds_decide_random_weights_and_nothing_else():
    before = torch.get_rng_state()
    first, again, other = (torchvision_network("squeezenet1_1", "random", s) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.digest == again.digest != other.digest
    assert first.identity == f"squeezenet1_1-{first.digest[:8]}"
    assert first.missing == frozenset()


def test_a_network_is_ready_to_be_asked():
    network = torchvision_network("mobilenet_v2", "random")
    assert not any(module.training for module in network.module.modules())
    assert not any(parameter.requires_grad for parameter in network.module.parameters())


def test_an_unknown_network_is_refused_with_the_nearest():
    with pytest.raises(ConfigError) as caught:
        torchvision_network("resnet19", "random")
    count = len(torchvision_names())
    assert str(caught.value) == (
        f"model.name: 'resnet19' is not one of torchvision's {count} classification networks;"
        " nearest: resnet18"
    )


def test_only_classifiers_are_on_the_list():
    names = torchvision_names()
    assert {"alexnet", "vgg16", "resnet18", "vit_b_16"} <= set(names)
    assert not {"fcn_resnet50", "fasterrcnn_resnet50_fpn", "raft_small"} & set(names)


@pytest.mark.parametrize(
    ("name", "resize", "crop", "interpolation"),
    [
        ("alexnet", 256, 224, "bilinear"),
        ("inception_v3", 342, 299, "bilinear"),
        ("efficientnet_b0", 256, 224, "bicubic"),
    ],
)
def test_preprocessing_is_what_the_weights_were_published_with(name, resize, crop, interpolation):
    found = torchvision_network(name, "random").preprocessing
    assert (found.resize, found.crop, found.interpolation) == (resize, crop, interpolation)
    assert found.mean == pytest.approx((0.485, 0.456, 0.406))
    assert found.std == pytest.approx((0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    "name",
    [  # a large one takes seconds to draw
        pytest.param(name, marks=pytest.mark.slow) if name == "inception_v3" else name
        for name in WITH_TRANSFORM_INPUT
    ],
)
def test_input_is_transformed_for_torchvisions_own_weights(name, tmp_path, monkeypatch, caplog):
    def transforms(weights, **given):
        return torchvision_network(name, weights, **given).module.transform_input

    assert not transforms("random")
    assert transforms("random", transform_input=True)
    own = tmp_path / "trained_by_me.pth"
    torch.save(torchvision_network(name, "random").module.state_dict(), own)
    with caplog.at_level("INFO"):
        assert not transforms(str(own))
    assert caplog.messages[-1] == (
        f"model: {name} is built with transform_input=false, as its weights are not torchvision's"
        " own"
    )
    assert transforms(str(own), transform_input=True)
    # A file of torchvision's own name is its own if its digest is, too.
    digits = hashlib.sha256(own.read_bytes()).hexdigest()[:8]
    renamed = own.rename(tmp_path / f"published-{digits}.pth")
    declared = torchvision.models.get_model_weights(name).DEFAULT
    monkeypatch.setattr(type(declared), "url", f"https://host/published-{digits}.pth")
    assert transforms(str(renamed))
    monkeypatch.setattr(type(declared), "url", "https://host/published-00000000.pth")
    assert not transforms(str(renamed))


def test_other_networks_have_no_transform_input():
    with pytest.raises(ConfigError) as caught:
        torchvision_network("alexnet", "random", transform_input=True)
    assert str(caught.value) == (
        "model.transform_input: alexnet has none; it is an option of googlenet and inception_v3"
    )


def test_published_weights_of_the_first_layers_load_and_the_others_are_refused(reference_data):
    source = str(reference_data / "weights" / "alexnet_conv1-3.safetensors")
    network = torchvision_network("alexnet", source)
    assert [layer.name for layer in network.find_layers(["conv3", "conv1"])] == ["conv1", "conv3"]
    assert len(network.missing) == 10
    own = network.module.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in load_file(source).items())
    with pytest.raises(NetworkError) as caught:
        network.find_layers(["conv2", "conv4", "classifier.6"])
    assert str(caught.value) == (
        "layers: conv4 (features.8), classifier.6 (classifier.6) of alexnet cannot be used, as"
        f" '{source}' does not hold all the weights they need; it covers conv1, conv2, conv3"
    )


def partial(tmp_path, name, *left_out):
    """Save random weights of a network without those that begin with one of some names."""
    state = torchvision_network(name, "random").module.state_dict()
    kept = {key: value for key, value in state.items() if not key.startswith(left_out)}
    assert len(kept) < len(state)
    path = tmp_path / f"{name}.safetensors"
    save_file(kept, path)
    return torchvision_network(name, str(path))


def test_a_layer_behind_a_missing_one_is_refused(tmp_path):
    network = partial(tmp_path, "resnet18", "layer1.0.bn1.running_var")
    assert [layer.name for layer in network.find_layers(["conv1", "conv2"])] == ["conv1", "conv2"]
    with pytest.raises(NetworkError, match=r"^layers: conv3 \(layer1\.0\.conv2\) of resnet18 "):
        network.find_layers("conv3")
    # conv4 is reached over the shortcut and over the block.
    with pytest.raises(NetworkError, match=r"it covers conv1, conv2$"):
        network.find_layers("all")


def test_no_layer_is_left_where_the_first_is_missing(tmp_path):
    network = partial(tmp_path, "squeezenet1_1", "features.0.bias")
    with pytest.raises(NetworkError, match=r"it covers no convolution$"):
        network.find_layers("conv1")


def test_weights_inside_an_attention_are_needed_too():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.head = nn.Linear(4, 5)

        def forward(self, images):
            tokens = self.conv(images).flatten(2).transpose(1, 2)
            attended, _ = self.attention(tokens, tokens, tokens)
            return self.head(attended.mean(1))

    plain = Preprocessing(None, 8, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    module = Attending().eval().requires_grad_(False)
    lacking = frozenset({"attention.out_proj.weight"})
    network = Network("attending", module, plain, "w.pth", "", lacking)
    assert [layer.name for layer in network.find_layers("all")] == ["conv1"]
    with pytest.raises(NetworkError, match=r"^layers: head \(head\) of attending cannot be used"):
        network.find_layers("head")


def test_a_similar_name_that_is_missing_does_no_harm(tmp_path):
    network = partial(tmp_path, "squeezenet1_1", "features.12", "classifier.1")
    assert network.find_layers(["features.10"])[0].units == 384


def test_a_missing_auxiliary_classifier_does_no_harm(tmp_path):
    network = partial(tmp_path, "googlenet", "aux1.", "aux2.")
    assert len(network.find_layers("all")) == 57


def test_an_auxiliary_classifier_is_never_called():
    network = torchvision_network("googlenet", "random")
    with pytest.raises(ConfigError) as caught:
        network.find_layers("aux1.conv.conv")
    expected = "layers: 'aux1.conv.conv' of googlenet is never called on the image"
    assert str(caught.value) == expected


def test_default_weights_are_downloaded_from_the_declared_address(tmp_path, monkeypatch):
    name = "squeezenet1_1"
    trained = torchvision_network(name, "random", seed=9)
    path = tmp_path / "w.pth"
    torch.save(trained.module.state_dict(), path)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    path = path.rename(tmp_path / f"squeezenet1_1-{digits}.pth")
    declared = torchvision.models.get_model_weights(name).DEFAULT
    monkeypatch.setattr(declared.value, "url", path.as_uri())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    found = torchvision_network(name)
    assert found.digest == trained.digest
    assert found.weights == path.as_uri()


def test_the_embedded_network_comes_with_its_weights():
    network = miniature()
    assert network.digest == miniature().digest != miniature("random").digest
    assert network.missing == frozenset()
    assert [layer.units for layer in network.find_layers("all")] == [24, 32, 48, 48, 48]
    pixels = torch.full((3, 96, 96), 0.75)
    assert torch.equal(network.preprocessing.normalize(pixels), torch.ones(3, 96, 96))
