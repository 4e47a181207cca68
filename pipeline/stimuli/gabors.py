"""Gabor patterns, differentiable in all of their parameters, and a coarse grid of them.

A Gabor is ``exp(-a^2 / 2 sa^2 - b^2 / 2 sb^2) cos(2 pi f a + phase)``, where ``a = x cos t + y sin
t`` runs along the orientation t and ``b = y cos t - x sin t`` across it, from its center, x right
and y down. So the orientation is the direction in which the pattern changes, in degrees
**clockwise** on the screen from rightward, as of the gratings in degrees: at 0 the stripes are
vertical. Patterns are scaled to a root mean square of 1 over the whole canvas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.stimuli.canvas import pixels, precision
from pipeline.stimuli.field import Field
from pipeline.stimuli.looks import Looks
from pipeline.stimuli.parameters import leaves, loops
from pipeline.stimuli.stimulus_set import StimulusSet, compose

# The columns of parameters: pixels, degrees and cycles per pixel in tables; radians in tensors.
PARAMETERS = ("x", "y", "orientation", "frequency", "phase", "sigma_along", "sigma_across")
ANGLES = [PARAMETERS.index("orientation"), PARAMETERS.index("phase")]
SMALLEST_FIELD = 3  # pixels along each side, below which no pattern is a Gabor
FINEST = 0.35  # cycles per pixel of the grid; each other frequency is half of the one before
CYCLES = (0.25, 0.5, 1.0, 2.0)  # standard deviations of the grid, in cycles
WIDEST = 1 / 2  # of the field: the largest standard deviation of the grid
ORIENTATIONS = tuple(np.arange(0.0, 180.0, 22.5))
STEP, REACH = 1 / 8, 1 / 4  # of the field: the least step between places, and the farthest place


def gabor_patterns(
    gabors: Float[Tensor, "n 7"],
    canvas: tuple[int, int],
    peaks: Float[Tensor, " n"] | float = math.inf,
) -> Float[Tensor, "n height width"]:
    """Draw Gabors, scaled to a root mean square of 1 over the canvas.

    Args:
        gabors: ``PARAMETERS`` of each, with angles in radians; gradients reach all of them.
        canvas: height and width in pixels, about whose center x and y are.
        peaks: largest amplitudes; a Gabor that would be higher has a smaller root mean square.

    >>> one = torch.tensor([[0.0, 0.0, 0.0, 0.25, 0.0, 1.0, 1.0]])
    >>> pattern = gabor_patterns(one, (3, 3))[0]
    >>> bool(pattern.square().mean().isclose(torch.tensor(1.0)))
    True
    >>> pattern[1].abs().mul(10).round().tolist()  # a quarter of a cycle apart
    [0.0, 23.0, 0.0]
    """
    x0, y0, turn, frequency, phase, along, across = gabors.T[:, :, None, None]
    y, x = (axis.to(gabors) for axis in pixels(canvas, gabors.device))
    right, down = x - x0, y[:, None] - y0
    a = right * turn.cos() + down * turn.sin()
    b = down * turn.cos() - right * turn.sin()
    envelope = torch.exp(-0.5 * ((a / along).square() + (b / across).square()))
    patterns = envelope * torch.cos(2 * math.pi * frequency * a + phase)
    amplitudes = patterns.square().mean((1, 2)).rsqrt()
    amplitudes = amplitudes.minimum(torch.as_tensor(peaks).to(gabors))
    return patterns * amplitudes[:, None, None]


def in_radians(table: pd.DataFrame) -> Float[Tensor, "gabors 7"]:
    """Return the parameters in a table, whose angles are in degrees, as ``gabor_patterns`` needs.

    >>> in_radians(pd.DataFrame([dict.fromkeys(PARAMETERS, 180.0)]))[0, [1, 2]]
    tensor([180.0000,   3.1416], dtype=torch.float64)
    """
    found = torch.from_numpy(table[list(PARAMETERS)].to_numpy(dtype=np.float64, copy=True))
    found[:, ANGLES] = found[:, ANGLES].deg2rad()
    return found


@dataclass(frozen=True, eq=False)
class GaborPlanes:
    """Draws Gabors of phases 0 and 90 degrees, each of a root mean square of 1, up to a peak."""

    gabors: Float[Tensor, "gabors 7"]
    peak: float = math.inf

    def __call__(
        self, geometries: Int[Tensor, " n"], canvas: tuple[int, int], device: torch.device
    ) -> Float[Tensor, "n 2 height width"]:
        """Return both planes of every Gabor."""
        gabors = self.gabors[geometries].to(device, precision(device))
        quarter = torch.zeros_like(gabors)
        quarter[:, PARAMETERS.index("phase")] = math.pi / 2
        planes = [gabor_patterns(some, canvas, self.peak) for some in (gabors, gabors + quarter)]
        return torch.stack(planes, 1).float()


def gabor_grid(
    field: Field,
    colors: Float[np.ndarray, "colors channels"],
    rms: float = 1.0,
    peak: float = math.inf,
) -> StimulusSet:
    """Return a coarse grid of Gabors, all of the same root mean square over the field.

    Loops, slowest first: frequency (0.35 cycles per pixel and its halves, down to one cycle per
    field), width (standard deviations of 1/4 to 2 cycles, an octave apart, up to half of the field,
    the same along and across), place (steps of 1.5 standard deviations, but at least 1/8 of the
    field, up to 1/4 of it from the center), orientation (0 to 157.5 degrees in steps of 22.5),
    color, phase (0, 90, 180, 270).

    Args:
        field: the canvas; the background is its gray.
        colors: in which Gabors are shown, of any length, in network-input space.
        rms: root mean square over pixels and channels of the difference from gray.
        peak: largest amplitude, of a color of a mean square of 1; small Gabors that would be higher
            have a smaller root mean square.

    Raises:
        ConfigError: the field is smaller than 3 pixels.

    >>> grid = gabor_grid(Field(21, 21), np.ones((1, 3)), rms=0.5)
    >>> shown = grid.draw([0, len(grid) - 1])
    >>> len(grid), shown.square().mean((1, 2, 3)).sqrt().mul(1000).round().tolist()
    (3360, [500.0, 500.0])
    """
    if field.side < SMALLEST_FIELD:
        raise ConfigError(
            f"stimulus.gabors: a field of {field.height} x {field.width} pixels cannot show a"
            f" Gabor; name a layer whose field has at least {SMALLEST_FIELD} on each side"
        )
    tables = [
        _placed(field, frequency, max(1.0, cycles / frequency))
        for frequency in _frequencies(field.side)
        for cycles in CYCLES
        if cycles / frequency <= WIDEST * field.side
    ]
    table = pd.concat(tables, ignore_index=True)
    reach = 2 * table["sigma_along"].to_numpy()
    flagged = table.assign(aliased=False, clipped=leaves(field, table, reach, reach))
    looks = _looks(field, colors, rms)
    return compose("gabors", field, flagged, looks, GaborPlanes(in_radians(table), peak / rms))


def _frequencies(side: int) -> list[float]:
    octaves = max(0, math.floor(math.log2(FINEST * side)))
    return [FINEST / 2**octave for octave in range(octaves + 1)]


def _placed(field: Field, frequency: float, sigma: float) -> pd.DataFrame:
    step = max(1.5 * sigma, STEP * field.side)
    x, y = (
        step * np.arange(-count, count + 1)
        for count in (math.floor(REACH * extent / step) for extent in (field.width, field.height))
    )
    table = loops(x=x, y=y, orientation=ORIENTATIONS)
    sigmas = {"sigma_along": sigma, "sigma_across": sigma}
    table = table.assign(frequency=frequency, phase=0.0, **sigmas)
    return pd.DataFrame(table, columns=list(PARAMETERS))


def _looks(field: Field, colors: Float[np.ndarray, "colors channels"], rms: float) -> Looks:
    """Return every color in four phases; the planes are those of phases 0 and 90."""
    unit = colors / np.sqrt(np.square(colors).mean(1, keepdims=True))
    turns = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    weights = rms * turns[None, :, :, None] * unit[:, None, None, :]
    columns = {
        "color": np.repeat(np.arange(len(unit)), 4),
        "phase": np.tile([0.0, 90.0, 180.0, 270.0], len(unit)),
    }
    background = torch.tensor([field.colors.gray] * len(columns["phase"]))
    return Looks(
        columns, background, torch.from_numpy(weights.reshape(-1, 2, unit.shape[1])).float()
    )
