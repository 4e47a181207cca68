"""Which version has laid out a store."""

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
    """Refuse a store that a later version has laid out in another way.

    Raises:
        StoreError: it has, or there is no telling.
    """
    written = _written(layout)
    later = written.get("store_format", 0)
    if later > STORE_FORMAT:
        raise StoreError(
            f"out: '{layout.store}' was written by a later version of artiphys (store format"
            f" {later}, this one has {STORE_FORMAT}); update artiphys or choose another out"
        )


def mark_format(layout: Layout, versions: Mapping[str, int]) -> None:
    """Note in a store who lays it out, and say what becomes of results from before.

    Args:
        layout: the paths.
        versions: of every stage's numbers, by its name.
    """
    written = _written(layout)
    now = {**versions, "store_format": STORE_FORMAT}
    if written == now:
        return
    if "result_version" in written:  # one for all stages, before each had its own
        written |= dict.fromkeys(versions, written.pop("result_version"))
    if any(now.get(name) != version for name, version in written.items()):
        log.info(
            "store: '%s' holds results of another version of artiphys, which stay as they are and"
            " are not used: what this run needs is computed anew, under keys of its own",
            layout.store,
        )
    write_document(layout.format, now, layout.place(layout.format))


def _written(layout: Layout) -> dict[str, int]:
    """Return the versions that a store was written by; none where there is no store."""
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
