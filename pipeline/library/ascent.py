"""Ascents from a notebook: images that drive units, from any start, by any objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.errors import ConfigError, nearest
from pipeline.library.units import checked_count, chosen_units
from pipeline.networks.gradient_rules import PLAIN, GradientRule
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.store.results import WHOLE_LAYER
from pipeline.synthesis import inits
from pipeline.synthesis.climber import Batch, Climber
from pipeline.synthesis.constraints import Constraint
from pipeline.synthesis.inits import Init, Request
from pipeline.synthesis.objectives import Objective, Seen, unit_response
from pipeline.synthesis.optimizers import Optimizer, sgd
from pipeline.synthesis.parameterizations import Parameterization, pixel
from pipeline.synthesis.plan import batches, score_costs
from pipeline.synthesis.recipe import Recipe, Size
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.starts import Starts
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.transforms import Transform

STARTS: dict[str, Callable[[], Init]] = {"zeros": inits.zeros, "noise": inits.noise}


@dataclass(frozen=True)
class Ascents:
    """What ascents reached, one image a unit and copy.

    Attributes:
        units: one per image; -1 is the layer as a whole.
        copies: number of each image among those of its unit.
        starts: the starting images, in network-input space.
        images: the images after the last step.
        responses: the score before every step and after the last.
        status: per image ``ok``, ``zero_gradient`` (the start could not move) or ``not_finite``.
    """

    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    starts: Float[Tensor, "images c height width"]
    images: Float[Tensor, "images c height width"]
    responses: Float[Tensor, "images steps_and_one"]
    status: list[str]

    @property
    def added(self) -> Float[Tensor, "images c height width"]:
        """What the ascents added to their starts."""
        return self.images - self.starts

    @property
    def table(self) -> pd.DataFrame:
        """One row per image: unit, copy, responses before and after, status."""
        return pd.DataFrame(
            {
                "unit": self.units,
                "copy": self.copies,
                "start_response": self.responses[:, 0].numpy(),
                "final_response": self.responses[:, -1].numpy(),
                "status": self.status,
            }
        )


@dataclass(frozen=True)
class Options:
    """How images are made besides objective, start and optimizer; plain by default.

    Attributes:
        copies: images of every unit, each with random numbers of its own.
        size: side, or height and width, of whole images; those of the start, or of the network.
        parameterization: pieces of ``pipeline.synthesis.parameterizations``; pixels by default.
        constraint: of ``pipeline.synthesis.constraints``.
        regularizers: of ``pipeline.synthesis.regularizers``.
        smoothings: of ``pipeline.synthesis.smoothing``.
        transforms: of ``pipeline.synthesis.transforms``, in order.
        gradient: how gradients pass ReLU and pooling (``pipeline.networks.gradient_rules``).
        seed: of random numbers.
    """

    copies: int = 1
    size: tuple[int, int] | int | None = None
    parameterization: Sequence[Parameterization] = field(default_factory=lambda: [pixel()])
    constraint: Constraint | None = None
    regularizers: Sequence[Regularizer] = ()
    smoothings: Sequence[Smoothing] = ()
    transforms: Sequence[Transform] = ()
    gradient: GradientRule = PLAIN
    seed: int = 0


Kind = TypeVar("Kind", bound=Options)


def read_options(kind: type[Kind], options: Mapping[str, Any]) -> Kind:
    """Return options by name.

    Raises:
        ConfigError: there is none of a name.
    """
    known = [each.name for each in fields(kind)]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"{name}: is no option; the options are {', '.join(known)}{nearest(name, known)}"
            )
    return kind(**options)


def ascend(
    net: Network,
    layer: str,
    units: Any = "all",
    *,
    start: str | Init | Tensor | np.ndarray = "zeros",
    objective: Objective | Callable[[Seen], Tensor] | None = None,
    optimizer: Optimizer | None = None,
    **options: Any,
) -> Ascents:
    """Climb the response of units, or an objective of one's own, and return the images.

    Without an objective the image of a unit has exactly the size of its receptive field, and only
    what the unit sees is computed (``networks.unit_networks``). Any objective sees whole images.

    Args:
        net: the network, on whose device the images are climbed.
        layer: name of the layer.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        start: ``zeros``, ``noise``, an init of ``pipeline.synthesis.inits``, or images
            ``[units x copies, channels, height, width]`` in network-input space, or one for all;
            they are not altered.
        objective: of ``pipeline.synthesis.objectives``, or a function from what was seen of the
            layer (``Seen``: ``responses`` [batch, units, rows, columns], ``units``, ``images``) to
            one score per image.
        optimizer: of ``pipeline.synthesis.optimizers``; plain gradient ascent by default.
        options: copies, size, constraint, transforms, seed and so on (``Options``).

    Raises:
        ConfigError: there is no such layer or unit, or the options do not go together.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv1", [5], optimizer=sgd(steps=3))
    >>> tuple(found.images.shape), found.status
    ((1, 3, 9, 9), ['ok'])
    >>> mean = pipeline.ascend(
    ...     net, "conv1", [5], objective=lambda seen: seen.own.mean((1, 2)), optimizer=sgd(steps=3)
    ... )
    >>> tuple(mean.images.shape)
    (1, 3, 96, 96)
    """
    chosen = read_options(Options, options)
    checked_count("copies", chosen.copies)
    start = torch.as_tensor(start) if isinstance(start, np.ndarray) else start
    given = start if isinstance(start, Tensor) else None
    init = _given_start(given) if given is not None else _init(start)
    goal = as_objective(objective, unit_response())
    size = _size(net, chosen.size, given)
    terms = Terms({"objective": goal}, chosen.copies, size, chosen.gradient)
    terms.check()
    found = net.layer(layer)
    numbers = chosen_units(units, found) if terms.per_unit else [WHOLE_LAYER]
    recipe = make_recipe(net, terms, {start if isinstance(start, str) else "start": init}, chosen)
    return _climb(recipe, found, numbers, optimizer or sgd())


def make_recipe(net: Network, terms: Terms, starts: Mapping[str, Init], options: Options) -> Recipe:
    """Return a recipe of what is given in a notebook."""
    return Recipe(
        net,
        terms,
        starts,
        _named(options.parameterization),
        options.constraint,
        _named(options.regularizers),
        _named(options.smoothings),
        _named(options.transforms),
        options.seed,
    )


class OneDevice:
    """The device of a network, and no other process (``synthesis.climber.Machine``)."""

    def __init__(self, net: Network) -> None:
        self.device = net.device

    def place(self, module: nn.Module) -> nn.Module:
        """Return a module on the device."""
        return module.to(self.device)

    def check(self) -> None:
        """Go on."""

    def in_float32(self) -> AbstractContextManager[None]:
        """Compute as always."""
        return nullcontext()


def _climb(recipe: Recipe, layer: Layer, units: Sequence[int], optimizer: Optimizer) -> Ascents:
    machine = OneDevice(recipe.network)
    climber = Climber(Starts(recipe, NoSources()), machine)
    (init,) = recipe.inits
    costs = score_costs(recipe.network, recipe.terms, layer)
    together = batches(units, costs, machine.device.type, recipe.terms.copies)
    done = [climber(Batch(layer, init, some, "float32", optimizer)) for some in together]
    return Ascents(
        np.concatenate([start.units for start, _ in done]),
        np.concatenate([start.copies for start, _ in done]),
        torch.cat([ascent.starts for _, ascent in done]).cpu(),
        torch.cat([ascent.images for _, ascent in done]).cpu(),
        torch.cat([ascent.responses for _, ascent in done]).cpu(),
        [status for _, ascent in done for status in ascent.status],
    )


class NoSources:
    """Stands for an image set where there is none (``synthesis.recipe.Sources``)."""

    def patches(  # noqa: D102 - as in Sources
        self,
        layer: Layer,  # noqa: ARG002
        units: Sequence[int],  # noqa: ARG002
        rank: int,  # noqa: ARG002
        sign: int,  # noqa: ARG002
        size: Size,  # noqa: ARG002
    ) -> Tensor:
        raise ConfigError(
            "start: there are no top patches here; give the patches that pipeline.top_patches finds"
        )

    def pictures(self, size: Size, count: int) -> Tensor:  # noqa: D102, ARG002
        raise ConfigError("parameterization: it learns from images, and there are none")


def _init(start: Any) -> Init:
    if isinstance(start, Init):
        return start
    if start not in STARTS:
        known = ", ".join(STARTS)
        raise ConfigError(
            f"start: {start!r} is not one of {known}, an init or a tensor"
            f"{nearest(str(start), STARTS)}"
        )
    return STARTS[start]()


def _given_start(images: Tensor) -> Init:
    """Return an init that gives one's own images, in the order of units and copies."""
    if images.ndim != 4:
        raise ConfigError(
            f"start: a tensor of shape {tuple(images.shape)} is not [images, channels, height,"
            " width]"
        )
    if not images.is_floating_point():
        raise ConfigError(f"start: {images.dtype} is no network input; give floating-point images")
    taken = 0

    def start(request: Request) -> Tensor:
        nonlocal taken
        count = len(request.units)
        if tuple(images.shape[2:]) != tuple(request.input_size):
            raise ConfigError(
                f"start: images of {tuple(images.shape[2:])} pixels do not fit; they must be"
                f" {tuple(request.input_size)}"
            )
        if images.shape[1] != request.channels:
            raise ConfigError(
                f"start: images of {images.shape[1]} channels do not fit a network of"
                f" {request.channels}"
            )
        if len(images) == 1:
            return images.repeat(count, 1, 1, 1)
        some = images[taken : taken + count]
        taken += count
        if len(some) < count:
            raise ConfigError(f"start: {len(images)} images are fewer than units and copies")
        return some.clone()

    return Init(start)


def as_objective(objective: Any, default: Objective) -> Objective:
    """Return an objective, or one of a function of what was seen."""
    if objective is None:
        return default
    if isinstance(objective, Objective):
        return objective
    if not callable(objective):
        raise ConfigError(f"objective: {objective!r} is no function and no Objective")

    def score(seen: Seen) -> Tensor:
        found: Any = objective(seen)
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        if shape != (len(seen.images),):
            raise ConfigError(
                f"objective: it returned {shape}, and must return one score per image"
                f" ({len(seen.images)},)"
            )
        return found

    return Objective(score)


def _size(net: Network, size: Any, start: Tensor | None) -> tuple[int, int]:
    if size is not None:
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    if start is not None:
        return (start.shape[2], start.shape[3])
    return net.input_size or net.preprocessing.input_size


def _named(options: Sequence[Any]) -> Mapping[str, Any]:
    return {str(number): option for number, option in enumerate(options)}
