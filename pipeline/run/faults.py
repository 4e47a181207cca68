"""Collecting everything that is wrong, where a run stops at the first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pipeline.config.build import Group, build, required, signature_faults
from pipeline.errors import ArtiphysError, ConfigError

Made = TypeVar("Made")


class Faults:
    """Sentences on what is wrong, each once, in the order in which they were found."""

    def __init__(self) -> None:
        self._found: dict[str, ArtiphysError] = {}

    @property
    def found(self) -> list[str]:
        """The sentences."""
        return list(self._found)

    def add(self, faults: Iterable[str]) -> None:
        """Take in what is wrong; finding it may itself fail."""
        try:
            for fault in faults:
                self._found.setdefault(fault, ConfigError(fault))
        except ArtiphysError as error:
            self._found.setdefault(str(error), error)

    def raise_first(self) -> None:
        """Raise what was found first, if anything was."""
        for error in self._found.values():
            raise error

    def attempt(self, make: Callable[[], Made]) -> Made | None:
        """Return what ``make`` returns, or note why it cannot and return nothing."""
        try:
            return make()
        except ArtiphysError as error:
            self._found.setdefault(str(error), error)
            return None

    def taken(self, group: Group, key: str) -> Group | None:
        """Return the part of a configuration group that its target takes, and note the others.

        Returns:
            ``None`` where there is no such target, or what it cannot do without is wrong.
        """
        bad = signature_faults(group, key)
        self.add(bad.values())
        if "_target_" in bad or not bad.keys().isdisjoint(required(group)):
            return None
        return {name: value for name, value in group.items() if name not in bad}

    def option(
        self, group: Group, key: str, finish: Callable[[Any], Made] = lambda built: built
    ) -> Made | None:
        """Return what a configuration group is built to, or note all that is wrong with it.

        A target refuses the first bad value that it meets. The others are found by giving it one
        value at a time, beside those that it cannot do without.

        Args:
            group: its keys and values.
            key: where it stands in the configuration.
            finish: what is done with what is built, such as calling a partial one.
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
