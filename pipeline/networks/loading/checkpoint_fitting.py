"""Matching the tensors of a checkpoint to those of a network.

Training scripts add prefixes (``module.``, ``net.``, ``model.backbone.``) and inner names
(``_orig_mod``, ``module``), and store averages of the weights, losses or metrics. The weights are
found by the network's own names and shapes:

- a file whose names fit in several ways is read in the way that covers most of the network, unless
the user names a place in the file;
- tensors outside the network (``criterion.weight``, ``n_averaged``) are left out;
- a last layer with another number of classes, or replaced by a module of another kind, counts as
missing;
- any other mismatch means that the file is of another network, which is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.errors import NetworkError, listed, nearest
from pipeline.networks.loading.checkpoints import StateDict

COUNTER = "num_batches_tracked"  # count of training batches, on which no response depends
_WRAPPERS = ("_orig_mod", "module")  # inner names added by compilation and parallel training
# Parts of names that mark averages over training and momentum encoders.
_AVERAGE = re.compile(r"(^|[._])(ema|swa|average|averaged|encoder_k)([._]|$)")


class Named(NamedTuple):
    """A tensor, and its name in the file."""

    name: str
    tensor: Tensor


@dataclass(frozen=True)
class Fit:
    """A way in which a file fits a network.

    Attributes:
        where: keys that lead to the dictionary, joined by dots.
        prefix: prefix of the network's names.
        covered: tensors by the network's names.
        others: tensors with the network's names but another shape.
        strangers: the file's names, below the prefix, that the network does not have.
        outside: names in the file with another prefix.
        rivals: other places in the file that fit as well and hold other weights.
    """

    where: str
    prefix: str
    covered: dict[str, Tensor]
    others: dict[str, Named]
    strangers: dict[str, str]
    outside: list[str]
    rivals: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Its place in the file."""
        return f"{self.where}.{self.prefix}".strip(".")

    @property
    def averages(self) -> bool:
        """Whether its name indicates an average over training."""
        return _AVERAGE.search(self.place) is not None

    def notes(self, source: str) -> Iterator[str]:
        """Yield what was done to fit the file to the network, and what is not used."""
        done = [f"the weights are those under '{self.place}'"] if self.place else []
        kinds = {tensor.dtype for tensor in self.covered.values() if tensor.is_floating_point()}
        given = [str(kind).removeprefix("torch.") for kind in kinds - {torch.float32}]
        done += [f"converted from {' and '.join(sorted(given))} to float32"] if given else []
        left = [*self.outside, *(self.strangers.values())]
        done += [f"left out: {_some(left)}"] if left else []
        if self.rivals:
            places = listed([f"'{place}'" for place in self.rivals], 3)
            done.append(
                f"other weights that fit: {places}, taken with model.weights_key={self.rivals[0]}"
            )
        if done:
            yield f"model.weights: '{source}': {'; '.join(done)}"
        if self.others:
            own = [name for name, _ in self.others.values()]
            yield (
                f"model.weights: '{source}' is of another number of classes ({_some(own)}); layers"
                " that need these cannot be used"
            )


def choose(
    found: Mapping[str, StateDict], own: Mapping[str, Tensor], source: str, key: str | None = None
) -> Fit:
    """Return the way in which a file fits a network.

    Args:
        found: the dictionaries of tensors in the file, by the keys that lead to them.
        own: the tensors of the network.
        source: the file, for messages.
        key: dotted place in the file under which the weights are; by default, the one that fits
            best, and of several that fit as well, the one whose name is not that of an average.

    Raises:
        NetworkError: the file is of another network, holds several that fit and differ, or nothing
            that fits under ``key``.
    """
    fits = [fit for where, tensors in found.items() for fit in _fits(where, tensors, own)]
    if not fits:
        raise NetworkError(_strange(next(iter(found.values())), own, source))
    usable = fits if key is None else _under(key, fits, source)
    most = max(map(_count, usable))
    best = [fit for fit in usable if _count(fit) == most]
    best = [fit for fit in best if not fit.averages] or best
    first, *rest = best
    for other in rest:
        if not _equal(first.covered, other.covered):
            raise NetworkError(_several(first, other, source, ""))
    for other in usable:
        if _rivals(first, other, own):
            raise NetworkError(_several(first, other, source, ", one of them only in part"))
    _check(first, own, source)
    elsewhere = [
        f"{where}.{name}" for where in found if where != first.where for name in found[where]
    ]
    full = [fit for fit in fits if _count(fit) == most and not _equal(first.covered, fit.covered)]
    places = tuple(dict.fromkeys(fit.place for fit in full if fit.place))
    return replace(first, outside=[*first.outside, *elsewhere], rivals=places)


def _under(key: str, fits: Sequence[Fit], source: str) -> list[Fit]:
    """Return the fits at a dotted place in the file, or below it.

    Raises:
        NetworkError: there is none.
    """
    under = [fit for fit in fits if f"{fit.place}.".startswith(f"{key}.")]
    if not under:
        places = list(dict.fromkeys(fit.place for fit in fits))
        there = listed([f"'{place}'" if place else "its top level" for place in places], 5)
        raise NetworkError(
            f"model.weights_key: nothing under '{key}' in '{source}' fits the network; what fits is"
            f" under {there}{nearest(key, places)}"
        )
    return under


def _several(first: Fit, other: Fit, source: str, in_part: str) -> str:
    places = sorted([first.place, other.place], key=bool, reverse=True)
    return (
        f"model.weights: '{source}' holds several networks that fit ('{first.place}' and"
        f" '{other.place}'){in_part}; choose one, as in model.weights_key={places[0]}"
    )


def _count(fit: Fit) -> tuple[int, int]:
    """Return the number of tensors that fit, and of names alone."""
    return sum(not name.endswith(COUNTER) for name in fit.covered), len(fit.others)


def _rivals(first: Fit, other: Fit, own: Mapping[str, Tensor]) -> bool:
    """Return whether another network, perhaps without its head, fits as well."""
    if other.where == first.where or other.averages != first.averages:
        return False
    shared = [name for name in other.covered if name in first.covered]
    if 2 * _count(other)[0] < sum(not name.endswith(COUNTER) for name in own):
        return False
    return any(not torch.equal(first.covered[name], other.covered[name]) for name in shared)


def _equal(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def _fits(where: str, tensors: StateDict, own: Mapping[str, Tensor]) -> Iterator[Fit]:
    used = {part for mine in own for part in mine.split(".")}
    wrappers = [name for name in _WRAPPERS if name not in used]
    named = {_without(name, wrappers): Named(name, tensor) for name, tensor in tensors.items()}
    prefixes = {
        name.removesuffix(mine)
        for mine in own
        for name in _ending(named, mine)
        if not mine.endswith(COUNTER)
    }
    for prefix in sorted(prefixes):
        below = {
            name.removeprefix(prefix): named[name] for name in named if name.startswith(prefix)
        }
        mine = {name: below[name] for name in below if name in own}
        fitting = {
            n: given.tensor for n, given in mine.items() if given.tensor.shape == own[n].shape
        }
        if all(name.endswith(COUNTER) for name in mine):
            continue
        yield Fit(
            where,
            prefix,
            fitting,
            {name: given for name, given in mine.items() if name not in fitting},
            {name: given.name for name, given in below.items() if name not in own},
            [given.name for name, given in named.items() if not name.startswith(prefix)],
        )


def _ending(named: Mapping[str, Named], mine: str) -> list[str]:
    """Return the names that consist of a prefix and a name of the network."""
    return [name for name in named if name == mine or name.endswith(f".{mine}")]


def _without(name: str, wrappers: Sequence[str]) -> str:
    """Remove the parts of a name that wrappers add."""
    return ".".join(part for part in name.split(".") if part not in wrappers)


def _check(fit: Fit, own: Mapping[str, Tensor], source: str) -> None:
    """Raise an error if the file is of another network.

    Raises:
        NetworkError: it is one.
    """
    classes = {
        (given.tensor.shape[:1], own[name].shape[:1])
        for name, given in fit.others.items()
        if given.tensor.shape[1:] == own[name].shape[1:]
    }
    odd = [n for n, given in fit.others.items() if given.tensor.shape[1:] != own[n].shape[1:]]
    if odd or len(classes) > 1 or not fit.covered:
        name = odd[0] if odd else next(iter(fit.others))
        given, tensor = fit.others[name]
        raise NetworkError(
            f"model.weights: '{given}' in '{source}' has shape {tuple(tensor.shape)}, the"
            f" network needs {tuple(own[name].shape)}; are they the weights of another model?"
        )
    for name, tensor in fit.covered.items():
        if tensor.layout is not torch.strided or tensor.is_meta:
            kind = "no numbers" if tensor.is_meta else "a sparse tensor"
            raise NetworkError(
                f"model.weights: '{name}' in '{source}' holds {kind}; save it as a dense tensor"
            )
        real = tensor.is_floating_point() and not tensor.is_quantized
        if own[name].is_floating_point() and not real:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise NetworkError(
                f"model.weights: '{name}' in '{source}' holds {kind}, and the network needs real"
                " numbers; save it as float32"
            )
    strangers = {name: fit.strangers[name] for name in fit.strangers if _belongs(name, fit, own)}
    if strangers:
        raise NetworkError(_strange(dict.fromkeys(strangers.values()), own, source))


def _belongs(stranger: str, fit: Fit, own: Mapping[str, Tensor]) -> bool:
    """Return whether a name unknown to the network is in a module that the network has.

    If the innermost common module is not covered at all, it was replaced.
    """
    parts = stranger.split(".")
    for end in range(len(parts) - 1, 0, -1):
        inside = [name for name in own if name.startswith(".".join(parts[:end]) + ".")]
        if inside:
            return any(name in fit.covered for name in inside)
    # Tensors of the top level are the network's own only where it has some there.
    return False


def _strange(names: Mapping[str, object], own: Mapping[str, Tensor], source: str) -> str:
    strangers = sorted(set(names) - set(own)) or sorted(names)
    return (
        f"model.weights: '{source}' holds {_some(strangers)}, which the network does not"
        f" have{nearest(strangers[0], own)}; are they the weights of another model?"
    )


def _some(names: list[str]) -> str:
    return listed([f"'{name}'" for name in sorted(names)], 1)
