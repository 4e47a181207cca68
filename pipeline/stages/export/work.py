"""Export: add missing networks to the store, and write all of them as files of the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipeline.errors import NetworkError
from pipeline.networks.onnx.export import export_onnx
from pipeline.networks.unit_networks import layer_network
from pipeline.run.active_run import ActiveRun
from pipeline.stages.export.results import (
    FILES,
    Export,
    as_json,
    meaning,
    read_network,
    write_network,
)
from pipeline.store.files import write_bytes
from pipeline.store.layout import file_name

log = logging.getLogger(__name__)


def export(run: ActiveRun, planned: Sequence[Export]) -> None:
    """Add missing networks to the store, and write all of them as files of the run."""
    run.parts.network.module.cpu()  # the device for tracing
    for each in planned:
        if each.result.missing() and not _export(run, each):
            continue
        layer, network = each.layer, read_network(each.result)
        folder = run.paths.networks / file_name(layer.name)
        for name in FILES:
            write_bytes(folder / f"{name}.onnx", getattr(network, name))
        write_bytes(folder / "meaning.json", as_json(meaning(run, layer, network)))


def _export(run: ActiveRun, planned: Export) -> bool:
    """Export one layer, and return whether that succeeded."""
    layer = planned.layer
    log.info("export: writing %s as ONNX", layer.name)
    with run.making([planned.result]):
        try:
            write_network(planned.result, export_onnx(layer_network(run.parts.graph, layer)))
        except NetworkError as error:
            log.warning("export: %s is left out: %s", layer.name, error)
            return False
    run.done += 1
    return True
