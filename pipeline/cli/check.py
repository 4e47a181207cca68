"""The check of a job: what it would do and cost, layer by layer, and all its faults."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.config.checks import value_faults
from pipeline.config.schema import CHECK, DEFAULT_STAGES, Config
from pipeline.errors import ArtiphysError, ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.run.inspection import (
    Inspection,
    forward_by_layer,
    inspect,
    inspect_sample,
    precision_faults,
)
from pipeline.run.machine import Machine, this_machine
from pipeline.run.parts import Parts
from pipeline.run.room import check_disk, folder_faults
from pipeline.runner.processes import Processes
from pipeline.stages.catalog import (
    asks_network,
    chosen_stages,
    own_code,
    own_faults,
    stage_faults,
)
from pipeline.stages.stage import Cost
from pipeline.store.layout import Layout

log = logging.getLogger(__name__)

IMPORTED = 1.1e9  # bytes of a process with its libraries loaded, including figures
IMPORTED_CUDA = 3e9  # the same including CUDA libraries


@dataclass(frozen=True)
class Row:
    """The estimated cost of one layer.

    Attributes:
        layer: name of the layer.
        units: number of chosen units.
        of: number of units in the layer.
        field: height and width of the receptive field, in pixels.
        operations: operations by column of the table.
        seconds: time for its work on this machine; ``None`` if nothing was timed.
    """

    layer: str
    units: int
    of: int
    field: tuple[int, int]
    operations: Mapping[str, int]
    seconds: float | None = None


@dataclass(frozen=True)
class Totals:
    """The estimated cost of a whole job if the store held none of its results.

    Attributes:
        operations: total operations by purpose.
        seconds: time for these on this machine, if timed.
        memory: peak bytes of one process; ``None`` if unknown.
        device_memory: peak bytes on the device per process, if the device has its own memory.
        disk: bytes of the results; ``None`` if unknown.
        free: free bytes on the disk for the results.
    """

    operations: Mapping[str, int] = field(default_factory=dict[str, int])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    memory: int | None = None
    device_memory: int = 0
    disk: int | None = None
    free: int | None = None


@dataclass(frozen=True)
class Checked:
    """The findings about a job before it runs.

    Attributes:
        name: name of the job.
        model: name of the network, and a description of its weights.
        stages: stages that would run.
        facts: descriptions of the other options, by name.
        rows: one per layer.
        totals: totals of the whole job.
        device: device that it would use on this machine.
        notes: remarks that are not faults.
        faults: all faults, one sentence each.
    """

    name: str
    stages: Sequence[str]
    facts: Mapping[str, str]
    rows: Sequence[Row]
    totals: Totals
    device: str
    notes: Sequence[str] = ()
    faults: list[str] = field(default_factory=list[str])


def check(
    config: Config, otherwise: Callable[[], list[str]] = lambda: list(DEFAULT_STAGES)
) -> Config:
    """Print the check of a job, and return the configuration that remains to be run.

    Args:
        config: configuration of the job.
        otherwise: returns the stages that are checked if there are no others.

    Returns:
        The configuration without the check; its list of stages may be empty.

    Raises:
        ConfigError: there are faults, which have been printed.
    """
    from pipeline.cli.check_table import table

    checked = check_job(replace(config, stages=remaining(config) or otherwise()))
    log.info("%s", table(checked))
    if checked.faults:
        count = len(checked.faults)
        raise ConfigError(f"check: {count} fault{'s' if count > 1 else ''} found, as listed above")
    return replace(config, stages=remaining(config))


def remaining(config: Config) -> list[str]:
    """Return the chosen stages other than the check."""
    return [stage for stage in config.stages if stage != CHECK]


def check_job(config: Config, *, elsewhere: bool = False) -> Checked:
    """Determine what a job would do and cost, and all its faults.

    Nothing is written and nothing is downloaded. A few batches are timed, for about two seconds.

    Args:
        config: configuration of the job.
        elsewhere: whether the job will run on another machine, so that a device missing on this
            machine is not a fault.
    """
    config = replace(config, stages=remaining(config) or list(DEFAULT_STAGES))
    faults = Faults()
    faults.add(stage_faults(config.stages))
    known = [name for name in config.stages if not list(stage_faults([name]))]
    # A misspelled stage may be one that needs the network.
    network = len(known) < len(config.stages) or asks_network(known)
    config = replace(config, stages=known)
    wrong_values = [*value_faults(config), *own_faults(config)]
    faults.add(wrong_values)
    machine = _machine(config, faults, elsewhere)
    faults.add(folder_faults("out", config.out))
    if machine is None:  # other faults also show on a CPU
        machine = this_machine(Processes("cpu"))
        device = ""
    else:
        device = str(machine)
    parts = Parts(config, machine.runner)
    found = inspect(parts, faults, network=network, download=False)
    inspect_sample(parts, found, faults)
    if elsewhere:
        found.notes.insert(0, f"times and memory are those of this machine ({machine})")
    active = ActiveRun.planned(parts, Layout(config.out), own_code(config.stages))
    # With invalid values there is no plan; training and collecting need no parts.
    plannable = found.whole and not wrong_values if network else True
    costs = _costs(active, found, faults, machine) if plannable else {}
    missing = sum(cost.missing if found.own_weights else cost.disk for cost in costs.values())
    free = faults.attempt(lambda: check_disk(Path(config.out), missing))
    return Checked(
        config.name,
        config.stages,
        _facts(parts, found, costs.values()),
        _rows(parts, found, costs.values()),
        replace(_totals(parts, costs, machine), free=free),
        device,
        found.notes,
        faults.found,
    )


def _machine(config: Config, faults: Faults, elsewhere: bool) -> Machine | None:
    processes = faults.option(config.runner, "runner")
    if processes is None:
        return None
    machine = (Faults() if elsewhere else faults).attempt(lambda: this_machine(processes))
    if elsewhere:
        return machine or this_machine(Processes("cpu"))
    if machine is not None:
        faults.add(precision_faults(config.precision, machine.device.type))
    return machine


def _costs(
    active: ActiveRun, found: Inspection, faults: Faults, machine: Machine
) -> dict[str, Cost]:
    """Plan every stage, collect its faults, and return the costs by stage name."""
    if found.whole:
        active.images = active.parts.images  # as given, without comparing them with other runs
    costs: dict[str, Cost] = {}
    for stage in chosen_stages(active.parts.config.stages):
        plan = faults.attempt(lambda stage=stage: active.plan(stage))
        if plan is None:
            continue
        before = len(faults.found)
        if found.own_weights:
            faults.add(stage.check(active, plan))
        timed = machine if len(faults.found) == before else None
        try:
            costs[stage.name] = stage.cost(active, plan, timed)
        except ArtiphysError as error:
            faults.add([str(error)])
    return costs


def _rows(parts: Parts, inspected: Inspection, costs: Iterable[Cost]) -> list[Row]:
    if "layers" not in inspected.has:
        return []
    rows: list[Row] = []
    forward = forward_by_layer(parts)
    for layer in parts.layers:
        box = parts.canvas(layer).box
        columns = {"forward": forward[layer.name]}
        seconds: list[float] = []
        for cost in costs:
            columns |= {name: found.get(layer.name, 0) for name, found in cost.columns.items()}
            seconds += [s for name, s in cost.layer_seconds.items() if name == layer.name]
        units = len(parts.units[layer.name])
        timed = sum(seconds) if seconds else None
        rows.append(Row(layer.name, units, layer.units, (box.height, box.width), columns, timed))
    return rows


def _totals(parts: Parts, costs: Mapping[str, Cost], machine: Machine) -> Totals:
    if not costs:
        return Totals()
    operations: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for cost in costs.values():
        operations |= cost.operations
        seconds |= cost.seconds
    working = max(cost.memory for cost in costs.values())
    reading = max(cost.reading for cost in costs.values())
    disk = sum(cost.disk for cost in costs.values())
    weights = 0
    if any(stage.network for stage in chosen_stages(parts.config.stages)):
        weights = sum(tensor.nbytes for tensor in parts.network.module.state_dict().values())
    if machine.device.type == "cpu":
        memory = int(IMPORTED + weights + max(working, reading))
        return Totals(operations, seconds, memory, 0, disk)
    memory = int(IMPORTED_CUDA + weights + reading)
    return Totals(operations, seconds, memory, int(weights + working), disk)


def _facts(parts: Parts, found: Inspection, costs: Iterable[Cost]) -> dict[str, str]:
    facts: dict[str, str] = {}
    if "network" in found.has:
        facts = {"model": parts.network.name, "weights": found.weights}
        if "images" in found.has:  # the network determines their size
            height, width = parts.images.size
            facts["images"] = f"{len(parts.images)} of {height} x {width} pixels"
    for cost in costs:
        facts |= cost.facts
    return facts
