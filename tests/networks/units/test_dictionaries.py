"""Readouts with weights: computed by hand, searched and climbed as any layer, and told apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import nn

import pipeline
from pipeline.errors import ConfigError
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.units.dictionaries import dictionary, directions, linear
from pipeline.networks.units.readouts import Readout
from pipeline.synthesis.optimizers import sgd
from tests.networks.units.conftest import NAMES, WIDTH, drawn, hooked, transformer

RANDOM = np.random.default_rng(0)
LATENTS, CHANNELS = 7, 6
ENCODER = RANDOM.standard_normal((LATENTS, CHANNELS))
BIAS, MEAN = RANDOM.standard_normal(LATENTS), RANDOM.standard_normal(CHANNELS)
THRESHOLDS = np.linspace(0, 1.5, LATENTS)
WAYS = {
    "relu": ({"encoder": ENCODER, "bias": BIAS}, {}),
    "none": ({"components_": ENCODER, "mean_": MEAN}, {"nonlinearity": "none"}),
    "topk": (
        {"W_enc": ENCODER.T, "b_enc": BIAS, "b_dec": MEAN, "W_dec": ENCODER},
        {"nonlinearity": "topk", "k": 2, "subtract_decoder_bias": True},
    ),
    "centered": (  # as in dictionary_learning
        {"encoder.weight": ENCODER, "encoder.bias": BIAS, "bias": MEAN, "decoder.weight": ENCODER},
        {"subtract_decoder_bias": True},
    ),
    "jumprelu": (
        {"encoder.weight": ENCODER, "encoder.bias": BIAS, "threshold": THRESHOLDS},
        {"nonlinearity": "jumprelu"},
    ),
}


def by_hand(way: str, channels: np.ndarray) -> np.ndarray:
    """Return the latents of channels in the last dimension."""
    centered = channels - (MEAN if way in ("none", "topk", "centered") else 0)
    latents = centered @ ENCODER.T + (0 if way == "none" else BIAS)
    if way == "none":
        return latents
    positive = np.maximum(latents, 0)
    if way == "jumprelu":
        return np.where(latents > THRESHOLDS, positive, 0)
    if way == "topk":
        second = np.sort(positive, -1)[..., -2:-1]
        return np.where(positive >= second, positive, 0)
    return positive


@pytest.fixture(scope="module")
def net():
    own = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True))
    own.extend([nn.Conv2d(4, CHANNELS, 3), nn.ReLU(inplace=True), nn.Conv2d(CHANNELS, 5, 3)])
    bare = pipeline.network(drawn(own), input_size=(12, 14))
    return bare.with_readouts({way: dictionary(*WAYS[way][:1], **WAYS[way][1]) for way in WAYS})


@pytest.fixture(scope="module")
def shown():
    return torch.randn(4, 3, 12, 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("way", WAYS)
def test_latents_are_those_of_the_formula_at_every_position(net, shown, way):
    """Although a ReLU overwrites the layer's output right behind it."""
    with torch.no_grad():
        channels = net.module[:3](shown).permute(0, 2, 3, 1).double().numpy()
    found = pipeline.responses(net, shown, f"conv2:{way}", at="all")[f"conv2:{way}"]
    np.testing.assert_allclose(
        found, by_hand(way, channels).transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("way", WAYS)
def test_latents_keep_the_field_of_their_channels_and_are_searched_there(net, shown, way):
    name = f"conv2:{way}"
    layer, channels = net.layer(name), net.layer("conv2")
    assert smallest_canvas(net.graph, layer.node) == smallest_canvas(net.graph, channels.node)
    unit = net.unit_network(name)
    maps = pipeline.responses(net, shown, name, at="all")[name]
    table = pipeline.top_patches(net, shown, name, keep=1).table
    best = table[table.sign == 1].sort_values("unit")
    np.testing.assert_allclose(best.response, maps.max((0, 2, 3)), rtol=1e-5, atol=1e-6)
    with torch.no_grad():  # a patch alone responds as in its image
        alone = unit(shown[:, :, 2:7, 3:8], torch.full((4,), 3))
    np.testing.assert_allclose(alone, maps[:, 3, 2 + 1, 3 + 1], rtol=1e-4, atol=1e-6)


def test_an_ascent_of_a_latent_follows_the_gradient_through_the_whole_network(images):
    block = NAMES["torchvision"][0].format(1)
    encoder = torch.randn(9, WIDTH, generator=torch.Generator().manual_seed(3))
    latents = dictionary({"encoder": encoder}, nonlinearity="topk", k=5)
    net = transformer("torchvision").with_readouts({"sae": latents})
    start = images[:1]
    with torch.no_grad():
        tokens = hooked(net.module, block, start)
        unit = int((tokens[0, 1 + 2 * 4 + 2] @ encoder.T).argmax())
    found = pipeline.ascend(net, f"{block}:sae", [unit], start=start, optimizer=sgd(steps=5))
    image = start.clone().requires_grad_()
    for _ in range(5):
        seen: list[torch.Tensor] = []
        part = net.module.get_submodule(block)
        hook = part.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out))
        net.module(image)
        hook.remove()
        response = (seen[0][0, 1 + 2 * 4 + 2] @ encoder.T).relu()[unit]
        (gradient,) = torch.autograd.grad(response, image)
        image = (image + 0.1 * gradient).detach().requires_grad_()
    np.testing.assert_allclose(found.images[0], image.detach()[0], rtol=1e-4, atol=1e-4)


def test_other_layers_keep_their_identity_and_a_readout_is_known_by_its_numbers(net):
    bare = pipeline.network(net.module, input_size=(12, 14))
    assert net.layer("conv2:relu").identity != net.layer("conv2:none").identity
    for name in ("conv1", "conv2", "3", "conv3"):
        assert net.layer(name).identity == bare.layer(name).identity
    assert net.graph.digest == bare.graph.digest

    def identity(changed: float = 0, **more) -> str:
        weights = {"encoder": ENCODER, "bias": BIAS + changed}
        own = bare.with_readouts({"any": dictionary(weights, **more)})
        return str(own.layer("conv2:any").identity)

    assert identity() == net.layer("conv2:relu").identity  # under any name
    others = [identity(1e-3), identity(nonlinearity="none")]
    others += [identity(nonlinearity="topk", k=k) for k in (1, 2)]
    assert len({identity(), *others}) == 5


def test_linear_readouts_of_positions_and_of_the_whole_map(net, shown):
    with torch.no_grad():
        maps = net.module[:3](shown)
    weight, bias = RANDOM.standard_normal((2, CHANNELS)), RANDOM.standard_normal(2)
    whole = RANDOM.standard_normal((2, *maps.shape[1:]))
    own = net.with_readouts(
        {
            "each": linear({"coef_": weight, "intercept_": bias}),
            "whole": linear({"weight": whole, "bias": bias}),
            "flat": linear({"weight": whole.reshape(2, -1), "bias": bias}),
            "along": directions({"directions": weight}),
            "raw": directions({"directions": weight}, normalized=False),
        }
    )
    each = np.einsum("uc,nchw->nuhw", weight, maps) + bias[:, None, None]
    raw = each - bias[:, None, None]
    flat = np.einsum("uchw,nchw->nu", whole, maps) + bias
    length = np.linalg.norm(weight, axis=1)[:, None, None]
    wanted = {"each": each, "whole": flat, "flat": flat, "raw": raw, "along": raw / length}
    for name, expected in wanted.items():
        layer = f"conv2:{name}"
        found = pipeline.responses(own, shown, layer, at="all")[layer]
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    assert own.layer("conv2:whole").map_size == (1, 1)


def test_readouts_follow_one_another_and_may_be_anyones_module(net, shown):
    smoothed = Readout(lambda channels: nn.Sequential(nn.AvgPool2d(2), nn.Tanh()))
    own = net.with_readouts({"smoothed": smoothed})
    with torch.no_grad():
        expected = F.avg_pool2d(net.module[:3](shown), 2).tanh()
    name = "conv2:smoothed:channel_mean"
    found = pipeline.responses(own, shown, name)[name]
    np.testing.assert_allclose(found, expected.mean((2, 3)), rtol=1e-5, atol=1e-6)
    box = smallest_canvas(own.graph, own.layer("conv2:smoothed").node).box
    assert (box.height, box.width) == (6, 6)  # two neighbors of 5 x 5


class Overwriting(nn.Module):
    def forward(self, maps):
        return maps.mul_(2)


def test_no_readout_changes_what_the_network_computes(net, shown):
    """A part in place is made one that is not; code that overwrites its input is refused."""
    silent = Readout(lambda channels: nn.Sequential(nn.Threshold(1e9, 0, inplace=True)))
    own = net.with_readouts({"silent": silent, "doubled": Readout(lambda channels: Overwriting())})
    found = pipeline.responses(own, shown, ["conv2", "conv2:silent", "conv3"])
    with torch.no_grad():
        expected = net.module(shown).amax((2, 3))
    np.testing.assert_allclose(found["conv3"], expected, rtol=1e-5, atol=1e-6)
    assert not found["conv2:silent"].any()
    with pytest.raises(ConfigError, match=r"'conv2:doubled' cannot be computed from .* overwrites"):
        own.layer("conv2:doubled")


@pytest.mark.parametrize(
    ("weights", "settings", "said"),
    [
        ({"W_en": ENCODER}, {}, "'W_en' is not known; the names are"),
        ({"encoder": ENCODER, "weight": ENCODER}, {}, "'weight' is the encoder a second time"),
        ({"encoder": ENCODER * 1j}, {}, "'encoder' is no array of numbers (it is complex)"),
        ({"encoder": ENCODER * np.nan}, {}, "'encoder' holds NaN or infinite numbers"),
        ({"encoder": BIAS}, {}, "the encoder has shape (7,), not [latents, channels]"),
        ({"bias": BIAS}, {}, "hold no encoder; give one as encoder or W_enc"),
        ({"encoder": ENCODER, "b_dec": MEAN}, {}, "subtract_decoder_bias: the decoder has a bias"),
        ({"encoder": ENCODER}, {"nonlinearity": "jumprelu"}, "that has no thresholds"),
        ({"encoder": ENCODER}, {"nonlinearity": "topk"}, "k: None does not fit nonlinearity=topk"),
        ({"encoder": ENCODER}, {"nonlinearity": "rel"}, "'rel' is not one of relu, none, topk"),
        ({"encoder": ENCODER}, {"nonlinearity": "topk", "k": 8}, "k: 8 is more than its 7 latents"),
        ({"encoder": ENCODER[:, :5]}, {}, "does not fit 'conv2', which has 6 channels"),
        ({"encoder": ENCODER[:6]}, {}, "transposed: an encoder of shape (6, 6) may be [latents"),
        ({"encoder": ENCODER, "bias": MEAN}, {}, "its bias has shape (6,), not (7,), one number"),
    ],
)
def test_what_does_not_fit_is_said(net, weights, settings, said):
    with pytest.raises(ConfigError) as caught:
        net.with_readouts({"sae": dictionary(weights, **settings)}).layer("conv2:sae")
    assert str(caught.value).startswith("readout.dictionary.")
    assert said in str(caught.value)


def test_names_of_readouts(net):
    with pytest.raises(ConfigError) as caught:
        net.layer("conv2:chanel_mean")
    assert str(caught.value) == (
        "layers: 'conv2:chanel_mean' names no readout; the readouts are relu, none, topk, centered,"
        " jumprelu, tokens, class_token, heads, head_outputs, channel_mean, channel_max; nearest:"
        " channel_mean"
    )
    with pytest.raises(
        ConfigError, match=r"readout\.tokens: is not a name of a readout of your own"
    ):
        net.with_readouts({"tokens": Readout(lambda channels: nn.Identity())})
    with pytest.raises(ConfigError, match="so that there is no channel_mean"):
        net.layer("conv2:channel_mean:channel_mean")
    with pytest.raises(ConfigError, match=r"'conv2' has shape .* so that it has no tokens"):
        net.layer("conv2:class_token")


def test_files_are_read_without_pickle(net, shown, tmp_path):
    arrays = {"encoder": ENCODER.astype(np.float32), "bias": BIAS.astype(np.float32)}
    save_file(arrays, tmp_path / "sae.safetensors")
    np.savez(tmp_path / "sae.npz", **arrays)
    found = [
        net.with_readouts({"own": dictionary(tmp_path / f"sae.{kind}")}).layer("conv2:own").identity
        for kind in ("safetensors", "npz")
    ]
    assert found[0] == found[1]
    np.savez(tmp_path / "evil.npz", encoder=np.array([print], object))
    for name, said in (("evil.npz", "cannot be read"), ("no.npz", "there is no file")):
        with pytest.raises(ConfigError, match=said):
            dictionary(tmp_path / name)
    with pytest.raises(ConfigError, match=r"is no file ending in \.safetensors or \.npz"):
        dictionary(tmp_path / "sae.pt")
