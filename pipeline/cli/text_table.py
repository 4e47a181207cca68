"""Tables as plain text: the same on a terminal, in a pipe and in a log."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from io import StringIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDEST = 1_000_000  # columns; as good as no limit, so that nothing is cut or broken


def text_table(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """Return the lines of a table, one for each row: cells whole, without colors.

    Args:
        rows: cells of the heading and of all other rows, as many in each.
        left: columns whose cells stand to the left; those of others stand to the right.

    >>> for line in text_table([("stage", "results"), ("ascent", "12"), ("dream", "3")]):
    ...     print(line)
    stage   results
    ascent       12
    dream         3
    """
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in range(len(rows[0])):
        table.add_column(justify="left" if column in left else "right", no_wrap=True)
    for row in rows:
        # As Text, since [names] in brackets would be taken for styles.
        table.add_row(*(Text(" ".join(cell.splitlines())) for cell in row))
    written = StringIO()
    # Variables such as FORCE_COLOR and COLUMNS must not matter.
    Console(
        file=written, width=WIDEST, color_system=None, force_terminal=False, force_jupyter=False
    ).print(table)
    return [line.rstrip() for line in written.getvalue().split("\n")[:-1]]
