"""Stage: write every layer's network as ONNX, for other programs and for the playground."""

from __future__ import annotations

import logging

from pipeline.errors import NetworkError
from pipeline.networks.layers import Layer
from pipeline.networks.onnx.export import export_onnx
from pipeline.networks.unit_networks import layer_network
from pipeline.session.exported import (
    FILES,
    as_json,
    meaning,
    onnx_result,
    read_network,
    write_network,
)
from pipeline.session.session import Session
from pipeline.store.files import write_bytes

log = logging.getLogger(__name__)


def run(session: Session) -> None:
    """Write the networks that the store lacks, and all of them as files of the run."""
    session.parts.network.module.cpu()  # where ONNX is traced
    for layer in session.parts.layers:
        result = onnx_result(session, layer)
        if result.missing() and not _export(session, layer):
            continue
        network = read_network(result)
        folder = session.paths.networks / layer.name
        for name in FILES:
            write_bytes(folder / f"{name}.onnx", getattr(network, name))
        write_bytes(folder / "meaning.json", as_json(meaning(session, layer, network)))


def _export(session: Session, layer: Layer) -> bool:
    """Export one layer, and say whether that could be done."""
    log.info("export: writing %s as ONNX", layer.name)
    result = onnx_result(session, layer)
    with session.making([result]):
        try:
            write_network(result, export_onnx(layer_network(session.parts.graph, layer)))
        except NetworkError as error:
            log.warning("export: %s is left out: %s", layer.name, error)
            return False
    session.done += 1
    return True
