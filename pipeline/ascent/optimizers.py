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

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive.
    """
    _check_lr(lr)
    return Optimizer(steps, lambda images: torch.optim.SGD(images, lr=lr))


def momentum(steps: int = 100, lr: float = 0.1, momentum: float = 0.9) -> Optimizer:
    """Ascent with momentum: velocity = momentum * velocity + gradient; image += lr * velocity.

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive, or ``momentum`` not from 0 to below 1.
    """
    _check_lr(lr)
    _check_share("momentum", momentum)
    return Optimizer(steps, lambda images: torch.optim.SGD(images, lr=lr, momentum=momentum))


def adam(steps: int = 100, lr: float = 0.1, beta1: float = 0.9, beta2: float = 0.999) -> Optimizer:
    """Adam (Kingma and Ba 2015), elementwise, so that images of a batch do not mix.

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive, or a beta not from 0 to below 1.
    """
    _check_lr(lr)
    _check_share("beta1", beta1)
    _check_share("beta2", beta2)
    return Optimizer(steps, lambda images: torch.optim.Adam(images, lr=lr, betas=(beta1, beta2)))


def _check_lr(lr: float) -> None:
    if not 0 < lr < float("inf"):
        raise ConfigError(f"optimizer.lr: {lr} is not a positive number; ascent adds lr * gradient")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ConfigError(f"optimizer.{name}: {value} is not from 0 to below 1")
