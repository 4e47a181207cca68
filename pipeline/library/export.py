"""The network up to a layer as ONNX, for other programs."""

from __future__ import annotations

from pipeline.library.arguments import chosen_layer, of_network
from pipeline.networks.loading.network import Network
from pipeline.networks.onnx.export import export_onnx
from pipeline.networks.onnx.network import OnnxNetwork
from pipeline.networks.unit_networks import layer_network


@of_network
def export(net: Network, layer: str) -> OnnxNetwork:
    """Return the network of all units of a layer, from an image of their receptive field.

    Args:
        net: the network.
        layer: name of the layer.

    Returns:
        ``forward`` and ``gradient`` as bytes of ONNX models, which have been checked against
        PyTorch.

    Raises:
        ConfigError: there is no such layer.
        NetworkError: it cannot be written as ONNX.

    >>> import pipeline
    >>> pipeline.export(pipeline.network("miniature"), "conv1").size
    (9, 9)
    """
    device = net.device
    try:
        net.module.cpu()  # where ONNX is traced
        return export_onnx(layer_network(net.graph, chosen_layer(net, layer)))
    finally:
        net.module.to(device)
