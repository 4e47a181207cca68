"""Queries of URLs, which may hold a token: they are used, and neither shown nor stored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_QUERY = re.compile(r"((?:https?|file)://[^\s?#\"'<>]*)[?#]([^\s\"'<>]+)")
_USER = re.compile(r"(https?://)[^\s/@\"'<>]+@")


def without_query(text: str) -> str:
    """Return a text in which digits of a digest stand for the query of every URL.

    ``https://host/w.pth?token=...`` becomes ``https://host/w.pth?query-1a2b3c4d``. A name and a
    password before the host are left out.
    """
    return _USER.sub(r"\1", _QUERY.sub(_digested, text))


def _digested(found: re.Match[str]) -> str:
    if found[2].startswith("query-"):
        return found[0]
    return f"{found[1]}?query-{hashlib.sha256(found[2].encode()).hexdigest()[:8]}"


def without_queries(value: Any) -> Any:
    """Return plain data in which no text holds the query of a URL."""
    if isinstance(value, str):
        return without_query(value)
    if isinstance(value, Mapping):
        return {key: without_queries(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_queries(part) for part in value]
    return value
