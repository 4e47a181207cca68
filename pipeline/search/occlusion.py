"""Occlusion: how much the response of a unit changes where a square of an image is covered."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pipeline.networks.unit_networks import UnitNetwork
from pipeline.search.gradient_maps import at_once
from pipeline.stimuli.random_numbers import hashed, random_bits, uniform

NONE = -1  # in place of the number of an occluder: nothing is covered


@dataclass(frozen=True)
class Side:
    """The occluders along one axis of the field.

    Attributes:
        extent: of the field, in pixels.
        length: of an occluder, a tenth of the extent, at least 1.
        starts: first pixel of each, half a length apart.
    """

    extent: int
    length: int
    starts: tuple[int, ...]

    @classmethod
    def published(cls, extent: int) -> Side:
        """Return the occluders of tonyfu97/RF-Mapping (occluder_discrepancy.py).

        Up to a step at the far end of the field may stay uncovered.

        >>> Side.published(99).starts[-2:], Side.published(99).length
        ((84, 88), 9)
        """
        length = max(extent // 10, 1)
        return cls(extent, length, tuple(range(0, extent - length + 1, max(length // 2, 1))))

    @classmethod
    def complete(cls, extent: int) -> Side:
        """Return the published occluders, and one at the far end if none reaches it.

        >>> Side.complete(99).starts[-2:]
        (88, 90)
        """
        side = cls.published(extent)
        last = extent - side.length
        more = () if side.starts[-1] == last else (last,)
        return cls(extent, side.length, (*side.starts, *more))

    @cached_property
    def covered(self) -> Bool[Tensor, "occluders extent"]:
        """Which pixels each occluder covers."""
        starts, pixels = torch.tensor(self.starts)[:, None], torch.arange(self.extent)
        return (pixels >= starts) & (pixels < starts + self.length)

    @property
    def centers(self) -> Int[Tensor, " occluders"]:
        """The pixel at the center of each, or just before it if the length is even."""
        return torch.tensor(self.starts) + (self.length - 1) // 2


@dataclass(frozen=True)
class Noise:
    """Uniform noise from -1 to 1 as the color of occluders, each channel and pixel by itself.

    Attributes:
        draws: how often each occluder is drawn; changes are means over them.
        seed: of the patch, from which each occluder gets its own numbers.
    """

    draws: int
    seed: int

    @classmethod
    def of_patch(cls, draws: int, seed: int, unit: int, rank: int, sign: int) -> Noise:
        """Return the noise of one patch, which depends on no other."""
        mixed = torch.tensor(seed)
        for number in (unit, rank, sign):
            mixed = hashed(hashed(mixed) + number)
        return cls(draws, int(mixed))

    def colors(
        self, draw: int, some: Int[Tensor, " n"], occluders: Occluders, channels: int
    ) -> Float[Tensor, "occluders numbers"]:
        """Return the colors of all pixels of some occluders, leaving out ``NONE``."""
        numbers = channels * occluders.down.length * occluders.across.length
        seed = int(hashed(hashed(torch.tensor(self.seed)) + draw))
        return 2 * uniform(random_bits(seed, some[some != NONE], numbers)) - 1


@dataclass(frozen=True)
class Occluders:
    """Squares that cover parts of the receptive field, one at a time.

    Attributes:
        down: those along the height.
        across: those along the width.
        spread: whether a change counts for all pixels that were covered, or for the center alone.
    """

    down: Side
    across: Side
    spread: bool

    @classmethod
    def of_field(cls, size: tuple[int, int], spread: bool) -> Occluders:
        """Return the occluders of a field of some height and width."""
        kind = Side.complete if spread else Side.published
        return cls(kind(size[0]), kind(size[1]), spread)

    def __len__(self) -> int:
        return len(self.down.starts) * len(self.across.starts)

    def masks(self, some: Int[Tensor, " n"]) -> Bool[Tensor, "n 1 height width"]:
        """Return which pixels are covered by some occluders, numbered row by row, or ``NONE``."""
        count = len(self.across.starts)
        rows, columns = self.down.covered[some // count], self.across.covered[some % count]
        return (rows[:, :, None] & columns[:, None, :] & (some != NONE)[:, None, None])[:, None]

    def map(self, changes: Float[Tensor, " occluders"]) -> Float[Tensor, "height width"]:
        """Return the map of the changes that the occluders made.

        If they are spread, each pixel has the mean of the changes by all occluders that cover it;
        else the center pixel of each occluder has its change, and all others are 0.
        """
        grid = changes.double().view(len(self.down.starts), len(self.across.starts))
        if not self.spread:
            whole = grid.new_zeros(self.down.extent, self.across.extent)
            whole[self.down.centers[:, None], self.across.centers] = grid
            return whole
        rows, columns = self.down.covered.double(), self.across.covered.double()
        return (rows.T @ grid @ columns) / (rows.sum(0)[:, None] * columns.sum(0))


def occlusion_changes(
    network: UnitNetwork,
    patch: Float[Tensor, "c height width"],
    unit: int,
    occluders: Occluders,
    noise: Noise | None = None,
) -> Float[Tensor, " occluders"]:
    """Return by how much the response changes with each occluder, in either direction.

    Pixels that are exactly 0 in all channels are not covered by noise, because a patch has zeros
    where it reaches beyond its image; a gray occluder changes nothing there.

    Args:
        network: on the device of the patch.
        patch: network input of the size of the field.
        unit: the unit.
        occluders: of the field.
        noise: color of occluders; 0, the mean color of the preprocessing, by default.
    """
    # The whole patch is one of the images, and all batches are of one size, so that what covers
    # nothing changes nothing.
    draws = 1 if noise is None else noise.draws
    size = at_once(network)
    filling = -(len(occluders) + 1) % size
    numbers = torch.tensor([NONE, *range(len(occluders)), *[NONE] * filling])
    units = torch.full((size,), unit, device=patch.device)
    responses: list[Tensor] = []
    for some in numbers.split(size):
        masks = occluders.masks(some).to(patch.device)
        of_draws: list[Tensor] = []
        for draw in range(draws):
            if noise is None:
                images = patch.masked_fill(masks, 0.0)
            else:
                images = _covered(patch, masks, noise.colors(draw, some, occluders, len(patch)))
            with torch.inference_mode():
                of_draws.append(network(images, units).double().cpu())
        responses.append(torch.stack(of_draws))
    found = torch.cat(responses, 1)
    return (found[:, 1 : len(occluders) + 1] - found[:, :1]).abs().mean(0)


def _covered(
    patch: Float[Tensor, "c height width"],
    masks: Bool[Tensor, "n 1 height width"],
    colors: Float[Tensor, "occluders numbers"],
) -> Float[Tensor, "n c height width"]:
    """Return the patch with the colors in the masks, but for pixels outside of the image."""
    shape = (len(masks), *patch.shape)
    noisy = patch.expand(shape).masked_scatter(masks.expand(shape), colors.to(patch))
    return torch.where((patch != 0).any(0), noisy, patch)
