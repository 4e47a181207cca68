"""Readouts with weights: dictionaries such as sparse autoencoders, linear readouts, directions.

All of them are applied to the channels at every position, as a 1 x 1 convolution; the readout of a
whole map alone is linear in all of its positions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import ConfigError, nearest
from pipeline.networks.units.arrays import read_arrays
from pipeline.networks.units.modules import Centered, JumpReLU, TopK
from pipeline.networks.units.readouts import Channels, Readout

Weights = str | Path | Mapping[str, Any]
NONLINEARITIES = ("relu", "none", "topk", "jumprelu")
# The names of SAELens, of dictionary_learning and nn.Module, and of scikit-learn.
_DICTIONARY = {
    "encoder": ("encoder", "W_enc", "encoder.weight", "weight", "components", "components_"),
    "bias": ("bias", "b_enc", "encoder.bias"),
    "mean": ("mean", "mean_", "pre_bias", "b_pre"),
    "decoder bias": ("b_dec", "decoder.bias", "bias_dec"),
    "thresholds": ("thresholds", "threshold"),
}
# In dictionary_learning, what is called bias beside that of the encoder is the decoder's.
_BESIDE = {"bias": ("encoder.bias", "decoder bias")}
_DECODER = ("W_dec", "decoder", "decoder.weight")
_LINEAR = {"weight": ("weight", "weights", "coef_"), "bias": ("bias", "intercept_")}
_DIRECTIONS = {"directions": ("directions", "weight", "weights", "components", "components_")}


def dictionary(
    weights: str | Path | Mapping[str, Any],
    nonlinearity: str = "relu",
    k: int | None = None,
    subtract_decoder_bias: bool | None = None,
    transposed: bool | None = None,
) -> Readout:
    """Return the latents of a dictionary: a sparse autoencoder, PCA, or any linear encoder.

    The latents of channels x at a position are f(W (x - mean) + bias).

    Args:
        weights: path of a ``.safetensors`` or ``.npz`` file, or arrays by name: ``encoder``
            [latents, channels] or [channels, latents], ``bias`` [latents], ``mean`` [channels],
            ``thresholds`` [latents]. The names of SAELens, dictionary_learning and scikit-learn are
            known, too; the decoder is not used.
        nonlinearity: f: ``relu``; ``none``; ``topk`` (the k largest at each position, as far as
            they are above 0; Gao et al. 2024, https://arxiv.org/abs/2406.04093); or ``jumprelu``
            (those above their thresholds and 0; Rajamanoharan et al. 2024,
            https://arxiv.org/abs/2407.14435).
        k: of ``topk``: the number of latents that are kept at each position.
        subtract_decoder_bias: whether the bias of the decoder, if there is one, is subtracted from
            the channels first, as some autoencoders do and others do not.
        transposed: whether the encoder is [channels, latents]; found by the number of channels,
            unless both are equal.

    Raises:
        ConfigError: the file cannot be read or says too little; where the readout is used, that it
            does not fit the layer.

    >>> import numpy as np, pipeline
    >>> sae = pipeline.dictionary({"encoder": np.ones((100, 24)), "bias": np.zeros(100)})
    >>> net = pipeline.network("miniature").with_readouts({"sae": sae})
    >>> net.layer("conv1:sae").units, net.layer("conv1:sae").map_size
    (100, (48, 48))
    """
    found = read_arrays("dictionary", weights, _DICTIONARY, _DECODER, _BESIDE)
    if nonlinearity not in NONLINEARITIES:
        raise ConfigError(
            f"readout.dictionary.nonlinearity: '{nonlinearity}' is not one of"
            f" {', '.join(NONLINEARITIES)}{nearest(str(nonlinearity), NONLINEARITIES)}"
        )
    if (k is not None) != (nonlinearity == "topk") or (k is not None and k < 1):
        raise ConfigError(
            f"readout.dictionary.k: {k} does not fit nonlinearity={nonlinearity}; give topk a"
            " number of latents from 1, and the others none"
        )
    _check_dictionary(found, nonlinearity, subtract_decoder_bias)

    def build(channels: Channels) -> nn.Module:
        encoder = _oriented(found["encoder"], channels, transposed)
        latents = len(encoder)
        parts: list[nn.Module] = []
        if subtract_decoder_bias:
            parts.append(Centered(_vector(found, "decoder bias", channels.count, channels)))
        if "mean" in found:
            parts.append(Centered(_vector(found, "mean", channels.count, channels)))
        bias = _vector(found, "bias", latents, channels) if "bias" in found else None
        parts.append(_at_positions(encoder, bias, channels))
        if nonlinearity == "relu":
            parts.append(nn.ReLU())
        elif nonlinearity == "jumprelu":
            parts.append(JumpReLU(_vector(found, "thresholds", latents, channels)))
        elif k is not None:
            if k > latents:
                raise ConfigError(
                    f"readout.dictionary.k: {k} is more than its {latents} latents; give fewer"
                )
            parts.append(TopK(k))
        return nn.Sequential(*parts)

    return Readout(build)


def linear(weights: str | Path | Mapping[str, Any]) -> Readout:
    """Return linear units: weighted sums of the channels at each position, or of the whole map.

    Args:
        weights: path of a ``.safetensors`` or ``.npz`` file, or arrays by name: ``weight``
            [units, channels] for every position, or [units, channels, rows, columns] or
            [units, channels x rows x columns] for the whole map; ``bias`` [units]. ``coef_`` and
            ``intercept_`` of scikit-learn are known, too.

    Raises:
        ConfigError: the file cannot be read; where the readout is used, that it does not fit the
            layer.

    >>> import numpy as np, pipeline
    >>> difference = np.eye(24)[:1] - np.eye(24)[1:2]
    >>> readout = linear({"weight": difference})
    >>> pipeline.network("miniature").with_readouts({"on": readout}).layer("conv1:on").units
    1
    """
    found = read_arrays("linear", weights, _LINEAR)
    weight = _required("linear", found, "weight", _LINEAR)
    if weight.ndim not in (2, 4):
        raise ConfigError(
            f"readout.linear.weights: the weight has shape {tuple(weight.shape)}, not [units,"
            " channels] or [units, channels, rows, columns]"
        )

    def build(channels: Channels) -> nn.Module:
        bias = found.get("bias")
        if bias is not None and tuple(bias.shape) != (len(weight),):
            raise ConfigError(
                f"readout.linear.weights: the bias has shape {tuple(bias.shape)}, not"
                f" ({len(weight)},), one number per unit"
            )
        if weight.shape[1:] == (channels.count,):
            return _at_positions(weight, bias, channels)
        own = (channels.count, *(channels.map_size or ()))
        if tuple(weight.shape[1:]) in (own, (math.prod(own),)):
            return nn.Sequential(nn.Flatten(), _with(nn.Linear, weight.flatten(1), bias))
        raise ConfigError(
            f"readout.linear.weights: a weight of shape {tuple(weight.shape)} does not fit"
            f" '{channels.layer}', whose {_said(channels)} need ({len(weight)}, {channels.count})"
            f" at every position, or ({len(weight)}, {math.prod(own)}) for all of it"
        )

    return Readout(build)


def directions(weights: str | Path | Mapping[str, Any], normalized: bool = True) -> Readout:
    """Return the channels along some directions: the dot product with each, at every position.

    Args:
        weights: path of a ``.safetensors`` or ``.npz`` file, or arrays by name: ``directions``
            [directions, channels].
        normalized: whether each direction is divided by its length first.

    Raises:
        ConfigError: the file cannot be read, or a direction is of length 0; where the readout is
            used, that it does not fit the layer.

    >>> import numpy as np, pipeline
    >>> concept = directions({"directions": np.ones((1, 24))})
    >>> net = pipeline.network("miniature").with_readouts({"concept": concept})
    >>> net.layer("conv1:concept").units
    1
    """
    found = read_arrays("directions", weights, _DIRECTIONS)
    given = _required("directions", found, "directions", _DIRECTIONS)
    given = given[None] if given.ndim == 1 else given
    lengths = torch.linalg.vector_norm(given.double(), dim=-1, keepdim=True)
    if given.ndim != 2 or not bool((lengths > 0).all()):
        raise ConfigError(
            f"readout.directions.weights: directions of shape {tuple(given.shape)} are not"
            " [directions, channels], each of a length above 0"
        )
    rows = (given.double() / lengths).float() if normalized else given

    def build(channels: Channels) -> nn.Module:
        if rows.shape[1] != channels.count:
            raise ConfigError(
                f"readout.directions.weights: directions of {rows.shape[1]} channels do not fit"
                f" '{channels.layer}', which has {channels.count}"
            )
        return _at_positions(rows, None, channels)

    return Readout(build)


def _check_dictionary(
    found: Mapping[str, Tensor], nonlinearity: str, subtract_decoder_bias: bool | None
) -> None:
    encoder = _required("dictionary", found, "encoder", _DICTIONARY)
    if encoder.ndim != 2:
        raise ConfigError(
            f"readout.dictionary.weights: the encoder has shape {tuple(encoder.shape)}, not"
            " [latents, channels]"
        )
    if ("thresholds" in found) != (nonlinearity == "jumprelu"):
        has = "has thresholds" if "thresholds" in found else "has no thresholds"
        raise ConfigError(
            f"readout.dictionary.nonlinearity: {nonlinearity} does not fit a dictionary that {has};"
            " jumprelu alone needs them"
        )
    if ("decoder bias" in found) != (subtract_decoder_bias is not None):
        has = "a bias" if "decoder bias" in found else "no bias"
        use = "true or false" if "decoder bias" in found else "null"
        raise ConfigError(
            f"readout.dictionary.subtract_decoder_bias: the decoder has {has}; use {use}, as only"
            " some autoencoders subtract it from the channels first"
        )


def _required(key: str, found: Mapping[str, Tensor], meaning: str, names: Any) -> Tensor:
    if meaning not in found:
        raise ConfigError(
            f"readout.{key}.weights: hold no {meaning}; give one as {' or '.join(names[meaning])}"
        )
    return found[meaning]


def _oriented(
    encoder: Float[Tensor, "rows columns"], channels: Channels, transposed: bool | None
) -> Float[Tensor, "latents channels"]:
    rows, columns = encoder.shape
    count = channels.count
    if transposed is None and rows == columns == count:
        raise ConfigError(
            f"readout.dictionary.transposed: an encoder of shape ({rows}, {columns}) may be"
            " [latents, channels] or [channels, latents]; use false or true"
        )
    turned = rows == count and columns != count if transposed is None else transposed
    if (rows if turned else columns) != count:
        raise ConfigError(
            f"readout.dictionary.weights: an encoder of shape ({rows}, {columns}) does not fit"
            f" '{channels.layer}', which has {count} channels"
        )
    return encoder.T.contiguous() if turned else encoder


def _vector(
    found: Mapping[str, Tensor], meaning: str, count: int, channels: Channels
) -> Float[Tensor, " count"]:
    vector = found[meaning]
    if vector.numel() != count or vector.ndim > 2:
        of = "channel" if count == channels.count else "latent"
        raise ConfigError(
            f"readout.dictionary.weights: its {meaning} has shape {tuple(vector.shape)}, not"
            f" ({count},), one number per {of}"
        )
    return vector.flatten()


def _said(channels: Channels) -> str:
    if channels.map_size is None:
        return f"{channels.count} units"
    rows, columns = channels.map_size
    return f"{channels.count} channels of {rows} x {columns} positions"


def _at_positions(
    weight: Float[Tensor, "units channels"], bias: Tensor | None, channels: Channels
) -> nn.Module:
    if channels.map_size is None:
        return _with(nn.Linear, weight, bias)
    return _with(nn.Conv2d, weight[:, :, None, None], bias)


def _with(kind: type[nn.Linear] | type[nn.Conv2d], weight: Tensor, bias: Tensor | None) -> Any:
    """Return a linear map or a 1 x 1 convolution that shares its weights."""
    units, channels = weight.shape[:2]
    sizes: Any = (channels, units, 1) if kind is nn.Conv2d else (channels, units)
    module: Any = kind(*sizes, bias=bias is not None, device="meta")
    module.weight = nn.Parameter(weight, requires_grad=False)
    module.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    return module
