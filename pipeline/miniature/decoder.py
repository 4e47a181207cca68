"""The embedded deep generator: draws pictures from features of the embedded network.

In the manner of DeePSiM (Dosovitskiy & Brox 2016, "Generating images with perceptual similarity
metrics based on deep networks"), it was trained to invert them. ``weights/decoder.json`` records
how the shipped weights were made.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from math import ceil
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import NetworkError, listed
from pipeline.miniature.network import MEAN, STD, Miniature, miniature, normalized
from pipeline.networks.loading.weights import load_weights, read_weights

CODE_SHAPE = (48, 3, 3)
SIDE = 96  # pixels along each side of a picture
SLOPE = 0.3  # of LeakyReLU, for negative values
FEW = 48  # channels of maps that are larger than the kernels, and better not enlarged (_doubled)
CONTRAST = 1.3  # factor by which training images deviate more from their mean
# Network input of black and white.
BLACK, WHITE = (0 - MEAN[0]) / STD[0], (1 - MEAN[0]) / STD[0]


class Decoder(nn.Module):
    """Five convolutions, from standardized features to pictures of 96 x 96 pixels.

    A code is the output of the embedded network's last convolution after its ReLU, averaged to
    3 x 3 places and standardized. Pictures are pixels 0..1 about mid-gray, since features tell
    little of brightness.

    Attributes:
        code_mean: mean of every feature over training images.
        code_std: standard deviation of every feature; 0 for those that are silent.
        draws_middle: it can draw the middle of pictures alone, which generators ask for by this.
    """

    draws_middle = True
    code_mean: Tensor
    code_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("code_mean", torch.zeros(CODE_SHAPE))
        self.register_buffer("code_std", torch.ones(CODE_SHAPE))
        layers: list[nn.Module] = []
        for inputs, outputs in ((48, 128), (128, 96), (96, 48), (48, 24)):
            # Transposed convolutions would leave checkerboards.
            layers += [
                nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
                nn.LeakyReLU(SLOPE),
                nn.Upsample(scale_factor=2),
            ]
        self.layers = nn.Sequential(
            *layers,
            nn.Conv2d(24, 3, kernel_size=3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Sigmoid(),
        )

    @property
    def code_low(self) -> Float[Tensor, "48 3 3"]:
        """The codes of features that are 0, the smallest value after a ReLU."""
        return self.standardized(torch.zeros_like(self.code_mean)[None])[0]

    @property
    def code_high(self) -> Float[Tensor, "48 3 3"]:
        """The largest codes: 0 for silent features, whose code is always 0; else infinity."""
        return torch.where(self.code_std > 0, torch.inf, 0.0)

    def forward(
        self, codes: Float[Tensor, "batch 48 3 3"], side: int = SIDE
    ) -> Float[Tensor, "batch 3 rows columns"]:
        """Return the pictures of codes, in pixels 0..1.

        Args:
            codes: the codes.
            side: pixels along each side of the middle that is needed, up to 96. No more than 3 more
                are returned, and the fewer there are, the faster it is.
        """
        maps, repeat = codes, None
        for layer, half in zip(self.layers, self._halves(side), strict=True):
            if repeat and isinstance(layer, nn.Conv2d) and layer.in_channels <= FEW:
                maps, repeat = _doubled(maps, layer), None
                continue
            if repeat:
                maps, repeat = repeat(maps), None
            maps = _middle(maps, half)
            if not isinstance(layer, nn.Upsample):
                maps = layer(maps)
            elif layer.mode == "bilinear":
                maps = _interpolated(_interpolated(maps, 2), 3)
            else:
                repeat = layer
        return maps

    def _halves(self, side: int) -> list[int]:
        """Return the places on either side of the middle that every layer needs to see."""
        # An even number, so that halves of pixels are rounded as in whole pictures.
        half, found = 2 * ceil(side / 4), list[int]()
        for layer in reversed(self.layers):
            if isinstance(layer, nn.Upsample):
                half = ceil(half / 2) + (layer.mode == "bilinear")
            elif isinstance(layer, nn.Conv2d):
                half += 1
            found.append(half)
        return found[::-1]

    def standardized(self, found: Float[Tensor, "batch 48 3 3"]) -> Float[Tensor, "batch 48 3 3"]:
        """Return the codes of features."""
        deviations = found - self.code_mean
        return torch.where(self.code_std > 0, deviations / self.code_std, 0.0)

    @torch.no_grad()
    def encode(self, pictures: Float[Tensor, "batch 3 96 96"]) -> Float[Tensor, "batch 48 3 3"]:
        """Return the codes of pictures in pixels 0..1, which are prepared as in training."""
        network = shipped_network().to(pictures.device)
        return self.standardized(features(network, centered(normalized(pictures))))


def _middle(maps: Float[Tensor, "batch c _ _"], half: int) -> Float[Tensor, "batch c _ _"]:
    """Return the middle of maps with an even number of rows and columns; others whole."""
    side = maps.shape[2]
    if side % 2 or 2 * half >= side:
        return maps
    some = slice(side // 2 - half, side // 2 + half)
    return maps[:, :, some, some]


def _doubled(
    maps: Float[Tensor, "batch inputs rows columns"], layer: nn.Conv2d
) -> Float[Tensor, "batch outputs _ _"]:
    """Return what a convolution of 3 x 3 makes of maps in which each value is repeated 2 x 2 times.

    The same sums, but for rounding, come from a convolution of the maps themselves with kernels of
    summed weights, one for each of the 2 x 2 places. A transposed convolution would have fewer
    products, but its last bits depend on the number of threads.
    """
    # Of 2 x 2 places, the upper meet rows (0, 1 + 2) of the weights in rows (0, 1) of the kernel.
    rows = torch.tensor([[[1, 0, 0], [0, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0], [0, 0, 1]]])
    sums = torch.einsum("apt,bqu->tuabpq", rows, rows).reshape(9, 4 * 9).to(layer.weight)
    outputs, inputs = layer.weight.shape[:2]
    kernels = (layer.weight.flatten(2) @ sums).view(outputs, inputs, 4, 3, 3).transpose(1, 2)
    biases = None if layer.bias is None else layer.bias.repeat_interleave(4)
    found = functional.conv2d(maps, kernels.flatten(0, 1), biases, padding=1)
    return functional.pixel_shuffle(found, 2)


def _interpolated(maps: Float[Tensor, "batch c _ _"], dim: int) -> Float[Tensor, "batch c _ _"]:
    """Return maps with twice the rows (dim 2) or columns (dim 3), by linear interpolation.

    That of PyTorch has other last bits on other numbers of threads.
    """
    near, far, size = maps * 0.75, maps * 0.25, maps.shape[dim]
    doubled = torch.stack([near, near], dim + 1)
    for number, inner, edge in ((0, 1, 0), (1, 0, size - 1)):
        half = doubled.select(dim + 1, number)
        half.narrow(dim, inner, size - 1).add_(far.narrow(dim, 1 - inner, size - 1))
        half.narrow(dim, edge, 1).add_(far.narrow(dim, edge, 1))  # edges repeat
    return doubled.flatten(dim, dim + 1)


def trained_decoder(weights: str = "default") -> Decoder:
    """Return the embedded generator, which the project trained on its own drawings.

    Args:
        weights: ``default`` (shipped with the package), or the path of a file.

    Raises:
        NetworkError: the weights cannot be read or do not fit.

    >>> decoder = trained_decoder()
    >>> decoder(torch.zeros(1, 48, 3, 3)).shape
    torch.Size([1, 3, 96, 96])
    """
    decoder = Decoder()
    shipped = files("pipeline.miniature") / "weights" / "decoder.safetensors"
    with as_file(shipped) as path:
        source = str(path) if weights == "default" else weights
        missing = load_weights(decoder, read_weights(source), source)
    if missing:
        names = listed([f"'{name}'" for name in sorted(missing)], 3)
        raise NetworkError(f"model.weights: '{weights}' lacks {names}, which the decoder needs")
    return decoder.eval().requires_grad_(False)


def shipped_network() -> Miniature:
    """Return the embedded network with the shipped weights, whose features codes are."""
    return cast("Miniature", miniature().module)


def features(
    network: Miniature, images: Float[Tensor, "batch 3 96 96"]
) -> Float[Tensor, "batch 48 3 3"]:
    """Return the last rectified features of the embedded network, averaged to 3 x 3 places."""
    return network.avgpool(network.features(images))


def centered(images: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch 3 size size"]:
    """Return network input with mid-gray as its mean per channel, and more contrast.

    Features say little about brightness, which a decoder would otherwise spend itself on.
    """
    deviations = images - images.mean((2, 3), keepdim=True)
    return (CONTRAST * deviations).clamp(BLACK, WHITE)
