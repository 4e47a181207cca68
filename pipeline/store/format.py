"""Which version has laid out a store."""

from __future__ import annotations

from pipeline.errors import StoreError
from pipeline.store.layout import Layout
from pipeline.store.results import STORE_FORMAT
from pipeline.store.sealed import DamagedError, read_document, write_document


def check_format(layout: Layout) -> None:
    """Refuse a store that a later version has laid out in another way.

    Raises:
        StoreError: it has, or there is no telling.
    """
    try:
        written = int(read_document(layout.format)["store_format"])
    except FileNotFoundError:
        return
    except (OSError, DamagedError, KeyError, ValueError) as error:
        raise StoreError(f"out: '{layout.format}' cannot be read ({error}); delete it") from error
    if written > STORE_FORMAT:
        raise StoreError(
            f"out: '{layout.store}' was written by a later version of artiphys (store format"
            f" {written}, this one has {STORE_FORMAT}); update artiphys or choose another out"
        )


def mark_format(layout: Layout) -> None:
    """Note in a new store how it is laid out."""
    if not layout.format.is_file():
        write_document(layout.format, {"store_format": STORE_FORMAT})
