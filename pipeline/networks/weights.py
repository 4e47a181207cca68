"""Weights: from a file, a download or a seed, with a digest of what was loaded.

A file may cover only the first layers of a network. What it does not cover is filled with NaN, so
that nothing can be computed from it unnoticed, and layers that need it are refused by name.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import NetworkError, nearest
from pipeline.networks.downloads import SCHEMES, download

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")


def read_weights(source: str) -> dict[str, Tensor]:
    """Return the tensors of a weights file or of a URL, by parameter name.

    A ``state_dict`` inside a checkpoint is found, and a common prefix such as ``model.`` is cut.

    Args:
        source: a path ending in .safetensors, .pth, .pt or .ckpt, or the URL of such a file, which
            is downloaded (``downloads.download``).

    Raises:
        NetworkError: the file is missing, of another kind, unreadable or holds no tensors.
    """
    by_url = source.startswith(SCHEMES)
    path = download(source) if by_url else _existing(source)
    # Code in a file is never run, but torchvision's own files may be too old to be read that way.
    safe = not source.startswith("https://download.pytorch.org/")
    try:
        loaded = _load(path, weights_only=safe)
    except Exception as error:  # damaged files break the readers in many ways
        remedy = f"remove '{path}' to download it again" if by_url else "is the file whole?"
        raise NetworkError(
            f"model.weights: '{source}' cannot be read as weights ({_reason(error)}); {remedy}"
        ) from error
    return _tensors(loaded, source)


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if path.suffix not in SUFFIXES:
        raise NetworkError(
            f"model.weights: '{source}' is neither 'default', 'random', a URL nor a file ending in "
            f"{', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise NetworkError(f"model.weights: there is no file '{source}'; give the path of one")
    return path


def _load(path: Path, *, weights_only: bool) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=weights_only)


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        return "it holds something else than tensors"  # torch's own text advises to run it
    return str(error).strip().splitlines()[0] if str(error) else "the file is empty"


def _tensors(loaded: Any, source: str) -> dict[str, Tensor]:
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping):
        loaded = {}
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}
    if not tensors:
        raise NetworkError(f"model.weights: '{source}' holds no tensors by name (no state_dict)")
    for prefix in ("module.", "model.", "net.", "network."):
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def load_weights(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> frozenset[str]:
    """Copy tensors into a network.

    Args:
        module: the network; what ``tensors`` does not cover is filled with NaN.
        tensors: weights by parameter name.
        source: where they come from, for error messages.

    Returns:
        The names of the parameters and buffers that are missing.

    Raises:
        NetworkError: a tensor does not belong to the network, or has another shape.
    """
    own = module.state_dict()
    strangers = sorted(set(tensors) - set(own))
    if strangers:
        raise NetworkError(
            f"model.weights: '{source}' holds '{strangers[0]}'"
            + (f" and {len(strangers) - 1} more" if len(strangers) > 1 else "")
            + f", which the network does not have{nearest(strangers[0], own)}; are they the"
            " weights of another model?"
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise NetworkError(
                f"model.weights: '{name}' in '{source}' has shape {tuple(tensor.shape)}, the"
                f" network needs {tuple(own[name].shape)}; are they the weights of another model?"
            )
    missing = {name for name in set(own) - set(tensors) if not name.endswith("num_batches_tracked")}
    with torch.no_grad():
        for name, tensor in own.items():
            if name in tensors:
                tensor.copy_(tensors[name])
            elif name in missing and tensor.is_floating_point():
                tensor.fill_(float("nan"))
    return frozenset(missing)


def seeded(seed: int) -> Any:
    """Return a context in which torch's random numbers follow ``seed``; the old state comes back.

    Only for building networks: PyTorch initializes weights from its global generator alone.
    """
    return _Seeded(seed)


class _Seeded:
    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()
        torch.default_generator.manual_seed(self.seed)

    def __exit__(self, *_: object) -> None:
        torch.set_rng_state(self.state)


def digest_weights(module: nn.Module, missing: Iterable[str] = ()) -> str:
    """Return the SHA-256 of a network's weights: names, shapes and bytes, without missing ones.

    The same weights have the same digest whatever file they came in.
    """
    left_out = set(missing)
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if name not in left_out and not name.endswith("num_batches_tracked"):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
