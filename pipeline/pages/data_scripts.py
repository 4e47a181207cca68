"""Data scripts: values that a page loads on demand, as classic scripts with one call each."""

from __future__ import annotations

import base64
import json
import math
from typing import Any
from urllib.parse import quote

import numpy as np

# These could end a script, or a line in it.
_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "<>&\u2028\u2029"}


def data_script(key: str, value: Any) -> str:
    """Return the script that stores plain data under a key.

    Raises:
        ValueError: a number is not finite; ``plain`` makes ``None`` of those.
    """
    written = (
        json.dumps(part, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for part in (key, value)
    )
    return f"artiphys.put({','.join(written).translate(_ESCAPED)});\n"


def plain(value: Any) -> Any:
    """Return plain data: NumPy values as Python's, six digits per number, ``None`` for NaN."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def data_url(content: bytes, kind: str) -> str:
    """Return bytes as a data URL of a kind such as ``image/png``."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def folder_name(layer: str) -> str:
    """Return a file-system-safe name for a layer's folder."""
    return quote(layer, safe="")
