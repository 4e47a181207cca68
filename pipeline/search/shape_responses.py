"""Responses of all units of a layer to the shapes of area V4, position by position."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.analysis.boundary_curvature import Elements, element_table, padded
from pipeline.errors import ConfigError, first_line
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.search.presentation import Presentation, field_of
from pipeline.stimuli.field import Color, Colors, Field
from pipeline.stimuli.shapes import control_points, rotations, v4_shapes

STEP, FARTHEST = 2.0, 50.0  # pixels, of Pospisil et al. (2018)


@dataclass(frozen=True)
class ShapeProtocol:
    """What is shown.

    Attributes:
        width: of the set of shapes, in pixels.
        positions: in pixels to the right of the center; if not given, those of the study.
        figure: color of the shapes in network-input space, one value per channel; white if not
            given.
        background: color around them; the mean gray, 0, if not given.

    Raises:
        ConfigError: the width is not positive, or positions do not ascend or lack 0.
    """

    width: float = 32.0
    positions: tuple[float, ...] | None = None
    figure: Color | None = None
    background: Color | None = None

    def __post_init__(self) -> None:
        if not 0 < self.width < math.inf:
            raise ConfigError(f"width: {self.width} is not a positive number of pixels")
        given = self.positions
        if given is not None and (
            0 not in given or not np.isfinite(given).all() or not (np.diff(given) > 0).all()
        ):
            raise ConfigError(
                f"positions: {list(given)} must be pixels in ascending order with 0, where models"
                " are fitted, among them; as in positions=[-4,-2,0,2,4]"
            )

    def places(self, field: Field) -> tuple[float, ...]:
        """Return the positions: by default in steps of 2 pixels, as far as 50 on each side.

        Those at which no shape reaches the field, other than the first on either side, are left
        out.

        >>> ShapeProtocol(width=8.0).places(Field(9, 9))
        (-10.0, -8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
        """
        if self.positions is not None:
            return tuple(map(float, self.positions))
        reach = (field.width + self.width) / 2
        steps = int(min(FARTHEST // STEP, math.ceil(reach / STEP)))
        return tuple(STEP * step for step in range(-steps, steps + 1))


@cache
def shape_elements() -> Elements:
    """Return the boundary elements of the 362 shapes, found on their outlines."""
    table = rotations()
    which, degrees = table["shape"].to_numpy(), table["rotation"].to_numpy().astype(float)
    return padded(element_table(control_points(), which, degrees))


def measured_elements(table: pd.DataFrame) -> Elements:
    """Return boundary elements of the 362 shapes that were measured elsewhere.

    Args:
        table: columns ``stimulus`` (0 to 361, by shape and rotation), ``angle`` (degrees) and
            ``curvature`` (-1 to 1).

    Raises:
        ConfigError: it is not as described.
    """
    elements = padded(table)
    if len(elements.angle) != len(rotations()):
        raise ConfigError(
            f"elements: the table has elements of {len(elements.angle)} stimuli, and"
            f" {len(rotations())} shapes are shown; give those of stimuli 0 to"
            f" {len(rotations()) - 1}"
        )
    return elements


def read_elements(path: str) -> tuple[Elements, str]:
    """Read boundary elements of the 362 shapes from a CSV file (``measured_elements``).

    Returns:
        The elements, and the SHA-256 of the file.

    Raises:
        ConfigError: there is no such file, or it is not as described.
    """
    try:
        content = Path(path).expanduser().read_bytes()
        table = pd.read_csv(BytesIO(content), comment="#")
    except FileNotFoundError as error:
        raise ConfigError(f"elements: there is no file '{path}'; give the path of one") from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"elements: '{path}' cannot be read as CSV ({first_line(error)})"
        ) from error
    return measured_elements(table), sha256(content).hexdigest()


class ShapePresentation:
    """Shows the shapes to a layer.

    Args:
        graph: the traced network.
        layer: the layer.
        preprocessing: of the network, which says what white and gray are.
        protocol: what is shown.
        device: where the network is.

    Attributes:
        field: the canvas.
        positions: in pixels to the right of the center.
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer,
        preprocessing: Preprocessing,
        protocol: ShapeProtocol,
        device: torch.device | str = "cpu",
    ) -> None:
        self.field = shape_field(graph, layer, preprocessing)
        self.positions = protocol.places(self.field)
        # Beyond the field a shape leaves nothing but the background.
        beyond = max(*map(abs, self.positions), 0.0) + self.field.width + 2 * protocol.width
        stimuli = v4_shapes(
            self.field,
            protocol.width,
            (*self.positions, beyond),
            protocol.figure,
            protocol.background,
        )
        self.presentation = Presentation(graph, layer, stimuli, device)

    def at(
        self, position: int, check: Callable[[], None] = lambda: None
    ) -> Float[Tensor, "stimuli units"]:
        """Return the responses of all units to the 362 shapes at a position.

        Args:
            position: its number.
            check: called now and then.
        """
        each = len(rotations())
        return self._respond(range(position * each, (position + 1) * each), check)

    def blank(self) -> Float[Tensor, " units"]:
        """Return the responses of all units to the background alone."""
        first = len(self.positions) * len(rotations())
        return self._respond(range(first, first + 1), lambda: None)[0]

    def _respond(self, figures: range, check: Callable[[], None]) -> Float[Tensor, "rows units"]:
        step = len(self.presentation.blocks[0])
        found: list[Tensor] = []
        for start in range(figures.start, figures.stop, step):
            check()
            block = range(start, min(start + step, figures.stop))
            found.append(self.presentation.respond(block)[1])
        return torch.cat(found)


def shape_field(graph: Graph, layer: Layer, preprocessing: Preprocessing) -> Field:
    """Return the canvas of a layer, with the darkest and brightest colors of the network."""
    colors = Colors.bounds(preprocessing.mean, preprocessing.std)
    return field_of(graph, layer, colors)


def as_color(name: str, given: Sequence[Any] | None) -> Color | None:
    """Return a color from a list of numbers.

    Raises:
        ConfigError: they are not finite numbers.
    """
    if given is None:
        return None
    try:
        values = tuple(map(float, given))
    except (TypeError, ValueError):
        values = (math.nan,)
    if not values or not np.isfinite(values).all():
        raise ConfigError(f"{name}: {given!r} is not a list of numbers, one per channel")
    return values
