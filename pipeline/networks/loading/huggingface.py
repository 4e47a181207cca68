"""Vision networks of Hugging Face transformers: by the name of the hub, or a folder.

Only transformers' own classes are used: code that a repository of the hub holds is never run
(``trust_remote_code`` stays false), and preprocessing is read as numbers from
``preprocessor_config.json``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, no_type_check

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import ConfigError, NetworkError, first_line, listed
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.hub import hub
from pipeline.networks.loading.module import OWN, Numbers, per_channel, preprocessing_of
from pipeline.networks.loading.network import Network, refuse_key_alone, with_shuffled_weights
from pipeline.networks.loading.preparation import prepared
from pipeline.networks.loading.weights import load_weights, read_weights, seeded
from pipeline.store.secrets import without_query

MISSING = (
    "model: transformers is not installed; install it with pip install 'artiphys[huggingface]'"
)
# Files in which image processors are saved; that of images and text holds several.
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
# Pillow's numbers of resampling filters.
RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}

log = logging.getLogger(__name__)


class ImageModel(nn.Module):
    """A vision model of transformers from images to one tensor.

    Args:
        model: the model.
        output: the attribute of its result that is returned: ``logits``, or
            ``last_hidden_state``, of tokens ``[batch, tokens, width]`` or of maps.
    """

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output

    @no_type_check  # torch.export traces with its own tensors
    def forward(self, images: Float[Tensor, "batch c height width"]) -> Tensor:
        """Return the logits or the last hidden state of normalized images."""
        return getattr(self.model(pixel_values=images, return_dict=True), self.output)


def huggingface_network(
    name: str,
    weights: str = "default",
    weights_key: str | None = None,
    input_size: Sequence[int] | int | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    seed: int = 0,
    shuffled: bool = False,
) -> Network:
    """Return a vision network of Hugging Face transformers (Wolf et al. 2020, arXiv:1910.03771).

    A network that was saved as an image classifier returns its logits, any other its last hidden
    state. Of models of images and text, such as CLIP, it is the vision tower.

    Args:
        name: name in the hub, such as ``facebook/dinov2-small``, which is downloaded when needed,
            or a folder of ``save_pretrained``.
        weights: ``default`` (those saved under that name), ``random`` (a seeded control), or the
            path or URL of a weights file.
        weights_key: dotted place in a weights file, such as ``ema``, under which the weights are;
            by default, the one that fits best.
        input_size: as for ``module_network``; by default, the one of the image processor.
        mean: what is subtracted from pixels in 0..1, one number per channel or one for all; by
            default, that of the image processor.
        std: what they are divided by, likewise.
        seed: of random and of shuffled weights.
        shuffled: whether the weights are shuffled within each layer, as a control.

    Raises:
        ConfigError: transformers is not installed, or there is no such network.
        NetworkError: it cannot be downloaded or loaded, is no vision network, or its preprocessing
            is unknown.
    """
    refuse_key_alone(weights, weights_key)
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(MISSING) from error
    config = _config(name)
    kind, config = _kind(name, config)
    preprocessing = _preprocessing(name, config, (input_size, mean, std))
    transformers.utils.logging.disable_progress_bar()
    with seeded(seed):
        if weights == "default":
            asked = {"config": config, "output_loading_info": True}
            read: Any = _read(name, lambda: kind.from_pretrained(_place(name), **asked))
            model, missing = read[0], _without_weights(name, *read)
        elif weights == "random":
            model, missing = kind(config), frozenset[str]()
        else:
            model, missing = _with_file(kind, config, weights, weights_key)
    output = "logits" if "ForImageClassification" in kind.__name__ else "last_hidden_state"
    module = ImageModel(model, output).eval()
    source = OWN if weights == "default" else without_query(weights)
    missing = frozenset(f"model.{each}" for each in missing)
    network = prepared(Network(Path(name).name, module, preprocessing, source, "", missing))
    return with_shuffled_weights(network, seed) if shuffled else network


def _with_file(
    kind: Any, config: Any, weights: str, key: str | None
) -> tuple[nn.Module, frozenset[str]]:
    """Return a network with the weights of a file, and the names of those that it lacks.

    The names in the file are those of files of transformers, or of the network itself.

    Raises:
        NetworkError: they do not fit.
    """
    found = read_weights(weights)
    tensors = found.get(key or "", next(iter(found.values())) if len(found) == 1 else {})
    asked = {"config": config, "state_dict": dict(tensors), "output_loading_info": True}
    with hub():
        model, told = kind.from_pretrained(None, **asked)
    if told["missing_keys"] or told["mismatched_keys"]:
        other = kind(config)
        try:
            missing = load_weights(other, found, weights, key)
        except NetworkError:
            if 2 * len(told["missing_keys"]) > len(other.state_dict()):
                raise
            missing = None
        if missing is not None and len(missing) < len(told["missing_keys"]):
            return other, missing
    return model, _without_weights(weights, model, told)


def _without_weights(source: str, model: nn.Module, told: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of weights that were not in a file, which are filled with NaN.

    transformers would leave random numbers there. What is left out is logged.
    """
    if left := sorted(told["unexpected_keys"]):
        some = listed([f"'{each}'" for each in left], 1)
        log.info("model.weights: '%s': left out: %s", source, some)
    mismatched = [each[0] for each in told["mismatched_keys"]]
    missing = frozenset([*told["missing_keys"], *mismatched])
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in missing and tensor.is_floating_point():
                tensor.fill_(float("nan"))
    return missing


def _place(name: str) -> str:
    """Return the folder of a network on this machine, or else its name in the hub."""
    folder = Path(name).expanduser()
    return str(folder) if folder.is_dir() else name


def _read(name: str, read: Any) -> Any:
    """Return what is read from a folder or the hub.

    Raises:
        NetworkError: it is not there, or cannot be downloaded.
    """
    try:
        with hub():
            return read()
    except Exception as error:  # files may hold anything, and the hub may be out of reach
        folder = Path(name).expanduser().is_dir()
        where = "the folder" if folder else "the Hugging Face hub"
        remedy = (
            "save it with save_pretrained"
            if folder
            else "download it where you can, with save_pretrained, and give that folder"
        )
        raise NetworkError(
            f"model.name: '{name}' cannot be read from {where} ({first_line(error)}); {remedy}"
        ) from error


def _config(name: str) -> Any:
    from transformers import AutoConfig

    return _read(name, lambda: AutoConfig.from_pretrained(_place(name), trust_remote_code=False))


def _kind(name: str, config: Any) -> tuple[Any, Any]:
    """Return the class of a vision network, and its configuration.

    Raises:
        NetworkError: it takes no images.
    """
    from transformers import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, MODEL_MAPPING

    config = getattr(config, "vision_config", config)  # the vision tower of CLIP and the like
    saved = [str(each) for each in getattr(config, "architectures", None) or ()]
    classifies = any(each.endswith("ForImageClassification") for each in saved)
    mapping: Any = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING if classifies else MODEL_MAPPING
    kind = mapping.get(type(config), None)
    if kind is None or getattr(kind, "main_input_name", "") != "pixel_values":
        raise NetworkError(
            f"model.name: '{name}' ({type(config).__name__}) is no vision network of transformers;"
            " give one that takes pixel_values alone, such as ViT, DINOv2, ConvNeXt, ResNet or CLIP"
        )
    return kind, config


def _preprocessing(
    name: str, config: Any, given: tuple[Sequence[int] | int | None, Numbers, Numbers]
) -> Preprocessing:
    """Return the preprocessing of the image processor, with what the user gives instead.

    Raises:
        NetworkError: it is unknown, or cannot be followed.
    """
    channels = int(getattr(config, "num_channels", 3))
    input_size, mean, std = given
    stored = _processor(name)
    if stored is None and (mean is None or std is None):
        raise NetworkError(
            f"model.mean: '{name}' has no {PROCESSORS[0]}, so what its weights expect of pixels is"
            " unknown; give model.mean and model.std, or save its image processor beside it"
        )
    stored = stored or {}
    _refuse_other_pixels(name, stored)
    if stored.get("do_normalize", True):
        mean = stored.get("image_mean") if mean is None else mean
        std = stored.get("image_std") if std is None else std
    filter_name = RESAMPLING.get(int(stored.get("resample") or 2), "bicubic")
    if input_size is not None:
        return preprocessing_of(input_size, mean, std, None, filter_name)
    resize, (height, width) = _sizes(stored, getattr(config, "image_size", None) or 224)
    return Preprocessing(
        resize,
        height if height == width else (height, width),
        per_channel("mean", mean, 0.0, channels),
        per_channel("std", std, 1.0, channels),
        filter_name,
    )


def _refuse_other_pixels(name: str, stored: Mapping[str, Any]) -> None:
    """Refuse an image processor that does not scale bytes to 0..1.

    Raises:
        NetworkError: it does not.
    """
    factor = float(stored.get("rescale_factor", 1 / 255)) if stored.get("do_rescale", True) else 1
    if abs(255 * factor - 1) > 1e-3:
        raise NetworkError(
            f"model.name: the image processor of '{name}' scales bytes to 0..{255 * factor:g}, and"
            " pixels here are in 0..1; change its mean, std and rescale_factor accordingly"
        )


def _processor(name: str) -> Mapping[str, Any] | None:
    """Return the settings of an image processor, if the network has one."""
    for file in PROCESSORS:
        path = _file(name, file)
        if path is None:
            continue
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise NetworkError(f"model.name: '{path}' is no JSON ({first_line(error)})") from error
        stored = stored.get("image_processor", stored) if isinstance(stored, dict) else {}
        if {"image_mean", "image_processor_type", "feature_extractor_type"} & set(stored):
            return stored
    return None


def _file(name: str, file: str) -> Path | None:
    """Return a file of a network, which is downloaded if the network is one of the hub."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder / file if (folder / file).is_file() else None
    from transformers.utils.hub import cached_file

    missing_is_none = {"_raise_exceptions_for_missing_entries": False}
    found = _read(name, lambda: cached_file(name, file, **missing_is_none))
    return None if found is None else Path(str(found))


def _sizes(stored: Mapping[str, Any], image_size: Any) -> tuple[int | None, tuple[int, int]]:
    """Return the short side after resizing, and height and width of the crop, as it is stored.

    ``size`` is a side, a short side or a height and width; ``crop_pct`` is that of ConvNeXt, whose
    pictures are resized to the size divided by it, below 384 pixels.
    """
    size, crop = stored.get("size", image_size), stored.get("crop_size", image_size)
    short = _rectangle(size)
    rows, columns = _rectangle(crop) if stored.get("do_center_crop") else short
    resize: int | None = min(short)
    if "crop_pct" in stored and min(short) < 384:
        (rows, columns), resize = short, int(min(short) / float(stored["crop_pct"]))
    if not stored.get("do_resize", True):
        resize = None
    elif short[0] != short[1] or not stored.get("do_center_crop", "crop_pct" in stored):
        log.info(
            "model: its image processor resizes pictures to %s x %s pixels, whatever their shape;"
            " here they are resized to just cover that, and center-cropped",
            *short,
        )
    return resize, (rows, columns)


def _rectangle(size: Any) -> tuple[int, int]:
    """Return height and width of a size in any of the forms in which transformers stores it."""
    if isinstance(size, Mapping):
        side = size.get("shortest_edge")
        height, width = size.get("height", side), size.get("width", side)
        return int(height), int(width)
    if isinstance(size, Sequence):
        return int(size[0]), int(size[-1])
    return int(size), int(size)
