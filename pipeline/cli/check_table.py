"""The check of a job as text: one line per layer, then totals, then faults."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pipeline.cli.check import Checked, Row
from pipeline.cli.text_table import text_table

WIDTH = 100
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def table(checked: Checked) -> str:
    """Return the check of a job as text, at most 100 columns wide unless names are long."""
    blocks = [_heading(checked), _layers(checked.rows), _totals(checked)]
    blocks.append([_wrapped(note, "note: ", "      ") for note in checked.notes])
    blocks.append(_faults(checked.faults))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def overview(settings: Sequence[str], jobs: Sequence[Checked]) -> str:
    """Return the checks of the jobs of a sweep as text: one line per job, then all faults.

    Args:
        settings: overrides of each job.
        jobs: check of each job, in the same order.
    """
    cells = [("job", "layers", "images", "work", "time", "memory", "disk", "faults")]
    cells += [(str(number), *_job_cells(job)) for number, job in enumerate(jobs)]
    lines = text_table(cells)
    for number, (given, job) in enumerate(zip(settings, jobs, strict=True)):
        lines.append(_wrapped(given, f"{number}: ", "   "))
        lines += [_wrapped(fault, "   - ", "     ") for fault in job.faults]
    return "\n".join(lines)


def _job_cells(job: Checked) -> tuple[str, ...]:
    totals = job.totals
    timed = totals.seconds.values()
    return (
        str(len(job.rows)),
        job.facts.get("images", "-").partition(" ")[0],
        quantity(sum(totals.operations.values()), "op") if totals.operations else "-",
        duration(sum(timed)) if timed else "-",
        *(
            "-" if number is None else quantity(number, "B")
            for number in (totals.memory, totals.disk)
        ),
        str(len(job.faults)),
    )


def _heading(checked: Checked) -> list[str]:
    facts = {"job": checked.name, "stages": ", ".join(checked.stages), **checked.facts}
    return _facts(facts)


def _facts(facts: dict[str, str]) -> list[str]:
    return [_wrapped(fact, f"{name:<8} ", " " * 9) for name, fact in facts.items()]


def _wrapped(text: str, first: str, then: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _layers(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    columns = list(dict.fromkeys(name for row in rows for name in row.operations))
    cells = [("layer", "units", "field", *columns, "time")]
    cells += [_cells(row, columns) for row in rows]
    return text_table(cells)


def _cells(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    units = str(row.units) if row.units == row.of else f"{row.units} of {row.of}"
    operations = [row.operations.get(name, 0) for name in columns]
    return (
        row.layer,
        units,
        f"{row.field[0]} x {row.field[1]}",
        *(quantity(number, "op") if number else "-" for number in operations),
        duration(row.seconds) if row.seconds is not None else "-",
    )


def _totals(checked: Checked) -> list[str]:
    totals = checked.totals
    facts: dict[str, str] = {}
    for name, operations in totals.operations.items():
        seconds = totals.seconds.get(name)
        time = f", about {duration(seconds)}" if seconds is not None else ""
        facts[name] = f"{quantity(operations, 'op')}{time}"
    if checked.device and totals.memory is not None:
        facts["device"] = checked.device
        on_it = totals.device_memory
        facts["memory"] = f"about {quantity(totals.memory, 'B')}" + (
            f", and {quantity(on_it, 'B')} on the device" if on_it else ""
        )
    if totals.disk is not None:
        free = f" of {quantity(totals.free, 'B')} free" if totals.free is not None else ""
        facts["disk"] = f"{quantity(totals.disk, 'B')}{free}"
        facts["counted"] = "if the store held no results, without figures and pages"
    return _facts(facts)


def _faults(faults: Sequence[str]) -> list[str]:
    if not faults:
        return ["faults: none"]
    margin = len(f"{len(faults)}. ")
    numbered = (f"{number}. ".rjust(margin) for number in range(1, len(faults) + 1))
    return ["faults:"] + [
        _wrapped(fault, number, " " * margin)
        for number, fault in zip(numbered, faults, strict=True)
    ]


def quantity(number: int, unit: str) -> str:
    """Return a number with three digits and a prefix, such as ``1.43 Gop``."""
    power, scaled = 0, float(number)
    while scaled >= 999.5 and power < len(_PREFIXES) - 1:
        scaled /= 1000
        power += 1
    digits = 0 if power == 0 or scaled >= 99.95 else 1 if scaled >= 9.995 else 2
    return f"{scaled:.{digits}f} {_PREFIXES[power]}{unit}"


def duration(seconds: float) -> str:
    """Return a time as h:mm:ss, at least one second, or as days and hours if it is long."""
    whole = max(1, round(seconds))
    if whole >= 100 * 3600:
        return f"{whole // 86400} d {whole % 86400 // 3600} h"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
