"""Objectives of directions in the space of features: weighted sums over units."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images.files import read_content
from pipeline.synthesis.objectives.objective import (
    Layers,
    Objective,
    Position,
    Seen,
    check_position,
    place,
)

Direction = Sequence[float] | Mapping[Any, float] | str


def direction(
    vector: Direction,
    position: Position = None,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """The dot product of z with a direction in the space of features.

    The product is averaged over the map, or taken at one position: a weighted sum over units.

    Args:
        vector: one number per feature, numbers of some features (``{3: 1.0, 7: -0.5}``), or the
            path of a ``.npy`` file.
        position: ``center``, or row and column; all positions by default.
        layer: layer of the features.
        weight: factor of the score.
    """
    check_position("direction", position)
    given, contents = _vector("direction", vector)

    def score(seen: Seen) -> Tensor:
        along = torch.einsum("bcyx,c->byx", seen.responses, _full(given, seen))
        return along.mean((1, 2)) if position is None else _pick(along, position)

    additive = "mean" if position is None else None
    return Objective(score, weight, layer, per_unit=False, additive=additive, contents=contents)


def cosine_direction(
    vector: Direction,
    position: Position = None,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """The cosine between z and a direction in the space of features, as in ``direction``."""
    check_position("cosine_direction", position)
    given, contents = _vector("cosine_direction", vector)

    def score(seen: Seen) -> Tensor:
        wanted = _full(given, seen)[None, :, None, None]
        cosine = F.cosine_similarity(seen.responses, wanted, dim=1, eps=1e-6)
        return cosine.mean((1, 2)) if position is None else _pick(cosine, position)

    additive = "mean" if position is None else None
    return Objective(score, weight, layer, per_unit=False, additive=additive, contents=contents)


def _pick(maps: Tensor, position: Position) -> Tensor:
    row, column = place(position, *maps.shape[1:])
    return maps[:, row, column]


def _vector(name: str, vector: Direction) -> tuple[dict[int, float] | np.ndarray, str | None]:
    key = f"objective.{name}.vector"
    contents = None
    if isinstance(vector, Mapping):
        try:
            given: Any = {int(unit): float(value) for unit, value in vector.items()}
        except (TypeError, ValueError):
            raise ConfigError(f"{key}: {dict(vector)} does not map units to numbers") from None
        values = list(given.values())
        if min(given, default=0) < 0:
            raise ConfigError(f"{key}: unit {min(given)} is negative; units count from 0")
    else:
        if isinstance(vector, str):
            vector, contents = _read_vector(key, vector)
        try:
            given = np.asarray(vector, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError(f"{key}: {vector!r} is not a list of numbers") from None
        if given.ndim != 1:
            raise ConfigError(f"{key}: an array of shape {given.shape} is not one number a feature")
        values = given.tolist()
    if not any(values) or not all(map(math.isfinite, values)):
        raise ConfigError(f"{key}: the direction has no finite length above zero")
    return given, contents


def _read_vector(key: str, path: str) -> tuple[Any, str]:
    try:
        data = read_content(Path(path).expanduser())
        vector = np.load(io.BytesIO(data))
    except (ImageError, TransientError, OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{key}: '{path}' cannot be read as a .npy file ({error})") from error
    if vector.dtype.kind not in "fiu":
        raise ConfigError(f"{key}: '{path}' holds {vector.dtype}, not real numbers")
    return vector, hashlib.sha256(data).hexdigest()


def _full(given: dict[int, float] | np.ndarray, seen: Seen) -> Tensor:
    """Return a direction as one number per feature of the layer."""
    features = seen.responses.shape[1]
    if isinstance(given, dict):
        if max(given) >= features:
            raise ConfigError(
                f"objective: unit {max(given)} of a direction is beyond the {features} of the layer"
            )
        vector = seen.responses.new_zeros(features)
        for unit, value in given.items():
            vector[unit] = value
        return vector
    if len(given) != features:
        raise ConfigError(
            f"objective: a direction of {len(given)} numbers does not fit the {features} features"
            " of the layer"
        )
    return seen.responses.new_tensor(given)
