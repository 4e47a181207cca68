"""What figures and pages show of all that was measured: one stage, and one rate map."""

from __future__ import annotations

import pandas as pd

_MAPS = {
    "identity": "responses as they are",
    "marques2020": "in spikes per second (Marques, Schrimpf & DiCarlo 2021)",
}


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows after the nonlinearity, by the first rate map of the table.

    >>> rows = {"at": ["pre", "post", "post"], "rate_map": ["identity", "identity", "marques2020"]}
    >>> shown_rows(pd.DataFrame(rows)).index.tolist()
    [1]
    """
    after = table.loc[table["at"] == "post"]
    return after.loc[after["rate_map"] == after["rate_map"].iloc[0]] if len(after) else after


def about_rates(shown: pd.DataFrame) -> str:
    """Say what is shown, as a part of a sentence.

    >>> about_rates(pd.DataFrame({"rate_map": ["identity"]}))
    'after the nonlinearity, responses as they are'
    """
    return f"after the nonlinearity, {_MAPS[str(shown['rate_map'].iloc[0])]}"
