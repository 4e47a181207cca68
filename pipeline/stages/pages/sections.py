"""The sections that stages add to the pages of units, from the results in the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.errors import ArtiphysError
from pipeline.networks.layers import Layer
from pipeline.pages.sections import UnitSections
from pipeline.run.active_run import ActiveRun
from pipeline.stages.catalog import all_stages, chosen_stages
from pipeline.stages.stage import Stage, naming, no_sections

Found = Sequence[tuple[Stage[Any], Sequence[Any]]]


def stages_with_sections(run: ActiveRun) -> Found:
    """Return the stages that have something to show, by name, with the items that the store holds.

    As of everything on the pages, what counts is whether the store holds the results that the
    settings of the run determine, not which stages were asked for.
    """
    chosen = chosen_stages(run.parts.config.stages)
    known = {stage.name: stage for stage in (*all_stages().values(), *chosen)}
    adding = sorted(filter(_adds_sections, known.values()), key=lambda stage: stage.name)
    found = [(stage, _found(run, stage)) for stage in adding]
    return [(stage, items) for stage, items in found if items]


def layer_sections(
    run: ActiveRun, stages: Found, layer: Layer
) -> Callable[[], UnitSections] | None:
    """Return what reads the sections of the units of a layer; ``None`` if there are none."""
    if not stages:
        return None
    return lambda: _joined([_read(run, stage, items, layer) for stage, items in stages])


def _read(run: ActiveRun, stage: Stage[Any], items: Sequence[Any], layer: Layer) -> UnitSections:
    with naming(stage):
        return stage.sections(run, items, layer)


def _joined(readers: Sequence[UnitSections]) -> UnitSections:
    return lambda unit: [section for read in readers for section in read(unit)]


def _adds_sections(stage: Stage[Any]) -> bool:
    return stage.sections is not no_sections


def _found(run: ActiveRun, stage: Stage[Any]) -> list[Any]:
    try:
        plan = run.plan(stage)
    except ArtiphysError:
        return []  # settings of a stage that was not asked for may not fit: it has no results then
    return [item for item in plan if not item.result.missing()]
