"""The record of a run on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.run.active_run import ActiveRun
from pipeline.store.provenance import provenance
from pipeline.store.records import write_record


def write_run_record(
    run: ActiveRun, state: str, seconds: float, versions: Mapping[str, int], *, network: bool
) -> None:
    """Write ``record.json``: state, provenance, digests, unreadable images, places of results.

    Args:
        run: the run.
        state: ``running``, ``finished``, ``stopped`` or ``failed``.
        seconds: time taken so far.
        versions: version of every stage's stored numbers, by stage name.
        network: whether the run needs the network and the images.
    """
    if not run.leads:
        return
    parts = run.parts
    record = provenance() | {
        "state": state,
        "stage_versions": dict(versions),
        "seconds": round(seconds, 2),
        "computed": run.done,
        "seed": parts.config.seed,
        "device": str(parts.runner.device),
        "processes": parts.runner.ranks.size,
        "unreadable": run.unreadable,
        "results": _places(run),
        "looked_for": [path.relative_to(run.layout.out).as_posix() for path in run.looked_for],
        **run.facts,
    }
    if network:
        record |= {
            "model": {
                "name": parts.network.name,
                "weights": parts.network.weights,
                "digest": parts.network.digest,
            },
            "images": dict(run.images.settings) | {"count": len(run.images)},
            "layers": {layer.name: layer.call for layer in parts.layers},
        }
    write_record(run.paths, record)


def _places(run: ActiveRun) -> dict[str, dict[str, Any]]:
    """Return the places of a run's results, by stage and name."""
    places: dict[str, dict[str, Any]] = {}
    for (stage, name), result in run.enlisted.items():
        folder = result.folder.relative_to(run.layout.out).as_posix()
        places.setdefault(stage, {})[name] = {"folder": folder, "items": list(result.items)}
    return places
