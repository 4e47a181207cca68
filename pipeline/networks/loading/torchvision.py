"""torchvision's classification networks by name."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

import torchvision

from pipeline.errors import ConfigError, nearest
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import Network, build_network, refuse_key_alone

# torchvision's own weights of these expect another normalization of pixels; with transform_input,
# the module converts its input itself.
WITH_TRANSFORM_INPUT = ("googlenet", "inception_v3")

log = logging.getLogger(__name__)


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    return torchvision.models.list_models(module=torchvision.models)


def torchvision_network(
    name: str,
    weights: str = "default",
    seed: int = 0,
    transform_input: bool | None = None,
    shuffled: bool = False,
    weights_key: str | None = None,
) -> Network:
    """Return one of torchvision's classification networks.

    Args:
        name: torchvision's name, such as ``alexnet``.
        weights: ``default`` (torchvision's own, downloaded when needed), ``random`` (a seeded
            control), or the path or URL of a weights file.
        seed: seed of random and of shuffled weights.
        transform_input: of GoogLeNet and Inception v3, whether the weights were trained on pixels
            normalized with mean and standard deviation 0.5, as torchvision's own were; by default,
            if the weights are torchvision's.
        shuffled: whether the weights are shuffled within each layer, as a control.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.

    Raises:
        ConfigError: there is no such network, or it has no ``transform_input``.
        NetworkError: the weights cannot be loaded or do not fit.
    """
    names = torchvision_names()
    if name not in names:
        raise ConfigError(
            f"model.name: '{name}' is not one of torchvision's {len(names)} classification networks"
            f"{nearest(name, names)}"
        )
    declared = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    presets = declared.transforms()
    preprocessing = Preprocessing(
        resize=int(presets.resize_size[0]),
        crop=int(presets.crop_size[0]),
        mean=tuple(presets.mean),
        std=tuple(presets.std),
        interpolation=presets.interpolation.value,
    )
    refuse_key_alone(weights, weights_key)
    options = _transform_input_options(name, weights, str(declared.url), transform_input)
    source = str(declared.url) if weights == "default" else weights
    return build_network(
        name,
        lambda: torchvision.models.get_model(name, **options),
        preprocessing,
        source,
        seed,
        shuffled,
        weights_key,
    )


def _transform_input_options(
    name: str, weights: str, own: str, transform_input: bool | None
) -> dict[str, Any]:
    """Return how a network that has ``transform_input`` is built."""
    if name not in WITH_TRANSFORM_INPUT:
        if transform_input is not None:
            raise ConfigError(
                f"model.transform_input: {name} has none; it is an option of"
                f" {' and '.join(WITH_TRANSFORM_INPUT)}"
            )
        return {}
    transforms = _are_own(weights, own) if transform_input is None else transform_input
    log.info(
        "model: %s is built with transform_input=%s, %s",
        name,
        str(transforms).lower(),
        "as its weights are torchvision's own"
        if transform_input is None and transforms
        else "as its weights are not torchvision's own"
        if transform_input is None
        else "as model.transform_input says",
    )
    # The auxiliary classifiers are in the files, but not called in eval mode.
    return {
        "transform_input": transforms,
        "aux_logits": True,
        "init_weights": weights == "random",
    }


def _are_own(weights: str, own: str) -> bool:
    """Return whether weights are torchvision's own: its URL, or a file of that name and digest."""
    if weights in ("default", own):
        return True
    path, name = Path(weights).expanduser(), own.rpartition("/")[2]
    if path.name != name or not path.is_file():
        return False
    digits = name.rpartition("-")[2].partition(".")[0]
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(digits)


def declared_weights(name: str) -> tuple[str, float | None] | None:
    """Return the URL of a torchvision network's own weights, and their size in MB if it is known.

    ``None`` if torchvision has no such network.
    """
    if name not in torchvision_names():
        return None
    declared = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    return str(declared.url), declared.meta.get("_file_size")
