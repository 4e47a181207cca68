"""Options by name: the functions that make them, and what is said about others."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any

from pipeline.errors import ConfigError, nearest
from pipeline.networks import gradient_rules
from pipeline.networks.gradient_rules import GradientRule
from pipeline.synthesis import (
    constraints,
    inits,
    objectives,
    optimizers,
    parameterizations,
    regularizers,
    smoothing,
    transforms,
)
from pipeline.synthesis.constraints import Constraint
from pipeline.synthesis.evolution import adaptation, generators, noises, rivals, searchers
from pipeline.synthesis.inits import Init
from pipeline.synthesis.objectives import Objective
from pipeline.synthesis.optimizers import Optimizer
from pipeline.synthesis.parameterizations import Parameterization
from pipeline.synthesis.regularizers import Regularizer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.transforms import Transform

# The modules whose functions return what an argument takes, and what that is.
OPTIONS: dict[str, tuple[ModuleType, type]] = {
    "objective": (objectives, Objective),
    "start": (inits, Init),
    "optimizer": (optimizers, Optimizer),
    "parameterization": (parameterizations, Parameterization),
    "constraint": (constraints, Constraint),
    "regularizers": (regularizers, Regularizer),
    "smoothings": (smoothing, Smoothing),
    "transforms": (transforms, Transform),
    "gradient": (gradient_rules, GradientRule),
}
# Those of ``pipeline.evolve``.
EVOLUTION_OPTIONS: dict[str, tuple[ModuleType, type]] = {
    "searcher": (searchers, searchers.Searcher),
    "generator": (generators, generators.Generator),
    "rivals": (rivals, rivals.Rival),
    "noise": (noises, noises.Noise),
    "adaptation": (adaptation, adaptation.Adaptation),
}
LISTS = ("parameterization", "regularizers", "smoothings", "transforms")


def known_options(argument: str) -> dict[str, Callable[..., Any]]:
    """Return the functions whose results an argument takes, by name."""
    module, kind = (OPTIONS | EVOLUTION_OPTIONS)[argument]
    return {
        name: found
        for name, found in vars(module).items()
        if inspect.isfunction(found)
        and not name.startswith("_")
        and found.__annotations__.get("return") in (kind, kind.__name__)
    }


def as_option(argument: str, given: Any) -> Any:
    """Return an option that is given as such, by its name, or as the function that returns it.

    Raises:
        ConfigError: it is none, or asks for settings.
    """
    (module, kind), known = (OPTIONS | EVOLUTION_OPTIONS)[argument], known_options(argument)
    if isinstance(given, kind):
        return given
    name = given if isinstance(given, str) else getattr(given, "__name__", None)
    if name not in known or not (name == given or known[name] is given):
        shown = repr(given) if isinstance(given, str | int | float | None) else type(given).__name__
        raise ConfigError(
            f"{argument}: {shown} is no {kind.__name__}; give one of {', '.join(known)}, or what"
            f" these functions of {module.__name__} return{nearest(shown, known)}"
        )
    asked = inspect.signature(known[name]).parameters.values()
    if lacking := [each.name for each in asked if each.default is each.empty]:
        raise ConfigError(
            f"{argument}: {name} needs settings; give {module.__name__}.{name}({lacking[0]}=...)"
        )
    return known[name]()


def check_names(kind: type, options: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Check that options are among the fields of a kind.

    Args:
        kind: the dataclass of the options.
        options: by name.
        arguments: other arguments that can be given by name, and may be misspelled.

    Raises:
        ConfigError: there is none of a name.
    """
    known = [each.name for each in fields(kind)]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"{name}: is no option; the options are {', '.join(known)}"
                f"{nearest(name, [*arguments, *known])}"
            )


def option_name(argument: str, given: Any) -> str:
    """Return the name of an option; that of the argument if the option's own is not known."""
    name = given if isinstance(given, str) else getattr(given, "__name__", None)
    if name is None:
        (name,) = named_options([given])
    return name if name in known_options(argument) else argument


def named_options(options: Sequence[Any]) -> dict[str, Any]:
    """Return options by the functions that have made them, for messages; repeated ones numbered."""
    found: dict[str, Any] = {}
    for number, option in enumerate(options):
        parts = [getattr(part, "__qualname__", "") for part in vars(option).values()]
        makers = [part.partition(".")[0] for part in parts if ".<locals>" in part]
        name = makers[0] if makers and not makers[0].startswith("_") else str(number)
        found[name if name not in found else f"{name} ({number})"] = option
    return found
