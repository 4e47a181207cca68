"""The networks of DeePSiM: from features of CaffeNet to pictures.

Source: Dosovitskiy & Brox (2016), "Generating images with perceptual similarity metrics based on
deep networks"; layers have the names of its Caffe files.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.networks.loading.checkpoints import StateDict

SLOPE = 0.3  # of LeakyReLU, for negative values
MEAN_BGR = (104.0, 117.0, 123.0)  # subtracted from pixels 0..255, in Caffe's order of colors
RANGE = 255.0


@dataclass(frozen=True)
class Variant:
    """One of the networks.

    Attributes:
        code_shape: shape of a code.
        head: convolutions before the first enlarging layer: name, output channels, kernel size,
            stride and padding.
        tail: the other layers: name and output channels.
        side: pixels along each side of a picture.
        bounded: whether a hyperbolic tangent bounds the output, which is then 255 times as large.
        plain: names of layers without activation, besides the last.
        convolutions: names of layers in ``tail`` that are not transposed.
    """

    code_shape: tuple[int, ...]
    head: tuple[tuple[str, int, int, int, int], ...]  # name, channels, kernel, stride, padding
    tail: tuple[tuple[str, int], ...]
    side: int
    bounded: bool = False
    plain: tuple[str, ...] = ()
    convolutions: tuple[str, ...] = ()


_FULL = (
    ("deconv5", 256), ("conv5_1", 512), ("deconv4", 256), ("conv4_1", 256), ("deconv3", 128),
    ("conv3_1", 128), ("deconv2", 64), ("deconv1", 32), ("deconv0", 3),
)  # fmt: skip
_MIDDLE = (
    ("deconv5", 256), ("conv5_1", 256), ("deconv4", 128), ("conv4_1", 128), ("deconv3", 128),
    ("conv3_1", 128), ("deconv2", 64), ("conv2_1", 32), ("deconv1", 16), ("conv1_1", 3),
)  # fmt: skip
_EARLY = (
    ("deconv4", 128), ("conv4_1", 128), ("deconv3", 64), ("conv3_1", 64), ("deconv2", 32),
    ("conv2_1", 32), ("deconv1", 16), ("conv1_1", 3),
)  # fmt: skip
_MIDDLE_CONVOLUTIONS = ("conv2_1", "conv1_1")
_EARLY_CONVOLUTIONS = ("conv4_1", "conv3_1", *_MIDDLE_CONVOLUTIONS)
_CONV = (("Rconv6", 384, 3, 1, 0), ("Rconv7", 512, 3, 1, 0), ("Rconv8", 512, 2, 1, 0))
_POOL = (("Rconv6", 512, 3, 1, 1), ("Rconv7", 512, 3, 1, 1), ("Rconv8", 512, 3, 1, 0))
_NORM1 = (("Rconv6", 128, 3, 2, 2), ("Rconv7", 128, 3, 1, 1), ("Rconv8", 128, 3, 1, 1))
_NORM2 = (("Rconv6", 256, 3, 1, 2), ("Rconv7", 128, 3, 1, 1), ("Rconv8", 128, 3, 1, 1))

VARIANTS = {
    "norm1": Variant((96, 27, 27), _NORM1, _EARLY, 240, True, ("deconv1",), _EARLY_CONVOLUTIONS),
    "norm2": Variant((256, 13, 13), _NORM2, _EARLY, 240, True, ("deconv1",), _EARLY_CONVOLUTIONS),
    "conv3": Variant((384, 13, 13), _CONV, _MIDDLE, 256, True, (), _MIDDLE_CONVOLUTIONS),
    "conv4": Variant((384, 13, 13), _CONV, _MIDDLE, 256, True, (), _MIDDLE_CONVOLUTIONS),
    "pool5": Variant((256, 6, 6), _POOL, _FULL, 256),
    "fc6": Variant((4096,), (), _FULL, 256),
    "fc7": Variant((4096,), (), _FULL, 256),
    "fc8": Variant((1000,), (), _FULL, 256),
}


class DeePSiM(nn.Module):
    """The network of a variant; its pictures are RGB, where 0 is black and 1 white."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.bounded = variant.bounded
        layers: OrderedDict[str, nn.Module] = OrderedDict()

        def add(name: str, layer: nn.Module) -> None:
            layers[name] = layer
            if name not in (variant.tail[-1][0], *variant.plain):
                layers[f"relu_{name}"] = nn.LeakyReLU(SLOPE)

        channels = variant.code_shape[0]
        if len(variant.code_shape) == 1:
            for name in ("defc7", "defc6", "defc5"):  # in this order, from any layer of CaffeNet
                add(name, nn.Linear(channels, 4096))
                channels = 4096
            layers["reshape"], channels = nn.Unflatten(1, (256, 4, 4)), 256
        for name, outputs, kernel, stride, padding in variant.head:
            add(name, nn.Conv2d(channels, outputs, kernel, stride, padding))
            channels = outputs
        for name, outputs in variant.tail:
            kind = nn.Conv2d if name in variant.convolutions else nn.ConvTranspose2d
            doubles = name.startswith("deconv")
            kernel, stride = (4, 2) if doubles else (3, 1)
            add(name, kind(channels, outputs, kernel, stride, padding=1))
            channels = outputs
        self.layers = nn.Sequential(layers)

    def forward(self, codes: Float[Tensor, "batch *code"]) -> Float[Tensor, "batch 3 side side"]:
        """Return the pictures of codes."""
        output = self.layers(codes)
        if self.bounded:
            output = RANGE * output.tanh()
        mean = output.new_tensor(MEAN_BGR)[:, None, None]
        return ((output + mean) / RANGE).flip(1)


def with_caffe_names(tensors: StateDict, network: DeePSiM) -> StateDict:
    """Return weights under the names of Caffe's layers, as the network has them.

    Two spellings of PyTorch files are in use: Caffe's (``defc7``, ``Rconv6``, ``deconv5``,
    ``conv5_1``), and that of XDREAM (``fc7``, ``conv6``, ``tconv5_0``, ``tconv5_1``), in which
    layers from ``tconv5_0`` on have no bias; theirs is 0.
    """
    found = {_caffe_name(name): tensor for name, tensor in tensors.items()}
    own = network.layers.state_dict()
    biases = [
        name for name in own if name.endswith(".bias") and not name.startswith(("defc", "Rconv"))
    ]
    if not any(name in found for name in biases):
        without = [name for name in biases if name.replace("bias", "weight") in found]
        found |= {name: torch.zeros_like(own[name]) for name in without}
    return found


def _caffe_name(name: str) -> str:
    *_, layer, kind = ["", *(part for part in name.split(".") if part != "1")]
    layer = re.sub(r"^fc(?=[567]$)", "defc", layer)
    layer = re.sub(r"^conv(?=[678]$)", "Rconv", layer)
    layer = re.sub(r"^tconv(\d)_1$", r"conv\1_1", layer)
    layer = re.sub(r"^tconv(\d)(_0)?$", r"deconv\1", layer)
    return f"{layer}.{kind}"
