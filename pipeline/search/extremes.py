"""Streaming extremes: the K strongest and the K weakest responses of every unit.

Memory holds K rows for every unit, whatever the number of images. At most one position per image
and unit is kept, the strongest (weakest). Ties go to the lower image index, then to the lower
position, so that the result does not depend on batches or on the order of images.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import NetworkError


class Extremes:
    """The K largest values of every unit seen so far, with image and position.

    Args:
        units: number of units.
        keep: K.
        sign: +1 keeps the largest responses, -1 the smallest.

    Attributes:
        responses: float32 [units, kept], best first; kept is at most K.
        images: int64 [units, kept], image indices.
        positions: int64 [units, kept], row-major positions on the layer's map.
    """

    def __init__(self, units: int, keep: int, sign: int) -> None:
        self.keep = keep
        self.sign = sign
        self.responses = torch.empty(units, 0)
        self.images = torch.empty(units, 0, dtype=torch.int64)
        self.positions = torch.empty(units, 0, dtype=torch.int64)

    def add(
        self,
        indices: Int[Tensor, " batch"],
        responses: Float[Tensor, "batch units rows columns"],
    ) -> None:
        """Take in the responses of one layer to a batch of images.

        Args:
            indices: the images' indices, each given once over all calls.
            responses: their responses.

        Raises:
            NetworkError: a response is not finite.
        """
        flat = responses.flatten(2)
        # max and min return the first of several equal positions.
        best = flat.max(dim=2) if self.sign > 0 else flat.min(dim=2)
        values = best.values.T.to(self.responses)
        if not torch.isfinite(values).all():
            image = int(indices[(~torch.isfinite(values)).any(0).nonzero()[0, 0]])
            raise NetworkError(
                f"model: a response to image {image} is not finite; are the weights whole?"
            )
        images = indices.to(self.images).expand(len(values), -1)
        self._merge(values, images, best.indices.T.to(self.positions))

    def _merge(self, responses: Tensor, images: Tensor, positions: Tensor) -> None:
        responses = torch.cat([self.responses, responses], 1)
        images = torch.cat([self.images, images], 1)
        positions = torch.cat([self.positions, positions], 1)
        # Two stable sorts: by image, then by response, so that ties stay in the order of images.
        by_image = images.argsort(dim=1, stable=True)
        ordered = responses.gather(1, by_image)
        by_response = ordered.argsort(dim=1, descending=self.sign > 0, stable=True)
        chosen = by_image.gather(1, by_response[:, : self.keep])
        self.responses = responses.gather(1, chosen)
        self.images = images.gather(1, chosen)
        self.positions = positions.gather(1, chosen)
