"""The check of one job: what it would do and cost, layer by layer, and all that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.checking.costs import (
    IMPORTED,
    IMPORTED_CUDA,
    LayerCost,
    ascent_bytes,
    ascent_memory,
    layer_cost,
    network_bytes,
    result_memory,
    search_bytes,
    search_memory,
)
from pipeline.checking.faults import Faults
from pipeline.checking.found import Found, find
from pipeline.checking.times import Times, measure
from pipeline.config.build import asks_network
from pipeline.config.checks import check_disk
from pipeline.config.parts import Parts
from pipeline.config.schema import CHECK, DEFAULT_STAGES, Config
from pipeline.networks.graph.counting import forward_operations
from pipeline.session.animated import all_animated, animation_bytes
from pipeline.session.animating import all_scenes, check_animations, scene_operations
from pipeline.session.climbed import missing_bytes
from pipeline.session.dreaming import check_dreams
from pipeline.session.searched import extremes_result
from pipeline.session.session import Session
from pipeline.session.trial import check_ascents
from pipeline.store.identity import chosen
from pipeline.store.layout import Layout


@dataclass(frozen=True)
class Row:
    """What one layer would cost.

    Attributes:
        layer: its name.
        module: torch's name for it.
        units: how many are asked for.
        of: how many it has.
        field: height and width of the receptive field, in pixels.
        forward: operations of one forward pass up to it, for one image.
        step: operations of one step of the ascent of one unit.
        search: operations of searching all images for it alone.
        ascent: operations of all of its ascents.
        seconds: that these take here; ``None`` where nothing was timed.
    """

    layer: str
    module: str
    units: int
    of: int
    field: tuple[int, int]
    forward: int
    step: int
    search: int
    ascent: int
    seconds: float | None = None


@dataclass(frozen=True)
class Totals:
    """What a whole job would cost if the store held none of it.

    Attributes:
        search: operations of the search, of all layers together.
        ascent: operations of all ascents, float64 samples included.
        animate: operations of climbing again what is animated.
        search_seconds: on this machine; ``None`` where nothing was timed.
        ascent_seconds: likewise.
        memory: peak bytes of one process.
        device_memory: peak bytes on the device of one process, where it has memory of its own.
        disk: bytes that the results take.
        free: bytes that are free where they will lie.
    """

    search: int = 0
    ascent: int = 0
    animate: int = 0
    search_seconds: float | None = None
    ascent_seconds: float | None = None
    memory: int = 0
    device_memory: int = 0
    disk: int = 0
    free: int | None = None


@dataclass(frozen=True)
class Checked:
    """What is known of a job before it runs.

    Attributes:
        name: of the job.
        model: of the network, and what is known of its weights.
        stages: that would run.
        facts: what else is asked for, by name, in words.
        rows: one per layer.
        totals: of the whole job.
        device: what it would run on here.
        notes: what is worth knowing and no fault.
        faults: everything that is wrong, a sentence each.
    """

    name: str
    stages: Sequence[str]
    facts: Mapping[str, str]
    rows: Sequence[Row]
    totals: Totals
    device: str
    notes: Sequence[str] = ()
    faults: list[str] = field(default_factory=list[str])


def check_job(config: Config, *, elsewhere: bool = False) -> Checked:
    """Find out what a job would do and cost, and everything that is wrong with it.

    Nothing is written and nothing is downloaded. A few batches are timed, for about two seconds.

    Args:
        config: of the job.
        elsewhere: the job will run on another machine: that this one has not the device that is
            asked for is no fault.
    """
    config = replace(config, stages=remaining(config) or list(DEFAULT_STAGES))
    faults = Faults()
    found = find(config, faults, elsewhere=elsewhere)
    costs = _costs(found, _scored(config, found, faults))
    animated = faults.attempt(lambda: _animated(config, found)) if not faults.found else None
    animate, animation = animated or (0, 0)
    disk = _disk(config, found, costs) + animation
    times = faults.attempt(lambda: measure(config, found, costs))
    lacking = _lacking_bytes(config, found, costs, disk, faults) if not faults.found else disk
    free = faults.attempt(lambda: check_disk(Path(config.out), lacking, "the results"))
    return Checked(
        config.name,
        config.stages,
        _facts(config, found),
        _rows(config, found, costs, times),
        replace(_totals(config, found, costs, times), animate=animate, disk=disk, free=free),
        str(found.machine) if found.machine is not None else "",
        found.notes,
        faults.found,
    )


def remaining(config: Config) -> list[str]:
    """Return the stages that are asked for besides the check."""
    return [stage for stage in config.stages if stage != CHECK]


def _scored(config: Config, found: Found, faults: Faults) -> Parts | None:
    """Return what knows what is climbed, unless something is wrong with that."""
    parts = found.parts(config) if not faults.found else None
    return parts if parts is not None and Faults().attempt(lambda: parts.scoring) else None


def _costs(found: Found, parts: Parts | None) -> list[LayerCost]:
    if found.graph is None:
        return []
    return [
        layer_cost(found.graph, layer, tuple(found.units[layer.name]), parts)
        for layer in found.layers
    ]


def _steps(config: Config, found: Found) -> int:
    climbs = "ascent" in config.stages and found.optimizer is not None
    return found.optimizer.steps if climbs and found.optimizer is not None else 0


def _images(config: Config, found: Found) -> int:
    searches = "top_patches" in config.stages and found.images is not None
    return len(found.images) if searches and found.images is not None else 0


def _disk(config: Config, found: Found, costs: Sequence[LayerCost]) -> int:
    images = _images(config, found)
    climbed = ascent_bytes(costs, len(found.inits)) if _steps(config, found) else 0
    return climbed + search_bytes([cost.layer.units for cost in costs], images, config.search)


def _animated(config: Config, found: Found) -> tuple[int, int]:
    """Return operations and bytes of what is animated.

    Raises:
        ConfigError: a unit is not climbed, or an optimizer refuses its settings.
    """
    parts = found.parts(config) if "animate" in config.stages else None
    if parts is None:
        return 0, 0
    session = _session(config, parts)
    operations = sum(scene_operations(session, scene) for scene in all_scenes(session))
    return operations, animation_bytes(session, all_animated(session))


def _session(config: Config, parts: Parts) -> Session:
    session = Session.planned(parts, Layout(config.out))
    session.images = parts.images  # as they are, without comparing them with others
    return session


def _lacking_bytes(
    config: Config, found: Found, costs: Sequence[LayerCost], disk: int, faults: Faults
) -> int:
    """Return how much of what a job would store the store does not hold yet."""
    parts = found.parts(config)
    if parts is None or not found.own_weights:
        return disk
    session = _session(config, parts)
    animated = 0
    if "animate" in config.stages:
        missing = [each for each in all_animated(session) if each.result.missing()]
        animated = animation_bytes(session, missing)
        faults.attempt(lambda: check_animations(session))
    if "dream" in config.stages:
        faults.attempt(lambda: check_dreams(session))
    if "ascent" in config.stages:
        faults.attempt(lambda: check_ascents(session))
    lacking = animated + (missing_bytes(session) if _steps(config, found) else 0)
    unsearched = [
        cost.layer.units for cost in costs if extremes_result(session, cost.layer).missing()
    ]
    return lacking + search_bytes(unsearched, _images(config, found), config.search)


def _rows(
    config: Config, found: Found, costs: Sequence[LayerCost], times: Times | None
) -> list[Row]:
    steps, images, inits = _steps(config, found), _images(config, found), len(found.inits)
    return [
        Row(
            cost.layer.name,
            cost.layer.module,
            len(cost.units),
            cost.layer.units,
            (cost.box.height, cost.box.width),
            cost.forward,
            cost.step,
            cost.forward * images,
            cost.climb(steps) * inits if steps else 0,
            times.ascents.get(cost.layer.name) if times is not None and steps else None,
        )
        for cost in costs
    ]


def _totals(
    config: Config, found: Found, costs: Sequence[LayerCost], times: Times | None
) -> Totals:
    steps, images = _steps(config, found), _images(config, found)
    if found.graph is None or not costs:
        return Totals(memory=int(IMPORTED))
    forward = forward_operations(found.graph, [cost.layer.node for cost in costs])
    memory, device_memory = _memory(config, found, costs)
    return Totals(
        search=forward * images,
        ascent=sum(cost.climb(steps) for cost in costs) * len(found.inits) if steps else 0,
        search_seconds=times.search if times is not None and images else None,
        ascent_seconds=sum(times.ascents.values()) if times is not None and steps else None,
        memory=memory,
        device_memory=device_memory,
    )


def _memory(config: Config, found: Found, costs: Sequence[LayerCost]) -> tuple[int, int]:
    """Return the peak bytes of a process, and those on its device if these are others."""
    if found.graph is None or found.machine is None:
        return int(IMPORTED), 0
    kind, lanes = found.machine.device.type, found.machine.lanes
    weights, images = network_bytes(found.graph), _images(config, found)
    working = [0]
    if images:
        working.append(search_memory(found.graph, costs, images, config.search, lanes))
    if _steps(config, found):
        # Objectives of two layers are kept, in float32 and float64.
        working.append(3 * weights + ascent_memory(costs, kind, lanes))
    results = result_memory(costs, len(found.inits)) if found.inits else 0
    if kind == "cpu":
        return int(IMPORTED + weights + max(*working, results)), 0
    return int(IMPORTED_CUDA + weights + results), int(weights + max(working))


def _facts(config: Config, found: Found) -> dict[str, str]:
    facts: dict[str, str] = {}
    if found.network is not None:
        facts = {"model": found.network.name, "weights": found.weights}
    if found.images is not None and found.network is not None:  # which says how large they are
        height, width = found.images.size
        facts["images"] = f"{len(found.images)} of {height} x {width} pixels"
    if asks_network(config) and chosen(config.init):
        steps = f", {found.optimizer.steps} steps" if found.optimizer is not None else ""
        facts["ascents"] = f"from {', '.join(chosen(config.init))}{steps}"
    if "animate" in config.stages:
        by = ", ".join(config.animate.optimizers) or "the run's optimizer"
        units = ", ".join(config.animate.units) or "the first of every layer"
        facts["animated"] = f"{units}; by {by}"
    if "dream" in config.stages:
        frames = config.dream.frames
        facts["dreams"] = (
            f"from {', '.join(chosen(config.init))}, {frames} frame{'s'[: frames > 1]}"
        )
    return facts
