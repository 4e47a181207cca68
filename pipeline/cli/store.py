"""``artiphys store verify|status [OUT]``: whether a store is whole, and what it holds."""

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

SHOWN = 50  # files of a kind that are named


def main(arguments: Sequence[str]) -> int:
    """Run the sub-command and return the exit status: 1 if anything is damaged or unreadable."""
    parser = argparse.ArgumentParser(
        prog="artiphys store", description="Is a store whole, and what does it hold?"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    about = {
        "verify": "check every file against its checksum",
        "status": "show what is done and what is left",
    }
    for name, text in about.items():
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("out", nargs="?", default="outputs", help="as in out=... of the runs")
    chosen = parser.parse_args(arguments)
    layout = Layout(chosen.out)
    return _verify(layout) if chosen.command == "verify" else _status(layout)


def _verify(layout: Layout) -> int:
    found = verify(layout, stage_versions(()))
    reasons = [f"{_short(path, layout)}: {why}" for path, why in found.damaged.items()]
    _list("damaged; the next run that needs them computes them again", reasons)
    unread = [f"{_short(path, layout)}: {why}" for path, why in found.unread.items()]
    _list("not checked, as they cannot be read; see that they can", unread)
    for title, paths in (
        (
            "not there (yet): begun and not finished, or lost; the same commands compute them",
            found.missing,
        ),
        ("orphaned; they belong to nothing and can be deleted", found.orphaned),
        ("set aside by a run that found them damaged; they can be deleted", found.set_aside),
        ("of another version; they are left alone and not used", found.foreign),
    ):
        _list(title, [_short(path, layout) for path in paths])
    unchecked = f" {len(found.unread)} not checked," if found.unread else ""
    say(
        f"{found.whole} files whole, {len(found.damaged)} damaged,{unchecked}"
        f" {len(found.missing)} not there, {len(found.orphaned)} orphaned,"
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
        "begun and not finished; the commands that began them continue",
        [f"{result.folder}: {result.done} of {result.items} items" for result in begun],
    )
    return 0


def _list(title: str, lines: Sequence[str]) -> None:
    if lines:
        say(f"{title}:")
        say(listed([f"  {line}" for line in lines], SHOWN, "\n", "\n  "))


def _short(path: Path, layout: Layout) -> str:
    return path.relative_to(layout.out).as_posix()
