"""Collecting all faults, whereas a run stops at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pipeline.config.build import Group, build, required, signature_faults
from pipeline.errors import ArtiphysError, ConfigError

Made = TypeVar("Made")


class Faults:
    """Descriptions of faults, without duplicates, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[str, ArtiphysError] = {}

    @property
    def found(self) -> list[str]:
        """The sentences."""
        return list(self._found)

    def add(self, faults: Iterable[str]) -> None:
        """Add faults; an error raised while they are searched for is added as a fault."""
        try:
            for fault in faults:
                self._found.setdefault(fault, ConfigError(fault))
        except ArtiphysError as error:
            self._found.setdefault(str(error), error)

    def raise_first(self) -> None:
        """Raise the first fault, if there is one."""
        for error in self._found.values():
            raise error

    def attempt(self, make: Callable[[], Made]) -> Made | None:
        """Return what ``make`` returns; if it fails, add the reason and return None."""
        try:
            return make()
        except ArtiphysError as error:
            self._found.setdefault(str(error), error)
            return None

    def taken(self, group: Group, key: str) -> Group | None:
        """Return the keys of a group that its target accepts, and add the others as faults.

        Returns:
            ``None`` if there is no such target, or a required value is wrong.
        """
        bad = signature_faults(group, key)
        self.add(bad.values())
        if "_target_" in bad or not bad.keys().isdisjoint(required(group)):
            return None
        return {name: value for name, value in group.items() if name not in bad}

    def option(
        self, group: Group, key: str, finish: Callable[[Any], Made] = lambda built: built
    ) -> Made | None:
        """Return the object built from a configuration group, or add all its faults.

        A target reports only the first bad value. The others are found by passing one value at a
        time, along with the required ones.

        Args:
            group: keys and values of the group.
            key: its place in the configuration.
            finish: applied to the built object; for example, calls a partial one.
        """
        taken = self.taken(group, key)
        if taken is None:
            return None
        made = self.attempt(lambda: finish(build(taken, key)))
        if made is None:
            needed = required(group)
            for name in [name for name in taken if name not in needed]:
                alone = {other: taken[other] for other in taken if other in {*needed, name}}
                self.attempt(lambda alone=alone: finish(build(alone, key)))
        return made
