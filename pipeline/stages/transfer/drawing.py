"""Drawing: matrices of layers, best matches with pictures, and robustness."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.config.transfer import ITSELF
from pipeline.figures.best_matches import MOST_ROWS, best_matches
from pipeline.figures.transfer_matrix import transfer_matrix
from pipeline.figures.transfer_robustness import AXES, robustness_curves
from pipeline.run.active_run import ActiveRun
from pipeline.stages.transfer.pictures import Pictures, caption
from pipeline.stages.transfer.plan import TransferPlan
from pipeline.stages.transfer.results import Seen
from pipeline.stages.transfer.tables import transfer, transfer_layers, transfer_robustness

DRAWN = ("percentile", "drop")


def draw(run: ActiveRun, plan: TransferPlan) -> None:
    """Draw the figures of a run: for each kind and init of images."""
    layers: Any = transfer_layers(run, plan)
    for (kind, init), own in layers.groupby(["kind", "init"], sort=False):
        end = _end(str(kind), str(init))
        others = own.loc[own["network"] != ITSELF]  # to itself, the drop is 0 by definition
        for measure in DRAWN:
            rows = others if measure == "drop" and len(others) else own
            if rows[f"{measure}_median"].notna().any():
                run.figure(f"transfer_{measure}{end}", transfer_matrix(rows, measure))
    _draw_matches(run, plan)
    robust: Any = transfer_robustness(run, plan)
    by = ["kind", "init", "network"]
    for (kind, init, network), own in robust.groupby(by, sort=False):
        if own["perturbation"].isin(AXES).any() and own["share"].notna().any():
            title = _title(run, str(kind), str(init), str(network))
            name = f"transfer_robustness{_end(str(kind), str(init))}_{network}"
            run.figure(name, robustness_curves(own, title))


def _draw_matches(run: ActiveRun, plan: TransferPlan) -> None:
    by_kind: dict[str, dict[str, list[Seen]]] = {}
    for each in plan.seen:
        end = _end(each.source.kind, each.source.init)
        by_kind.setdefault(end, {}).setdefault(each.source.layer.name, []).append(each)
    table = transfer(run, plan)
    for end, by_layer in by_kind.items():
        count = max(1, MOST_ROWS // len(by_layer))
        rows = []
        for seen in by_layer.values():
            of = Pictures(run, seen, rows_of(table, seen[0]))
            rows += [of.of(unit) for unit in of.units[:count]]
        names = [[match.name for match in row.matches] for row in rows]
        rows = [row for row, own in zip(rows, names, strict=True) if own == names[0]][:MOST_ROWS]
        if rows:
            source = next(iter(by_layer.values()))[0].source
            title = f"{run.parts.network.name}: who responds most to its images"
            run.figure(f"transfer_matches{end}", best_matches(rows, title, caption(run, source)))


def rows_of(table: pd.DataFrame, each: Seen) -> pd.DataFrame:
    """Return the rows of ``transfer`` about the images of a source."""
    source = each.source
    own = (table["layer"] == source.layer.name) & (table["kind"] == source.kind)
    return table.loc[own & (table["init"] == source.init)]


def _end(kind: str, init: str) -> str:
    return f"_{kind}" + (f"_{init}" if init else "")


def _title(run: ActiveRun, kind: str, init: str, network: str) -> str:
    images = f"ascents from {init}" if kind == "ascent" else "top patches"
    by = "its own units" if network == ITSELF else f"the best matches of {network}"
    return f"{run.parts.network.name}: changed {images}, scored by {by}"
