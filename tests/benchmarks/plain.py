"""The plain ways, written as one would without this package: what ratios are taken against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, fx, nn

from pipeline.networks.graph.geometry import Interval
from pipeline.networks.graph.graph import Graph


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


def centered(graph: Graph, node: fx.Node) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size of an input, and the unit whose field is in its middle, free of padding.

    As in the published script: the smallest length beyond int(1.1 field) at which the unit
    (n - 1) // 2 has its field in the exact middle; where strides make that impossible, the smallest
    at which the field lies inside.
    """
    (height, row), (width, column) = (_centered_side(graph, node, axis) for axis in (0, 1))
    return (height, width), (row, column)


def _centered_side(graph: Graph, node: fx.Node, axis: int) -> tuple[int, int]:
    first, second = (
        graph.reach(node, Interval(place, place + 1), graph.input_size[axis], axis)
        for place in (0, 1)
    )
    stride, field = int(second.start - first.start), int(first.stop - first.start)
    start, inside = int(1.1 * field) + 1, []
    for length in range(start, start + 4 * stride + field + 2):
        position = (graph.sizes(length, axis)[node] - 1) // 2
        before = int(first.start) + stride * position
        after = length - before - field
        if position >= 0 and before == after >= 0:
            return length, position
        if position >= 0 and before >= 0 and after >= 0:
            inside.append((length, position))
    return inside[0]


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


def visualize(
    network: nn.Module,
    layer: nn.Module,
    unit: int,
    position: tuple[int, int] | None,
    size: int,
    steps: int,
    *,
    rich: bool,
) -> Tensor:
    """Climb one unit on one whole image in the manner of lucent: a hook, batch 1, Adam.

    Args:
        network: up to the layer; its weights keep their gradients.
        layer: whose responses are hooked.
        unit: number of the channel.
        position: of the unit on the map; ``None`` for the mean of the channel.
        size: side of the image in pixels.
        steps: number of updates.
        rich: climb Fourier coefficients of uncorrelated colors under random transforms, not pixels.
    """
    seen: dict[str, Tensor] = {}

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen["responses"] = output

    hook = layer.register_forward_hook(keep)
    shape = (1, 3, size, size // 2 + 1, 2) if rich else (1, 3, size, size)
    parameter = (0.01 * torch.randn(shape)).requires_grad_()
    optimizer = torch.optim.Adam([parameter], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        network(_transformed(_colored(parameter, size)) if rich else parameter)
        response = seen["responses"][0, unit]
        rows, columns = response.shape
        ((-response.mean()) if position is None else -response[rows // 2, columns // 2]).backward()
        optimizer.step()
    hook.remove()
    return parameter.detach()


def _colored(spectrum: Tensor, size: int) -> Tensor:
    """Return the normalized image of Fourier coefficients of uncorrelated colors."""
    down, across = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    scale = 1 / (down**2 + across**2).sqrt().clamp(min=1 / size)
    image = torch.fft.irfft2(
        torch.view_as_complex(scale[..., None] * spectrum), s=(size, size), norm="ortho"
    )
    mixing = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    mixing = mixing / mixing.norm(dim=0).max()
    pixels = (image.permute(0, 2, 3, 1) / 4 @ mixing.T).permute(0, 3, 1, 2).sigmoid()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / std[:, None, None]


def _transformed(image: Tensor) -> Tensor:
    """Pad, jitter, scale, rotate, jitter."""
    image = _jittered(F.pad(image, [12] * 4), 8)
    scale = 1 / (0.9 + 0.02 * int(torch.randint(11, ())))
    image = _warped(image, torch.tensor([[scale, 0.0, 0.0], [0.0, scale, 0.0]]))
    angle = torch.deg2rad(torch.randint(-10, 11, ()).float())
    cosine, sine, zero = angle.cos(), angle.sin(), torch.zeros(())
    rows = torch.stack([cosine, -sine, zero, sine, cosine, zero])
    return _jittered(_warped(image, rows.view(2, 3)), 4)


def _jittered(image: Tensor, pixels: int) -> Tensor:
    top, left = (int(torch.randint(pixels + 1, ())) for _ in range(2))
    height, width = image.shape[2] - pixels, image.shape[3] - pixels
    return image[:, :, top : top + height, left : left + width]


def _warped(image: Tensor, matrix: Tensor) -> Tensor:
    grid = F.affine_grid(matrix[None], list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, align_corners=False)


class Evolution:
    """One search by the genetic algorithm of XDREAM, one generation of 20 at a time.

    Pictures of the generator's own size are enlarged to the network's input, normalized and shown
    to the whole network up to the layer.

    Args:
        network: up to the layer.
        size: height and width of the network's input.
        draw: maps codes [batch, genes] to pictures in pixels 0..1.
        genes: length of a code.
    """

    def __init__(
        self,
        network: nn.Module,
        size: tuple[int, int],
        draw: Callable[[Tensor], Tensor],
        genes: int,
    ) -> None:
        self.network, self.size, self.draw = network, size, draw
        self.random = np.random.RandomState(0)
        self.codes = self.random.standard_normal((20, genes))

    def generation(self, unit: int, device: str) -> None:
        """Show the pictures of a generation to a unit in the middle of the map, and breed."""
        mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
        with torch.no_grad():
            pictures = self.draw(torch.from_numpy(self.codes).float().to(device))
            images = F.interpolate(pictures, self.size, mode="bilinear")
            images = (images - mean.to(device)[:, None, None]) / std.to(device)[:, None, None]
            maps = self.network(images)
        self._breed(maps[:, unit, maps.shape[2] // 2, maps.shape[3] // 2].double().cpu().numpy())

    def _breed(self, scores: np.ndarray) -> None:
        temperature = max(scores.std() / 2, 1e-8)
        order = np.argsort(-scores)
        clipped = np.minimum(scores[order], np.percentile(scores, 95))
        shares = np.cumsum(np.exp((clipped - clipped[0]) / temperature))
        drawn = self.random.random_sample((2, len(scores)))
        parents = self.codes[order][np.digitize(drawn, shares / shares[-1])]
        children = np.where(self.random.random_sample(self.codes.shape) < 0.5, *parents)
        mutates = self.random.random_sample(self.codes.shape) < 0.5
        children[mutates] += self.random.normal(0, 0.5, mutates.sum())
        self.codes = children


def lattice(codes: Tensor) -> Tensor:
    """Return pictures of 96 x 96 pixels from colors on a lattice of 12 x 12."""
    colors = F.interpolate(codes.view(-1, 3, 12, 12), (96, 96), mode="bilinear")
    return (0.5 + colors / 4).clamp(0, 1)
