"""Distributions of codes, from numbers or from one number per gene."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.searchers import Prior

# A number for all genes, the name of a tensor of the module, or the path of a .npy file.
Genes = float | int | str


def normal_prior(
    genes: int,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -math.inf,
    high: float = math.inf,
) -> Prior:
    """Return the same distribution for every gene."""
    return Prior(*(np.full(genes, value, dtype=np.float64) for value in (mean, std, low, high)))


def given_prior(
    key: str, shape: tuple[int, ...], values: dict[str, Genes | None], module: nn.Module
) -> Prior:
    """Return the distribution that a user describes.

    Args:
        key: of the configuration, for messages.
        shape: of one code.
        values: ``mean``, ``std``, ``low`` and ``high``; ``None`` stands for no bound.
        module: the module whose tensors may be named.

    Raises:
        ConfigError: a value cannot be read, has another number of genes, or is out of range.
    """
    defaults = {"mean": 0.0, "std": 1.0, "low": -math.inf, "high": math.inf}
    found = {
        name: _genes(
            f"{key}.{name}", shape, default if values[name] is None else values[name], module
        )
        for name, default in defaults.items()
    }
    if not (np.isfinite(found["mean"]).all() and np.isfinite(found["std"]).all()):
        raise ConfigError(f"{key}: mean and std must be finite")
    if not (found["std"] > 0).all():
        raise ConfigError(f"{key}.std: it must be above 0 for every gene")
    if not (found["low"] <= found["high"]).all():
        raise ConfigError(f"{key}.low: it must not be above {key}.high for any gene")
    return Prior(**found)


def _genes(
    key: str, shape: tuple[int, ...], value: object, module: nn.Module
) -> Float[np.ndarray, " genes"]:
    genes = math.prod(shape)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return np.full(genes, value, dtype=np.float64)
    if not isinstance(value, str):
        raise ConfigError(
            f"{key}: {value} is not a number, the name of a tensor of the module, or the path of a"
            " .npy file"
        )
    numbers = _file(key, value) if value.endswith(".npy") else _tensor(key, value, module)
    if numbers.size != genes:
        raise ConfigError(
            f"{key}: '{value}' holds {numbers.size} numbers, and a code of shape {list(shape)} has"
            f" {genes} genes"
        )
    if np.isnan(numbers).any():
        raise ConfigError(f"{key}: '{value}' holds NaN; give a number for every gene")
    return numbers.reshape(genes)


def _file(key: str, value: str) -> Float[np.ndarray, "*shape"]:
    try:
        found = np.load(Path(value).expanduser(), allow_pickle=False)
        return np.asarray(found, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: '{value}' cannot be read as an array of numbers") from error


def _tensor(key: str, value: str, module: nn.Module) -> Float[np.ndarray, "*shape"]:
    found = getattr(module, value, None)
    if not isinstance(found, Tensor):
        raise ConfigError(
            f"{key}: '{value}' is neither the name of a tensor of {type(module).__name__} nor the"
            " path of a .npy file"
        )
    return found.detach().cpu().double().numpy()
