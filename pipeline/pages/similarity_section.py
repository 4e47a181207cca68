"""The section of a unit's page about the similarity of what ascents added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pipeline.analysis.similarity.catalog import statistics
from pipeline.pages.sections import Number, Numbers

TITLE = "Similarity"
ABOUT = (
    "How similar the changes are that ascents from two inits made to their starting images, by"
    " several statistics. Behind each is what chance gives on average: if the second image is that"
    " of another of the units, has random phases, or is noise; or for a network without training."
    " In parentheses is p, the share of draws at least as similar: with n draws, 1 / (1 + n) or"
    " more."
)
NULLS = {"phase": "phases", "twin": "untrained"}
UNITS = {"own_percentile": "%"}
NOTHING = 1e-6  # a mean over draws below this is zero but for rounding


def similarity_part(rows: pd.DataFrame, inits: tuple[str, str]) -> Numbers:
    """Return the numbers of one unit and pair of inits, means over copies.

    Args:
        rows: of the unit, as in the table ``similarity``.
        inits: names of both inits.
    """
    catalog = statistics()
    numbers: list[Number] = []
    for name, own in rows.groupby("statistic", sort=False):
        known = catalog[str(name)]
        notes = [_note(str(kind), of) for kind, of in own.groupby("null_kind", sort=False)]
        value = _mean(own["value"])
        failed = [reason for reason in dict.fromkeys(own["status"]) if reason != "ok"]
        note = ", ".join([*failed, *filter(None, notes)])
        numbers.append(Number(known.label, value, UNITS.get(known.name, ""), note))
    a, b = inits
    title = f"Copies from {a}" if a == b else f"{a} and {b}"
    return Numbers(numbers, title)


def _note(kind: str, own: pd.DataFrame) -> str:
    null, p = _mean(own["null"]), _mean(own["p"])
    if null is None or p is None:
        return ""
    shown = f"{null if abs(null) > NOTHING else 0.0:.2g}".replace("-", "\N{MINUS SIGN}")
    return f"{NULLS.get(kind, kind)} {shown} (p = {p:.2g})"


def _mean(values: Any) -> float | None:
    defined = np.asarray(values, np.float64)
    defined = defined[np.isfinite(defined)]
    return float(defined.mean()) if len(defined) else None
