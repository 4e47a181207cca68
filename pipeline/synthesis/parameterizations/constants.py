"""Constants of parameterizations, in the data type and on the device of their operands."""

from __future__ import annotations

import torch
from torch import Tensor


class Constant:
    """A constant tensor, cached for every data type and device.

    Copying it to a GPU in every step would take longer than using it, and cannot be recorded in a
    CUDA graph.

    Args:
        value: the constant, float64 on the CPU.
    """

    def __init__(self, value: Tensor) -> None:
        self.value = value
        self.kept: dict[tuple[torch.dtype, torch.device], Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        """Return the constant in the type and on the device of a tensor; do not modify it."""
        place = (tensor.dtype, tensor.device)
        if place not in self.kept:
            # A tensor created in inference mode cannot take part in a gradient.
            with torch.inference_mode(mode=False):
                self.kept[place] = self.value.to(tensor.device, tensor.dtype)
        return self.kept[place]
