"""The best Gabor of a unit: gradient ascent on the parameters of Gabors of a fixed contrast.

Parameters are climbed in coordinates without bounds, in which a step of 1 is about as large for
all of them: a standard deviation for places, e-fold for frequency and widths, a radian for the
phase, and the half-width of the Gabor's own tuning for orientation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.stimuli.canvas import precision
from pipeline.stimuli.gabors import PARAMETERS, gabor_patterns, in_radians
from pipeline.stimuli.gratings import NYQUIST
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.synthesis.optimizers import Optimizer, adam
from pipeline.synthesis.scoring import Score

STEPS = 100
STARTS = 5  # of each unit
RATES = (0.1, 0.002)  # of the first step, and after the last
LONGEST = 8  # fields that the longest wave is long
NARROWEST = 1.0  # pixels of the smallest standard deviation
MARGIN = 0.02  # of the way between two bounds, within which a parameter is at a bound
BOUNDED = ("x", "y", "frequency", "sigma_along", "sigma_across")
COLUMNS = [PARAMETERS.index(name) for name in BOUNDED]
LOGARITHMIC = torch.tensor([False, False, True, True, True])


def gabor_climb(steps: int = STEPS) -> Optimizer:
    """Return the optimizer of Gabors: Adam, whose steps become smaller."""
    return adam(steps, RATES)


def bounds(canvas: tuple[int, int]) -> Float[Tensor, "2 5"]:
    """Return the lower and upper bounds of ``BOUNDED`` parameters of Gabors on a canvas.

    Places are within the canvas, the wave is at most 8 times as long as its longer side and at
    least 2 pixels, and standard deviations are from 1 pixel to the longer side.

    >>> bounds((20, 10))[:, :3].tolist()
    [[-5.0, -10.0, 0.00625], [5.0, 10.0, 0.5]]
    """
    height, width = canvas
    side = float(max(canvas))
    lower = [-width / 2, -height / 2, 1 / (LONGEST * side), NARROWEST, NARROWEST]
    upper = [width / 2, height / 2, NYQUIST, side, side]
    return torch.tensor([lower, upper], dtype=torch.float64)


def at_bounds(gabors: Float[Tensor, "n 7"], canvas: tuple[int, int]) -> list[str]:
    """Return which parameters of each Gabor are at a bound, as names with commas.

    >>> found = torch.tensor([[0.0, 0, 0, 0.1, 0, 1.0, 20]], dtype=torch.float64)
    >>> at_bounds(found, (20, 20))
    ['sigma_along, sigma_across']
    """
    share = _Coordinates(gabors.double(), canvas).share(gabors.double()[:, COLUMNS])
    outside = (share < MARGIN) | (share > 1 - MARGIN)
    rows = outside.tolist()
    return [", ".join(n for n, at in zip(BOUNDED, row, strict=True) if at) for row in rows]


@dataclass(frozen=True)
class GaborStarts:
    """Gabors from which units are climbed.

    Attributes:
        gabors: their parameters, with angles in radians (``gabor_patterns``).
        colors: in network-input space, of a mean square of 1 over channels.
        rms: root mean square over pixels and channels of each image, which stays.
        colored: whether colors are climbed as well.
        limits: largest value in each channel; a Gabor that would be higher has a smaller root mean
            square.
    """

    gabors: Float[Tensor, "n 7"]
    colors: Float[Tensor, "n c"]
    rms: Float[Tensor, " n"]
    colored: bool = False
    limits: Float[Tensor, " c"] | None = None


@dataclass(frozen=True)
class BestGabors:
    """The Gabors of the highest responses in the course of climbs.

    Attributes:
        gabors: their parameters, with angles in radians.
        colors: their colors.
        responses: their responses.
        first: the responses to the starts.
    """

    gabors: Float[Tensor, "n 7"]
    colors: Float[Tensor, "n c"]
    responses: Float[Tensor, " n"]
    first: Float[Tensor, " n"]

    @classmethod
    def joined(cls, several: Sequence[BestGabors]) -> BestGabors:
        """Return the Gabors of several batches, one batch after the other."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.cat([getattr(each, name) for each in several]) for name in names))

    def of_units(self) -> BestGabors:
        """Return the best of each unit, whose starts lie next to each other, on the CPU."""
        by_unit = self.responses.view(-1, STARTS)
        rows = torch.arange(len(by_unit)) * STARTS + by_unit.argmax(1).cpu()
        first = self.first.view(-1, STARTS).nan_to_num(nan=-math.inf).amax(1)
        gabors, colors, responses = (
            part.cpu()[rows] for part in (self.gabors, self.colors, self.responses)
        )
        return BestGabors(gabors, colors, responses, first.cpu())


def best_of_grid(
    grid: StimulusSet, responses: Float[np.ndarray, "units stimuli"]
) -> tuple[Float[Tensor, "starts 7"], Float[Tensor, "starts c"]]:
    """Return the parameters and colors of the five best Gabors of a grid for each unit."""
    # The order of equal ones is that of the grid.
    rows = np.argsort(-responses, axis=1, kind="stable")[:, :STARTS].ravel()
    weights = grid.weights[rows].double()
    strongest = weights.abs().sum(2).argmax(1)
    # Phases 0, 90, 180 and 270 are weights of two planes; the phase itself is in the table.
    colors = weights[torch.arange(len(rows)), strongest]
    back = torch.from_numpy(grid.table["phase"].to_numpy()[rows] >= 180)
    return in_radians(grid.table.iloc[rows]), _unit(torch.where(back[:, None], -colors, colors))


def gabor_images(
    gabors: Float[Tensor, "n 7"],
    colors: Float[Tensor, "n c"],
    rms: Float[Tensor, " n"],
    canvas: tuple[int, int],
    limits: Float[Tensor, " c"] | None = None,
) -> Float[Tensor, "n c height width"]:
    """Return Gabors as network input, on the mean color of the preprocessing, which is 0.

    Args:
        gabors: their parameters, with angles in radians.
        colors: of a mean square of 1 over channels.
        rms: root mean square of each image over pixels and channels.
        canvas: height and width.
        limits: largest value in each channel, for which the root mean square may be smaller.
    """
    peaks = math.inf if limits is None else highest(colors, limits) / rms
    patterns = gabor_patterns(gabors, canvas, peaks) * rms[:, None, None]
    return (patterns[:, None] * colors[:, :, None, None]).float()


def highest(colors: Float[Tensor, "n c"], limits: Float[Tensor, " c"]) -> Float[Tensor, " n"]:
    """Return the largest amplitude of patterns in some colors that stays within limits.

    >>> highest(torch.tensor([[1.0, -1.0], [1.0, 0.0]]), torch.tensor([3.0, 2.0])).tolist()
    [2.0, 3.0]
    """
    return (limits.to(colors) / colors.abs().clamp(min=1e-6)).amin(1)


def climb_gabors(
    score: Score,
    units: Int[Tensor, " n"],
    starts: GaborStarts,
    canvas: tuple[int, int],
    optimizer: Optimizer,
) -> BestGabors:
    """Climb the response of units from Gabors, and return the best that were seen on the way.

    Args:
        score: response of unit i to image i.
        units: unit numbers.
        starts: one for each of them.
        canvas: height and width of the images.
        optimizer: of the coordinates, with its number of steps.
    """
    kind = precision(units.device)
    gabors, colors, rms = (
        part.to(units.device, kind) for part in (starts.gabors, starts.colors, starts.rms)
    )
    coordinates = _Coordinates(gabors, canvas)
    moved = [torch.zeros_like(gabors), torch.zeros_like(colors)][: 1 + starts.colored]
    step_down = optimizer.build(moved)
    none = torch.full_like(rms, -math.inf)
    best = BestGabors(gabors, colors, none, none)
    for step in range(optimizer.steps + 1):
        climbing = step < optimizer.steps
        given = [part.requires_grad_(climbing) for part in moved]
        now = coordinates(given[0])
        shown = _unit(colors + given[1]) if starts.colored else colors
        responses = score(gabor_images(now, shown, rms, canvas, starts.limits), units)
        best = _better(best, now.detach(), shown.detach(), responses.detach())
        if climbing:
            gradients = torch.autograd.grad(-responses.sum(), given)  # optimizers descend
            step_down([gradient.nan_to_num(0.0, 0.0, 0.0) for gradient in gradients])
    return best


def _unit(colors: Float[Tensor, "n c"]) -> Float[Tensor, "n c"]:
    """Return colors of a mean square of 1."""
    return colors / colors.square().mean(1, keepdim=True).sqrt()


def _better(best: BestGabors, gabors: Tensor, colors: Tensor, found: Tensor) -> BestGabors:
    higher = found > best.responses  # never where a response is NaN
    first = found.to(best.first) if best.first is best.responses else best.first
    return BestGabors(
        torch.where(higher[:, None], gabors, best.gabors),
        torch.where(higher[:, None], colors, best.colors),
        torch.where(higher, found.to(best.first), best.responses),
        first,
    )


class _Coordinates:
    """From coordinates without bounds, 0 at the starts, to the parameters of Gabors."""

    def __init__(self, starts: Float[Tensor, "n 7"], canvas: tuple[int, int]) -> None:
        self.starts = starts
        limits = bounds(canvas).to(starts)
        self.logarithmic = LOGARITHMIC.to(starts.device)
        self.low, high = torch.where(self.logarithmic, limits.log(), limits)
        self.range = high - self.low
        inside = self.share(starts[:, COLUMNS]).clamp(MARGIN, 1 - MARGIN)
        self.origin = inside.logit()
        self.place = (self.low + self.range * inside)[:, :2].T
        _, _, _, frequency, _, along, across = starts.unbind(1)
        ones = torch.ones_like(along)
        unit = torch.stack([along, across, ones, ones, ones], 1)
        # The slope of the sigmoid, at which a coordinate of 1 is worth the unit at the start.
        self.scale = unit / (self.range * (inside * (1 - inside)).clamp(min=0.05))
        tuning = 1 / (2 * math.pi * frequency * across)
        self.turning = tuning.clamp(0.1, 1.0)

    def share(self, values: Float[Tensor, "n 5"]) -> Float[Tensor, "n 5"]:
        """Return how far bounded values are on their way from the lower to the upper bound."""
        linear = torch.where(self.logarithmic, values.clamp(min=1e-30).log(), values)
        return (linear - self.low) / self.range

    def __call__(self, moved: Float[Tensor, "n 7"]) -> Float[Tensor, "n 7"]:
        """Return the parameters, with gradients to the coordinates."""
        share = (self.origin + self.scale * moved[:, COLUMNS]).sigmoid()
        x, y, *logarithms = (self.low + self.range * share).unbind(1)
        frequency, along, across = (logarithm.exp() for logarithm in logarithms)
        turn = self.starts[:, 2] + self.turning * moved[:, 2]
        # A step of place moves the envelope alone: the wave stays where it was at the start.
        shift = (x - self.place[0]) * turn.cos() + (y - self.place[1]) * turn.sin()
        phase = self.starts[:, 4] + moved[:, 4] + 2 * math.pi * frequency * shift
        return torch.stack([x, y, turn, frequency, phase, along, across], 1)


def climbed_together(units: Sequence[int], device: str, size: int) -> list[Sequence[int]]:
    """Return which units are climbed in one batch on a kind of device.

    On a CPU every unit is climbed by itself, so that the bits of its result depend on no other.
    """
    count = 1 if device == "cpu" else max(1, size)
    return [units[start : start + count] for start in range(0, len(units), count)]
