"""A network ready for use, and how it is built from a module and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer, find_layers
from pipeline.networks.loading.shuffling import shuffle_weights
from pipeline.networks.loading.weights import digest_weights, load_weights, read_weights, seeded
from pipeline.networks.receptive_fields import smallest_canvas, strides
from pipeline.networks.unit_networks import UnitNetwork, unit_network
from pipeline.networks.units.chains import check_readouts
from pipeline.networks.units.readouts import Readout
from pipeline.store.identity import WORDS
from pipeline.store.secrets import without_query

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Network:
    """A network ready for use: in eval mode, without gradients of weights.

    Attributes:
        name: name as in ``model.name``.
        module: module that takes images [batch, channels, height, width] in network-input space.
        preprocessing: what the weights expect of an image.
        weights: ``default``, ``random``, or the file or URL they came from; followed by
            ``, shuffled`` for those that are a shuffled control.
        digest: SHA-256 of the weights.
        missing: parameters that the weights do not cover.
        input_size: height and width at which the network is traced; the preprocessing's by default.
        readouts: readouts of the user's own, by name (``with_readouts``).
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    weights: str
    digest: str
    missing: frozenset[str] = frozenset()
    input_size: tuple[int, int] | None = None
    readouts: Mapping[str, Readout] = field(default_factory=dict[str, Readout], hash=False)

    def __post_init__(self) -> None:
        check_readouts(self.readouts)
        object.__setattr__(self, "_parts", _parts(self.module))

    def __repr__(self) -> str:
        height, width = self.input_size or self.preprocessing.input_size
        channels, weights = len(self.preprocessing.mean), self.weights.rpartition("/")[2]
        return (
            f"Network({self.name}: {type(self.module).__name__}, input {channels} x {height} x"
            f" {width}, weights {weights})"
        )

    def refuse_changes(self) -> None:
        """Refuse a module whose parts are not any more those that were traced and digested.

        Weights that are changed in place are seen, and the device may change.

        Raises:
            NetworkError: a part was replaced, added, removed or converted, or trains again.
        """
        before: dict[str, Any] = vars(self)["_parts"]
        now = _parts(self.module)
        names = [name for name in before | now if not _same(before.get(name), now.get(name))]
        if names:
            raise NetworkError(
                f"model: {names[0]} of {self.name} has been changed since the network was made"
                " ready; call pipeline.network(module, ...) again"
            )
        if any(part.training for part in self.module.modules()):
            raise NetworkError(
                f"model: {self.name} is in training mode again; call net.module.eval()"
            )

    def sized(self, size: tuple[int, int]) -> Network:
        """Return the same network traced at another size of its images."""
        self.refuse_changes()
        if size == (self.input_size or self.preprocessing.input_size):
            return self
        if size not in self._others:
            self._others[size] = replace(self, input_size=size)
        return self._others[size]

    def with_readouts(self, readouts: Mapping[str, Readout]) -> Network:
        """Return the same network with readouts, whose names follow that of a layer and a colon.

        Args:
            readouts: by name; those that the network has already are kept.

        Raises:
            ConfigError: one is no readout, or has a name that cannot be used.
        """
        self.refuse_changes()
        if not readouts:
            return self
        return replace(self, readouts={**self.readouts, **readouts})

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
        size = self.input_size or self.preprocessing.input_size
        return Graph(self.module, size, len(self.preprocessing.mean), self.readouts)

    def find_layers(self, names: str | Sequence[str]) -> list[Layer]:
        """Return layers by name (``find_layers``), checked to have all their weights.

        Raises:
            ConfigError: a layer is unknown.
            NetworkError: a layer needs weights that are missing.
        """
        self.refuse_changes()
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

    @property
    def device(self) -> torch.device:
        """The device of its weights, which ``net.module.to(device)`` moves."""
        return next(self.module.parameters(), torch.empty(0)).device

    def layer(self, name: str) -> Layer:
        """Return one layer by name; errors as in ``find_layers``."""
        (found,) = self.find_layers([name])
        return found

    @cached_property
    def layers(self) -> pd.DataFrame:
        """The convolutions, and the blocks of a transformer, one row each, in call order.

        Columns are ``name``, ``module`` (torch's name of the call), ``units``, ``field`` (height
        and width of the receptive field in pixels), ``map_size`` (rows and columns of units) and
        ``stride`` (pixels from one unit to the next, down and across). Other layers have torch's
        dotted names; the last is ``output``. Other units of a layer are named behind a colon, as in
        ``conv2:channel_mean`` (``networks/units``).
        """
        import pandas as pd  # takes half a second to import, which searches do not need

        rows = []
        for layer in self._convolutions():
            box = smallest_canvas(self.graph, layer.node).box
            size, apart = (box.height, box.width), strides(self.graph, layer.node)
            rows.append((layer.name, layer.call, layer.units, size, layer.map_size, apart))
        columns = ["name", "module", "units", "field", "map_size", "stride"]
        return pd.DataFrame(rows, columns=columns)

    def unit_network(self, layer: str) -> UnitNetwork:
        """Return the responses of units of a layer to images of exactly their receptive field.

        Raises:
            ConfigError: there is no such layer.
        """
        return unit_network(self.graph, self.layer(layer))

    def _convolutions(self) -> list[Layer]:
        layers = find_layers(self.graph, "all", self.name)
        return [layer for layer in layers if not self._lacks_weights(layer.node)]

    def _lacks_weights(self, node: fx.Node) -> bool:
        reads = [self.graph.modules[str(n.target)] for n in self.graph.appended(node)]
        if any(bool(weight.isnan().any()) for part in reads for weight in part.parameters()):
            return True  # of an attention, as those that are missing are NaN
        needed = [
            str(ancestor.target)
            for ancestor in self.graph.ancestors(node)
            if ancestor.op in ("call_module", "get_attr")
        ]
        return any(f"{name}.".startswith(f"{part}.") for name in self.missing for part in needed)


def _parts(module: Any) -> dict[str, tuple[Any, torch.dtype | None]]:
    """Return all that a network is made of, by name."""
    if not isinstance(module, nn.Module):
        return {}  # which is refused where a user's network is prepared
    parts: dict[str, tuple[Any, torch.dtype | None]] = {
        f"module '{name}'": (part, None)
        for name, part in module.named_modules(remove_duplicate=False)
    }
    for kind, tensors in (
        ("parameter", module.named_parameters(remove_duplicate=False)),
        ("buffer", module.named_buffers(remove_duplicate=False)),
    ):
        parts |= {f"{kind} '{name}'": (tensor, tensor.dtype) for name, tensor in tensors}
    return parts


def _same(one: Any, other: Any) -> bool:
    """Say whether two parts are the same; a move to a device and back makes buffers others."""
    if one is None or other is None or one[1] != other[1]:
        return False
    before, now = one[0], other[0]
    if before is now or not isinstance(before, torch.Tensor):
        return before is now
    return before.device != now.device or torch.equal(before, now)


def build_network(
    name: str,
    build: Callable[[], nn.Module],
    preprocessing: Preprocessing,
    source: str,
    seed: int,
    shuffled: bool = False,
    weights_key: str | None = None,
) -> Network:
    """Return a network with weights from a file, a URL or, seeded, at random.

    Args:
        name: name of the network.
        build: returns the module.
        preprocessing: what the weights expect of an image.
        source: path or URL of the weights, or ``random``.
        seed: seed of random and of shuffled weights.
        shuffled: whether the weights are shuffled within each layer (``shuffle_weights``).
        weights_key: dotted place in the file under which the weights are, such as ``ema``; by
            default, the one that fits best.

    Raises:
        NetworkError: the weights cannot be loaded, do not fit, or cannot be shuffled.
    """
    # Initial weights are seeded even if they are overwritten, so that building a network never
    # uses the caller's random numbers.
    refuse_key_alone(source, weights_key)
    with seeded(seed):
        module = build()
    missing: frozenset[str] = frozenset()
    if source != "random":
        missing = load_weights(module, read_weights(source), source, weights_key)
    module.eval().requires_grad_(False)
    digest = digest_weights(module, missing)
    network = Network(name, module, preprocessing, without_query(source), digest, missing)
    return with_shuffled_weights(network, seed) if shuffled else network


def refuse_key_alone(source: str, weights_key: str | None) -> None:
    """Refuse a place in a weights file where there is no file.

    Raises:
        ConfigError: there is none.
    """
    if weights_key is not None and source in WORDS:
        raise ConfigError(
            f"model.weights_key: '{weights_key}' is a place in a file, and model.weights is"
            f" '{source}'; give the file, or leave weights_key out"
        )


def with_shuffled_weights(network: Network, seed: int) -> Network:
    """Shuffle the weights of a network within each layer (``shuffle_weights``), in place.

    Raises:
        NetworkError: they cannot be shuffled.
    """
    shuffle_weights(network.name, network.module, seed)
    digest = digest_weights(network.module, network.missing)
    return replace(network, weights=f"{network.weights}, shuffled", digest=digest)
