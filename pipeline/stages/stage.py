"""The stage contract: one object describes a stage to the rest of the program.

A stage is a package that defines one ``Stage``. The command line, the check, the record, the tables
and the reference documentation iterate over these objects, so a new stage edits none of them. A
user's own stage is any importable module whose ``STAGE`` is such an object; it is chosen by the
module's name, as in ``stages=[top_patches,my_lab.contrast]``, and its settings are under
``own.<name>``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.errors import ArtiphysError

if TYPE_CHECKING:
    from pipeline.networks.layers import Layer
    from pipeline.pages.sections import UnitSections
    from pipeline.run.active_run import ActiveRun
    from pipeline.run.machine import Machine
    from pipeline.runner.runner import Work
    from pipeline.store.results import HasResult, Result

Item = TypeVar("Item", bound="HasResult")
Worked = TypeVar("Worked")


class Plan(tuple[Item, ...], Generic[Item]):
    """What a stage would compute: items that each have a ``result`` in the store."""

    @property
    def results(self) -> list[Result]:
        """The results, in order."""
        return [item.result for item in self]

    @property
    def consulted(self) -> list[Result]:
        """Results that the stage uses if they are in the store, but does not require."""
        return []


@dataclass(frozen=True)
class Table:
    """A table that a stage writes; its column names are a public contract.

    Attributes:
        name: name of its files, and of the attribute of an opened run.
        about: what a row is.
        columns: meaning and unit of every column, in order.
        read: returns the table, given the run and the plan of its stage.
        csv: whether the table is short enough to be written as CSV too.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    read: Callable[..., Any]
    csv: bool = False


@dataclass(frozen=True)
class WorkItems(Generic[Worked]):
    """Work that is shared by all processes of a run.

    Attributes:
        results: results to which the items belong; their provenance is recorded.
        items: all items, in the order in which they are handed out; items already in the store are
            skipped.
        work: computes an item.
        label: stage and unit of count for the progress bar, as in ``ascent: ascents``.
        tf32: whether the device may multiply in TF32 if the configuration asks for it.
    """

    results: Sequence[Result]
    items: Sequence[Worked]
    work: Work[Worked, Any, Any, Any]
    label: str
    tf32: bool = False


@dataclass(frozen=True)
class Cost:
    """The estimated cost of a stage if the store held none of its results.

    Attributes:
        operations: total operations by purpose, such as ``search``.
        columns: operations by layer, in columns of the check's table.
        disk: bytes of the results.
        missing: bytes of the results that are not in the store yet.
        memory: peak bytes of memory of a process, without weights and libraries.
        reading: bytes of host memory needed to read the results.
        seconds: time on this machine by purpose; empty if nothing was timed.
        layer_seconds: time by layer.
        facts: descriptions of the planned work, by name.
    """

    operations: Mapping[str, int] = field(default_factory=dict[str, int])
    columns: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]])
    disk: int = 0
    missing: int = 0
    memory: int = 0
    reading: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    layer_seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    facts: Mapping[str, str] = field(default_factory=dict[str, str])


def plan_nothing(_run: ActiveRun) -> Plan[Any]:
    """Plan no results, as for a stage that only reads those of other stages."""
    return Plan()


def no_faults(_run: ActiveRun, _plan: Any) -> Iterator[str]:
    """Yield no faults."""
    return iter(())


def no_cost(_run: ActiveRun, _plan: Any, _machine: Machine | None = None) -> Cost:
    """Return a negligible cost."""
    return Cost()


def no_work(_run: ActiveRun, _plan: Any) -> Iterator[WorkItems[Any]]:
    """Yield no shared work."""
    return iter(())


def no_files(_run: ActiveRun, _plan: Any) -> None:
    """Write no files besides tables."""


def no_sections(_run: ActiveRun, _found: Any, _layer: Layer) -> UnitSections:
    """Add nothing to the pages of units."""
    return lambda _unit: ()


def no_summary(_run: ActiveRun, _plan: Any) -> list[str]:
    """Return no lines."""
    return []


@dataclass(frozen=True)
class Stage(Generic[Item]):
    """Everything that the program needs to know about one stage.

    Attributes:
        name: name of the stage and of its folder in the store.
        about: what it does, in one line.
        plan: returns what would be computed, each with its result. It is pure: it writes nothing,
            and it is called once per run.
        version: version of the stored numbers; raised when they change.
        needs: stages that run before this one, if both are chosen.
        tables: the tables that it writes.
        config: dataclass of its settings under ``own.<name>``; the settings of this package's
            stages are in ``config.schema``.
        network: whether it needs the network and the images.
        repeats: whether a finished run with the same settings may be reused instead of running
            again.
        shows_name: whether its files contain the name of the run.
        shows_sections: whether its files contain the sections of other stages, after which it runs.
        check: yields one sentence per fault, before any work starts.
        cost: returns the estimated cost; given a machine, with times measured on it.
        work: yields the work shared by all processes.
        write: writes files other than tables, in the leading process.
        sections: returns what gives the sections of a unit's page, of one layer, from the items of
            the plan that the store holds.
        summary: returns the lines that are printed at the end.
        group: returns the W&B group that the run joins, if any.
    """

    name: str
    about: str
    plan: Callable[[ActiveRun], Plan[Item]] = plan_nothing
    version: int = 1
    needs: Sequence[str] = ()
    tables: Sequence[Table] = ()
    config: type | None = None
    network: bool = True
    repeats: bool = True
    shows_name: bool = False
    shows_sections: bool = False
    check: Callable[[ActiveRun, Plan[Item]], Iterator[str]] = no_faults
    cost: Callable[[ActiveRun, Plan[Item], Machine | None], Cost] = no_cost
    work: Callable[[ActiveRun, Plan[Item]], Iterator[WorkItems[Any]]] = no_work
    write: Callable[[ActiveRun, Plan[Item]], None] = no_files
    sections: Callable[[ActiveRun, Sequence[Item], Layer], UnitSections] = no_sections
    summary: Callable[[ActiveRun, Plan[Item]], list[str]] = no_summary
    group: Callable[[Plan[Item]], str | None] = lambda _plan: None


@contextmanager
def naming(stage: Stage[Any]) -> Generator[None]:
    """Name the stage in the traceback of an error that is not one of the program's own."""
    try:
        yield
    except ArtiphysError:
        raise
    except Exception as error:
        error.add_note(f"This happened in the stage '{stage.name}'.")
        raise


def later(path: str) -> Callable[..., Any]:
    """Return a function of another module that is imported at the first call.

    Stage objects are used by commands that must respond without importing torch and pandas.

    Args:
        path: module and function, such as ``pipeline.stages.ascent.results.plan_climbs``.
    """
    module, _, name = path.rpartition(".")

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module), name)(*arguments)

    return call
