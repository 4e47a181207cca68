"""In which colors each geometry of a set is shown: the last, fastest loop of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Color, Colors
from pipeline.stimuli.parameters import cosine_and_sine


@dataclass(frozen=True, eq=False)
class Looks:
    """The looks of a geometry, in network-input space.

    Attributes:
        columns: of the set's table, one value per look.
        background: where no plane is.
        weights: what each plane adds to the background where it is 1.
    """

    columns: Mapping[str, Sequence[Any] | np.ndarray]
    background: Float[Tensor, "looks channels"]
    weights: Float[Tensor, "looks k channels"]

    def __len__(self) -> int:
        return len(self.background)


def figures(
    columns: dict[str, Sequence[Any]],
    shown: Sequence[Color],
    background: Sequence[Color],
) -> Looks:
    """Return looks of one plane: figures of a color on a background.

    >>> figures({"color": ["gray"]}, [(0.0,)], [(-1.0,)]).weights
    tensor([[[1.]]])
    """
    colors, grounds = (torch.tensor(given, dtype=torch.float64) for given in (shown, background))
    return Looks(columns, grounds.float(), (colors - grounds).float()[:, None, :])


def polarities(colors: Colors) -> Looks:
    """Return white on black (polarity +1) and black on white (-1).

    >>> polarities(Colors.published(1)).weights.flatten()
    tensor([ 2., -2.])
    """
    both = [colors.white, colors.black]
    return figures({"polarity": [1, -1]}, both, both[::-1])


def eight_colors(colors: Colors, order: str = "WKRGBYMC") -> Looks:
    """Return eight colors on gray: white, black (K), red, green, blue, yellow, magenta and cyan.

    Source: tonyfu97/RF-Mapping, ``bar.py``, protocol 4c7o.

    >>> eight_colors(Colors.published()).weights[2]
    tensor([[ 1., -1., -1.]])
    """
    if colors.channels != 3:
        raise ConfigError(
            f"stimulus.colors: a set in eight colors needs a network of 3 channels, and this one "
            f"has {colors.channels}; use a set in black and white, such as bars_4a"
        )
    lit = {
        "W": (1, 1, 1), "K": (0, 0, 0), "R": (1, 0, 0), "G": (0, 1, 0), "B": (0, 0, 1),
        "Y": (1, 1, 0), "M": (1, 0, 1), "C": (0, 1, 1),
    }  # fmt: skip
    shown = [
        tuple(
            white if on else black
            for on, black, white in zip(lit[name], colors.black, colors.white, strict=True)
        )
        for name in order
    ]
    return figures({"color": list(order)}, shown, [colors.gray] * len(order))


def phases(colors: Colors, degrees: Sequence[int]) -> Looks:
    """Return phases of a grating on gray, at contrast 1, from its planes of cosine and sine.

    >>> phases(Colors.published(1), [0, 90]).weights[..., 0]
    tensor([[1., 0.],
            [0., 1.]])
    """
    turns = np.stack(cosine_and_sine(np.asarray(degrees, dtype=np.float64)), axis=1)
    weights = torch.from_numpy(turns[:, :, None] * np.asarray(colors.swing))
    background = torch.tensor([colors.gray] * len(degrees))
    return Looks({"phase": degrees}, background, weights.float())


def contrasts_and_phases(
    colors: Colors, contrasts: Sequence[float], degrees: Sequence[float]
) -> Looks:
    """Return contrasts of a sine grating on gray, each in all phases, from its cosine and sine.

    The grating is ``contrast * sin(wave + phase)``. The phase varies fastest. Contrast 1 is the
    largest swing about gray that stays between black and white, which is the Michelson contrast
    where gray is midway between them; ``rms_contrast`` is its root mean square over all phases.

    >>> contrasts_and_phases(Colors.published(1), [0.5], [0.0, 90.0]).weights[..., 0]
    tensor([[0.0000, 0.5000],
            [0.5000, 0.0000]])
    """
    amount, phase = (
        grid.ravel() for grid in np.meshgrid(list(contrasts), list(degrees), indexing="ij")
    )
    columns = {"contrast": amount, "rms_contrast": amount / np.sqrt(2), "phase": phase}
    turns = sine_weights(phase)[:, :, None] * amount[:, None, None]
    weights = torch.from_numpy(turns * np.asarray(colors.swing)).float()
    return Looks(columns, torch.tensor([colors.gray] * len(phase)), weights)


def sine_weights(degrees: np.ndarray) -> Float[np.ndarray, "phases 2"]:
    """Return how much of its cosine and of its sine makes ``sin(wave + phase)``.

    >>> sine_weights(np.array([0.0, 90.0])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    cosine, sine = cosine_and_sine(np.asarray(degrees, dtype=np.float64))
    return np.stack([sine, cosine], axis=1)
