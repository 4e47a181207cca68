"""Building every part of a run, collecting all faults, and continuing with the usable parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.config.build import Group, complete, signature_faults
from pipeline.images.batches import load_batch, spread
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import UNSIZED
from pipeline.networks.graph.counting import forward_operations
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.downloads import SCHEMES, cached
from pipeline.networks.loading.network import Network
from pipeline.networks.units.selection import parse_units, select_units
from pipeline.run.faults import Faults
from pipeline.run.pace import SAMPLE
from pipeline.run.parts import Parts, copies
from pipeline.store.identity import chosen

TORCHVISION = "pipeline.networks.loading.torchvision.torchvision_network"
LISTS = ("objective", "parameterization", "regularizer", "smoothing", "transform")


# Options that stages build where they use them; some are large.
SHOWN = ("stimulus", "searcher", "generator", "scorer")


@dataclass
class Inspection:
    """The findings about the parts of a run.

    Attributes:
        weights: description of the network's weights.
        own_weights: whether the network has the requested weights.
        has: which of ``network``, ``images`` and ``layers`` could be built, possibly with random
            weights, at another size, or without the unknown ones.
        whole: whether every part could be built.
        notes: remarks that are not faults.
    """

    weights: str = ""
    own_weights: bool = True
    has: set[str] = field(default_factory=set[str])
    whole: bool = False
    notes: list[str] = field(default_factory=list[str])


def inspect(
    parts: Parts, faults: Faults, *, network: bool = True, download: bool = True
) -> Inspection:
    """Build every part of a run, collect all faults, and replace unusable parts.

    Args:
        parts: parts of the run; faulty ones are replaced if there is a substitute.
        faults: collects the faults.
        network: whether the run needs the network and the images.
        download: whether weights may be downloaded; if not, random ones replace them.
    """
    found, before = Inspection(), len(faults.found)
    inspect_settings(parts, faults, network=network)
    if not network:
        return found
    _inspect_readouts(parts, faults)
    _inspect_network(parts, found, faults, download)
    _inspect_images(parts, found, faults)
    _inspect_layers(parts, found, faults)
    if len(faults.found) == before and found.has == {"network", "images", "layers"}:
        from pipeline.synthesis.combinations import combination_faults, combination_notes

        recipe = faults.attempt(lambda: parts.recipe)
        if recipe is not None:
            faults.add(combination_faults(recipe))
        if recipe is not None and len(faults.found) == before:
            found.notes.extend(combination_notes(recipe))
        found.whole = len(faults.found) == before
    return found


def inspect_settings(parts: Parts, faults: Faults, *, network: bool = True) -> None:
    """Collect the faults of settings that show without the network and the images.

    Args:
        parts: parts of the run, where options that could be built are kept.
        faults: collects the faults.
        network: whether the run needs the network and the images.
    """
    config = parts.config
    _inspect_option(parts, "tracking", config.tracking, faults)
    if not network:
        return
    faults.attempt(lambda: parse_units(config.units))
    for group in ("model", "images"):
        faults.add(signature_faults(getattr(config, group), group).values())
    for group in SHOWN:
        for name, option in chosen(getattr(config, group)).items():
            faults.add(signature_faults(option, f"{group}.{name}").values())
    _inspect_options(parts, faults)


def precision_faults(precision: str, device: str) -> Iterator[str]:
    """Yield the reason if a kind of device does not support a precision."""
    if precision == "tf32" and device != "cuda":
        yield (
            f"precision: tf32 needs a CUDA device, and this run is on {device};"
            " use float32 or bfloat16"
        )


# The network.


def _inspect_network(parts: Parts, found: Inspection, faults: Faults, download: bool) -> None:
    group = parts.config.model
    pending = "" if download else _pending_download(group)
    taken = faults.taken(group, "model")
    if taken is None:
        return
    # A place in a file is of no use without one.
    substitute = {k: v for k, v in taken.items() if k != "weights_key"} | {"weights": "random"}
    if pending:
        network = faults.attempt(lambda: parts.build_network(substitute))
    elif taken == group:
        network = faults.attempt(lambda: parts.network)
    else:
        network = faults.attempt(lambda: parts.build_network(taken))
    if network is None:  # only the weights may be at fault
        network = Faults().attempt(lambda: parts.build_network(substitute))
        found.weights, found.own_weights = "not used: see the faults", False
    else:
        found.weights, found.own_weights = pending or _described(network), not pending
    if network is not None:
        parts.network = network.with_readouts(parts.readouts)
        found.has.add("network")


def _inspect_readouts(parts: Parts, faults: Faults) -> None:
    for name, option in chosen(parts.config.readout).items():
        _inspect_option(parts, f"readout.{name}", option, faults)
    if faults.attempt(lambda: parts.readouts) is None:
        parts.readouts = {}


def _described(network: Network) -> str:
    if network.weights == "random":
        return "random"
    part = f", {len(network.missing)} tensors missing" if network.missing else ""
    return f"{Path(network.weights).name} ({network.digest[:8]}{part})"


def _pending_download(group: Group) -> str:
    """Return a description of what building the network would download, if anything."""
    source, megabytes = str(group.get("weights", "default")), None
    if source == "default":
        if group.get("_target_") != TORCHVISION:
            return ""
        # Only if one of its networks is chosen, as importing it takes a second.
        from pipeline.networks.loading.torchvision import declared_weights

        source, megabytes = declared_weights(str(group.get("name"))) or ("", None)
    if not source.startswith(SCHEMES) or Faults().attempt(lambda: cached(source)) is not None:
        return ""
    if megabytes is None:
        return "not downloaded yet"
    return f"will be downloaded ({megabytes:.0f} MB from {urlsplit(source).hostname})"


# Images.


def _inspect_images(parts: Parts, found: Inspection, faults: Faults) -> None:
    group = parts.config.images
    if "network" in found.has:
        preprocessing = parts.network.preprocessing
    else:  # the image set has no size of its own
        preprocessing = UNSIZED
        group = {name: value for name, value in group.items() if name not in ("resize", "crop")}
    images = faults.option(
        group, "images", lambda partial: complete(partial, "images", preprocessing)
    )
    if images is not None:
        parts.images = images
        found.has.add("images")


def inspect_sample(parts: Parts, found: Inspection, faults: Faults) -> None:
    """Read some images; the same share may be unreadable as in the search."""
    if "images" not in found.has:
        return
    images: ImageSet = parts.images
    sample = spread(len(images), SAMPLE)
    unreadable = load_batch(images, sample).unreadable
    if not unreadable:
        return
    name, reason = next(iter(unreadable.items()))
    some = f"images: {len(unreadable)} of {len(sample)} sampled images"
    first = f"the first is '{name}', which {reason}"
    allowed = max(1.0, parts.config.search.max_unreadable * len(sample))
    if len(unreadable) > allowed or len(unreadable) == len(sample):
        remedy = "repair or remove them, or raise search.max_unreadable"
        faults.add([f"{some} cannot be used, {first}; {remedy}"])
    else:
        found.notes.append(f"{some} would be left out, {first}")


# Layers and units.


def _inspect_layers(parts: Parts, found: Inspection, faults: Faults) -> None:
    if "network" not in found.has:
        return
    network = parts.network
    size = parts.images.size if "images" in found.has else _wanted_size(parts)
    parts.sized_network = replace(network, input_size=size)
    if faults.attempt(lambda: parts.graph) is None:  # the layers can still be inspected
        parts.sized_network = replace(network, input_size=network.preprocessing.input_size)
        if Faults().attempt(lambda: parts.graph) is None:
            return
    names = _known_names(parts, faults)
    if not names:
        return
    layers = faults.attempt(lambda: parts.find_layers(names))
    # Layers without weights can still be inspected.
    parts.layers = layers or find_layers(parts.graph, names, network.name)
    units = {
        layer.name: faults.attempt(lambda layer=layer: select_units(parts.config.units, layer))
        for layer in parts.layers
    }
    parts.units = {name: chosen or [] for name, chosen in units.items()}
    found.has.add("layers")


def forward_by_layer(parts: Parts) -> dict[str, int]:
    """Return the operations that the network takes from one image to each layer, by its name."""
    return {layer.name: forward_operations(parts.graph, [layer.node]) for layer in parts.layers}


def _wanted_size(parts: Parts) -> tuple[int, int]:
    own = parts.network.preprocessing
    crop = parts.config.images.get("crop", "default")
    sized = Faults().attempt(lambda: own.sized(crop=crop))
    return (sized or own).input_size


def _known_names(parts: Parts, faults: Faults) -> str | list[str]:
    """Return those names that are layers of the network."""
    names, graph, network = parts.config.layers, parts.graph, parts.network.name
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


# The options that determine how images are made.


def _inspect_options(parts: Parts, faults: Faults) -> None:
    config = parts.config
    faults.attempt(lambda: copies(config))
    if not chosen(config.init):
        faults.add(["init: the list is empty; choose one or more, as in init=[zeros,noise]"])
    for group in ("init", *LISTS):
        for name, option in chosen(getattr(config, group)).items():
            _inspect_option(parts, f"{group}.{name}", option, faults)
    for group in ("optimizer", "constraint", "gradient"):
        _inspect_option(parts, group, getattr(config, group), faults)


def _inspect_option(parts: Parts, key: str, option: Group, faults: Faults) -> None:
    built = None if key in parts.built else faults.option(option, key)
    if built is not None:
        parts.built[key] = built
