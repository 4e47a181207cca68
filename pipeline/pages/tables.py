"""From the tables of a run to the rows of the pages: one per unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from pipeline.pages.contents import Layer, Site
from pipeline.pages.data_scripts import plain


def layer_data(layer: Layer) -> dict[str, Any]:
    """Return the pages' data on all units of a layer; ``None`` if there is none."""
    units = layer.units
    return plain(
        {
            "layer": layer.name,
            "units": list(units),
            "top_response": _extreme(layer.top_patches, units, 1),
            "bottom_response": _extreme(layer.top_patches, units, -1),
            "start": {i: _mean(rows, units, "start_response") for i, rows in _by_init(layer)},
            "final": {i: _mean(rows, units, "final_response") for i, rows in _by_init(layer)},
            "status": {i: _statuses(rows, units) for i, rows in _by_init(layer)},
            "pairs": list(_pairs(layer)),
        }
    )


def unit_patches(layer: Layer, site: Site) -> dict[int, list[dict[str, Any]]]:
    """Return the patches of every unit that has any, top patches first, by rank."""
    rows = layer.top_patches.sort_values(by=["unit", "sign", "rank"], ascending=[True, False, True])
    found: dict[int, list[dict[str, Any]]] = {}
    for row in plain(rows.to_dict("records")):
        patch = {
            **{name: row[name] for name in ("sign", "rank", "response", "row", "column")},
            "box": [row[side] for side in ("top", "left", "bottom", "right")],
            "inside": row["inside"],
            "image": row["image"],
            "number": site.numbers[row["image"]],
        }
        found.setdefault(row["unit"], []).append(patch)
    return found


def shown_numbers(site: Site) -> list[int]:
    """Return the numbers of all source images with a displayed patch."""
    names = [name for layer in site.layers for name in layer.top_patches["image"].unique()]
    return sorted({site.numbers[name] for name in names})


def layer_rows(site: Site) -> list[dict[str, Any]]:
    """Return the rows of the first page's table: one per layer and pair of inits, or per layer."""
    rows: list[dict[str, Any]] = []
    for layer in site.layers:
        found = layer.correlation_summary.to_dict("records")
        status = layer.ascents["status"].value_counts().to_dict()
        shared = {
            "layer": layer,
            "status": ", ".join(f"{count} {_words(str(name))}" for name, count in status.items()),
            "units": len([unit for unit in layer.units if unit >= 0]) or 1,
        }
        rows += [shared | {"summary": cast("Any", row)} for row in found] or [
            shared | {"summary": None}
        ]
    return rows


def _words(status: str) -> str:
    return status.replace("_", " ")


def _by_init(layer: Layer) -> list[tuple[str, pd.DataFrame]]:
    return [(str(init), rows) for init, rows in layer.ascents.groupby("init", sort=False)]


def _extreme(table: pd.DataFrame, units: Sequence[int], sign: int) -> list[float | None]:
    rows = table.loc[(table["sign"] == sign) & (table["rank"] == 0)]
    return _in_order(rows.set_index("unit"), "response", units)


def _mean(rows: pd.DataFrame, units: Sequence[int], column: str) -> list[float | None]:
    """Return the mean over the copies of each unit."""
    means = cast("pd.DataFrame", rows[["unit", column]].groupby("unit").mean())
    return _in_order(means, column, units)


def _statuses(rows: pd.DataFrame, units: Sequence[int]) -> list[str | None]:
    """Return the status of each unit: the first of its copies that is not ok."""
    ordered = rows.assign(ok=rows["status"] == "ok").sort_values("ok", kind="stable")
    return _in_order(ordered.drop_duplicates("unit").set_index("unit"), "status", units)


def _pairs(layer: Layer) -> list[dict[str, Any]]:
    found = []
    summaries = layer.correlation_summary.set_index(["init_a", "init_b"])
    groups = layer.correlations.groupby(["init_a", "init_b", "copy"], sort=False)
    for (first, second, copy), rows in groups:  # type: ignore[misc]
        by_unit = rows.set_index("unit")
        summary = cast("pd.Series", summaries.loc[(first, second)])
        found.append(
            {
                "a": first,
                "b": second,
                "copy": copy,
                "r": _in_order(by_unit, "r", layer.units),
                "null_r": _in_order(by_unit, "null_r", layer.units),
                "status": _in_order(by_unit, "status", layer.units),
                "summary": summary.drop(["model", "layer"]).to_dict(),
            }
        )
    return found


def _in_order(by_unit: pd.DataFrame, column: str, units: Sequence[int]) -> list[Any]:
    found = by_unit.reindex(list(units))[column].astype(object)
    return [None if pd.isna(value) else value for value in found]
