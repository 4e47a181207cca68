"""``artiphys store verify|status [OUT]``: whether a store is intact, and what it holds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.cli.output import say
from pipeline.cli.text_table import text_table
from pipeline.errors import listed
from pipeline.stages.catalog import stage_versions
from pipeline.store.layout import Layout
from pipeline.store.verification import count_by_stage, progress, verify

SHOWN = 50  # files listed per kind


def main(arguments: Sequence[str]) -> int:
    """Run the sub-command and return the exit status: 1 if anything is damaged or unreadable."""
    parser = argparse.ArgumentParser(
        prog="artiphys store", description="check whether a store is intact, and show what it holds"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    about = {
        "verify": "check every file against its checksum",
        "status": "show what is done and what is left",
    }
    for name, text in about.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "out", nargs="?", default="outputs", help="the value of out=... in the runs"
        )
    chosen = parser.parse_args(arguments)
    layout = Layout(chosen.out)
    return _verify(layout) if chosen.command == "verify" else _status(layout)


def _verify(layout: Layout) -> int:
    found = verify(layout, stage_versions(()))
    reasons = [f"{_short(path, layout)}: {why}" for path, why in found.damaged.items()]
    _list("damaged; the next run that needs them computes them again", reasons)
    unread = [f"{_short(path, layout)}: {why}" for path, why in found.unread.items()]
    _list("not checked, because they cannot be read; check their permissions", unread)
    for title, paths in (
        (
            "missing: not finished yet, or lost; the same commands compute them",
            found.missing,
        ),
        ("orphaned; they belong to no result and can be deleted", found.orphaned),
        ("set aside by a run that found them damaged; they can be deleted", found.set_aside),
        ("of another version; they are kept but not used", found.foreign),
    ):
        _list(title, [_short(path, layout) for path in paths])
    unchecked = f" {len(found.unread)} not checked," if found.unread else ""
    say(
        f"{found.whole} files intact, {len(found.damaged)} damaged,{unchecked}"
        f" {len(found.missing)} missing, {len(found.orphaned)} orphaned,"
        f" {len(found.set_aside)} set aside"
    )
    return 1 if found.damaged or found.unread else 0


def _status(layout: Layout) -> int:
    results = list(progress(layout))
    cells: list[Sequence[str]] = [("stage", "results", "begun", "items", "left")]
    for stage, count in count_by_stage(iter(results)).items():
        numbers = (count[name] for name in ("complete", "begun", "done", "left"))
        cells.append((stage, *map(str, numbers)))
    say("\n".join(text_table(cells)))
    begun = [result for result in results if result.done < result.items]
    _list(
        "begun but not finished; the same commands continue them",
        [f"{result.folder}: {result.done} of {result.items} items" for result in begun],
    )
    return 0


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        say(f"{title}:")
        say(listed([f"  {line}" for line in lines], SHOWN, "\n", "\n  "))


def _short(path: Path, layout: Layout) -> str:
    return path.relative_to(layout.out).as_posix()
