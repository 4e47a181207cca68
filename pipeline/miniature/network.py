"""The embedded network: a small relative of AlexNet that was trained on drawn, colored shapes.

It exists so that everything can be tried without a download. Five convolutions have AlexNet's
positions and module names (Krizhevsky, Sutskever & Hinton 2012, as torchvision spells them), and
200 units in all. ``weights/miniature.json`` records how the shipped weights were made.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from itertools import product
from typing import no_type_check

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import Network, build_network, refuse_key_alone

INPUT_SIZE = 96  # pixels along each side
# Per channel, for pixels in 0..1: the network's input is (pixels - MEAN) / STD.
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)

# The classes of the network. The orientation is that of a shape's long axis (of an arc, that of
# its chord), in degrees counterclockwise from horizontal, as it looks with row 0 at the top.
KINDS = ("grating", "bar", "arc")
ORIENTATIONS = (0, 45, 90, 135)
COLORS = ("red", "green", "blue", "yellow", "gray")
# Such as "grating/45/red"; the color varies fastest.
CLASSES = tuple("/".join(map(str, names)) for names in product(KINDS, ORIENTATIONS, COLORS))


class Miniature(nn.Module):
    """Five convolutions and one linear layer, from normalized pixels to 60 classes.

    ``features`` has its convolutions at 0, 3, 6, 8 and 10, as AlexNet has; the units of the first
    one see 9 x 9 pixels. Any image side of at least 15 pixels is accepted.
    """

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 24, kernel_size=9, stride=2, padding=4),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(24, 32, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(32, 48, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 48, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 48, kernel_size=3, padding=1),
            nn.ReLU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(3)
        self.classifier = nn.Sequential(nn.Linear(48 * 3 * 3, classes))

    @no_type_check  # torch.fx traces with a proxy, which is not a tensor
    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Return one logit per class, in the order of ``CLASSES``, for normalized images."""
        return self.classifier(torch.flatten(self.avgpool(self.features(images)), 1))


def miniature(
    weights: str = "default",
    seed: int = 0,
    shuffled: bool = False,
    weights_key: str | None = None,
) -> Network:
    """Return the embedded network, which the project trained on its own drawings.

    Args:
        weights: ``default`` (shipped with the package), ``random``, or the path of a file.
        seed: seed of random and of shuffled weights.
        shuffled: whether the weights are shuffled within each layer, as a control.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.

    Raises:
        NetworkError: the weights cannot be read or do not fit.
    """
    preprocessing = Preprocessing(
        resize=INPUT_SIZE,
        crop=INPUT_SIZE,
        mean=MEAN,
        std=STD,
    )
    refuse_key_alone(weights, weights_key)
    if weights != "default":
        return build_network(
            "miniature", Miniature, preprocessing, weights, seed, shuffled, weights_key
        )
    shipped = files("pipeline.miniature") / "weights" / "miniature.safetensors"
    with as_file(shipped) as path:
        return build_network("miniature", Miniature, preprocessing, str(path), seed, shuffled)


def normalized(images: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch 3 size size"]:
    """Return pixels 0..1 as the network's input."""
    mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images - mean) / std
