"""What tells results, runs and jobs apart: every key of the configuration, and options by name.

An option counts by its name and its arguments, never by the module that it stands in, so that a
module may move. A user's own counts by its code too, and files by what they hold, not by where they
lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, cast

from pipeline.store.code import (
    argument_digests,
    code_digest,
    module_of,
    own_targets,
    qualified_name,
)

COPIES = "copies"  # a setting of all inits
# The settings of stages and the arguments of this package's own options that name files and
# folders, and their other words.
PATHS = (
    "path", "root", "folder", "vector", "video", "weights", "elements", "table", "references",
    "encoder", "file", "files", "shards", "twins", "runs",
)  # fmt: skip
WORDS = ("default", "random")
# Where networks come from whose names another may have as well.
SOURCES = ("timm", "huggingface")


class Effect(StrEnum):
    """What a key of the configuration can change, at most."""

    NUMBERS = "numbers"  # of results in the store
    FILES = "files"  # that a run leaves in its folder
    NAME = "name"  # of the run
    TRACKING = "tracking"
    PLACE = "place"  # and the machine


class Key(NamedTuple):
    """A key of the configuration.

    Attributes:
        effect: what it can change.
        options: whether ``one`` option is chosen, or ``several``; empty where it has settings.
    """

    effect: Effect
    options: str = ""


KEYS = {
    "model": Key(Effect.NUMBERS, "one"),
    "images": Key(Effect.NUMBERS, "one"),
    "objective": Key(Effect.NUMBERS, "several"),
    "init": Key(Effect.NUMBERS, "several"),
    "parameterization": Key(Effect.NUMBERS, "several"),
    "constraint": Key(Effect.NUMBERS, "one"),
    "optimizer": Key(Effect.NUMBERS, "one"),
    "regularizer": Key(Effect.NUMBERS, "several"),
    "smoothing": Key(Effect.NUMBERS, "several"),
    "transform": Key(Effect.NUMBERS, "several"),
    "gradient": Key(Effect.NUMBERS, "one"),
    "readout": Key(Effect.NUMBERS, "several"),
    "stimulus": Key(Effect.NUMBERS, "several"),
    "searcher": Key(Effect.NUMBERS, "several"),
    "generator": Key(Effect.NUMBERS, "several"),
    "scorer": Key(Effect.NUMBERS, "several"),
    "runner": Key(Effect.PLACE, "one"),
    "tracking": Key(Effect.TRACKING, "one"),
    "layers": Key(Effect.NUMBERS),
    "units": Key(Effect.NUMBERS),
    "stages": Key(Effect.FILES),
    "out": Key(Effect.PLACE),
    "name": Key(Effect.NAME),
    "seed": Key(Effect.NUMBERS),
    "precision": Key(Effect.NUMBERS),
    "search": Key(Effect.NUMBERS),
    "ascent": Key(Effect.NUMBERS),
    "dream": Key(Effect.NUMBERS),
}
# Settings of stages: they are in the keys of the results that they change, if there are any.
STAGE_SETTINGS = Key(Effect.FILES)
# The groups whose options can change numbers.
ONE = tuple(n for n, key in KEYS.items() if key == Key(Effect.NUMBERS, "one"))
SEVERAL = tuple(n for n, key in KEYS.items() if key == Key(Effect.NUMBERS, "several"))


def with_effect(settings: Mapping[str, Any], *effects: Effect) -> dict[str, Any]:
    """Return the settings that can change one of some things."""
    return {
        name: value
        for name, value in settings.items()
        if KEYS.get(name, STAGE_SETTINGS).effect in effects
    }


def chosen(options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the options of a group that is a list, without settings that all of them share."""
    return {name: option for name, option in options.items() if name != COPIES}


def option_name(option: Mapping[str, Any]) -> str:
    """Return the name of an option: of what it stands for, if it is there for others.

    >>> option_name({"_target_": "pipeline.synthesis.optimizers.named", "name": "RMSprop"})
    'RMSprop'
    >>> option_name({"_target_": "pipeline.networks.loading.timm.timm_network", "name": "resnet18"})
    'timm/resnet18'
    >>> option_name({"_target_": "module_network", "name": None, "target": "my_net.MyNet"})
    'MyNet'
    """
    target = str(option.get("_target_", "")).rpartition(".")[2]
    source = target.removesuffix("_network")
    if source in SOURCES:
        return f"{source}/{option.get('name')}"
    if "name" in option and option["name"] is None:
        target = str(option.get("target", target)).rpartition(".")[2]
    return str(option.get("name") or target)


def group_name(group: str, options: Mapping[str, Any]) -> str:
    """Return the name of what is chosen in a group; several are joined by a plus."""
    if KEYS[group].options == "one":
        return option_name(options)
    return "+".join(chosen(options)) or "none"


def described(option: Mapping[str, Any], contents: str | None = None) -> dict[str, Any]:
    """Return what determines an option, as plain data without the module that it stands in.

    Args:
        option: its target and arguments.
        contents: digest of the files that it reads, which stands for their paths.

    Raises:
        ConfigError: the code of a user's own option cannot be found.
    """
    found = cast("dict[str, Any]", _without_targets(option))
    if contents is not None:
        found = {k: v for k, v in found.items() if k not in PATHS or not isinstance(v, str)}
        found["contents"] = contents
    if own := own_targets(option):
        for target in own:
            with suppress(Exception):  # which is reported where it is built
                import_module(module_of(target))  # it may lead to modules elsewhere
        found |= {"code": code_digest(own), "files": argument_digests(option)}
    return found


def described_images(option: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines a user's own image set, besides the pictures.

    Files and folders among its arguments are left out: the set knows its pictures by contents, and
    reading all of them would take as long as a search.

    Raises:
        ConfigError: its code cannot be found.
    """
    arguments = {k: v for k, v in _without_targets(option).items() if not _is_path(v)}
    return {"arguments": arguments, "code": code_digest(own_targets(option))}


def _is_path(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(value) and Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):  # not a path
        return False


def described_list(
    options: Mapping[str, Any], contents: Sequence[str | None] = ()
) -> list[list[Any]]:
    """Return what determines the options of a list, in their order, which sorted keys would lose.

    Args:
        options: by the names that they were given.
        contents: digests of the files that each reads, if it does.
    """
    named = chosen(options)
    digests = contents or [None] * len(named)
    return [
        [name, described(option, digest)]
        for (name, option), digest in zip(named.items(), digests, strict=True)
    ]


def _without_targets(value: Any) -> Any:
    if isinstance(value, Mapping):
        settings = cast("Mapping[str, Any]", value)
        plain = {k: _without_targets(v) for k, v in settings.items() if k != "_target_"}
        if "_target_" in settings:
            plain["option"] = qualified_name(str(settings["_target_"]))
        return plain
    if isinstance(value, list | tuple):
        return [_without_targets(item) for item in cast("Sequence[Any]", value)]
    return value
