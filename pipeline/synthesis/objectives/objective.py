"""What an objective is, and what it may look at."""

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
    """What an objective may look at: one layer after one forward pass of a batch of images.

    Images of the same unit (copies) lie side by side.

    Attributes:
        responses: of the layer, before anything that follows; [..., 1, 1] where the layer
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
    images: Float[Tensor, "batch c height width"]
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
        """Return all responses at one position of the map: its center is at n // 2.

        Raises:
            ConfigError: the position is not on the map.
        """
        row, column = place(position, *self.responses.shape[2:])
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
        """The layers that are seen; ``None`` stands for the run's own."""
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
    """Check that a position is one, before any map is known.

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
