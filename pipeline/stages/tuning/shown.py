"""What figures and pages show of all that was measured: one stage, and one rate map."""

from __future__ import annotations

import pandas as pd

_MAPS = {
    "identity": "responses as they are",
    "marques2020": "in spikes per second (Marques, Schrimpf & DiCarlo 2021)",
}
_NONE = "no nonlinearity"  # how the flags of such a layer begin (``networks.nonlinearity``)


def shown_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows after the nonlinearity, by the first rate map of the table.

    Of layers that no nonlinearity of their own follows, these are the rows of the layer itself.

    >>> rows = {"at": ["pre", "post", "post"], "rate_map": ["identity", "identity", "marques2020"]}
    >>> shown_rows(pd.DataFrame(rows).assign(layer="conv1")).index.tolist()
    [1]
    """
    after = table["at"] == "post"
    if "flag" in table:  # curves have none, and no rows where there is no nonlinearity
        after &= ~table["flag"].str.startswith(_NONE)
    followed = table["layer"].isin(table.loc[after, "layer"])
    shown = table.loc[after | (~followed & (table["at"] == "pre"))]
    return shown.loc[shown["rate_map"] == shown["rate_map"].iloc[0]] if len(shown) else shown


def about_rates(shown: pd.DataFrame) -> str:
    """Say what is shown, as a part of a sentence.

    >>> about_rates(pd.DataFrame({"rate_map": ["identity"], "at": ["post"]}))
    'after the nonlinearity, responses as they are'
    >>> about_rates(pd.DataFrame({"rate_map": ["identity"], "at": ["pre"]}))
    'no nonlinearity follows, responses as they are'
    """
    stages = set(shown["at"])
    where = "after the nonlinearity" if "post" in stages else "no nonlinearity follows"
    if len(stages) > 1:
        where += ", where one follows"
    return f"{where}, {_MAPS[str(shown['rate_map'].iloc[0])]}"
