"""Weights: from a file, a download or a seed, with a digest of the loaded weights.

A file may cover only the first layers of a network. All other weights are filled with NaN, so that
using them cannot go unnoticed, and layers that need them are rejected by name.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.errors import NetworkError, first_line
from pipeline.networks.loading.checkpoint_fitting import COUNTER, choose
from pipeline.networks.loading.checkpoints import (
    SUFFIXES,
    CheckpointError,
    StateDict,
    read_checkpoint,
)
from pipeline.networks.loading.downloads import SCHEMES, download
from pipeline.store.secrets import without_query

log = logging.getLogger(__name__)
PACKAGE = Path(__file__).parents[2]  # whose weights come with it


def read_weights(source: str) -> dict[str, StateDict]:
    """Return the dictionaries of tensors of a weights file or URL, by the keys that lead to them.

    Args:
        source: a path ending in one of ``SUFFIXES``, or the URL of such a file, which is downloaded
            (``downloads.download``).

    Raises:
        NetworkError: the file is missing, of another kind, unreadable or holds no tensors.
    """
    by_url = source.startswith(SCHEMES)
    path = download(source) if by_url else _existing(source)
    try:
        found = read_checkpoint(path)
    except Exception as error:  # damaged files may raise anything
        remedy = f"remove '{path}' to download it again" if by_url else "is the file whole?"
        told = f"model.weights: '{without_query(source)}' cannot be read as weights"
        if isinstance(error, CheckpointError):
            raise NetworkError(f"{told} ({error})") from error
        text = first_line(error) if str(error).strip() else "the file is empty"
        raise NetworkError(f"{told} ({text}); {remedy}") from error
    if not found:
        raise NetworkError(
            f"model.weights: '{without_query(source)}' holds no tensors by name (no state_dict)"
        )
    return found


def _existing(source: str) -> Path:
    path = Path(source).expanduser()
    if not path.name.endswith(SUFFIXES):
        raise NetworkError(
            f"model.weights: '{source}' is neither 'default', 'random', a URL nor a file ending in "
            f"{', '.join(SUFFIXES)}"
        )
    if not path.is_file():
        raise NetworkError(f"model.weights: there is no file '{source}'; give the path of one")
    return path


def load_weights(
    module: nn.Module, found: Mapping[str, StateDict], source: str, key: str | None = None
) -> frozenset[str]:
    """Copy those tensors of a file that belong to a network into it.

    Args:
        module: the network; weights that are not in the file are filled with NaN.
        found: contents of the file (``read_weights``).
        source: source of the file, for messages.
        key: dotted place in the file under which the weights are, such as ``ema``; by default, the
            one that fits best (``checkpoint_fitting``). What was done is logged.

    Returns:
        The names of the parameters and buffers that are missing. Those of a head with another
        number of classes, or of another kind, are among them.

    Raises:
        NetworkError: the file is of another network, holds several that fit, or none under ``key``.
    """
    own = module.state_dict()
    fit = choose(found, own, source, key)
    shipped = Path(source).is_relative_to(PACKAGE)  # nobody asked for it, and it is as expected
    for sentence in () if shipped else fit.notes(source):
        log.info("%s", sentence)
    covered = fit.covered
    missing = {name for name in set(own) - set(covered) if not name.endswith(COUNTER)}
    with torch.no_grad():
        for name, tensor in own.items():
            if name in covered:
                tensor.copy_(covered[name])
            elif name in missing and tensor.is_floating_point():
                tensor.fill_(float("nan"))
    return frozenset(missing)


def seeded(seed: int) -> Any:
    """Return a context in which torch's random numbers follow ``seed``; then restore the old state.

    Only for building networks: PyTorch always initializes weights from its global generator.
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
    """Return the SHA-256 of a network's weights: order, shapes and bytes, without missing ones.

    The same weights have the same digest, regardless of their file and of their names. Where each
    is used is in the digest of the network's computation (``graph/identity.py``).
    """
    left_out = set(missing)
    digest = hashlib.sha256()
    for number, (name, tensor) in enumerate(module.state_dict().items()):
        if name not in left_out and not name.endswith(COUNTER):
            digest.update(f"{number} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
