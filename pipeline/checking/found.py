"""Building what a job asks for, as far as it can be built, without its weights where need be."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pipeline.checking.faults import Faults
from pipeline.checking.machine import Machine, this_machine
from pipeline.config.build import Group, asks_network, build, complete
from pipeline.config.checks import check_precision, value_faults
from pipeline.config.combinations import combination_faults, combination_notes
from pipeline.config.parts import Parts, collected_places, copies
from pipeline.config.schema import Config
from pipeline.errors import ConfigError, StoreError
from pipeline.images.batches import load_batch, spread
from pipeline.images.image_sets import ImageSet
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer, find_layers
from pipeline.networks.loading.downloads import SCHEMES, cached
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.torchvision import declared_weights, torchvision_network
from pipeline.networks.preprocessing import Preprocessing
from pipeline.networks.units.selection import select_units
from pipeline.runner.processes import Processes
from pipeline.store.identity import chosen
from pipeline.store.sweeps import find_finished_runs
from pipeline.synthesis.inits import Init
from pipeline.synthesis.optimizers import Optimizer

SAMPLE = 16  # images that are read

Item = TypeVar("Item")


@dataclass
class Found:
    """What could be built of a job; ``None`` or empty where something was wrong.

    Attributes:
        network: perhaps with random weights instead of its own.
        weights: what is known of its weights, in words.
        own_weights: whether the network has those that the job asks for.
        images: preprocessed for the network.
        sized: the network at the size of the images.
        graph: traced at that size.
        layers: those asked for that there are.
        units: the units of each layer.
        inits: by name.
        optimizer: of ascents.
        machine: what the job would run on here.
        notes: what is worth knowing and no fault.
    """

    network: Network | None = None
    weights: str = ""
    own_weights: bool = False
    images: ImageSet | None = None
    sized: Network | None = None
    graph: Graph | None = None
    layers: list[Layer] = field(default_factory=list[Layer])
    units: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    inits: dict[str, Init] = field(default_factory=dict[str, Init])
    optimizer: Optimizer | None = None
    machine: Machine | None = None
    notes: list[str] = field(default_factory=list[str])

    def parts(self, config: Config) -> Parts | None:
        """Return what stages ask for, if all that they compute with could be built."""
        if self.machine is None or self.network is None or self.images is None:
            return None
        if self.sized is None or self.optimizer is None or not self.inits:
            return None
        parts = Parts(config, self.machine.runner)
        parts.network, parts.images, parts.sized_network = self.network, self.images, self.sized
        parts.layers, parts.units = self.layers, self.units
        return parts


def find(config: Config, faults: Faults, *, elsewhere: bool = False) -> Found:
    """Build everything that a job asks for, and note all that is wrong.

    Args:
        config: of the job.
        faults: takes in what is wrong.
        elsewhere: the job will run on another machine, whose devices cannot be tried.
    """
    found = Found()
    faults.add(value_faults(config))
    faults.option(config.tracking, "tracking")
    _find_machine(config, found, faults, elsewhere)
    faults.attempt(lambda: _check_folder("out", config.out))
    if "collect" in config.stages:
        faults.attempt(lambda: find_finished_runs(collected_places(config)))
    if "train" in config.stages and config.training.out is not None:
        place = config.training.out
        faults.attempt(lambda: _check_folder("training.out", place))
    if not asks_network(config):
        return found
    _find_network(config.model, found, faults)
    found.images = _images(config, found.network, faults)
    if found.network is not None:
        _find_layers(config, found, found.network, faults)
    _find_ascent(config, found, faults)
    if found.images is not None:
        _read_sample(config, found, found.images, faults)
    return found


def _find_machine(config: Config, found: Found, faults: Faults, elsewhere: bool) -> None:
    processes = faults.option(config.runner, "runner")
    if processes is None:
        return
    found.machine = (Faults() if elsewhere else faults).attempt(lambda: this_machine(processes))
    if elsewhere:
        found.machine = found.machine or this_machine(Processes("cpu"))
        found.notes.append(f"times and memory are those of this machine ({found.machine})")
    elif found.machine is not None:
        kind = found.machine.device.type
        faults.attempt(lambda: check_precision(config.precision, kind))


def _check_folder(key: str, folder: str) -> None:
    """Check that files can be written to a folder that may not be there yet."""
    wanted = Path(folder).expanduser().absolute()
    try:
        there = next(path for path in (wanted, *wanted.parents) if path.exists())
    except OSError as error:
        raise StoreError(f"{key}: '{wanted}' cannot be used ({error.strerror})") from error
    if not there.is_dir():
        raise StoreError(f"{key}: '{there}' is not a folder; choose another {key}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise StoreError(f"{key}: '{there}' cannot be written to; choose another {key}")


# The network.


def _find_network(group: Group, found: Found, faults: Faults) -> None:
    """Build the network and say what is known of its weights; none are downloaded."""
    download = _pending_download(group)
    taken = faults.taken(group, "model")
    if taken is None:
        return
    substitute = {**taken, "weights": "random"}
    found.network = faults.attempt(lambda: _built(substitute if download else taken))
    if found.network is None:  # perhaps only the weights are wrong
        found.network = Faults().attempt(lambda: _built(substitute))
        found.weights = "not used: see the faults"
    else:
        found.weights, found.own_weights = download or _described(found.network), not download


def _built(group: Group) -> Network:
    network = build(group, "model")
    if not isinstance(network, Network):
        raise ConfigError(
            f"model: '{group['_target_']}' must return a"
            " pipeline.networks.loading.network.Network, as build_network there makes one"
        )
    return network


def _described(network: Network) -> str:
    if network.weights == "random":
        return "random"
    part = f", {len(network.missing)} tensors missing" if network.missing else ""
    return f"{Path(network.weights).name} ({network.digest[:8]}{part})"


def _pending_download(group: Group) -> str:
    """Return what building the network would download, in words; nothing if it would not."""
    source, megabytes = str(group.get("weights", "default")), None
    if source == "default":
        if group.get("_target_") != f"{torchvision_network.__module__}.torchvision_network":
            return ""
        source, megabytes = declared_weights(str(group.get("name"))) or ("", None)
    if not source.startswith(SCHEMES) or Faults().attempt(lambda: cached(source)) is not None:
        return ""
    if megabytes is None:
        return "not downloaded yet"
    return f"will be downloaded ({megabytes:.0f} MB from {urlsplit(source).hostname})"


# Images.


def _images(config: Config, network: Network | None, faults: Faults) -> ImageSet | None:
    """Return the image set; where the network is not known, at no size of its own."""
    black, white = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    group, preprocessing = config.images, Preprocessing(None, 1, mean=black, std=white)
    if network is None:
        group = {name: value for name, value in group.items() if name not in ("resize", "crop")}
    else:
        preprocessing = network.preprocessing
    return faults.option(
        group, "images", lambda partial: complete(partial, "images", preprocessing)
    )


def _read_sample(config: Config, found: Found, images: ImageSet, faults: Faults) -> None:
    """Read some images; as many may be unreadable as the search allows."""
    sample = spread(len(images), SAMPLE)
    unreadable = load_batch(images, sample).unreadable
    if not unreadable:
        return
    name, reason = next(iter(unreadable.items()))
    some = f"images: {len(unreadable)} of {len(sample)} images looked at"
    first = f"the first is '{name}', which {reason}"
    allowed = max(1.0, config.search.max_unreadable * len(sample))
    if len(unreadable) > allowed or len(unreadable) == len(sample):
        remedy = "mend or remove them, or raise search.max_unreadable"
        faults.add([f"{some} cannot be used, {first}; {remedy}"])
    else:
        found.notes.append(f"{some} would be set aside, {first}")


# Layers and units.


def _find_layers(config: Config, found: Found, network: Network, faults: Faults) -> None:
    own = network.preprocessing.input_size
    size = found.images.size if found.images is not None else _wanted_size(config, network) or own
    sized = replace(network, input_size=size)
    graph = faults.attempt(lambda: sized.graph)
    if graph is None:  # the layers can still be looked at
        sized = replace(network, input_size=own)
        graph = Faults().attempt(lambda: sized.graph)
    if graph is None:
        return
    found.sized, found.graph = sized, graph
    names = _known_names(config.layers, graph, network.name, faults)
    if not names:
        return
    faults.attempt(lambda: sized.layers(names))  # all of whose weights must be there
    found.layers = find_layers(graph, names, network.name)
    for layer in found.layers:
        units = faults.attempt(lambda layer=layer: select_units(config.units, layer))
        found.units[layer.name] = units or []


def _wanted_size(config: Config, network: Network) -> tuple[int, int] | None:
    sized = Faults().attempt(
        lambda: network.preprocessing.sized(crop=config.images.get("crop", "default"))
    )
    return sized.input_size if sized is not None else None


def _known_names(names: Any, graph: Graph, network: str, faults: Faults) -> str | list[str]:
    """Return the names that are layers of the network."""
    if isinstance(names, str):
        known = faults.attempt(lambda: find_layers(graph, names, network))
        return names if known is not None else []
    wanted: list[Any] = names if isinstance(names, list) else []
    if not wanted:
        faults.attempt(lambda: find_layers(graph, [], network))
    return [
        name
        for name in wanted
        if isinstance(name, str)
        and faults.attempt(lambda name=name: find_layers(graph, [name], network)) is not None
    ]


# Ascents.


def _find_ascent(config: Config, found: Found, faults: Faults) -> None:
    before = len(faults.found)
    found.optimizer = faults.option(config.optimizer, "optimizer")
    faults.attempt(lambda: copies(config))
    if not chosen(config.init):
        faults.add(["init: the list is empty; choose one or more, as in init=[zeros,noise]"])
    for name, group in chosen(config.init).items():
        init = faults.option(group, f"init.{name}")
        if init is not None:
            found.inits[name] = init
            faults.add(_rank_faults(config, found.images, name, init))
    for group in ("objective", "parameterization", "regularizer", "smoothing", "transform"):
        for name, option in chosen(getattr(config, group)).items():
            faults.option(option, f"{group}.{name}")
    for group in ("constraint", "gradient"):
        faults.option(getattr(config, group), group)
    parts = found.parts(config)
    if len(faults.found) > before or parts is None:
        return
    if faults.attempt(lambda: parts.scoring) is None:
        return
    faults.add(combination_faults(parts))
    found.notes.extend(combination_notes(parts))
    layer = _middle(found.layers)
    if layer is not None:
        faults.attempt(lambda: parts.scoring.scorer(parts.sized_network, layer))


def _rank_faults(config: Config, images: ImageSet | None, name: str, init: Init) -> list[str]:
    rank = config.init[name].get("rank", 0)
    kept = min(config.search.keep, len(images) if images is not None else config.search.keep)
    if not init.needs_top_patches or rank < kept:
        return []
    return [
        f"init.{name}.rank: {rank} is beyond the {kept} patches kept per unit; ranks count from 0"
        " (search.keep sets how many are kept)"
    ]


def _middle(items: Sequence[Item]) -> Item | None:
    return items[len(items) // 2] if items else None
