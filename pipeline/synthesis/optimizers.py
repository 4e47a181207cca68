"""Optimizers: those of torch, each with a number of steps.

Gradients can be normalized first, and the learning rate can change over the steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError, first_line, nearest
from pipeline.synthesis.schedules import Schedule, check_schedule, value_at
from pipeline.synthesis.steppers import Adam, Sgd, Stepper

Build = Callable[[list[Tensor], float], Stepper]

# How the gradient of each image is normalized.
NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda g: _divided(g, g.abs().amax(1)),
    "mean": lambda g: _divided(g, g.abs().mean(1)),
    "norm": lambda g: _divided(g, g.norm(dim=1)),
    "std": lambda g: _divided(g, g.std(1)),
    "standardize": lambda g: _divided(g - g.mean(1, keepdim=True), g.std(1)),
}


def _divided(gradient: Tensor, by: Tensor) -> Tensor:
    """Return each gradient divided by a number; zero gradients stay zero."""
    return gradient / torch.where(by > 0, by, 1.0)[:, None]


@dataclass(frozen=True)
class Optimizer:
    """An optimizer for the parameters of a batch of images.

    Attributes:
        steps: number of updates.
        lr: learning rate, or its values at the start and the end.
        make: builds a stepper, as in torch.optim, from parameters and a learning rate.
        normalize: how the gradient of each image is normalized, over all of its parameters: divided
            by its largest magnitude (``max``), mean magnitude (``mean``), L2 norm (``norm``) or
            standard deviation (``std``; ``standardize`` first subtracts the mean).
        separate: whether each image needs its own optimizer, because this kind mixes parameters
            that it updates together.
    """

    steps: int
    lr: Schedule
    make: Build
    normalize: str | None = None
    separate: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"optimizer.steps: {self.steps} is not positive; use 1 or more")
        check_schedule("optimizer.lr", self.lr)
        if value_at(self.lr, 0, self.steps) <= 0:
            raise ConfigError(
                f"optimizer.lr: {self.lr} is not a positive number; ascent adds lr * gradient"
            )
        if self.normalize is not None and self.normalize not in NORMALIZATIONS:
            raise ConfigError(
                f"optimizer.normalize: '{self.normalize}' is not one of"
                f" {', '.join(NORMALIZATIONS)} or null{nearest(self.normalize, NORMALIZATIONS)}"
            )

    def build(self, parameters: Sequence[Tensor]) -> Steps:
        """Return a stepper for parameters whose first dimension is the image."""
        return Steps(self, parameters)


class Steps:
    """Steps of parameters down their gradients, in place.

    Args:
        optimizer: kind of optimizer.
        parameters: tensors whose first dimension is the image.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[Tensor]) -> None:
        self.optimizer, self.taken = optimizer, 0
        whole = [parameter.detach() for parameter in parameters]
        self.updated = (
            [[tensor[index] for tensor in whole] for index in range(len(whole[0]))]
            if optimizer.separate
            else [whole]
        )
        first = value_at(optimizer.lr, 0, optimizer.steps)
        self.made = [optimizer.make(tensors, first) for tensors in self.updated]

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Take a step down the gradients of the loss."""
        gradients = normalized(gradients, self.optimizer.normalize)
        lr = value_at(self.optimizer.lr, self.taken, self.optimizer.steps)
        for index, (made, tensors) in enumerate(zip(self.made, self.updated, strict=True)):
            for tensor, gradient in zip(tensors, gradients, strict=True):
                tensor.grad = gradient[index].contiguous() if self.optimizer.separate else gradient
            if not isinstance(self.optimizer.lr, float | int):
                for group in made.param_groups:
                    group["lr"] = lr
            # LBFGS needs a loss, but uses it only in line searches.
            made.step(lambda: 0.0)
        self.taken += 1


def normalized(
    gradients: Sequence[Float[Tensor, "batch *_"]], kind: str | None
) -> list[Float[Tensor, "batch *_"]]:
    """Return gradients normalized per image, over all of its parameter tensors."""
    if kind is None:
        return list(gradients)
    flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
    parts = NORMALIZATIONS[kind](flat).split([g[0].numel() for g in gradients], 1)
    return [part.view(g.shape) for part, g in zip(parts, gradients, strict=True)]


def sgd(steps: int = 100, lr: Schedule = 0.1, normalize: str | None = None) -> Optimizer:
    """Plain ascent: image += lr * gradient, exactly, with no momentum and no clamp.

    The defaults, lr 0.1 and 100 steps, are those of tonyfu97/ActivationMaximization.

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive.
    """
    return Optimizer(steps, lr, Sgd, normalize)


def momentum(
    steps: int = 100, lr: Schedule = 0.1, momentum: float = 0.9, normalize: str | None = None
) -> Optimizer:
    """Ascent with momentum: velocity = momentum * velocity + gradient; image += lr * velocity.

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive, or ``momentum`` not from 0 to below 1.
    """
    _check_share("momentum", momentum)

    def make(tensors: list[Tensor], rate: float) -> Stepper:
        return Sgd(tensors, rate, momentum)

    return Optimizer(steps, lr, make, normalize)


def adam(
    steps: int = 100,
    lr: Schedule = 0.1,
    beta1: float = 0.9,
    beta2: float = 0.999,
    normalize: str | None = None,
) -> Optimizer:
    """Adam (Kingma and Ba 2015), elementwise, so that images of a batch do not mix.

    Raises:
        ConfigError: ``steps`` or ``lr`` is not positive, or a beta not from 0 to below 1.
    """
    _check_share("beta1", beta1)
    _check_share("beta2", beta2)

    def make(tensors: list[Tensor], rate: float) -> Stepper:
        return Adam(tensors, rate, beta1, beta2)

    return Optimizer(steps, lr, make, normalize)


def named(
    name: str,
    steps: int = 100,
    lr: Schedule = 0.1,
    settings: Mapping[str, Any] | None = None,
    normalize: str | None = None,
) -> Optimizer:
    """Any optimizer of ``torch.optim`` by its name.

    Optimizers that mix parameters that they update together (Adafactor, LBFGS) are built once per
    image. LBFGS evaluates once per step, without a line search.

    Args:
        name: name in ``torch.optim``: ``RMSprop``, ``Adagrad``, ``NAdam`` ...
        steps: number of updates.
        lr: learning rate, or its values at the start and the end.
        settings: other arguments of the optimizer.
        normalize: how gradients are normalized.

    Raises:
        ConfigError: there is no such optimizer, it cannot update images, or it rejects a setting.
    """
    kinds = {
        kind: found
        for kind, found in vars(torch.optim).items()
        if isinstance(found, type) and issubclass(found, torch.optim.Optimizer)
    }
    del kinds["Optimizer"]
    if name not in kinds:
        raise ConfigError(
            f"optimizer.name: '{name}' is not in torch.optim, which has {', '.join(sorted(kinds))}"
            f"{nearest(name, kinds)}"
        )
    given = dict(settings or {})
    if name == "LBFGS":
        given |= {"max_iter": 1, "max_eval": 1, "line_search_fn": None}

    def make(tensors: list[Tensor], rate: float) -> Stepper:
        return kinds[name](tensors, lr=rate, **given)  # type: ignore[call-arg]

    optimizer = Optimizer(steps, lr, make, normalize, separate=name in ("Adafactor", "LBFGS"))
    try:
        optimizer.build([torch.ones(2, 3, 2, 2)])([torch.ones(2, 3, 2, 2)])
    except Exception as error:  # each raises different errors
        reason = first_line(error)
        raise ConfigError(
            f"optimizer.name: torch.optim.{name} cannot update images with these settings"
            f" ({reason})"
        ) from error
    return optimizer


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1 or not math.isfinite(value):
        raise ConfigError(f"optimizer.{name}: {value} is not from 0 to below 1")
