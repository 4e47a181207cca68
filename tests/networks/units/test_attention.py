"""Heads of attention: their outputs before the projection that joins them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pipeline
from pipeline.errors import ConfigError
from tests.networks.units.conftest import BEFORE, GRID, NAMES, WIDTH, hooked, transformer


def joined_heads(name: str, images: torch.Tensor) -> torch.Tensor:
    """Return what goes into the projection that joins the heads of the last block."""
    module, (block, attention, projection) = transformer(name).module, NAMES[name]
    own = f"{block.format(1)}.{attention}"
    if projection:
        seen: list[torch.Tensor] = []
        part = module.get_submodule(f"{own}.{projection}")
        hook = part.register_forward_pre_hook(lambda _m, given: seen.append(given[0]))
        with torch.no_grad():
            module(images)
        hook.remove()
        return seen[0]
    # PyTorch's module: the output less its bias, through the inverse of the projection.
    out = hooked(module, own, images).double()
    joining = module.get_submodule(own).out_proj
    return ((out - joining.bias) @ torch.linalg.inv(joining.weight.double()).T).float()


@pytest.mark.parametrize(
    "name",
    ["torchvision", "timm", *(pytest.param(n, marks=pytest.mark.slow) for n in ("vit", "clip"))],
)
def test_heads_are_read_before_they_are_joined(name, images):
    block, attention, _ = NAMES[name]
    layer = f"{block.format(1)}.{attention}"
    tokens = joined_heads(name, images)
    patches = tokens[:, BEFORE[name] :].transpose(1, 2).reshape(-1, WIDTH, *GRID)
    expected = {
        f"{layer}:head_outputs": patches,
        f"{layer}:heads": patches.unflatten(1, (2, 8)).norm(dim=2),
        f"{block.format(1)}:heads": patches.unflatten(1, (2, 8)).norm(dim=2),
    }
    found = pipeline.responses(transformer(name), images, list(expected), at="all")
    assert len(found) == 2  # a block has the heads of its attention
    for each in found:
        np.testing.assert_allclose(found[each], expected[each], rtol=1e-3, atol=1e-4)
    of_class = f"{layer}:heads:class_token"
    found = pipeline.responses(transformer(name), images, of_class)[of_class]
    wanted = tokens[:, 0].unflatten(1, (2, 8)).norm(dim=2)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_layers_without_a_single_attention_have_no_heads():
    net = transformer("torchvision")
    known = "name a layer with one, such as encoder.layers.encoder_layer_0.self_attention"
    for name, said in (("encoder.layers", "several attentions"), ("conv1", "no attention")):
        with pytest.raises(ConfigError) as caught:
            net.layer(f"{name}:heads")
        assert str(caught.value) == (
            f"layers: '{name}' contains {said}, so that its heads cannot be read; {known}"
        )
    with pytest.raises(ConfigError, match="reads an attention, which is no readout"):
        net.layer("encoder.layers:tokens:heads")
