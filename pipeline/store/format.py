"""The format version of a store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pipeline.errors import StoreError
from pipeline.store.checksummed import DamagedError, read_document, write_document
from pipeline.store.layout import Layout
from pipeline.store.metadata import STORE_FORMAT

log = logging.getLogger(__name__)


def check_format(layout: Layout) -> None:
    """Raise an error if a store was written by a later version in another format.

    Raises:
        StoreError: it was, or its format cannot be determined.
    """
    written = _written(layout)
    later = written.get("store_format", 0)
    if later > STORE_FORMAT:
        raise StoreError(
            f"out: '{layout.store}' was written by a later version of artiphys (store format"
            f" {later}, this one has {STORE_FORMAT}); update artiphys or choose another out"
        )


def mark_format(layout: Layout, versions: Mapping[str, int]) -> None:
    """Record the versions in a store, and log what happens to results of other versions.

    Args:
        layout: the paths.
        versions: version of every stage's stored numbers, by stage name.
    """
    written = _written(layout)
    now = {**versions, "store_format": STORE_FORMAT}
    if written == now:
        return
    if "result_version" in written:  # one for all stages, before each had its own
        written |= dict.fromkeys(versions, written.pop("result_version"))
    if any(now.get(name) != version for name, version in written.items()):
        log.info(
            "store: '%s' holds results of another version of artiphys, which are kept but not "
            "used: this run computes what it needs again, under new keys",
            layout.store,
        )
    write_document(layout.format, now, layout.place(layout.format))


def _written(layout: Layout) -> dict[str, int]:
    """Return the versions that wrote a store; none if there is no store."""
    try:
        found: dict[str, Any] = read_document(layout.format)
        return {"store_format": 0} | {name: v for name, v in found.items() if isinstance(v, int)}
    except FileNotFoundError:
        return {}
    except NotADirectoryError as error:
        raise StoreError(f"out: '{layout.out}' is not a folder; choose another out") from error
    except (DamagedError, ValueError, TypeError) as error:
        raise StoreError(f"out: '{layout.format}' is damaged ({error}); delete it") from error
    except OSError as error:
        raise StoreError(
            f"out: '{layout.format}' cannot be read ({error.strerror or error}); see that it can,"
            " or choose another out"
        ) from error
