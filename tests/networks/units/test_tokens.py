"""Tokens of transformers are what hooks see, and are searched and climbed as any other layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ConfigError
from pipeline.synthesis.optimizers import sgd
from tests.networks.units.conftest import (
    BEFORE,
    GRID,
    NAMES,
    SIDE,
    WIDTH,
    drawn,
    hooked,
    transformer,
)

SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("vit", "clip")]
EACH = pytest.mark.parametrize("name", ["torchvision", "timm", *SLOW])


def tokens_of(name: str, images: torch.Tensor, block: int = 1) -> torch.Tensor:
    return hooked(transformer(name).module, NAMES[name][0].format(block), images)


@EACH
def test_tokens_are_those_of_patches_on_their_grid(name, images):
    expected = tokens_of(name, images)[:, BEFORE[name] :].transpose(1, 2)
    block = NAMES[name][0].format(1)
    found = pipeline.responses(transformer(name), images, [block], at="all")[block]
    np.testing.assert_allclose(found, expected.reshape(-1, WIDTH, *GRID), rtol=1e-5, atol=1e-5)


@EACH
def test_class_token_and_channel_mean_and_maximum(name, images):
    tokens, block = tokens_of(name, images), NAMES[name][0].format(1)
    patches = tokens[:, BEFORE[name] :]
    wanted = {
        "class_token": tokens[:, 0],
        "channel_mean": patches.mean(1),
        "channel_max": patches.amax(1),
    }
    found = pipeline.responses(transformer(name), images, [f"{block}:{each}" for each in wanted])
    for each, expected in wanted.items():
        np.testing.assert_allclose(found[f"{block}:{each}"], expected, rtol=1e-5, atol=1e-5)


@EACH
def test_all_layers_are_the_patch_embedding_and_the_blocks(name):
    blocks = [NAMES[name][0].format(number) for number in (0, 1)]
    layers = transformer(name).layers
    assert layers.name.tolist() == ["conv1", *blocks]
    assert layers.field.tolist() == [(8, 8), (32, 32), (32, 32)]
    assert layers.map_size.tolist() == [GRID] * 3


@pytest.mark.parametrize("name", ["torchvision", "timm"])
def test_an_ascent_of_a_token_follows_the_gradient_through_the_whole_network(name, images):
    net, block = transformer(name), NAMES[name][0].format(1)
    start, unit = images[:1], 5
    found = pipeline.ascend(net, block, [unit], start=start, optimizer=sgd(steps=10))
    image = start.clone().requires_grad_()
    for _ in range(10):  # plain steps of length 0.1
        seen: list[torch.Tensor] = []
        part = net.module.get_submodule(block)
        hook = part.register_forward_hook(lambda _m, _i, out, seen=seen: seen.append(out))
        net.module(image)
        hook.remove()
        row, column = 2, 2  # of the token at the center
        response = seen[0][0, BEFORE[name] + row * GRID[1] + column, unit]
        (gradient,) = torch.autograd.grad(response, image)
        image = (image + 0.1 * gradient).detach().requires_grad_()
    np.testing.assert_allclose(found.images[0], image.detach()[0], rtol=1e-4, atol=1e-5)


def test_a_search_of_tokens_finds_what_looking_at_all_images_finds(images):
    net, block = transformer("torchvision"), NAMES["torchvision"][0].format(0)
    names = [block, f"{block}:class_token"]
    found = pipeline.top_patches(net, images, names, keep=1).table
    tokens = tokens_of("torchvision", images, 0)
    for name, place in zip(names, (1 + 2 * 4 + 2, 0), strict=True):
        best = found[(found.layer == name) & (found["rank"] == 0) & (found.sign == 1)]
        np.testing.assert_allclose(
            best.sort_values("unit").response, tokens[:, place].amax(0), rtol=1e-5
        )


class Flattened(nn.Sequential):
    """A map whose positions are flattened, and then put first."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 6, 8, 8), nn.Flatten(2), Turned(), nn.Linear(6, 6))


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


def test_flattened_channels_are_not_taken_for_tokens():
    net = pipeline.network(Flattened(), input_size=(24, 32))
    assert net.layer("3").map_size == (3, 4)
    with pytest.raises(ConfigError) as caught:
        net.layer("1")
    assert str(caught.value) == (
        "layers: the output of '1' has shape (1, 6, 12), not [1, units], [1, units, rows, columns]"
        " or [1, tokens, units]; name another layer"
    )
    with pytest.raises(ConfigError) as caught:
        net.layer("3:class_token")
    assert str(caught.value) == (
        "layers: '3' has no class token, as all of its 12 tokens are patches; use 3 for them, or"
        " 3:channel_mean for their mean"
    )


class TokensFirst(nn.Module):
    """CLIP's own layout: tokens, batch, width."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 6, 8, 8)
        self.start = nn.Parameter(torch.randn(1, 1, 6))
        self.mix = nn.Linear(6, 6)

    def forward(self, images):
        patches = self.embed(images).flatten(2).permute(0, 2, 1)
        tokens = torch.cat([self.start.expand(images.shape[0], -1, -1), patches], dim=1)
        return self.mix(tokens.permute(1, 0, 2)).permute(1, 0, 2)


def test_tokens_may_come_before_the_batch():
    module = TokensFirst()
    net = pipeline.network(module, input_size=(16, 24))
    images = torch.randn(2, 3, 16, 24)
    expected = hooked(module, "mix", images)[1:].permute(1, 2, 0).reshape(2, 6, 2, 3)
    found = pipeline.responses(net, images, ["mix"], at="all")["mix"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_maps_inside_a_block_of_convnext_have_exact_fields(images):
    """Although channels are last there: the neurons of its hidden layer see what its map does."""
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    module = drawn(ConvNeXt([CNBlockConfig(8, None, 2)]))
    net = pipeline.network(module, input_size=SIDE)
    hidden = "features.1.0.block.4"
    expected = hooked(module, hidden, images).permute(0, 3, 1, 2)
    maps = pipeline.responses(net, images, hidden, at="all")[hidden]
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6)
    box = pipeline.receptive_field(net, hidden, (4, 4))
    assert (box.height, box.width) == (4 * 6 + 4,) * 2  # seven positions of a stride of 4
    asked = net.unit_network(hidden)
    assert asked.input_size == (28, 28)
    alone = asked(images[:, :, 0:28, 0:28], torch.tensor([2, 3, 4]))
    row = column = 3  # whose field is free of padding
    np.testing.assert_allclose(
        alone.detach(), expected[[0, 1, 2], [2, 3, 4], row, column], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_channels_last_maps_of_shifted_windows(library):
    if library == "timm":
        swin = pytest.importorskip("timm.models.swin_transformer").SwinTransformer
        module = swin(img_size=32, embed_dim=8, depths=(2, 1), num_heads=(2, 2), window_size=4)
        block = "layers.1.blocks.0"
    else:
        from torchvision.models.swin_transformer import SwinTransformer

        module, block = SwinTransformer([4, 4], 8, [2, 1], [2, 2], [4, 4]), "features.3.0"
    net = pipeline.network(drawn(module), input_size=32)
    images = torch.randn(2, 3, 32, 32)
    expected = hooked(module, block, images).permute(0, 3, 1, 2)
    found = pipeline.responses(net, images, [block], at="all")[block]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert block in net.layers.name.tolist()


class Inserting(nn.Module):
    """Puts register tokens behind the class token as DINOv2 of transformers does."""

    def __init__(self, cut, place: int) -> None:
        super().__init__()
        self.cut, self.place = cut, place
        self.patches, self.block = nn.Conv2d(3, WIDTH, 8, 8), nn.Linear(WIDTH, WIDTH)
        self.first, self.registers = (nn.Parameter(torch.zeros(1, n, WIDTH)) for n in (1, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return all tokens."""
        patches = self.patches(images).flatten(2).transpose(1, 2)
        first, registers = (t.expand(images.shape[0], -1, -1) for t in (self.first, self.registers))
        tokens, n = torch.cat([first, patches], 1), self.place
        parts = [self.cut(tokens, 0, n), registers, self.cut(tokens, n, tokens.shape[1])]
        return self.block(torch.cat(parts, 1))


@pytest.mark.parametrize(
    "cut",
    [lambda x, a, b: x[:, a:b], lambda x, a, b: torch.ops.aten.slice(x[:], 1, a, b)],
    ids=["index", "operator"],
)
def test_registers_that_are_inserted_between_are_no_patches(cut, images):
    module = drawn(Inserting(cut, place=1))
    net = pipeline.network(module, input_size=SIDE)
    expected = module(images)[:, 4:].transpose(1, 2).reshape(-1, WIDTH, *GRID)
    found = pipeline.responses(net, images, "block", at="all")["block"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_tokens_among_the_patches_leave_no_grid(caplog):
    net = pipeline.network(drawn(Inserting(lambda x, a, b: x[:, a:b], place=5)), input_size=SIDE)
    assert net.layer("block").map_size == (1, 19)
    assert "the 19 tokens of 'block' are taken as one row of patches" in caplog.text
