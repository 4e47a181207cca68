"""ONNX: a layer's responses, and their gradient, as graphs that run without PyTorch.

The gradient is not a numerical estimate: autograd's own backward pass is traced, operation by
operation, and operations without a counterpart in ONNX are written with forward operations.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from typing import Any

import numpy as np
import onnxruntime
import torch
from jaxtyping import Float, Int
from onnx.utils import Extractor
from torch import Tensor, fx, nn
from torch._decomp import core_aten_decompositions  # pyright: ignore[reportPrivateUsage]
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.errors import NetworkError, first_line
from pipeline.networks.onnx.backward import BACKWARD
from pipeline.networks.onnx.network import OnnxNetwork
from pipeline.networks.unit_networks import LayerNetwork

log = logging.getLogger(__name__)
INPUTS = ("images", "unit")
OUTPUTS = ("responses", "response", "gradient")
TOLERANCE = 1e-4  # relative to the largest magnitude
ROUNDING = 10.0  # factor of the deviation between float32 and float64 that rounding may explain
PROBES = 5  # random images on which exported files are compared with PyTorch


class ResponseAndGradient(nn.Module):
    """A layer's responses to one image, the response of one unit, and its gradient.

    Args:
        network: network of all units of a layer.
    """

    def __init__(self, network: LayerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, images: Float[Tensor, "1 c height width"], unit: Int[Tensor, "1"]
    ) -> tuple[Float[Tensor, "1 units"], Float[Tensor, "1"], Float[Tensor, "1 c height width"]]:
        """Return responses, response and gradient."""
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            responses = self.network(images)
            response = responses.index_select(1, unit)[:, 0]
            (gradient,) = torch.autograd.grad(response.sum(), images)
        return responses.detach(), response.detach(), gradient


def export_onnx(network: LayerNetwork) -> OnnxNetwork:
    """Write a layer's network as ONNX, and check the files against PyTorch.

    Raises:
        NetworkError: it cannot be written, or the files compute something else.
    """
    network = _as_built(network)
    whole = ResponseAndGradient(network)
    images, unit = (
        torch.zeros(1, network.channels, *network.input_size),
        torch.zeros(1, dtype=torch.int64),
    )
    with _quietly():
        try:
            traced = trace_gradient(whole, images, unit)
            program: Any = torch.onnx.export(
                traced,
                (images, unit),
                dynamo=True,
                input_names=INPUTS,
                output_names=OUTPUTS,
                verbose=False,
            )
            gradient = program.model_proto
            forward = Extractor(gradient).extract_model([INPUTS[0]], [OUTPUTS[0]])
        except Exception as error:  # a network may raise anything during tracing
            reason = _reason(error)
            raise NetworkError(f"the network cannot be written as ONNX ({reason})") from error
    written = forward.SerializeToString(), gradient.SerializeToString()
    units = int(network(images).shape[1])
    return OnnxNetwork(*written, units, network.input_size, _deviations(whole, *written, units))


def _as_built(network: LayerNetwork) -> LayerNetwork:
    """Return a copy on the CPU with the original memory layout of weights.

    A search converts them to channels last, for which PyTorch uses other kernels, so the last bits
    of deviations would depend on what ran before.
    """
    copied = deepcopy(network).cpu().eval()
    for tensor in (*copied.parameters(), *copied.buffers()):
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    return copied


def trace_gradient(module: nn.Module, *inputs: Tensor) -> fx.GraphModule:
    """Return the operations of a module, including backward passes, as a graph.

    Tracing uses random pixels, as autograd may omit gradients that are zero for an image of zeros.
    """
    images = torch.rand(inputs[0].shape, generator=torch.Generator().manual_seed(0))
    table: dict[Any, Any] = {**core_aten_decompositions(), **BACKWARD}
    # Plain attention: the fused forms have special backward passes.
    with sdpa_kernel(SDPBackend.MATH):
        traced = make_fx(module, decomposition_table=table)(images, *inputs[1:])
    traced.graph.eliminate_dead_code()
    traced.recompile()
    return traced.eval()


# Checking.


def _deviations(
    whole: ResponseAndGradient, forward: bytes, gradient: bytes, units: int
) -> dict[str, float]:
    """Return the deviations of the files from PyTorch, relative to the largest magnitudes.

    Raises:
        NetworkError: they exceed ``TOLERANCE`` and what rounding explains.
    """
    sessions = [open_onnx(content) for content in (forward, gradient)]
    found: dict[str, list[float]] = {"responses": [], "gradient": []}
    probes = list(_probes(whole, units))
    for images, unit, (responses, _, gradient_of_unit) in probes:
        feeds = {"images": images.numpy(), "unit": unit.numpy()}
        (alone,) = ask_onnx(sessions[0], {"images": feeds["images"]})
        beside, _, written = ask_onnx(sessions[1], feeds)
        found["responses"].append(max(_apart(alone, responses), _apart(beside, responses)))
        found["gradient"].append(_apart(written, gradient_of_unit))
    if not any(gradient.any() for _, _, (_, _, gradient) in probes):
        log.warning(
            "export: the gradient is zero on random images, so this network was hardly checked"
        )
    # Not the largest: gradients jump if rounding decides whether a ReLU is active.
    deviations = {name: float(np.median(values)) for name, values in found.items()}
    if max(deviations.values()) > TOLERANCE and not _as_rounding(whole, probes, deviations):
        raise NetworkError(
            f"the network written as ONNX computes something else: responses deviate by"
            f" {deviations['responses']:.1e}, gradients by {deviations['gradient']:.1e} of the"
            " largest"
        )
    return deviations


Probe = tuple[Tensor, Tensor, tuple[np.ndarray, ...]]


def _probes(whole: ResponseAndGradient, units: int) -> Iterator[Probe]:
    """Yield random images, units, and PyTorch's results for them."""
    generator = torch.Generator().manual_seed(1)
    for probe in range(PROBES):
        images = torch.randn(
            1, whole.network.channels, *whole.network.input_size, generator=generator
        )
        unit = torch.tensor([probe * (units - 1) // (PROBES - 1)])
        yield images, unit, tuple(each.detach().numpy() for each in whole(images, unit))


def _as_rounding(
    whole: ResponseAndGradient, probes: Sequence[Probe], deviations: dict[str, float]
) -> bool:
    """Return whether deviations are comparable to PyTorch's own between float32 and float64."""
    exact = deepcopy(whole).double()
    own: dict[str, list[float]] = {"responses": [], "gradient": []}
    for images, unit, (responses, _, gradient) in probes:
        expected = [each.detach().numpy() for each in exact(images.double(), unit)]
        own["responses"].append(_apart(responses, expected[0]))
        own["gradient"].append(_apart(gradient, expected[2]))
    return all(deviations[name] < ROUNDING * float(np.median(own[name])) for name in own)


def _reason(error: Exception) -> str:
    """Return the line of an exporter's long report that names the problem."""
    lacking = re.search(r"No ONNX function found for <OpOverload\(op='([^']+)'", str(error))
    if lacking is not None:
        return f"ONNX lacks {lacking[1]}"
    return first_line(error)


def _apart(found: Float[np.ndarray, "*shape"], expected: Float[np.ndarray, "*shape"]) -> float:
    """Return the largest difference, relative to the largest magnitude."""
    return float(np.abs(found - expected).max()) / max(float(np.abs(expected).max()), 1e-12)


def ask_onnx(
    network: onnxruntime.InferenceSession, feeds: dict[str, np.ndarray]
) -> list[np.ndarray]:
    """Return all outputs of an ONNX network for some inputs."""
    return [np.asarray(output) for output in network.run(None, feeds)]


def open_onnx(content: bytes) -> onnxruntime.InferenceSession:
    """Return a session that runs an ONNX file on one CPU thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


@contextmanager
def _quietly() -> Generator[None]:
    """Suppress the output, warnings and logs of exporters."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
