"""What a run says of itself: its record on disk and its findings in a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pipeline.config.build import asks_network
from pipeline.config.schema import DEFAULT_STAGES
from pipeline.session.climbed import ascents, main_climbs, trajectories
from pipeline.session.correlated import all_pairs, correlation_summary, correlations
from pipeline.session.searched import extremes_result, top_patches
from pipeline.session.session import Session
from pipeline.store.provenance import provenance
from pipeline.store.records import write_record
from pipeline.store.results import RESULT_VERSION
from pipeline.store.tables import read_table


def write_run_record(session: Session, state: str, seconds: float) -> None:
    """Write ``record.json``: state, provenance, digests, unreadable images, where results lie."""
    if not session.leads:
        return
    parts = session.parts
    record = provenance() | {
        "state": state,
        "result_version": RESULT_VERSION,
        "seconds": round(seconds, 2),
        "computed": session.done,
        "seed": parts.config.seed,
        "device": str(parts.runner.device),
        "processes": parts.runner.ranks.size,
        "unreadable": session.unreadable,
        "results": session.results,
        "looked_for": sorted(
            path.relative_to(session.layout.out).as_posix() for path in session.looked_for
        ),
        **session.facts,
    }
    if asks_network(parts.config):
        record |= {
            "model": {
                "name": parts.network.name,
                "weights": parts.network.weights,
                "digest": parts.network.digest,
            },
            "images": dict(session.images.settings) | {"count": len(session.images)},
            "layers": {layer.name: layer.call for layer in parts.layers},
        }
    write_record(session.paths, record)


def write_remaining_tables(session: Session) -> None:
    """Write the tables of stages that this run left out, where the store holds all they need."""
    parts = session.parts
    if not set(DEFAULT_STAGES) & set(parts.config.stages):
        return  # a dream has tables of its own
    searched = [extremes_result(session, layer) for layer in parts.layers]
    climbed = [climb.result for climb in main_climbs(session)]
    correlated = [pair.result for pair in all_pairs(session)]
    sources = {
        "top_patches": (searched, top_patches),
        "ascents": (climbed, ascents),
        "trajectories": (climbed, trajectories),
        "correlations": (correlated, correlations),
        "correlation_summary": (correlated, correlation_summary),
    }
    for name, (results, read) in sources.items():
        written = (session.paths.tables / f"{name}.parquet").is_file()
        if results and not written and not any(result.missing() for result in results):
            session.table(name, read(session))


def findings(session: Session) -> list[str]:
    """Return what a run found in a few lines: images set aside, the median r of every layer."""
    lines: list[str] = []
    if session.unreadable:
        lines.append(f"images set aside: {len(session.unreadable)} (see record.json)")
    if "correlations" in session.parts.config.stages:
        lines += _correlations(session.paths.tables)
    if "animate" in session.parts.config.stages:
        lines += _animations(session.paths.tables)
    if "dream" in session.parts.config.stages:
        lines += _dreams(session.paths.tables)
    return lines


def _animations(tables: Path) -> list[str]:
    """Tell optimizers apart, where several were compared."""
    table = read_table(tables, "animations")
    if len(table["optimizer"].unique()) < 2:
        return []
    lines = ["response after the last step:"]
    own = ["layer", "unit", "copy", "init"]
    for (layer, unit, copy, init), rows in table.groupby(own, sort=False):  # type: ignore[misc]
        last = rows.groupby("optimizer", sort=False).tail(1).set_index("optimizer")["response"]
        name = f"{layer} from {init}" + ("" if unit < 0 else f", unit {unit}")
        name += f", copy {copy}" if copy else ""
        lines.append(f"  {name}: " + ", ".join(f"{by} {value:.4g}" for by, value in last.items()))
    return lines


def _dreams(tables: Path) -> list[str]:
    table = read_table(tables, "dreams")
    last = table[table["frame"] == table["frame"].max()]
    lines = ["score before and after each octave of the dream:"]
    for (layer, init, unit), rows in last.groupby(["layer", "init", "unit"], sort=False):  # type: ignore[misc]
        name = f"{layer} from {init}" + ("" if unit < 0 else f", unit {unit}")
        pairs = zip(rows["start_score"], rows["final_score"], strict=True)
        octaves = ", ".join(f"{start:.4g} to {final:.4g}" for start, final in pairs)
        lines.append(f"  {name}: {octaves}")
    return lines


def _correlations(tables: Path) -> list[str]:
    lines: list[str] = []
    summary = read_table(tables, "correlation_summary")
    for inits, rows in summary.groupby(["init_a", "init_b"], sort=False):
        first, second = cast("tuple[str, str]", inits)
        both = f"ascents from {first} and {second}"
        alone = f"copies from {first}, each and the next"
        lines.append(f"median r between {alone if first == second else both}:")
        for row in rows.to_dict("records"):
            undefined = ", {undefined} undefined" if row["undefined"] else ""
            line = (
                "  {layer:<10} {median:6.3f}  [{ci_low:.3f}, {ci_high:.3f}]"
                "  null {null_median:6.3f}  floor {floor:.3f}  {units} units" + undefined
            )
            lines.append(line.format(**row))
    return lines
