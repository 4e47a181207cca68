"""The stage contract: one object says all that the rest of the program has to know of a stage.

A stage is a folder that ends in one ``Stage``. The command line, the check, the record, the tables
and the reference documentation iterate over these objects, so a new stage edits none of them. A
stage of one's own is a module anywhere on the path whose ``STAGE`` is such an object; it is asked
for by the module's name, as in ``stages=[top_patches,my_lab.contrast]``, and its settings stand
under ``own.<name>``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pipeline.run.active_run import ActiveRun
    from pipeline.run.machine import Machine
    from pipeline.runner.runner import Work
    from pipeline.store.results import HasResult, Result

Item = TypeVar("Item", bound="HasResult")
Worked = TypeVar("Worked")


class Plan(tuple[Item, ...], Generic[Item]):
    """What a stage would compute; each has the ``result`` that it leaves."""

    @property
    def results(self) -> list[Result]:
        """The results, in order."""
        return [item.result for item in self]

    @property
    def consulted(self) -> list[Result]:
        """Results that the stage looks at where they are there, and does not ask for."""
        return []


@dataclass(frozen=True)
class Table:
    """A table that a stage writes; its column names are a public contract.

    Attributes:
        name: of its files, and of the attribute of an opened run.
        about: what a row is.
        columns: meaning and unit of every column, in order.
        read: returns it, given the run and the plan of its stage.
        csv: whether it is short enough to be written as CSV too.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    read: Callable[..., Any]
    csv: bool = False


@dataclass(frozen=True)
class WorkItems(Generic[Worked]):
    """What all processes of a run compute together.

    Attributes:
        results: that the items belong to; their provenance is written down.
        items: all of them, in the order in which they are handed out; those that are in the store
            already are skipped.
        work: how an item is computed.
        label: stage, and what is counted, as in ``ascent: ascents``.
        tf32: whether the device may multiply in TF32 if the configuration asks for it.
    """

    results: Sequence[Result]
    items: Sequence[Worked]
    work: Work[Worked, Any, Any, Any]
    label: str
    tf32: bool = False


@dataclass(frozen=True)
class Cost:
    """What a stage would cost if the store held none of its results, by counting.

    Attributes:
        operations: of everything, by what they are for, such as ``search``.
        columns: operations by layer, in columns of the check's table.
        disk: bytes of its results.
        missing: bytes of those results that the store does not hold yet.
        memory: bytes of memory that a process needs at a time, without weights and libraries.
        reading: bytes of the host's memory that reading its results takes.
        seconds: time on this machine, by what it is for; empty where nothing was timed.
        layer_seconds: time by layer.
        facts: what would be done, in words, by name.
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
    """Plan no results: a stage that only reads those of others."""
    return Plan()


def no_faults(_run: ActiveRun, _plan: Any) -> Iterator[str]:
    """Find no faults."""
    return iter(())


def no_cost(_run: ActiveRun, _plan: Any, _machine: Machine | None = None) -> Cost:
    """Cost nothing that is worth counting."""
    return Cost()


def no_work(_run: ActiveRun, _plan: Any) -> Iterator[WorkItems[Any]]:
    """Have no work for all processes."""
    return iter(())


def no_files(_run: ActiveRun, _plan: Any) -> None:
    """Write nothing but tables."""


def no_summary(_run: ActiveRun, _plan: Any) -> list[str]:
    """Return no lines."""
    return []


@dataclass(frozen=True)
class Stage(Generic[Item]):
    """Everything that the program has to know of one stage.

    Attributes:
        name: of the stage and of its folder in the store.
        about: what it does, in one line.
        plan: returns what would be computed, each with the result that it leaves. It is pure:
            nothing is written, and it is called once in a run.
        version: of its stored numbers; raised when they change.
        needs: stages that run before it, where both are asked for.
        tables: that it writes.
        config: dataclass of its settings under ``own.<name>``; the settings of the stages of this
            package stand in ``config.schema``.
        network: whether it asks for the network and the images.
        repeats: whether a run of it may be answered from a finished one with the same settings.
        shows_name: whether its files hold the name of the run.
        check: yields everything that is wrong, a sentence each, before any work starts.
        cost: returns what it would cost; given a machine, also timed on it.
        work: yields what all processes compute together.
        write: writes what is no table, in the leading process.
        summary: returns the lines that are printed at the end.
        group: returns the W&B group that the run joins, if the plan says one.
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
    check: Callable[[ActiveRun, Plan[Item]], Iterator[str]] = no_faults
    cost: Callable[[ActiveRun, Plan[Item], Machine | None], Cost] = no_cost
    work: Callable[[ActiveRun, Plan[Item]], Iterator[WorkItems[Any]]] = no_work
    write: Callable[[ActiveRun, Plan[Item]], None] = no_files
    summary: Callable[[ActiveRun, Plan[Item]], list[str]] = no_summary
    group: Callable[[Plan[Item]], str | None] = lambda _plan: None


def later(path: str) -> Callable[..., Any]:
    """Return a function of another module, which is imported when it is first called.

    Stage objects are read by commands that must answer before torch and pandas are imported.

    Args:
        path: module and function, such as ``pipeline.stages.ascent.results.plan_climbs``.
    """
    module, _, name = path.rpartition(".")

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module), name)(*arguments)

    return call
