"""How much a population of units resembles a population of cells: distributions and similarity.

Source: Marques, Schrimpf & DiCarlo (2021), brain-score's distribution similarity. The macaque
distributions ship as histograms; where there is none, the comparison is not available unless a lab
brings its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.tuning.distributions import Distribution, counts_of, macaque_distributions
from pipeline.analysis.tuning.measured import Measured

NOT_AVAILABLE = "not available: no distribution of animals"
_LOST = 0.1  # of draws without any value, above which the similarity is 0
_COMPARED = (
    "property", "raw", "low", "high", "ceiling", "final", "units", "flag", "source",
)  # fmt: skip


@dataclass(frozen=True)
class Similarity:
    """How much a population resembles a distribution of cells.

    Attributes:
        name: of the property.
        raw: similarity, 1 if distributions agree, mean over draws; NaN if not available.
        low: lower end of its 95 % interval: the 2.5th percentile of the draws.
        high: upper end.
        ceiling: of the cells with themselves, drawn as often.
        final: raw / ceiling.
        units: in which the property is defined.
        flag: why there is no number, or an empty string.
    """

    name: str
    raw: float
    low: float
    high: float
    ceiling: float
    final: float
    units: int
    flag: str


def similarity(
    values: Float[np.ndarray, " units"],
    cells: Distribution,
    seed: int = 0,
    draws: int = 1000,
) -> Similarity:
    """Return 1 - max|CDF_units - CDF_cells| / its largest possible value, over bootstrap draws.

    As many units as there are cells are drawn with replacement. Units in which the property is
    undefined are drawn too, but count in no bin. The largest possible difference is that of a
    population all in the first or all in the last bin. If more than a tenth of the draws have no
    value at all, the similarity is 0. The ceiling is the same of the cells themselves.

    Args:
        values: of the property, NaN where undefined.
        cells: with which they are compared.
        seed: of the draws; property and seed determine them.
        draws: how many.

    >>> cells = macaque_distributions()["suppression_index"]
    >>> found = similarity(np.repeat(cells.edges[:-1] + 0.1, cells.counts), cells)
    >>> round(found.raw, 2), round(found.final, 2)
    (0.96, 1.0)
    """
    counts = counts_of(values, cells.edges)
    missing = int(np.isnan(values).sum())
    ceiling = float(_similarities(cells.counts, cells.undefined, cells, seed, draws).mean())
    if not counts.sum():
        return Similarity(cells.name, 0.0, 0.0, 0.0, ceiling, 0.0, 0, "undefined in all units")
    drawn = _similarities(counts, missing, cells, seed, draws)
    raw, (low, high) = float(drawn.mean()), np.quantile(drawn, [0.025, 0.975]).tolist()
    return Similarity(cells.name, raw, low, high, ceiling, raw / ceiling, int(counts.sum()), "")


def compare(
    measured: Iterable[Measured],
    distributions: Mapping[str, Distribution] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> pd.DataFrame:
    """Return the similarity of every measured property with cells, one row per property.

    Args:
        measured: properties of the units of one population; those that were not studied, since they
            do not respond, are left out.
        distributions: of cells by property, by default the macaque's.
        seed: of the draws.
        draws: how many.

    Returns:
        ``property``, ``raw``, ``low``, ``high``, ``ceiling``, ``final``, ``units``, ``flag`` and
        ``source``; numbers are NaN and the flag begins with ``not available`` where there is no
        distribution.
    """
    known = macaque_distributions() if distributions is None else distributions
    rows: list[dict[str, object]] = []
    for one in measured:
        cells = known.get(one.name)
        if cells is None:
            defined, nan = int(np.isfinite(one.value).sum()), float("nan")
            found = Similarity(one.name, nan, nan, nan, nan, nan, defined, NOT_AVAILABLE)
        else:
            found = similarity(one.value[one.studied], cells, seed, draws)
        source = "" if cells is None else cells.source
        rows.append({"property": found.name, **asdict(found), "source": source})
    return pd.DataFrame(rows, columns=list(_COMPARED))


def _similarities(
    counts: Int[np.ndarray, " bins"], missing: int, cells: Distribution, seed: int, draws: int
) -> Float[np.ndarray, " draws"]:
    """Return the similarity of every draw of as many units as there are cells; 0 if most fail."""
    rng = np.random.default_rng([seed, *cells.name.encode()])
    share = np.append(counts, missing) / (counts.sum() + missing)
    drawn = rng.multinomial(cells.cells, share, size=draws)[:, :-1]
    total = drawn.sum(axis=1)
    if (total == 0).mean() > _LOST:
        return np.zeros(1)
    units = drawn[total > 0].cumsum(axis=1) / total[total > 0, None]
    expected = cells.counts.cumsum() / cells.counts.sum()
    # All units in the first bin: CDF 1 throughout; all in the last: 0 up to the last.
    furthest = max((1 - expected).max(), expected[:-1].max(initial=0.0))
    return 1 - np.abs(units - expected).max(axis=1) / furthest
