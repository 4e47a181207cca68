"""Queries of URLs, which may contain a token and are neither shown nor stored."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_QUERY = re.compile(r"((?:https?|file)://[^\s?#\"'<>]*)[?#]([^\s\"'<>]+)")
_USER = re.compile(r"(https?://)[^\s/@\"'<>]+@")


def without_query(text: str) -> str:
    """Return a text in which the query of every URL is replaced by digits of its digest.

    ``https://host/w.pth?token=...`` becomes ``https://host/w.pth?query-1a2b3c4d``. User name and
    password are left out.
    """
    return _USER.sub(r"\1", _QUERY.sub(_digested, text))


def _digested(found: re.Match[str]) -> str:
    if found[2].startswith("query-"):
        return found[0]
    return f"{found[1]}?query-{hashlib.sha256(found[2].encode()).hexdigest()[:8]}"


def without_queries(value: Any) -> Any:
    """Return plain data without the queries of URLs."""
    if isinstance(value, str):
        return without_query(value)
    if isinstance(value, Mapping):
        return {key: without_queries(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_queries(part) for part in value]
    return value
