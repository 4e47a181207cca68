"""timm's networks by name, with the preprocessing that timm declares for their weights."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from pipeline.errors import ConfigError, NetworkError, first_line, nearest
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.resize import FILTERS
from pipeline.networks.loading.hub import hub
from pipeline.networks.loading.module import OWN, Numbers, of_module, per_channel
from pipeline.networks.loading.network import Network, refuse_key_alone, with_shuffled_weights
from pipeline.networks.loading.weights import seeded

MISSING = "model: timm is not installed; install it with pip install 'artiphys[timm]'"

log = logging.getLogger(__name__)


def timm_network(
    name: str,
    weights: str = "default",
    weights_key: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    seed: int = 0,
    shuffled: bool = False,
) -> Network:
    """Return one of timm's networks (Wightman 2019, https://github.com/huggingface/pytorch-image-models).

    Args:
        name: timm's name, such as ``resnet18.a1_in1k``.
        weights: ``default`` (timm's own of that name, downloaded when needed), ``random`` (a seeded
            control), or the path or URL of a weights file.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.
        arguments: of ``timm.create_model``, by name, such as ``in_chans`` or ``img_size``.
        mean: what is subtracted from pixels in 0..1, one number per channel or one for all; that of
            timm's data config by default.
        std: what they are divided by, likewise.
        seed: of random and of shuffled weights.
        shuffled: whether the weights are shuffled within each layer, as a control.

    Raises:
        ConfigError: timm is not installed, there is no such network, or an argument cannot be used.
        NetworkError: the weights cannot be downloaded or loaded, or do not fit.
    """
    refuse_key_alone(weights, weights_key)
    try:
        from timm.data.config import resolve_model_data_config
    except ImportError as error:
        raise ConfigError(MISSING) from error
    _check_name(name)
    with seeded(seed):
        module = _created(name, dict(arguments or {}), pretrained=weights == "default")
    module.eval()
    preprocessing = _preprocessing(resolve_model_data_config(module), module, mean, std)
    called = name.replace(":", "/").rpartition("/")[2]
    source = OWN if weights == "default" else weights
    network = of_module(module, preprocessing, called, source, weights_key)
    return with_shuffled_weights(network, seed) if shuffled else network


def _check_name(name: str) -> None:
    import timm

    architecture, _, tag = name.partition(".")
    if ":" in name or (timm.is_model(name) and not tag):
        return  # a name with a colon is of the hub or a folder
    known = timm.list_pretrained(f"{architecture}.*") or timm.list_models()
    if name not in known:
        raise ConfigError(
            f"model.name: '{name}' is not one of timm's networks{nearest(name, known)}; see"
            " timm.list_models(pretrained=True)"
        )


def _created(name: str, arguments: dict[str, Any], *, pretrained: bool) -> nn.Module:
    """Return a network, with timm's own weights or random ones.

    Raises:
        ConfigError: the arguments cannot be used.
        NetworkError: the weights cannot be downloaded.
    """
    import timm

    try:
        with hub():
            return timm.create_model(name, pretrained=pretrained, **arguments)
    except Exception as error:
        if pretrained and _can_be_built(name, arguments):
            raise NetworkError(
                f"model.weights: the weights of timm's '{name}' cannot be had from the Hugging Face"
                f" hub ({first_line(error)}); download them where you can, and give the file, as in"
                " model.weights=/w/model.safetensors"
            ) from error
        raise ConfigError(
            f"model.arguments: timm cannot make '{name}' with {arguments} ({first_line(error)})"
        ) from error


def _can_be_built(name: str, arguments: dict[str, Any]) -> bool:
    import timm

    try:
        timm.create_model(name, pretrained=False, **arguments)
    except Exception:  # noqa: BLE001 - arguments are the user's
        return False
    return True


def _preprocessing(
    declared: Mapping[str, Any], module: nn.Module, mean: Numbers, std: Numbers
) -> Preprocessing:
    """Return the preprocessing of timm's transforms for evaluation, from its data config.

    As ``timm.data.transforms_imagenet_eval``: the short side is resized to that of the input,
    divided by ``crop_pct``.

    Raises:
        NetworkError: there is no mean for each channel.
    """
    _, height, width = declared["input_size"]
    channels = int(getattr(module, "in_chans", 0) or declared["input_size"][0])
    if isinstance(first := next(_convolutions(module), None), nn.Conv2d):
        channels = first.in_channels
    if declared["crop_mode"] != "center":
        log.warning(
            "model: timm evaluates %s with crop_mode=%s, which changes the shape of pictures or"
            " adds borders; here they are resized to just cover the input and center-cropped",
            type(module).__name__,
            declared["crop_mode"],
        )
    interpolation = str(declared["interpolation"])
    if interpolation not in FILTERS:
        log.warning(
            "model: timm resizes pictures with the filter '%s', here they are resized with"
            " 'bicubic'",
            interpolation,
        )
        interpolation = "bicubic"
    given = {"mean": mean, "std": std}
    for key, value in given.items():
        if value is None and channels == len(declared[key]):
            given[key] = declared[key]
        elif value is None:
            raise NetworkError(
                f"model.{key}: timm declares {list(declared[key])}, and the network takes"
                f" {channels} channels; give one number per channel"
            )
    return Preprocessing(
        math.floor(min(height, width) / declared["crop_pct"]),
        height if height == width else (height, width),
        per_channel("mean", given["mean"], 0.0, channels),
        per_channel("std", given["std"], 1.0, channels),
        interpolation,
    )


def _convolutions(module: nn.Module):
    return (part for part in module.modules() if isinstance(part, nn.Conv2d))
