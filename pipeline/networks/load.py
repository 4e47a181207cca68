"""Networks by name: torchvision's classifiers and the embedded miniature."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torchvision
from torch import fx, nn

from pipeline.errors import ConfigError, NetworkError, nearest
from pipeline.networks import miniature as embedded
from pipeline.networks.graph import Graph
from pipeline.networks.layers import Layer, find_layers
from pipeline.networks.preprocessing import Preprocessing
from pipeline.networks.weights import digest_weights, load_weights, read_weights, seeded
from pipeline.store.secrets import without_query

# torchvision's own weights of these expect pixels normalized in another way; with transform_input
# the module transforms its input to that by itself.
WITH_TRANSFORM_INPUT = ("googlenet", "inception_v3")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Network:
    """A network ready to be asked: eval mode, no gradients of weights.

    Attributes:
        name: as in ``model.name``.
        module: from images [batch, 3, height, width] in network-input space.
        preprocessing: what the weights expect of an image.
        weights: ``default``, ``random``, or the file or URL they came from.
        digest: SHA-256 of the weights.
        missing: parameters that the weights do not cover.
        input_size: height and width at which the network is traced; the preprocessing's by default.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    weights: str
    digest: str
    missing: frozenset[str] = frozenset()
    input_size: tuple[int, int] | None = None

    def sized(self, size: tuple[int, int]) -> Network:
        """Return the same network traced at another size of its images."""
        if size == (self.input_size or self.preprocessing.input_size):
            return self
        if size not in self._others:
            self._others[size] = replace(self, input_size=size)
        return self._others[size]

    @cached_property
    def _others(self) -> dict[tuple[int, int], Network]:
        return {}

    @property
    def identity(self) -> str:
        """Name and the first eight digits of the weights' digest."""
        return f"{self.name}-{self.digest[:8]}"

    @cached_property
    def graph(self) -> Graph:
        """The traced computation."""
        return Graph(self.module, self.input_size or self.preprocessing.input_size)

    def layers(self, names: str | Sequence[str]) -> list[Layer]:
        """Return layers by name (``find_layers``), all of whose weights are there.

        Raises:
            ConfigError: a layer is unknown.
            NetworkError: a layer needs weights that are missing.
        """
        found = find_layers(self.graph, names, self.name)
        lacking = [layer for layer in found if self._lacks_weights(layer.node)]
        if lacking:
            covered = [layer.name for layer in self._convolutions() if layer not in lacking]
            raise NetworkError(
                f"layers: {', '.join(f'{layer.name} ({layer.module})' for layer in lacking)} of "
                f"{self.name} cannot be used, as '{self.weights}' does not hold all the weights"
                f" they need; it covers {', '.join(covered) or 'no convolution'}"
            )
        return found

    def _convolutions(self) -> list[Layer]:
        layers = find_layers(self.graph, "all", self.name)
        return [layer for layer in layers if not self._lacks_weights(layer.node)]

    def _lacks_weights(self, node: fx.Node) -> bool:
        needed = [
            str(ancestor.target)
            for ancestor in self.graph.ancestors(node)
            if ancestor.op in ("call_module", "get_attr")
        ]
        return any(f"{name}.".startswith(f"{part}.") for name in self.missing for part in needed)


def torchvision_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    return torchvision.models.list_models(module=torchvision.models)


def torchvision_network(
    name: str, weights: str = "default", seed: int = 0, transform_input: bool | None = None
) -> Network:
    """Return one of torchvision's classification networks.

    Args:
        name: torchvision's name, such as ``alexnet``.
        weights: ``default`` (torchvision's own, downloaded when needed), ``random`` (a seeded
            control), or the path or URL of a weights file.
        seed: seed of random weights.
        transform_input: of GoogLeNet and Inception v3, whether the weights were trained on pixels
            normalized by a mean and a deviation of 0.5, as torchvision's own were; by default where
            the weights are these.

    Raises:
        ConfigError: there is no such network, or it has no ``transform_input``.
        NetworkError: the weights cannot be had or do not fit.
    """
    names = torchvision_names()
    if name not in names:
        raise ConfigError(
            f"model.name: '{name}' is not one of torchvision's {len(names)} classification networks"
            f"{nearest(name, names)}"
        )
    declared = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    presets = declared.transforms()
    preprocessing = Preprocessing(
        resize=int(presets.resize_size[0]),
        crop=int(presets.crop_size[0]),
        mean=tuple(presets.mean),
        std=tuple(presets.std),
        interpolation=presets.interpolation.value,
    )
    options = _transform_input_options(name, weights, str(declared.url), transform_input)
    source = str(declared.url) if weights == "default" else weights
    return _network(
        name, lambda: torchvision.models.get_model(name, **options), preprocessing, source, seed
    )


def _transform_input_options(
    name: str, weights: str, own: str, transform_input: bool | None
) -> dict[str, Any]:
    """Return how a network that has ``transform_input`` is built."""
    if name not in WITH_TRANSFORM_INPUT:
        if transform_input is not None:
            raise ConfigError(
                f"model.transform_input: {name} has none; it is an option of"
                f" {' and '.join(WITH_TRANSFORM_INPUT)}"
            )
        return {}
    transforms = _are_own(weights, own) if transform_input is None else transform_input
    log.info(
        "model: %s is built with transform_input=%s, %s",
        name,
        str(transforms).lower(),
        "as its weights are torchvision's own"
        if transform_input is None and transforms
        else "as its weights are not torchvision's own"
        if transform_input is None
        else "as model.transform_input says",
    )
    # The auxiliary classifiers are in the files, and not called in eval mode.
    return {
        "transform_input": transforms,
        "aux_logits": True,
        "init_weights": weights == "random",
    }


def _are_own(weights: str, own: str) -> bool:
    """Say whether weights are torchvision's own: its URL, or a file of that name and digest."""
    if weights in ("default", own):
        return True
    path, name = Path(weights).expanduser(), own.rpartition("/")[2]
    if path.name != name or not path.is_file():
        return False
    digits = name.rpartition("-")[2].partition(".")[0]
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().startswith(digits)


def declared_weights(name: str) -> tuple[str, float | None] | None:
    """Return the URL of a torchvision network's own weights, and their size in MB if it is known.

    ``None`` where torchvision has no such network.
    """
    if name not in torchvision_names():
        return None
    declared = torchvision.models.get_model_weights(name).DEFAULT  # type: ignore[attr-defined]
    return str(declared.url), declared.meta.get("_file_size")


def miniature(weights: str = "default", seed: int = 0) -> Network:
    """Return the embedded network, trained by the project on images that it draws itself.

    Args:
        weights: ``default`` (shipped with the package), ``random``, or the path of a file.
        seed: seed of random weights.

    Raises:
        NetworkError: the weights cannot be read or do not fit.
    """
    preprocessing = Preprocessing(
        resize=embedded.INPUT_SIZE,
        crop=embedded.INPUT_SIZE,
        mean=embedded.MEAN,
        std=embedded.STD,
    )
    if weights != "default":
        return _network("miniature", embedded.Miniature, preprocessing, weights, seed)
    shipped = files("pipeline.networks") / "weights" / "miniature.safetensors"
    with as_file(shipped) as path:
        return _network("miniature", embedded.Miniature, preprocessing, str(path), seed)


def _network(
    name: str,
    build: Callable[[], nn.Module],
    preprocessing: Preprocessing,
    source: str,
    seed: int,
) -> Network:
    # The initial weights are seeded even where they are overwritten, so that building a network
    # never draws from the caller's random numbers.
    with seeded(seed):
        module = build()
    missing: frozenset[str] = frozenset()
    if source != "random":
        missing = load_weights(module, read_weights(source), source)
    module.eval().requires_grad_(False)
    digest = digest_weights(module, missing)
    return Network(name, module, preprocessing, without_query(source), digest, missing)
