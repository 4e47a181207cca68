"""The available stages, and the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

import pipeline.stages
from pipeline.config.build import read_settings
from pipeline.config.schema import CHECK, Config
from pipeline.errors import ArtiphysError, ConfigError, first_line, nearest
from pipeline.stages.stage import Stage, no_sections
from pipeline.store.code import code_digest


@cache
def all_stages() -> dict[str, Stage[Any]]:
    """Return the stages of this package by name, in the order in which they run."""
    found: dict[str, Stage[Any]] = {}
    for module in iter_modules(pipeline.stages.__path__, f"{pipeline.stages.__name__}."):
        if module.ispkg:
            stage = import_module(module.name).STAGE
            found[stage.name] = stage
    return _in_order(found)


def find_stage(name: str) -> Stage[Any]:
    """Return a stage: of this package by its name, or a user's own by its module's name.

    Raises:
        ConfigError: there is no such stage, or a user's own stage has the name of another.
    """
    known = all_stages()
    if name in known:
        return known[name]
    if not _is_module(name):
        raise ConfigError(
            f"stages: '{name}' is not a stage; the stages are {', '.join([CHECK, *known])}"
            f"{nearest(name, [CHECK, *known])}"
        )
    return _own_stage(name)


def chosen_stages(names: Sequence[str]) -> list[Stage[Any]]:
    """Return the chosen stages, each once, in the order in which they run.

    Raises:
        ConfigError: there is no such stage.
    """
    stages = [find_stage(name) for name in dict.fromkeys(names) if name != CHECK]
    found: dict[str, Stage[Any]] = {}
    for stage in stages:
        if found.setdefault(stage.name, stage) is not stage:
            raise ConfigError(f"stages: two of them are called '{stage.name}'; rename your own")
    writers = {t.name: s.name for s in all_stages().values() for t in s.tables}
    for stage in (stage for name, stage in found.items() if name not in all_stages()):
        for table in stage.tables:
            if table.name in writers:
                raise ConfigError(
                    f"stages: '{stage.name}' writes a table '{table.name}', as"
                    f" '{writers[table.name]}' does; rename the table of your own stage"
                )
            writers[table.name] = stage.name
    return [stage for name, stage in _in_order(all_stages() | found).items() if name in found]


def stage_faults(names: Sequence[str]) -> Iterator[str]:
    """Yield the faults in the names of stages."""
    if not names:
        yield f"stages: the list is empty; choose from {', '.join([CHECK, *all_stages()])}"
    for name in names:
        try:
            _ = find_stage(name) if name != CHECK else None
        except ArtiphysError as error:
            yield str(error)


def asks_network(names: Sequence[str]) -> bool:
    """Return whether any of the stages needs the network and the images."""
    return any(stage.network for stage in chosen_stages(names))


def own_code(names: Sequence[str]) -> dict[str, str]:
    """Return the code digests of the user's own stages among some names, by stage name.

    Raises:
        ConfigError: the code cannot be found, so edits to it would go unnoticed.
    """
    own = [name for name in names if name not in all_stages() and name != CHECK]
    return {find_stage(name).name: code_digest([f"{name}.STAGE"]) for name in own}


def own_faults(config: Config) -> Iterator[str]:
    """Yield what is wrong with settings under ``own``: of no stage of a run, or of no such type."""
    kinds = {
        stage.name: stage.config
        for stage in chosen_stages(config.stages)
        if stage.config is not None
    }
    for name, given in config.own.items():
        if name not in kinds:
            yield (
                f"own.{name}: no stage of this run that has settings is called '{name}'"
                f"{nearest(name, kinds)}"
            )
            continue
        try:
            read_settings(kinds[name], given, name)
        except ConfigError as error:
            yield str(error)


def stage_versions(names: Sequence[str]) -> dict[str, int]:
    """Return the version of every stage's stored numbers, by stage name.

    Args:
        names: names of the stages of a run, which may include a user's own.
    """
    stages = [*all_stages().values(), *chosen_stages(names)]
    return {stage.name: stage.version for stage in stages}


def _is_module(name: str) -> bool:
    try:
        return "." in name or find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _own_stage(name: str) -> Stage[Any]:
    try:
        module = import_module(name)
    except Exception as error:  # importing it may run any code
        raise ConfigError(f"stages: '{name}' cannot be imported ({first_line(error)})") from error
    if not hasattr(module, "STAGE"):
        raise ConfigError(f"stages: module '{name}' has no STAGE")
    stage = module.STAGE
    if not isinstance(stage, Stage):
        raise ConfigError(f"stages: STAGE of '{name}' is not a pipeline.stages.stage.Stage")
    if stage.name in all_stages():
        raise ConfigError(
            f"stages: '{name}' is called '{stage.name}', like a stage of artiphys; rename it"
        )
    return stage


def stages_before(stage: Stage[Any], stages: Mapping[str, Stage[Any]]) -> list[str]:
    """Return the names of those stages that run before another: it needs or shows what they do."""
    shown = [s.name for s in stages.values() if s.sections is not no_sections]
    names = [*stage.needs, *(shown if stage.shows_sections else ())]
    return [name for name in dict.fromkeys(names) if name in stages]


def _in_order(stages: dict[str, Stage[Any]]) -> dict[str, Stage[Any]]:
    """Return stages sorted by name, except that each comes after those that it needs."""
    sorter: TopologicalSorter[str] = TopologicalSorter(
        {stage.name: stages_before(stage, stages) for stage in stages.values()}
    )
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return {name: stages[name] for name in order}
