"""Options of ascents and dreams in a notebook, and the user's own objectives."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.library.arguments import as_arguments, whole_number
from pipeline.library.option_names import (
    LISTS,
    OPTIONS,
    as_option,
    check_names,
    known_options,
    named_options,
)
from pipeline.networks.gradient_rules import PLAIN, GradientRule
from pipeline.networks.loading.network import Network
from pipeline.synthesis.combinations import combination_faults, combination_notes
from pipeline.synthesis.constraints import Constraint
from pipeline.synthesis.inits import Init
from pipeline.synthesis.objectives import Objective, Seen
from pipeline.synthesis.parameterizations import Parameterization, pixel
from pipeline.synthesis.recipe import Recipe
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.transforms import Transform

log = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class CommonOptions:
    """How images of any kind are made; ``Options`` and ``DreamOptions`` say what each is."""

    parameterization: Sequence[Parameterization] = field(default_factory=lambda: [pixel()])
    constraint: Constraint | None = None
    regularizers: Sequence[Regularizer] = ()
    smoothings: Sequence[Smoothing] = ()
    transforms: Sequence[Transform] = ()
    gradient: GradientRule = PLAIN
    seed: int = 0

    def __repr__(self) -> str:
        """Return the options that are not the defaults.

        >>> from pipeline.synthesis.transforms import jitter, pad
        >>> Options(copies=2, transforms=[pad(4), jitter(4)])
        Options(transforms=[pad, jitter], copies=2)
        """
        own, plain = (
            {each.name: _shown(getattr(options, each.name)) for each in fields(options)}
            for options in (self, type(self)())
        )
        given = [f"{name}={value}" for name, value in own.items() if value != plain[name]]
        return f"{type(self).__name__}({', '.join(given)})"

    @staticmethod
    def names() -> dict[str, list[str]]:
        """Return the options that each argument takes by name; ``help`` of one says more.

        >>> import pipeline
        >>> pipeline.Options.names()["optimizer"]
        ['sgd', 'momentum', 'adam', 'named']
        """
        return {argument: list(known_options(argument)) for argument in OPTIONS}


@dataclass(frozen=True, repr=False)
class Options(CommonOptions):
    """How images are made besides objective, start and optimizer; plain by default.

    Each is what a function of its module returns, such as ``jitter(pixels=4)``, or the name of such
    a function for its defaults, such as ``"jitter"``. ``Options.names()`` lists them.

    Attributes:
        copies: images of every unit, each with random numbers of its own.
        size: side, or height and width, of whole images; those of the start, or of the network.
            Images of receptive fields have the size of these.
        parameterization: one or several pieces of ``pipeline.synthesis.parameterizations``; pixels
            by default. Spaces are ``pixel``, ``fourier``, ``maco`` and ``cppn``; the resolution is
            ``low_resolution``, the colors ``decorrelated``, and ranges ``unbounded``, ``clamp``,
            ``sigmoid`` and ``tanh``.
        constraint: of ``pipeline.synthesis.constraints``: ``none``, ``norm``, ``contrast``,
            ``mean``, ``ball``, ``clip`` or ``range``.
        regularizers: one or several of ``pipeline.synthesis.regularizers``: ``l1``, ``l2``,
            ``l_infinity``, ``total_variation``, ``blur``, ``high_frequency``,
            ``distance_to_start``.
        smoothings: one or several of ``pipeline.synthesis.smoothing``: ``blur``, ``cascade``.
        transforms: one or several of ``pipeline.synthesis.transforms``, in order: ``pixels``,
            ``pad``, ``jitter``, ``roll``, ``crop``, ``flip``, ``fit``, ``scale``, ``rotate``,
            ``resize``, ``noise``, ``boxes``.
        gradient: how gradients pass ReLU and pooling (``pipeline.networks.gradient_rules``):
            ``plain``, ``redirected_relu``, ``guided`` or ``smooth_pooling``.
        seed: of random numbers, 0 or more.
    """

    copies: int = 1
    size: tuple[int, int] | int | None = None


def _shown(value: Any) -> str:
    """Return an option by the name of the function that made it, or several."""
    if isinstance(value, list | tuple) and all(hasattr(each, "__dict__") for each in value):
        return f"[{', '.join(map(_shown, value))}]"
    names = [*named_options([value])] if hasattr(value, "__dict__") else ["0"]
    return repr(value) if names == ["0"] else names[0]


Kind = TypeVar("Kind", bound=CommonOptions)


def read_options(
    kind: type[Kind], options: Mapping[str, Any], arguments: Sequence[str] = ()
) -> Kind:
    """Return options by name.

    Args:
        kind: the dataclass of the options.
        options: by name.
        arguments: other arguments that can be given by name, and may be misspelled.

    Raises:
        ConfigError: there is none of a name, or it is not what it should be.
    """
    check_names(kind, options, arguments)
    read: dict[str, Any] = {}
    for name, value in options.items():
        if name in LISTS:
            several = isinstance(value, Iterable) and not isinstance(value, str)
            read[name] = [as_option(name, each) for each in (value if several else [value])]
        elif name in OPTIONS:
            read[name] = None if name == "constraint" and value is None else as_option(name, value)
        else:
            read[name] = whole_number("seed", value, 0) if name == "seed" else value
    return kind(**read)


class _WholeLayer(Seen):
    """What an objective may look at where no unit is chosen."""

    @property
    def own(self) -> Tensor:
        """Refuse: there is no unit."""
        raise ConfigError("unit: must be given, since the objective looks at the map of a unit")


def as_objective(objective: Any, default: Objective, *, per_unit: bool = True) -> Objective:
    """Return an objective by its name, or one of a function of what was seen.

    Args:
        objective: an objective, its name, or a function.
        default: where there is none.
        per_unit: whether a function scores for units.

    Raises:
        ConfigError: it is none of these.
    """
    if objective is None:
        return default
    if not callable(objective) or objective in known_options("objective").values():
        return as_option("objective", objective)

    def score(seen: Seen) -> Tensor:
        given = seen if per_unit else _WholeLayer(**vars(seen))
        found: Any = objective(given)
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        if shape != (len(seen.images),):
            raise ConfigError(
                f"objective: it returned {shape}, and must return one score per image"
                f" ({len(seen.images)},)"
            )
        if torch.is_grad_enabled() and not found.requires_grad:
            raise ConfigError(
                "objective: its score has no gradient; compute it from what was seen, by operations"
                " of PyTorch without detach, item or no_grad"
            )
        return found

    return Objective(score, per_unit=per_unit)


def make_recipe(
    net: Network, terms: Terms, starts: Mapping[str, Init], options: CommonOptions
) -> Recipe:
    """Return a recipe of what is given in a notebook.

    Raises:
        ConfigError: what is given does not go together.
    """
    recipe = Recipe(
        net,
        terms,
        starts,
        named_options(options.parameterization),
        options.constraint,
        named_options(options.regularizers),
        named_options(options.smoothings),
        named_options(options.transforms),
        options.seed,
    )
    if recipe.constraint is not None and recipe.constraint.needs_patches:
        raise ConfigError(
            "constraint: what is 'natural' follows from top patches, which are not known here; give"
            " a number"
        )
    for fault in combination_faults(recipe):
        raise ConfigError(fault)
    for note in combination_notes(recipe):
        log.warning(as_arguments(note))
    return recipe


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
