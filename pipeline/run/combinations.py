"""Combinations of options that make no sense, each rejected with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import NetworkError
from pipeline.run.parts import Parts


def combination_faults(parts: Parts) -> Iterator[str]:
    """Yield the reasons why chosen options of ascents do not go together."""
    yield from _unit_faults(parts)
    from pipeline.networks.gradient_rules import check_rule

    try:
        check_rule(parts.graph.traced, parts.scoring.rule)
    except NetworkError as error:
        yield str(error)
    yield from _inverse_faults(parts)


def combination_notes(parts: Parts) -> Iterator[str]:
    """Yield warnings about options that are allowed, but probably not intended."""
    if parts.copies > 1 and not any(t.random for t in parts.transforms.values()):
        for name, init in parts.inits.items():
            if not init.random:
                yield (
                    f"init.copies: all {parts.copies} copies from '{name}' will be the same, as "
                    "nothing in them is random; use init=[noise] or a transform"
                )


def _unit_faults(parts: Parts) -> Iterator[str]:
    if parts.scoring.per_unit:
        return
    whole = f"objective={parts.option('objective')} is of a layer as a whole, which has no patch"
    for name, init in parts.inits.items():
        if init.needs_units:
            yield f"init: {whole} that '{name}' could start from; use others, such as init=[image]"
    if parts.constraint.needs_patches:
        yield f"constraint: {whole} to take a 'natural' value from; give a number"


def _inverse_faults(parts: Parts) -> Iterator[str]:
    pieces = parts.parameterization
    closed = [name for name, piece in pieces.items() if not piece.invertible]
    for name, init in parts.inits.items():
        if closed and init.start is not None:
            yield (
                f"init: '{name}' is an image, and '{closed[0]}' has no inverse that would turn it"
                " into parameters; use init=[parameters]"
            )
    spaces = [name for name, piece in pieces.items() if piece.kind == "space" and name != "pixel"]
    for name, smoothing in parts.smoothings.items():
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
