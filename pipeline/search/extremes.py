"""Streaming extremes: the K strongest and the K weakest responses of every unit.

Memory holds K rows per unit and a few hundred pending ones, regardless of the number of images. At
most one position per image and unit is kept, the strongest (weakest). Ties go to the lower image
index, then to the lower position, so that the result does not depend on batches or on the order of
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import NetworkError

WAITING = 256  # smallest number of pending images before they are merged
_LAST_IMAGE = 2**32 - 1


class Kept(NamedTuple):
    """The best responses of every unit, best first, with image index and row-major position."""

    responses: Float[Tensor, "units kept"]
    images: Int[Tensor, "units kept"]
    positions: Int[Tensor, "units kept"]


def merged(parts: Sequence[Kept], keep: int, sign: int) -> Kept:
    """Return the K best of several parts with separate images, as if searched together.

    Args:
        parts: one or more parts, each with its own images.
        keep: K.
        sign: +1 if the largest responses were kept, -1 if the smallest.
    """
    responses, images, positions = (torch.cat(field, 1) for field in zip(*parts, strict=True))
    keys = _keys(responses * sign, images.long())
    best = keys.topk(min(keep, keys.shape[1]), dim=1).indices
    return Kept(*(field.gather(1, best) for field in (responses, images.long(), positions.long())))


def peaks(
    responses: Float[Tensor, "batch units rows columns"], sign: int
) -> tuple[Float[Tensor, "units batch"], Int[Tensor, "units batch"]]:
    """Return the strongest (weakest) response of every unit to every image, and its position.

    Args:
        responses: responses of one layer.
        sign: +1 for the largest responses, -1 for the smallest.

    Returns:
        Responses, and row-major positions, the first of several equal ones. NaN counts as the
        extreme of its map.
    """
    # With channels last, reducing without indices is many times faster, so the position is found
    # among the maxima of rows, and then within one row.
    maps = responses.permute(0, 2, 3, 1)
    columns = maps.shape[2]
    best, rows = _extreme(maps.amax(2) if sign > 0 else maps.amin(2), sign)
    row = maps.gather(1, rows[:, None, None].expand(-1, 1, columns, -1))[:, 0]
    return best.T, (rows * columns + _extreme(row, sign)[1]).T


def _extreme(maps: Float[Tensor, "batch positions units"], sign: int) -> tuple[Tensor, Tensor]:
    """Return the largest (smallest) value and its first position."""
    found = maps.max(1) if sign > 0 else maps.min(1)
    return found.values, found.indices


def at_rank(kept: Kept, units: Sequence[int], rank: int) -> Kept:
    """Return response, image and position of some units at one rank."""
    return Kept(*(field[units, rank] for field in kept))


class Extremes:
    """The K largest (smallest) responses of every unit seen so far, with image and position.

    Args:
        units: number of units.
        keep: K.
        sign: +1 keeps the largest responses, -1 the smallest.
        device: device of the stored responses.
    """

    def __init__(
        self, units: int, keep: int, sign: int, device: torch.device | str = "cpu"
    ) -> None:
        self.keep = keep
        self.sign = sign
        # A key encodes response and image, and sorts by response, then lower image first.
        self._keys = torch.empty(units, 0, dtype=torch.int64, device=device)
        self._positions = torch.empty(units, 0, dtype=torch.int64, device=device)
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def kept(self) -> Kept:
        """Return the extremes so far, at most K per unit."""
        self._settle()
        responses = _values(self._keys) * self.sign + 0.0  # no negative zeros
        return Kept(responses, _LAST_IMAGE - (self._keys & _LAST_IMAGE), self._positions)

    def add(
        self,
        indices: Int[Tensor, " batch"],
        responses: Float[Tensor, "units batch"],
        positions: Int[Tensor, "units batch"],
    ) -> None:
        """Add the ``peaks`` of one layer for a batch of images.

        Args:
            indices: the images' indices, from 0 to below 2^32, each given once over all calls.
            responses: the best response of every unit to every image.
            positions: position of that response.

        Raises:
            NetworkError: a response is not finite; this may be reported only by a later call.
        """
        device = self._keys.device
        self._waiting.append((indices.to(device), responses.float(), positions))
        if sum(len(part[0]) for part in self._waiting) >= max(WAITING, self.keep):
            self._settle()

    def _settle(self) -> None:
        if not self._waiting:
            return
        parts, self._waiting = self._waiting, []
        images = torch.cat([part[0] for part in parts])
        responses = torch.cat([part[1] for part in parts], 1)
        if not torch.isfinite(responses).all():
            image = int(images[(~torch.isfinite(responses)).any(0).nonzero()[0, 0]])
            raise NetworkError(
                f"model: a response to image {image} is not finite; are the weights whole?"
            )
        keys = torch.cat([self._keys, _keys(responses * self.sign, images)], 1)
        positions = torch.cat([self._positions, *[part[2] for part in parts]], 1)
        kept = keys.topk(min(self.keep, keys.shape[1]), dim=1)
        self._keys = kept.values
        self._positions = positions.gather(1, kept.indices)


def _keys(
    values: Float[Tensor, "units images"], images: Int[Tensor, "*units images"]
) -> Int[Tensor, "units images"]:
    """Return keys that sort like the values and, for equal values, decrease with the image.

    The bits of positive floats sort like integers; those of negative floats in reverse order.
    """
    bits = (values + 0.0).view(torch.int32)
    ordered = torch.where(bits >= 0, bits, bits ^ 0x7FFFFFFF).long()
    return (ordered << 32) | (_LAST_IMAGE - images)


def _values(keys: Int[Tensor, "units kept"]) -> Float[Tensor, "units kept"]:
    ordered = (keys >> 32).int()
    return torch.where(ordered >= 0, ordered, ordered ^ 0x7FFFFFFF).view(torch.float32)
