"""Objectives: what is climbed.

Each objective is a function of its settings that returns an ``Objective``: how a batch of images is
scored from what one forward pass leaves. Several objectives add up to one score, each by its
weight; a negative weight minimizes.

The reductions of the literature differ only in what they take of a layer's map z and by which
number they divide; each function names its source.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.pictures import chosen_picture
from pipeline.networks.layers import OUTPUT

Position = Literal["center"] | Sequence[int] | None
Layers = str | Sequence[str] | None
Direction = Sequence[float] | Mapping[Any, float] | str


@dataclass(frozen=True)
class Seen:
    """What an objective may look at: one layer after one forward pass of a batch of images.

    Images of the same unit (copies) lie side by side.

    Attributes:
        responses: of the layer, before any nonlinearity that follows; [..., 1, 1] where the layer
            has no map.
        units: the unit that each image is climbed for.
        copies: how many images of one unit lie side by side.
        images: as the network saw them, in network-input space.
        reference: responses of the layer to what the objective compares with
            (``Objective.reference``).
    """

    responses: Float[Tensor, "batch units rows columns"]
    units: Int[Tensor, " batch"]
    copies: int
    images: Float[Tensor, "batch 3 height width"]
    reference: Float[Tensor, "references units rows columns"] | None = None

    @property
    def own(self) -> Float[Tensor, "batch rows columns"]:
        """The map of each image's own unit."""
        return self.responses[torch.arange(len(self.units), device=self.units.device), self.units]

    @property
    def compared(self) -> Float[Tensor, "references units rows columns"]:
        """The reference, which an objective that asks for one is always given."""
        if self.reference is None:
            raise ValueError("this objective was scored without its reference")
        return self.reference

    def at(self, position: Position) -> Float[Tensor, "batch units"]:
        """Return all responses at one position of the map: its center is at n // 2."""
        rows, columns = self.responses.shape[2:]
        row, column = (
            (rows // 2, columns // 2) if position in (None, "center") else map(int, position)  # type: ignore[arg-type]
        )
        if not (0 <= row < rows and 0 <= column < columns):
            raise ConfigError(
                f"objective: position [{row}, {column}] is not on the map of {rows} x {columns}"
            )
        return self.responses[:, :, row, column]


@dataclass(frozen=True)
class Objective:
    """One term of what is climbed.

    Attributes:
        score: from what was seen to one score per image.
        weight: factor of the score in the sum; ``None`` balances the gradient of the term against
            that of the first term that has a number.
        layers: whose responses are seen, each scored, and added up; the run's own layer if none is
            named.
        per_unit: whether it is another one for every unit; else it is the layer's as a whole.
        of_field: whether it needs no more than the one response of a unit, so that an image of the
            size of its receptive field will do; ``score`` is then asked for positions elsewhere.
        copies: how many images of a unit it compares, at least.
        reference: what the layer's responses are compared with: those to a ``picture``, or to the
            ``start`` of the ascent.
        picture: RGB bytes, of a reference of that kind.
        additive: whether scores of parts of the map add up to the score of the map (``sum``), or do
            so weighted by the share of positions (``mean``); ``None`` if neither.
        contents: digest of a file that determines the score, if one does.
    """

    score: Callable[[Seen], Float[Tensor, " batch"]]
    weight: float | None = 1.0
    layers: Layers = None
    per_unit: bool = True
    of_field: bool = False
    copies: int = 1
    reference: Literal["picture", "start"] | None = None
    picture: UInt8[Tensor, "3 height width"] | None = field(default=None, repr=False)
    additive: Literal["sum", "mean"] | None = None
    contents: str | None = None

    def __post_init__(self) -> None:
        names: Any = [self.layers] if isinstance(self.layers, str | None) else self.layers
        fits = isinstance(names, list | tuple) and len(names) > 0
        if not fits or not all(isinstance(name, str | None) for name in names):
            raise ConfigError(
                f"objective: layer {self.layers!r} is not the name of a layer, or a list of names"
            )

    @property
    def layer_names(self) -> tuple[str | None, ...]:
        """The layers that are seen; ``None`` stands for the run's own."""
        return (self.layers,) if isinstance(self.layers, str | None) else tuple(self.layers)


# One unit.


def unit_response(position: Position = None, weight: float | None = 1.0) -> Objective:
    """z[c, y, x]: the response of one unit at one place, before any nonlinearity.

    Source: "Deep Dream at neuron level" (seed document 000), where the place is the middle of the
    map.

    Args:
        position: row and column on the layer's map, on images of their whole size; by default the
            middle, on images of the receptive field alone where nothing else is climbed.
        weight: factor of the score.
    """
    _check_position("unit_response", position)

    def score(seen: Seen) -> Tensor:
        responses = seen.at(position)
        return responses[torch.arange(len(seen.units), device=seen.units.device), seen.units]

    return Objective(score, weight, of_field=position is None)


def channel_sum(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The sum of z_c over the map of channel c.

    Source: seed document 001, whose loss sum(C - z_c) has the same gradient with the other sign.
    """
    return Objective(lambda seen: seen.own.sum((1, 2)), weight, layer, additive="sum")


def channel_mean(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z_c over the map of channel c (Olah et al. 2017; lucent's ``channel``)."""
    return Objective(lambda seen: seen.own.mean((1, 2)), weight, layer, additive="mean")


def constant_minus_channel(
    constant: float = 200.0, layer: Layers = None, weight: float | None = -1.0
) -> Objective:
    """The sum of C - z_c over the map: the loss of seed document 001, minimized by its weight -1.

    The gradient does not depend on C.
    """
    return Objective(lambda seen: (constant - seen.own).sum((1, 2)), weight, layer, additive="sum")


# A whole layer.


def layer_sum(
    per_feature: bool = False, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """The sum of z over all positions and features of a layer (seed documents 001 and 002).

    Args:
        per_feature: divide by the number F of features: "layer gradient scale b = 1/F" (001).
        layer: of which; several are added.
        weight: factor of the score.
    """

    def score(seen: Seen) -> Tensor:
        total = seen.responses.sum((1, 2, 3))
        return total / seen.responses.shape[1] if per_feature else total

    return Objective(score, weight, layer, per_unit=False, additive="sum")


def layer_mean(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z over all positions and features (seed document 004)."""
    return _of_layer(lambda z: z.mean((1, 2, 3)), layer, weight, "mean")


def layer_mean_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The mean of z squared: MSE to zero (seed document 004, in Gordic's implementation)."""
    return _of_layer(lambda z: z.square().mean((1, 2, 3)), layer, weight, "mean")


def layer_sum_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """The sum of z squared: the original DeepDream (seed document 003)."""
    return _of_layer(lambda z: z.square().sum((1, 2, 3)), layer, weight, "sum")


def layer_half_sum_square(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """Half the sum of z squared: the gradient of ``z.backward(z)`` (seed document 004)."""
    return _of_layer(lambda z: z.square().sum((1, 2, 3)) / 2, layer, weight, "sum")


def _of_layer(
    reduce: Callable[[Tensor], Tensor],
    layer: Layers,
    weight: float | None,
    additive: Literal["sum", "mean"],
) -> Objective:
    return Objective(
        lambda seen: reduce(seen.responses), weight, layer, per_unit=False, additive=additive
    )


# Classes.


def class_logit(category: int | None = None, weight: float | None = 1.0) -> Objective:
    """The network's output for a class, before the softmax (seed documents 001, 002, 003).

    Args:
        category: number of the class, from 0; each unit's own number by default, where ``layers``
            names the last layer.
        weight: factor of the score.
    """
    _check_category("class_logit", category)
    return Objective(
        lambda seen: _of_category(seen.responses[:, :, 0, 0], seen.units, category),
        weight,
        OUTPUT,
        per_unit=category is None,
    )


def class_probability(category: int | None = None, weight: float | None = 1.0) -> Objective:
    """The softmax probability of a class; arguments as for ``class_logit``."""
    _check_category("class_probability", category)
    return Objective(
        lambda seen: _of_category(seen.responses[:, :, 0, 0].softmax(1), seen.units, category),
        weight,
        OUTPUT,
        per_unit=category is None,
    )


def _of_category(outputs: Tensor, units: Tensor, category: int | None) -> Tensor:
    classes = outputs.shape[1]
    if category is not None:
        if category >= classes:
            raise ConfigError(
                f"objective: category {category} is beyond the network's classes 0 to {classes - 1}"
            )
        return outputs[:, category]
    return outputs[torch.arange(len(units), device=units.device), units]


# Directions: weighted sums over channels.


def direction(
    vector: Direction,
    position: Position = None,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """The dot product of z with a direction in the space of features.

    It is the mean over the map, or that at one position: a weighted sum over units.

    Args:
        vector: one number per feature, numbers of some features (``{3: 1.0, 7: -0.5}``), or the
            path of a ``.npy`` file.
        position: ``center``, or row and column; all positions by default.
        layer: whose features they are.
        weight: factor of the score.
    """
    _check_position("direction", position)
    given, contents = _vector("direction", vector)

    def score(seen: Seen) -> Tensor:
        along = torch.einsum("bcyx,c->byx", seen.responses, _full(given, seen))
        return along.mean((1, 2)) if position is None else _pick(along, seen, position)

    additive = "mean" if position is None else None
    return Objective(score, weight, layer, per_unit=False, additive=additive, contents=contents)


def cosine_direction(
    vector: Direction,
    position: Position = None,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """The cosine between z and a direction in the space of features, as in ``direction``."""
    _check_position("cosine_direction", position)
    given, contents = _vector("cosine_direction", vector)

    def score(seen: Seen) -> Tensor:
        wanted = _full(given, seen)[None, :, None, None]
        cosine = F.cosine_similarity(seen.responses, wanted, dim=1, eps=1e-6)
        return cosine.mean((1, 2)) if position is None else _pick(cosine, seen, position)

    additive = "mean" if position is None else None
    return Objective(score, weight, layer, per_unit=False, additive=additive, contents=contents)


def _pick(maps: Tensor, seen: Seen, position: Position) -> Tensor:
    seen.at(position)  # refuses a place that is not on the map
    row, column = (
        (maps.shape[1] // 2, maps.shape[2] // 2)
        if position == "center"
        else map(int, position or ())
    )
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
        data = Path(path).expanduser().read_bytes()
        return np.load(Path(path).expanduser()), hashlib.sha256(data).hexdigest()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{key}: '{path}' cannot be read as a .npy file ({error})") from error


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


# Several images of one unit.


def diversity(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """How much the copies of a unit differ in style: minus the likeness of their Gram matrices.

    Image i scores -sum over j != i of <G_i, G_j> / copies, where G is the Gram matrix of the
    layer's features, flattened and of unit length. Source: Olah et al. 2017 (Lucid's
    ``diversity``); the scores of a unit's images add up to its objective.
    """

    def score(seen: Seen) -> Tensor:
        flat = seen.responses.flatten(2)
        grams = F.normalize((flat @ flat.transpose(1, 2)).flatten(1), dim=1, eps=1e-10)
        grams = grams.unflatten(0, (-1, seen.copies))
        alike = grams @ grams.transpose(1, 2)
        others = alike.sum(2) - alike.diagonal(dim1=1, dim2=2)
        return -others.flatten() / seen.copies

    return Objective(score, weight, layer, per_unit=False, copies=2)


def alignment(
    decay: float = 2.0, reach: int = 4, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """How alike neighboring copies of a unit are, so that a row of them changes smoothly.

    Image i scores -sum over neighbors j up to ``reach`` away of mean((z_i - z_j)^2) / decay^|i-j|,
    where only image i follows the gradient. Source: Lucid's ``alignment``.
    """
    if not 0 < decay < math.inf:
        raise ConfigError(f"objective.alignment.decay: {decay} is not a positive number")
    if reach < 1:
        raise ConfigError(f"objective.alignment.reach: {reach} is not positive; use 1 or more")

    def score(seen: Seen) -> Tensor:
        maps = seen.responses.unflatten(0, (-1, seen.copies))
        total = maps.new_zeros(maps.shape[:2])
        for distance in range(1, min(reach, seen.copies - 1) + 1):
            first, second = maps[:, :-distance], maps[:, distance:]
            share = decay**distance
            forward = (first - second.detach()).square().mean((2, 3, 4)) / share
            backward = (second - first.detach()).square().mean((2, 3, 4)) / share
            total = total - F.pad(forward, (0, distance)) - F.pad(backward, (distance, 0))
        return total.flatten()

    return Objective(score, weight, layer, per_unit=False, copies=2)


# Comparing with an image.


def inversion(
    path: str | None = None, layer: Layers = None, weight: float | None = 1.0
) -> Objective:
    """How near the layer's responses are to those to a picture: -|z - z0|^2 / |z0|^2.

    Source: Mahendran and Vedaldi 2015, equation 2.

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        layer: whose responses are compared.
        weight: factor of the score.
    """
    picture, contents = chosen_picture("objective.inversion.path", path)

    def score(seen: Seen) -> Tensor:
        target = seen.compared
        distance = (seen.responses - target).square().sum((1, 2, 3))
        return -distance / target.square().sum((1, 2, 3)).clamp(min=1e-12)

    return Objective(
        score,
        weight,
        layer,
        per_unit=False,
        reference="picture",
        picture=picture,
        contents=contents,
    )


def caricature(
    path: str | None = None,
    power: float = 2.0,
    layer: Layers = None,
    weight: float | None = 1.0,
) -> Objective:
    """What a picture drives, exaggerated: <z, z0> * cos(z, z0)^power.

    Source: Lucid's caricatures (Olah et al. 2018, "activation caricatures").

    Args:
        path: a JPEG, PNG or WebP file; the bundled photograph of a cat by default.
        power: of the cosine, which is taken to be 0.1 where it is less.
        layer: whose responses are compared.
        weight: factor of the score.
    """
    if not 0 <= power < math.inf:
        raise ConfigError(f"objective.caricature.power: {power} is negative or not finite")
    picture, contents = chosen_picture("objective.caricature.path", path)

    def score(seen: Seen) -> Tensor:
        seen_flat, target = seen.responses.flatten(1), seen.compared.flatten(1)
        dot = (seen_flat * target).sum(1) / target.square().sum(1).sqrt().clamp(min=1e-12)
        cosine = F.cosine_similarity(seen_flat, target.expand_as(seen_flat), dim=1, eps=1e-6)
        return dot * cosine.clamp(min=0.1) ** power

    return Objective(
        score,
        weight,
        layer,
        per_unit=False,
        reference="picture",
        picture=picture,
        contents=contents,
    )


def accentuation(layer: Layers = None, weight: float | None = 1.0) -> Objective:
    """How near an image stays to its start in what a layer responds: -|z - z_start| / |z_start|.

    Beside what drives a unit it accentuates that in a natural image. Source: Hamblin et al. 2024,
    "Feature accentuation". For distance in pixels there is the regularizer ``distance_to_start``.
    """

    def score(seen: Seen) -> Tensor:
        target = seen.compared
        # The root has no gradient at the start itself, where both are equal.
        distance = ((seen.responses - target).square().sum((1, 2, 3)) + 1e-12).sqrt()
        return -distance / target.square().sum((1, 2, 3)).sqrt().clamp(min=1e-12)

    return Objective(score, weight, layer, per_unit=False, reference="start")


# Checks.


def _check_position(name: str, position: Any) -> None:
    if position is None or position == "center":
        return
    fits = isinstance(position, list | tuple) and len(position) == 2
    if not fits or not all(isinstance(n, int) and n >= 0 for n in position):
        raise ConfigError(
            f"objective.{name}.position: {position!r} is not 'center' or a row and a column,"
            " such as [3,5]"
        )


def _check_category(name: str, category: int | None) -> None:
    if category is not None and category < 0:
        raise ConfigError(
            f"objective.{name}.category: {category} is negative; classes count from 0"
        )
