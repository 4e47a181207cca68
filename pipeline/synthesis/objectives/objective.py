"""The definition of an objective, and the data that it may use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from pipeline.errors import ConfigError

Position = Literal["center"] | Sequence[int] | None
Layers = str | Sequence[str] | None


@dataclass(frozen=True)
class Seen:
    """The data for an objective: one layer after one forward pass of a batch of images.

    Images of the same unit (copies) are adjacent.

    Attributes:
        responses: output of the layer, before anything that follows; [..., 1, 1] if the layer has
            no map.
        units: unit of each image.
        copies: number of adjacent images per unit.
        images: images as the network received them, in network-input space.
        reference: responses of the layer to the reference of the objective
            (``Objective.reference``).
    """

    responses: Float[Tensor, "batch units rows columns"]
    units: Int[Tensor, " batch"]
    copies: int
    images: Float[Tensor, "batch c height width"]
    reference: Float[Tensor, "references units rows columns"] | None = None

    @property
    def own(self) -> Float[Tensor, "batch rows columns"]:
        """The map of each image's own unit."""
        return self.responses[torch.arange(len(self.units), device=self.units.device), self.units]

    @property
    def compared(self) -> Float[Tensor, "references units rows columns"]:
        """The reference, which always exists for an objective that needs one."""
        if self.reference is None:
            raise ValueError("this objective was scored without its reference")
        return self.reference

    def at(self, position: Position) -> Float[Tensor, "batch units"]:
        """Return all responses at one position of the map: its center is at n // 2.

        Raises:
            ConfigError: the position is not on the map.
        """
        row, column = place(position, *self.responses.shape[2:])
        return self.responses[:, :, row, column]


@dataclass(frozen=True)
class Objective:
    """One term of the score.

    Attributes:
        score: maps the data (``Seen``) to one score per image.
        weight: factor of the score in the sum; ``None`` balances the gradient of the term against
            that of the first term that has a number.
        layers: layers that are scored, with scores added up; the run's own layer if none is named.
        per_unit: whether it depends on the unit; otherwise it is of the layer as a whole.
        of_field: whether it needs only one response of a unit, so that an image of the size of its
            receptive field is enough; ``score`` is then used only on whole maps.
        copies: smallest number of images of a unit that it can compare.
        reference: image to whose responses the layer's are compared: a ``picture``, or the
            ``start`` of the ascent.
        picture: RGB bytes of the picture, for a reference of that kind.
        additive: whether the score of the map is the sum of the scores of its parts (``sum``), or
            their mean weighted by the number of positions (``mean``); ``None`` if neither.
        contents: digest of a file that determines the score, if one does.
    """

    score: Callable[[Seen], Float[Tensor, " batch"]]
    weight: float | None = 1.0
    layers: Layers = None
    per_unit: bool = True
    of_field: bool = False
    copies: int = 1
    reference: Literal["picture", "start"] | None = None
    picture: UInt8[Tensor, "c height width"] | None = field(default=None, repr=False)
    additive: Literal["sum", "mean"] | None = None
    contents: str | None = None

    def __post_init__(self) -> None:
        weight: Any = self.weight
        if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float)):
            raise ConfigError(f"objective: weight {weight!r} is no number; null balances gradients")
        names: Any = [self.layers] if isinstance(self.layers, str | None) else self.layers
        fits = isinstance(names, list | tuple) and len(names) > 0
        if not fits or not all(isinstance(name, str | None) for name in names):
            raise ConfigError(
                f"objective: layer {self.layers!r} is not the name of a layer, or a list of names"
            )

    @property
    def layer_names(self) -> tuple[str | None, ...]:
        """The layers that are scored; ``None`` stands for the run's own."""
        return (self.layers,) if isinstance(self.layers, str | None) else tuple(self.layers)


def place(position: Position, rows: int, columns: int) -> tuple[int, int]:
    """Return row and column of a position on a map.

    Raises:
        ConfigError: the position is not on the map.
    """
    if position is None or isinstance(position, str):
        return rows // 2, columns // 2
    row, column = position
    if not (0 <= row < rows and 0 <= column < columns):
        raise ConfigError(
            f"objective: position [{row}, {column}] is not on the map of {rows} x {columns}"
        )
    return row, column


def check_position(name: str, position: Any) -> None:
    """Check the format of a position, before any map is known.

    Raises:
        ConfigError: it is not.
    """
    if position is None or position == "center":
        return
    fits = isinstance(position, list | tuple) and len(position) == 2
    if not fits or not all(isinstance(n, int) and n >= 0 for n in position):
        raise ConfigError(
            f"objective.{name}.position: {position!r} is not 'center' or a row and a column,"
            " such as [3,5]"
        )
