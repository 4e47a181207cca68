"""Every pair of choices that can meet in an ascent: what is reached, or why it is refused.

``python -m tests.benchmarks.combinations`` prints three tables: objectives by parameterizations,
optimizers by regularizers and inits by transforms, on two units of a layer of the embedded network.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.cli import share_cores

share_cores()  # before anything imports torch

from pipeline.cli.run import run_anew  # noqa: E402
from pipeline.config.search_path import conf_dir  # noqa: E402
from pipeline.errors import ArtiphysError  # noqa: E402
from pipeline.stages.ascent.results import ascents  # noqa: E402
from tests.conftest import compose_config  # noqa: E402

Choices = Mapping[str, Sequence[str]]  # overrides by name

COMMON = (
    "tracking=none", "runner.accelerator=cpu", "layers=[conv3]", "units=0:2", "images.limit=40",
    "stages=[top_patches,ascent]", "init=[noise]", "optimizer.steps=20",
)  # fmt: skip
NEEDED = {
    "accentuation": ["objective=[channel_mean,accentuation]"],  # alone it has no gradient
    "class_logit": ["objective.class_logit.category=3"],
    "class_probability": ["objective.class_probability.category=3"],
    "direction": ["objective.direction.vector={0:1.0,1:-0.5}"],
    "cosine_direction": ["objective.cosine_direction.vector={0:1.0,1:-0.5}"],
    "diversity": ["init.copies=2"],
    "alignment": ["init.copies=2"],
    "cppn": ["init=[parameters]"],
    "crop": ["transform.crop.size=40"],
}
TORCH = (
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "ASGD", "LBFGS", "Muon", "NAdam",
    "RAdam", "RMSprop", "Rprop", "SGD", "SparseAdam",
)  # fmt: skip


def options(group: str) -> list[str]:
    """Return the names of a group's options."""
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def listed(group: str, *also: str) -> dict[str, list[str]]:
    """Return the options of a group that is a list, each with what it cannot do without.

    Args:
        group: name of the group.
        also: more overrides for each.
    """
    return {
        name: [f"{group}=[{name}]", *NEEDED.get(name, []), *also]
        for name in options(group)
        if name != "result"
    }


def optimizers() -> dict[str, list[str]]:
    """Return optimizers, those of torch by name, and the ways in which gradients are normalized."""
    found = {name: [f"optimizer={name}"] for name in options("optimizer") if name != "named"}
    for name in TORCH:
        found[f"torch {name}"] = ["optimizer=named", f"optimizer.name={name}", "optimizer.lr=0.05"]
    for kind in ("max", "mean", "norm", "std", "standardize"):
        found[f"sgd / {kind}"] = ["optimizer=sgd", f"optimizer.normalize={kind}"]
    return found


def reached(*overrides: str) -> str:
    """Return the final scores of one combination, or why it is refused."""
    # What a choice needs comes last, so that it wins.
    try:
        session = run_anew(compose_config(*COMMON, *overrides))
    except ArtiphysError as error:
        return f"refused: {error}"
    table = ascents(session)
    scores = " ".join(f"{score:.3g}" for score in table["final_response"])
    reasons = sorted(set(table["status"]) - {"ok"})
    return scores + "".join(f" ({reason})" for reason in reasons)


def table(rows: Choices, columns: Choices, out: Path) -> str:
    """Return a Markdown table of all pairs; reasons for refusals stand below, numbered."""
    reasons: dict[str, int] = {}
    lines = [f"| | {' | '.join(columns)} |", f"|{'---|' * (len(columns) + 1)}"]
    for row, given in rows.items():
        cells: list[str] = []
        for column in columns.values():
            cell = reached(f"out={out}", *given, *column)
            if cell.startswith("refused: "):
                cell = f"[{reasons.setdefault(cell, len(reasons) + 1)}]"
            cells.append(cell)
        lines.append(f"| {row} | {' | '.join(cells)} |")
    notes = [f"[{number}] {reason}" for reason, number in reasons.items()]
    return "\n".join([*lines, "", *notes])


def main() -> None:
    """Print the three tables."""
    logging.disable(logging.WARNING)
    pairs = (
        # Some of these scores are squares, from which plain steps would run away.
        (listed("objective", "optimizer=adam", "optimizer.lr=0.05"), listed("parameterization")),
        (optimizers(), {"none": ["regularizer=[]"], **listed("regularizer")}),
        (listed("init"), {"none": ["transform=[]"], **listed("transform")}),
    )
    for rows, columns in pairs:
        with tempfile.TemporaryDirectory() as folder:
            sys.stdout.write(f"{table(rows, columns, Path(folder))}\n\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
