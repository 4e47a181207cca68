"""A convolution of maps that differ from a blank one in a few places only.

Most stimuli are small figures on a background: behind the first layers most of a map is that of the
background alone. A convolution is linear, so only what a figure changes is convolved, and added to
the response to the background.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

SIDES = (1, 2, 3, 4, 5, 6, 8, 11, 16)  # of the squares that changes are sorted into


class ChangedConvolution(nn.Module):
    """A convolution of a batch whose first map is the blank one.

    Args:
        conv: of stride 1 and dilation 1, in one group, without padding.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.bias = nn.Buffer(conv.weight.detach().contiguous()), conv.bias
        self.beyond = (self.weight.shape[2] - 1, self.weight.shape[3] - 1)

    def forward(
        self, maps: Float[Tensor, "batch c height width"]
    ) -> Float[Tensor, "batch f rows columns"]:
        """Return the convolution's output."""
        if maps.is_cuda:  # which would have to wait for the boxes
            return F.conv2d(maps, self.weight, self.bias)
        blank = F.conv2d(maps[:1], self.weight, self.bias)
        found = blank.repeat(len(maps), 1, 1, 1)
        changes = maps - maps[:1]
        top, left, side = _squares(changes.ne(0).any(1))
        smaller = 0
        for limit in (s for s in SIDES if s < min(maps.shape[2:])):
            own = ((side > smaller) & (side <= limit)).nonzero()[:, 0]
            if len(own):
                self._add(found, changes, own, (top[own], left[own]), limit)
            smaller = limit
        own = (side > smaller).nonzero()[:, 0]
        if len(own):
            found[own] = F.conv2d(maps[own], self.weight, self.bias)
        return found

    def _add(
        self,
        found: Tensor,
        changes: Tensor,
        own: Int[Tensor, " n"],
        corner: tuple[Int[Tensor, " n"], Int[Tensor, " n"]],
        side: int,
    ) -> None:
        """Add the response to changes in squares of one side."""
        height, width = changes.shape[2:]
        top, left = corner[0].clamp(max=height - side), corner[1].clamp(max=width - side)
        squares = changes.unfold(2, side, 1).unfold(3, side, 1)[own, :, top, left]
        # Every place of the output that a square reaches: it is convolved with a wide border.
        reached = F.conv2d(squares, self.weight, None, 1, self.beyond)
        reached = F.pad(reached, (0, 1, 0, 1))  # the last is what is not reached
        down = _places(found.shape[2], top, self.beyond[0], side)
        across = _places(found.shape[3], left, self.beyond[1], side)
        which = torch.arange(len(own))[:, None, None]
        part = reached[which, :, down[:, :, None], across[:, None, :]]
        found[own] += part.permute(0, 3, 1, 2)


def _squares(
    changed: Bool[Tensor, "batch height width"],
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """Return top, left and side of squares around all that has changed; side 0 for nothing."""
    found: list[tuple[Tensor, Tensor]] = []
    for axis in (2, 1):
        any_on = changed.any(axis).int()
        first = any_on.argmax(1)
        last = any_on.shape[1] - 1 - any_on.flip(1).argmax(1)
        found.append((first, (last - first + 1) * any_on.amax(1)))
    (top, tall), (left, wide) = found
    return top, left, torch.maximum(tall, wide)


def _places(
    length: int, start: Int[Tensor, " n"], beyond: int, side: int
) -> Int[Tensor, "n length"]:
    """Return where each place of the output lies in the response to a square; the end if nowhere."""
    places = torch.arange(length) - start[:, None] + beyond
    end = side + beyond
    return torch.where((places >= 0) & (places < end), places, end)
