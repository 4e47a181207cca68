"""Options of ascents and dreams in a notebook, and the user's own objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from torch import Tensor, nn

from pipeline.errors import ConfigError, nearest
from pipeline.networks.gradient_rules import PLAIN, GradientRule
from pipeline.networks.loading.network import Network
from pipeline.synthesis.constraints import Constraint
from pipeline.synthesis.inits import Init
from pipeline.synthesis.objectives import Objective, Seen
from pipeline.synthesis.parameterizations import Parameterization, pixel
from pipeline.synthesis.recipe import Recipe
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.transforms import Transform


@dataclass(frozen=True)
class Options:
    """Options of ascents other than objective, start and optimizer.

    Attributes:
        copies: images per unit, each with its own random numbers.
        size: side, or height and width, of whole images; by default that of the start or the
            network.
        parameterization: pieces of ``pipeline.synthesis.parameterizations``; pixels by default.
        constraint: one of ``pipeline.synthesis.constraints``.
        regularizers: some of ``pipeline.synthesis.regularizers``.
        smoothings: some of ``pipeline.synthesis.smoothing``.
        transforms: some of ``pipeline.synthesis.transforms``, in order.
        gradient: gradient rule of ReLU and pooling (``pipeline.networks.gradient_rules``).
        seed: seed of random numbers.
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
        ConfigError: there is no option with that name.
    """
    known = [each.name for each in fields(kind)]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"{name}: is no option; the options are {', '.join(known)}{nearest(name, known)}"
            )
    return kind(**options)


def as_objective(objective: Any, default: Objective) -> Objective:
    """Return an objective; a function is wrapped as one."""
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


def make_recipe(net: Network, terms: Terms, starts: Mapping[str, Init], options: Options) -> Recipe:
    """Return a recipe from the options of a notebook."""
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
    """The device of a network, used by a single process (``synthesis.climber.Machine``)."""

    def __init__(self, net: Network) -> None:
        self.device = net.device

    def place(self, module: nn.Module) -> nn.Module:
        """Return a module on the device."""
        return module.to(self.device)

    def check(self) -> None:
        """Go on."""

    def in_float32(self) -> AbstractContextManager[None]:
        """Change nothing."""
        return nullcontext()


class NoSources:
    """A placeholder for a missing image set (``synthesis.recipe.Sources``)."""

    def patches(self, *_asked: Any) -> Tensor:
        """Raise an error: nothing has been searched."""
        raise ConfigError(
            "start: there are no top patches here; give those that pipeline.top_patches finds"
        )

    def pictures(self, *_asked: Any) -> Tensor:
        """Raise an error: there are no images."""
        raise ConfigError("parameterization: it learns from images, and there are none here")


def _named(options: Sequence[Any]) -> Mapping[str, Any]:
    return {str(number): option for number, option in enumerate(options)}
