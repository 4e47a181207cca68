"""The plain ways, written as one would without this package: what ratios are taken against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn


def climb(
    network: nn.Module, unit: int, position: tuple[int, int], image: Tensor, steps: int, lr: float
) -> Tensor:
    """Climb one unit's response: batch 1, the whole padded network up to the layer, SGD.

    Weights keep their gradients, as in the published script.
    """
    image = image.clone().requires_grad_()
    optimizer = torch.optim.SGD([image], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        response = network(image)[0, unit, position[0], position[1]]
        (-response).backward()
        optimizer.step()
    return image.detach()


def search(layers: Sequence[nn.Module], network: nn.Module, images: Iterable[Tensor]) -> list:
    """Find each unit's strongest and weakest response to every image: hooks, units one by one.

    The whole network runs, as in the published script.
    """
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for layer in layers
    ]
    found = []
    with torch.no_grad():
        for batch in images:
            outputs.clear()
            network(batch)
            for maps in outputs:
                for image in maps:
                    for unit in image:
                        found.append(
                            (
                                unit.max().item(),
                                unit.argmax().item(),
                                unit.min().item(),
                                unit.argmin().item(),
                            )
                        )
    for hook in hooks:
        hook.remove()
    return found


def read(path: Path, side: int, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Decode a picture with Pillow: short side resized, center crop, normalized."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    scale = side / min(picture.size)
    size = (max(side, round(picture.width * scale)), max(side, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    pixels = torch.from_numpy(np.asarray(picture, dtype=np.float32) / 255).permute(2, 0, 1)
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def search_files(
    network: nn.Module, layers: Sequence[nn.Module], paths: Sequence[Path], side: int
) -> None:
    """Read and search one batch of 16 after the other, reducing all units of a layer at once."""
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for layer in layers
    ]
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    with torch.no_grad():
        for start in range(0, len(paths), 16):
            outputs.clear()
            network(
                torch.stack([read(path, side, mean, std) for path in paths[start : start + 16]])
            )
            for maps in outputs:
                maps.flatten(2).max(2)
                maps.flatten(2).min(2)
    for hook in hooks:
        hook.remove()
