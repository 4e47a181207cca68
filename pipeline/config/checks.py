"""Checks that run before any work starts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pipeline.config.build import Parts
from pipeline.config.schema import PRECISIONS, STAGES, Config, FiguresConfig, SearchConfig
from pipeline.errors import ConfigError, StoreError, nearest


def check_values(config: Config) -> None:
    """Check what can be checked without importing torch.

    Raises:
        ConfigError: a value is not allowed.
    """
    _check_stages(config.stages)
    _check_search(config.search)
    _check_figures(config.figures)
    _check_names(config)
    root = config.images.get("root")
    if root is not None and not Path(str(root)).expanduser().is_dir():
        raise ConfigError(f"images.root: there is no folder '{root}'; give the path of one")


def _check_names(config: Config) -> None:
    names = config.layers if isinstance(config.layers, list) else [config.layers]
    if not all(isinstance(name, str) for name in names):
        raise ConfigError(f"layers: {config.layers!r} is not 'all', a name or a list of names")
    if not 0 <= config.seed < 2**63:
        raise ConfigError(f"seed: {config.seed} is not from 0 to below 2^63")
    if config.precision not in PRECISIONS:
        raise ConfigError(
            f"precision: '{config.precision}' is not one of {', '.join(PRECISIONS)}"
            f"{nearest(config.precision, PRECISIONS)}"
        )
    if config.training.steps < 1 or config.training.batch < 1:
        raise ConfigError(
            f"training: steps ({config.training.steps}) and batch ({config.training.batch}) must be"
            " 1 or more"
        )


def _check_stages(stages: list[str]) -> None:
    for stage in stages:
        if stage not in STAGES:
            raise ConfigError(
                f"stages: '{stage}' is not a stage; the stages are {', '.join(STAGES)}"
                f"{nearest(stage, STAGES)}"
            )
    if not stages:
        raise ConfigError(f"stages: the list is empty; choose from {', '.join(STAGES)}")


def _check_search(search: SearchConfig) -> None:
    for name, value in (("keep", search.keep), ("batch_size", search.batch_size)):
        if value < 1:
            raise ConfigError(f"search.{name}: {value} is not positive; use 1 or more")
    if not 0 <= search.max_unreadable <= 1:
        raise ConfigError(
            f"search.max_unreadable: {search.max_unreadable} is not a share from 0 to 1"
        )


def _check_figures(figures: FiguresConfig) -> None:
    for name in figures.triptychs:
        if not re.fullmatch(r".+/\d+", name):
            raise ConfigError(
                f"figures.triptychs: '{name}' is not a layer and a unit, such as conv2/7"
            )
    for name, value in (("units", figures.contact_units), ("ranks", figures.contact_ranks)):
        if value < 1:
            raise ConfigError(f"figures.contact_{name}: {value} is not positive; use 1 or more")
    known = ("png", "pdf", "svg")
    for kind in figures.formats:
        if kind not in known:
            raise ConfigError(f"figures.formats: '{kind}' is not one of {', '.join(known)}")


def check_parts(parts: Parts) -> None:
    """Build everything that the stages need, so that bad input is found before work starts.

    Raises:
        ArtiphysError: anything that is wrong with the model, its layers and units, the images, the
            inits, the optimizer, the runner, or the disk.
    """
    _ = parts.start_tracking, parts.runner.device
    if not parts.asks_network:
        return
    _ = parts.layers, parts.units, parts.inits, parts.optimizer
    if parts.config.precision == "tf32" and parts.runner.device.type != "cuda":
        raise ConfigError(
            f"precision: tf32 needs a CUDA device, and this run is on {parts.runner.device.type};"
            " use float32 or bfloat16"
        )
    if "ascent" in parts.config.stages:
        _check_disk(Path(parts.config.out), _ascent_bytes(parts))


def _ascent_bytes(parts: Parts) -> int:
    """Return how much the ascents will store: two float32 images per unit and init."""
    pixels = 0
    for layer in parts.layers:
        box = parts.canvas(layer).box
        pixels += len(parts.units[layer.name]) * box.height * box.width * 3
    return pixels * 4 * 2 * len(parts.inits)


def _check_disk(out: Path, needed: int) -> None:
    out = out.expanduser().absolute()
    try:
        existing = next(path for path in (out, *out.parents) if path.exists())
        free = shutil.disk_usage(existing).free
    except OSError as error:
        raise StoreError(f"out: '{out}' cannot be used ({error.strerror})") from error
    if needed > free:
        raise StoreError(
            f"out: the ascents need up to {needed / 1e9:.1f} GB and '{existing}' has"
            f" {free / 1e9:.1f} GB free; choose another out, fewer layers or fewer units"
        )
