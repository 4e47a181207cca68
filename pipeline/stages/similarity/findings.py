"""What a run says of similarity at its end."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd

from pipeline.run.active_run import ActiveRun
from pipeline.stages.similarity import SUMMARY, TESTS
from pipeline.store.tables import read_table

PAIR = ["init_a", "init_b"]
LEVEL = 0.05  # of q


def findings(run: ActiveRun, _plan: Any) -> list[str]:
    """Return one line per layer and pair: which statistics exceed chance, and by how much."""
    lines: list[str] = []
    summary = read_table(run.paths.tables, SUMMARY.name)
    for names, rows in summary.groupby(["layer", *PAIR], sort=False):
        layer, a, b = cast("tuple[str, str, str]", names)
        records: Any = rows.to_dict("records")
        kind = records[0]["null_kind"]
        own = [row for row in records if row["null_kind"] == kind]
        said = [f"{row['statistic']} {row['value']:.3g} (null {row['null']:.3g})" for row in own]
        undefined = max(row["undefined"] for row in own)
        lost = f"; {undefined} of {own[0]['units']} units undefined" if undefined else ""
        lines.append(f"similarity: {layer}, {a} and {b}, null {kind}: {', '.join(said)}{lost}")
    return lines + comparison_findings(read_table(run.paths.tables, TESTS.name))


def comparison_findings(tests: pd.DataFrame) -> list[str]:
    """Return a line for each pair of runs, and one for each reason why a model was not fitted."""
    lines: list[str] = []
    of_runs = tests[tests["test"] == "runs"]
    for (a, b), rows in of_runs.groupby(["a", "b"], sort=False):
        found = int((rows["q"] <= LEVEL).sum())
        tested = int(rows["p"].notna().sum())
        untested = f"; {len(rows) - tested} could not be tested" if tested < len(rows) else ""
        lines.append(
            f"similarity: {a} and {b} differ in {found} of {tested} paired tests (q of {LEVEL:g} or"
            f" less){untested}"
        )
    mixed = tests[(tests["test"] == "mixed") & tests["note"].fillna("").str.contains("pip install")]
    lines += [f"similarity: {note}" for note in dict.fromkeys(mixed["note"])]
    return lines
