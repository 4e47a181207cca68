"""Steps of gradient descent by torch's own functions.

The classes of torch.optim load torch's compiler at their first step, which takes longer than torch
itself. So SGD and Adam call torch's underlying functions directly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.optim.adam import adam as step_adam
from torch.optim.sgd import sgd as step_sgd


@runtime_checkable
class Stepper(Protocol):
    """Steps tensors down their gradients, as those of ``torch.optim`` do."""

    param_groups: list[dict[str, Any]]

    def step(self, closure: Any) -> Any:
        """Take a step."""
        ...


class Sgd:
    """Steps as torch.optim.SGD does."""

    def __init__(self, tensors: list[Tensor], lr: float, momentum: float = 0.0) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr}]
        self.tensors, self.momentum = tensors, momentum
        self.velocities: list[Tensor | None] = [None] * len(tensors) if momentum else []

    @torch.no_grad()
    def step(self, closure: Any) -> None:
        """Take a step; the loss is not needed."""
        del closure
        step_sgd(
            self.tensors,
            _gradients(self.tensors),
            self.velocities,
            lr=self.param_groups[0]["lr"],
            momentum=self.momentum,
            weight_decay=0,
            dampening=0,
            nesterov=False,
            maximize=False,
        )


class Adam:
    """Steps as torch.optim.Adam does."""

    def __init__(self, tensors: list[Tensor], lr: float, beta1: float, beta2: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"lr": lr}]
        self.tensors, self.betas = tensors, (beta1, beta2)
        self.means = [torch.zeros_like(tensor) for tensor in tensors]
        self.squares = [torch.zeros_like(tensor) for tensor in tensors]
        self.taken = [torch.tensor(0.0) for _ in tensors]

    @torch.no_grad()
    def step(self, closure: Any) -> None:
        """Take a step; the loss is not needed."""
        del closure
        step_adam(
            self.tensors,
            _gradients(self.tensors),
            self.means,
            self.squares,
            [],
            self.taken,
            lr=self.param_groups[0]["lr"],
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=1e-8,
            weight_decay=0,
            amsgrad=False,
            maximize=False,
        )


def _gradients(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [tensor.grad for tensor in tensors if tensor.grad is not None]
