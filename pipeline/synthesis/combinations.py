"""Combinations of options that make no sense, each rejected with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from pipeline.errors import ConfigError, NetworkError
from pipeline.networks.gradient_rules import check_rule
from pipeline.synthesis.constraints import ConstraintContext
from pipeline.synthesis.parameterizations.colors import not_in_color
from pipeline.synthesis.recipe import Recipe


def combination_faults(recipe: Recipe) -> Iterator[str]:
    """Yield why what is chosen for ascents does not go together."""
    yield from _unit_faults(recipe)
    try:
        check_rule(recipe.network.graph.traced, recipe.terms.rule)
    except NetworkError as error:
        yield str(error)
    yield from _inverse_faults(recipe)
    yield from _channel_faults(recipe)


def combination_notes(recipe: Recipe) -> Iterator[str]:
    """Yield warnings about options that are allowed, but probably not intended."""
    if recipe.terms.copies > 1 and not any(t.random for t in recipe.transforms.values()):
        for name, init in recipe.inits.items():
            if not init.random:
                yield (
                    f"init.copies: all {recipe.terms.copies} copies from '{name}' will be the"
                    " same, as nothing in them is random; use init=[noise] or a transform"
                )


def _unit_faults(recipe: Recipe) -> Iterator[str]:
    if recipe.terms.per_unit:
        return
    names = "+".join(recipe.terms.objectives)
    whole = f"objective={names} is of a layer as a whole, which has no patch"
    for name, init in recipe.inits.items():
        if init.needs_units:
            yield f"init: {whole} that '{name}' could start from; use others, such as init=[image]"
    if recipe.constraint is not None and recipe.constraint.needs_patches:
        yield f"constraint: {whole} to take a 'natural' value from; give a number"


def _channel_faults(recipe: Recipe) -> Iterator[str]:
    """Yield why options do not fit the channels of images; of constraints, as zeros show."""
    preprocessing = recipe.network.preprocessing
    for name, piece in recipe.parameterization.items():
        if piece.colored and preprocessing.channels != 3:
            yield not_in_color(name, preprocessing.channels)
    if recipe.constraint is None or recipe.constraint.needs_patches:
        return
    zeros = torch.zeros(1, preprocessing.channels, 1, 1)
    try:
        recipe.constraint.bind(ConstraintContext(zeros, preprocessing, lambda: zeros))
    except ConfigError as error:
        yield str(error)


def _inverse_faults(recipe: Recipe) -> Iterator[str]:
    pieces = recipe.parameterization
    closed = [name for name, piece in pieces.items() if not piece.invertible]
    for name, init in recipe.inits.items():
        if closed and init.start is not None:
            yield (
                f"init: '{name}' is an image, and '{closed[0]}' has no inverse that would turn it"
                " into parameters; use init=[parameters]"
            )
    spaces = [n for n, piece in pieces.items() if piece.kind == "space" and not piece.is_image]
    for name, smoothing in recipe.smoothings.items():
        if closed and smoothing.image is not None:
            yield (
                f"smoothing: '{name}' changes the image between steps, and '{closed[0]}' has no"
                " inverse that would turn it into parameters; use smoothing=[]"
            )
        if spaces and smoothing.gradient is not None:
            yield (
                f"smoothing: '{name}' smooths a gradient that is an image, but the gradient of "
                f"'{spaces[0]}' is not one; use parameterization=[pixel]"
            )
