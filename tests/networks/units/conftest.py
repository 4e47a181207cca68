"""Tiny transformers of torchvision, timm and transformers, with random weights."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

import pipeline
from pipeline.networks.loading.network import Network

SIDE, WIDTH, GRID = 32, 16, (4, 4)


class LastState(nn.Module):
    """A vision model of transformers, from pixels to its last hidden state."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).last_hidden_state


def _torchvision() -> nn.Module:
    from torchvision.models import VisionTransformer

    return VisionTransformer(SIDE, 8, 2, 2, WIDTH, 32, num_classes=5)


def _timm() -> nn.Module:
    transformer = pytest.importorskip("timm.models.vision_transformer")
    return transformer.VisionTransformer(
        img_size=SIDE, patch_size=8, depth=2, num_heads=2, embed_dim=WIDTH, reg_tokens=2
    )


def _transformers(kind: str, attention: str) -> nn.Module:
    library = pytest.importorskip("transformers")
    config = getattr(library, f"{kind}Config")(
        image_size=SIDE,
        patch_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        hidden_size=WIDTH,
        intermediate_size=32,
        attn_implementation=attention,
    )
    return LastState(getattr(library, f"{kind}Model")(config))


MAKERS = {
    "torchvision": _torchvision,
    "timm": _timm,
    "vit": lambda: _transformers("ViT", "sdpa"),
    "clip": lambda: _transformers("CLIPVision", "eager"),
}
# Its blocks, an attention, and the projection that joins the heads of that.
NAMES = {
    "torchvision": ("encoder.layers.encoder_layer_{}", "self_attention", ""),
    "timm": ("blocks.{}", "attn", "proj"),
    "vit": ("model.layers.{}", "attention", "o_proj"),
    "clip": ("model.encoder.layers.{}", "self_attn", "out_proj"),
}
BEFORE = {"torchvision": 1, "timm": 3, "vit": 1, "clip": 1}  # class and register tokens


@cache
def transformer(name: str) -> Network:
    """Return a network of random weights, whose class token differs from the others."""
    return pipeline.network(drawn(MAKERS[name]()), input_size=SIDE, name=name)


def drawn(module: nn.Module) -> nn.Module:
    """Give all weights random values, in eval mode."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return module.eval()


def hooked(module: nn.Module, name: str, images: Tensor) -> Tensor:
    """Return what a module inside a network puts out, as PyTorch runs it."""
    seen: list[Tensor] = []
    part = module.get_submodule(name)
    hook = part.register_forward_hook(lambda _m, _i, out: seen.append(out))
    try:
        with torch.no_grad():
            module(images)
    finally:
        hook.remove()
    return seen[0][0] if isinstance(seen[0], tuple) else seen[0]


@pytest.fixture(scope="session")
def images() -> Tensor:
    return torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
