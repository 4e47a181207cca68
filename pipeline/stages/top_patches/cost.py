"""The cost of a search: counted, and timed on a machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipeline.config.settings import SearchConfig
from pipeline.networks.graph.counting import forward_operations, largest_held
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.image_blocks import block_images
from pipeline.run.machine import Machine
from pipeline.run.pace import image_seconds, loading_seconds, time_visit
from pipeline.search.extremes import WAITING
from pipeline.search.top_patches import find_peaks
from pipeline.stages.stage import Cost
from pipeline.stages.top_patches.results import Search

FLOAT = 4  # bytes
PATCH = 12  # bytes of a stored patch: response, image and position


def search_cost(run: ActiveRun, searches: Sequence[Search], machine: Machine | None = None) -> Cost:
    """Return the total cost of the search for some layers."""
    parts, config = run.parts, run.parts.config.search
    graph, images, layers = parts.graph, len(run.images), [search.layer for search in searches]
    forward = forward_operations(graph, [layer.node for layer in layers])
    missing = [search.layer.units for search in searches if search.result.missing()]
    seconds: dict[str, float] = {}
    if machine is not None and any(parts.units.values()):
        visit = time_visit(parts, machine, layers, find_peaks)
        loading = loading_seconds(parts.images, machine)
        seconds["search"] = images * image_seconds(machine, visit, loading)
    workers = machine.workers if machine is not None else 1
    return Cost(
        operations={"search": forward * images},
        columns={
            "search": {
                layer.name: forward_operations(graph, [layer.node]) * images for layer in layers
            }
        },
        disk=_bytes([layer.units for layer in layers], images, config),
        missing=_bytes(missing, images, config),
        memory=_memory(graph, layers, parts.units, images, config, workers),
        seconds=seconds,
    )


def _bytes(units: Iterable[int], images: int, config: SearchConfig) -> int:
    """Return the bytes that a search stores for all units of the layers, chosen or not."""
    return sum(units) * _unit_bytes(images, config)


def _unit_bytes(images: int, config: SearchConfig) -> int:
    block = block_images(images, config.batch_size)
    blocks = -(-images // block)
    return 2 * blocks * min(config.keep, block, images) * PATCH


def _memory(
    graph: Graph,
    layers: Sequence[Layer],
    units: dict[str, list[int]],
    images: int,
    config: SearchConfig,
    workers: int,
) -> int:
    """Return the memory of a search besides the weights: batches, and the patches kept per unit."""
    held = largest_held(graph, [layer.node for layer in layers])
    counts = [len(units[layer.name]) for layer in layers]
    kept = 2 * sum(counts) * 16 * (config.keep + 2 * WAITING)
    merged = 2 * max(counts) * _unit_bytes(images, config)
    return workers * config.batch_size * held * FLOAT + max(kept, merged)
