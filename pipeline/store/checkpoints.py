"""Checkpoints: how far the work on an item of a result is, beside the item.

A checkpoint is written like an item, checksummed and with its place, and replaced atomically; it is
removed when the item is finished. One that is damaged, or that belongs elsewhere, is set aside, and
the work begins anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.store.checksummed import Arrays, DamagedError, read_arrays, write_arrays
from pipeline.store.results import Result, set_aside, unreadable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint of one item.

    Attributes:
        result: result of the item.
        item: name of the item.
    """

    result: Result
    item: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.result.paths.checkpoint(self.item)

    def write(self, arrays: Arrays) -> None:
        """Replace the checkpoint.

        Raises:
            StoreError: it cannot be written; the former one is still there.
        """
        write_arrays(self.path, arrays, {}, self.result.paths.place(self.path))

    def read(self) -> Arrays | None:
        """Return the arrays, or ``None`` if there is no checkpoint that is intact, which is logged.

        Raises:
            StoreError: it cannot be read, or is damaged and cannot be renamed.
        """
        try:
            return read_arrays(self.path, self.result.paths.place(self.path))[0]
        except FileNotFoundError:
            return None
        except DamagedError as error:
            self.set_aside(error)
            return None
        except OSError as error:
            raise StoreError(unreadable(self.path, error)) from error

    def set_aside(self, reason: Exception) -> None:
        """Rename the checkpoint, and log that its item is begun anew."""
        said = set_aside(self.path, reason)
        log.warning("store: the checkpoint '%s' %s, and its item is begun anew", self.path, said)

    def remove(self) -> None:
        """Remove the checkpoint, if there is one.

        Raises:
            StoreError: it cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"out: '{self.path}' cannot be removed ({error.strerror or error}); see that it can"
            ) from error
