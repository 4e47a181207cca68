"""Checks of values that need neither torch nor the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from math import inf
from pathlib import Path
from typing import Any, cast

from pipeline.config.schema import PRECISIONS, Config
from pipeline.errors import ConfigError, nearest
from pipeline.store.layout import name_fault

LARGEST_NUMBER = 1e30


def check_values(config: Config) -> None:
    """Check all values that can be checked without importing torch.

    Raises:
        ConfigError: a value is not allowed.
    """
    for fault in value_faults(config):
        raise ConfigError(fault)


def value_faults(config: Config) -> Iterator[str]:
    """Yield all faults of values that can be found without importing torch."""
    for section in fields(config):
        settings = getattr(config, section.name)
        faults = getattr(settings, "faults", None)
        if is_dataclass(settings) and faults is not None:
            yield from faults()
    yield from _name_faults(config)
    yield from _number_faults(asdict(config))
    yield from _root_faults(config.images, "images")


def _root_faults(images: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield the folders of an image set that are missing; of several sets, those of each."""
    root = images.get("root")
    if root is not None and not Path(str(root)).expanduser().is_dir():
        yield f"{key}.root: there is no folder '{root}'; give the path of one"
    sets = images.get("sets")
    for name, each in sets.items() if isinstance(sets, Mapping) else ():
        if isinstance(each, Mapping):
            yield from _root_faults(cast("Mapping[str, Any]", each), f"{key}.sets.{name}")


def _name_faults(config: Config) -> Iterator[str]:
    names = config.layers if isinstance(config.layers, list) else [config.layers]
    if not all(isinstance(name, str) for name in names):
        yield f"layers: {config.layers!r} is not 'all', a name or a list of names"
    elif "" in names or not names:
        yield "layers: it is empty; give all, a name or a list of names, as in layers=[conv1]"
    fault = name_fault("name", config.name)
    if fault is not None:
        yield fault
    elif len(config.name.encode()) > 100:
        yield f"name: a name of {len(config.name.encode())} bytes is longer than 100 bytes"
    if not 0 <= config.seed < 2**63:
        yield f"seed: {config.seed} is not from 0 to below 2^63"
    if config.precision not in PRECISIONS:
        yield (
            f"precision: '{config.precision}' is not one of {', '.join(PRECISIONS)}"
            f"{nearest(config.precision, PRECISIONS)}"
        )


def _number_faults(node: Any, key: str = "") -> Iterator[str]:
    """Yield numbers so large that computing with them would overflow float32."""
    if isinstance(node, Mapping):
        for name, value in cast("Mapping[str, Any]", node).items():
            yield from _number_faults(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            yield from _number_faults(value, key)
    elif isinstance(node, int | float) and LARGEST_NUMBER < abs(node) < inf:
        yield f"{key}: {node:g} is too large; use a number up to {LARGEST_NUMBER:g}"
