"""DeePSiM: the deep generators of XDREAM, with weights from a file."""

from __future__ import annotations

import torch
from torch import nn

from pipeline.errors import ConfigError, nearest
from pipeline.networks.loading.weights import digest_weights, seeded
from pipeline.synthesis.evolution.generators.deepsim_networks import (
    RANGE,
    SLOPE,
    VARIANTS,
    DeePSiM,
    with_caffe_names,
)
from pipeline.synthesis.evolution.generators.fitting import check_fit
from pipeline.synthesis.evolution.generators.generator import Generator
from pipeline.synthesis.evolution.generators.networks import GeneratorNetwork, load
from pipeline.synthesis.evolution.generators.priors import Genes, given_prior

KEY = "generator.deepsim"
CONTRAST = 0.25  # of untrained networks
_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def deepsim(
    variant: str,
    weights: str,
    mean: Genes = 0.0,
    std: Genes = 1.0,
    low: Genes | None = None,
    fit: str = "crop",
) -> Generator:
    """Generate pictures by a network that inverts features of CaffeNet (DeePSiM), as XDREAM does.

    Pictures are 256 x 256 pixels (240 x 240 for norm1 and norm2). The features that the networks
    were trained on are rectified; XDREAM starts from standard normal codes without bounds, or, with
    ``low=0``, from the mean and standard deviation of CaffeNet's features.

    Source: Dosovitskiy & Brox (2016); Xiao & Kreiman (2020).

    Args:
        variant: layer of CaffeNet whose features are the code: norm1, norm2, conv3, conv4, pool5,
            fc6, fc7 or fc8.
        weights: path or URL of the weights, with the names of Caffe or of XDREAM; or ``random``, an
            untrained control.
        mean: mean of random genes: a number, or the path of a .npy file with one for each.
        std: their standard deviation, likewise.
        low: smallest value of genes, likewise; ``None`` if there is none.
        fit: ``crop`` shows the middle of pictures, ``resize`` the whole (``fitting``).

    Raises:
        ConfigError: there is no such variant, or the distribution cannot be used.
        NetworkError: the weights cannot be read or do not fit the variant.
    """
    if variant not in VARIANTS:
        raise ConfigError(
            f"{KEY}.variant: '{variant}' is not one of {', '.join(VARIANTS)}"
            f"{nearest(variant, VARIANTS)}"
        )
    check_fit(KEY, fit)
    chosen = VARIANTS[variant]
    with seeded(0):
        network = DeePSiM(chosen)
    if weights == "random":
        _initialize(network)
    else:
        load(KEY, network.layers, weights, lambda found: with_caffe_names(found, network))
    values = {"mean": mean, "std": std, "low": low, "high": None}
    prior = given_prior(KEY, chosen.code_shape, values, network)
    made = GeneratorNetwork(KEY, network.eval(), prior, chosen.code_shape, fit)
    return Generator(made.build, digest=digest_weights(network))


def _initialize(network: DeePSiM) -> None:
    """Set seeded random weights that keep the variance of standard normal codes through layers.

    Pictures then deviate from their mean color by about a quarter of the range.
    """
    generator = torch.Generator().manual_seed(0)
    layers = [layer for layer in network.layers if isinstance(layer, _WEIGHTED)]
    for layer in layers:
        inputs = layer.weight[0].numel()
        if isinstance(layer, nn.ConvTranspose2d):
            # With stride 2, every other row and column of the kernel meets no value.
            inputs = layer.weight[:, 0].numel() // (layer.stride[0] * layer.stride[1])
        with torch.no_grad():
            layer.weight.normal_(0.0, (2 / (1 + SLOPE**2) / inputs) ** 0.5, generator=generator)
            layer.bias.data.zero_()  # pyright: ignore[reportOptionalMemberAccess]
    layers[-1].weight.data.mul_(CONTRAST if network.bounded else CONTRAST * RANGE)
    network.requires_grad_(False)
