"""Optimizers: how an image follows its gradient. Each is torch's own, with the number of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Optimizer:
    """An optimizer to be built on a batch of images.

    Attributes:
        steps: number of updates.
        build: from the images to a torch optimizer, which minimizes.
    """

    steps: int
    build: Callable[[list[Tensor]], torch.optim.Optimizer]

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"optimizer.steps: {self.steps} is not positive; use 1 or more")


def sgd(steps: int = 100, lr: float = 0.1) -> Optimizer:
    """Plain ascent: image += lr * gradient, exactly, with no momentum and no clamp.

    Source: the original's choice ("Deep Dream at neuron level"), lr 0.1 and 100 steps.
    """
    return Optimizer(steps, lambda images: torch.optim.SGD(images, lr=_positive(lr)))


def momentum(steps: int = 100, lr: float = 0.1, momentum: float = 0.9) -> Optimizer:
    """Ascent with momentum: velocity = momentum * velocity + gradient; image += lr * velocity."""
    return Optimizer(
        steps, lambda images: torch.optim.SGD(images, lr=_positive(lr), momentum=momentum)
    )


def adam(
    steps: int = 100, lr: float = 0.1, beta1: float = 0.9, beta2: float = 0.999
) -> Optimizer:
    """Adam (Kingma and Ba 2015), elementwise, so that images of a batch do not mix."""
    return Optimizer(
        steps, lambda images: torch.optim.Adam(images, lr=_positive(lr), betas=(beta1, beta2))
    )


def _positive(lr: float) -> float:
    if not lr > 0:
        raise ConfigError(f"optimizer.lr: {lr} is not positive; ascent is x += lr * gradient")
    return lr
