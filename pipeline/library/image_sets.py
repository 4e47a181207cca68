"""Image sets in a notebook: of any kind that the command line has, with its settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError, nearest
from pipeline.images import lists
from pipeline.images.any_images import as_image_set, kind_of_file, plain_columns
from pipeline.images.image_sets import ImageSet
from pipeline.images.listings import listing_of
from pipeline.images.subsets import kept_indices
from pipeline.library.arguments import of_network
from pipeline.networks.loading.network import Network
from pipeline.store.code import own_targets


@of_network
def image_set(net: Network, images: Any = None, *, kind: str = "", **settings: Any) -> ImageSet:
    """Return images as a set for a network, with the settings of ``images=`` in a run.

    Args:
        net: the network, to whose input pictures are resized, cropped and normalized.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes: folders, files,
            lists, stacks, DataFrames, pictures, arrays, tensors, and dictionaries of these.
        kind: a kind of image set by the name of its option, such as ``photographs``, in place of
            ``images``; its settings say what is in it.
        settings: of that kind (``docs/options.md``), or of the kind that a folder or a file is:
            such as ``resize``, ``crop`` and ``upright`` of a folder, ``column`` of a list, or
            ``values`` of a stack. ``limit`` and ``seed`` are settings of all images.

    Returns:
        The image set, with ``names``, ``columns`` and ``read``; other functions take it as
        ``images``.

    Raises:
        ConfigError: there is no such kind or setting, or the images are not as the settings say.
        ImageError: the images are of no known form.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> pipeline.image_set(net, kind="photographs", limit=3, seed=0).names
    ['brick/1/72-288', 'camera/0.5/144-72', 'coffee/1/72-144']
    """
    if (images is None) == (not kind):
        raise ConfigError(
            "images: give either images, such as a folder, or kind, the name of an image set such"
            " as 'photographs'"
        )
    if kind:
        return _with_settings(_known(kind), settings)(net.preprocessing)
    if isinstance(images, str | Path) and (found := kind_of_file(images)) is not None:
        return _with_settings(found, settings)(net.preprocessing)
    chosen = {name: settings.pop(name, None) for name in ("limit", "seed")}
    if isinstance(images, pd.DataFrame):
        column = settings.pop("column", None)
        listing = listing_of(plain_columns(images), column)
        made = lists.of_listing("list", net.preprocessing, listing)
    else:
        made = as_image_set(images, net.preprocessing)
    if settings:
        raise ConfigError(
            f"{', '.join(settings)}: {type(images).__name__} takes no such setting; limit and seed"
            " are those of all images"
        )
    return made.subset(kept_indices(len(made), **chosen))


def kinds() -> dict[str, str]:
    """Return the package's kinds of image sets: the dotted names of their functions, by name."""
    files = sorted((conf_dir() / "images").glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text("utf-8"))["_target_"] for path in files}


def described_set(group: Mapping[str, Any]) -> Callable[..., ImageSet] | None:
    """Return what makes the image set of a finished run, from its configuration.

    Only the package's own kinds are made: nothing that a file names is imported.

    Args:
        group: the configuration of images.

    Returns:
        A function of the preprocessing; ``None`` if a set in it is a user's own.
    """
    target = str(group.get("_target_", ""))
    name = target.rpartition(".")[2]
    if not target.startswith("pipeline.images.") or name not in kinds() or own_targets(group):
        return None
    settings = {key: value for key, value in group.items() if not key.startswith("_")}
    if name == "several":
        members = {key: described_set(each) for key, each in settings["sets"].items()}
        if None in members.values():
            return None
        settings["sets"] = members
    return partial(_known(name), **settings)


def _known(name: str) -> Callable[..., ImageSet]:
    known = kinds()
    if name not in known:
        raise ConfigError(
            f"kind: '{name}' is no kind of image set; the kinds are {', '.join(known)}"
            f"{nearest(name, known)}"
        )
    module, _, function = known[name].rpartition(".")
    return getattr(import_module(module), function)


def _with_settings(kind: Any, settings: Mapping[str, Any]) -> Callable[..., ImageSet]:
    parameters = [*inspect.signature(kind).parameters.values()][1:]
    allowed = [each.name for each in parameters]
    for name in settings:
        if name not in allowed:
            raise ConfigError(
                f"{name}: is no setting of these images, which have {', '.join(allowed)}"
                f"{nearest(name, allowed)}"
            )
    lacking = [e.name for e in parameters if e.default is e.empty and e.name not in settings]
    if lacking:
        raise ConfigError(f"{lacking[0]}: must be given for this kind of image set")
    return partial(kind, **settings)
