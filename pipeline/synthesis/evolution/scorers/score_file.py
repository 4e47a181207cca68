"""The file of scores that another program writes, read as text alone, however far it has got."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.errors import nearest

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
COLUMNS = "file,score or picture,score"


class WrongRow(Exception):
    """A line of a file of scores cannot be used; the message says where, why, and what to do."""


@dataclass(frozen=True)
class Scores:
    """The scores so far.

    Attributes:
        scores: one per picture; NaN where there is none.
        lines: line of the file that each picture's score is in, by number of the picture.
        unfinished: whether the file ends within a line, which is not read.
    """

    scores: Float[np.ndarray, " pictures"]
    lines: Mapping[int, int]
    unfinished: bool


def read_scores(content: bytes, files: Sequence[str], ended: bool = False) -> Scores:
    r"""Return the scores of pictures from a CSV file.

    Its header has ``score``, and ``file`` or ``picture``, or both; other columns are ignored. A
    score is a number, or empty or NaN where nothing was measured. A line counts once it has an end,
    since half a number may be a number.

    Args:
        content: bytes of the file.
        files: names of the pictures' files, in the order of their numbers.
        ended: whether nothing more is written, so that the last line needs no end.

    Raises:
        WrongRow: a line cannot be used.

    >>> read_scores(b"picture,score\n1,2.5\n0,31", ["a.png", "b.png"]).scores
    array([nan, 2.5])
    """
    whole = content if ended else content[: content.rfind(b"\n") + 1]
    try:
        text = whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = whole[: error.start].count(b"\n") + 1
        raise WrongRow(f"line {line}: it is not UTF-8 text; save it as such") from error
    found = np.full(len(files), np.nan)
    lines: dict[int, int] = {}
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if names is None:
                names = _header(cells)
            elif any(cells):
                picture, score = _row(rows.line_num, cells, names, files)
                if picture in lines:
                    raise WrongRow(
                        f"line {rows.line_num}: '{files[picture]}' has a score in line"
                        f" {lines[picture]} already; leave one of them"
                    )
                lines[picture], found[picture] = rows.line_num, score
    except csv.Error as error:
        raise WrongRow(f"line {rows.line_num}: it is not CSV ({error}); write it anew") from error
    return Scores(found, lines, len(whole) < len(content))


def _header(cells: Sequence[str]) -> list[str]:
    if len({*cells}) == len(cells) and "score" in cells and {"file", "picture"} & {*cells}:
        return [*cells]
    raise WrongRow(
        f"line 1: the header is {_shown(','.join(cells))}, and must name the columns {COLUMNS},"
        " once each, with commas between; correct it"
    )


def _row(
    line: int, cells: Sequence[str], names: Sequence[str], files: Sequence[str]
) -> tuple[int, float]:
    """Return the number of a picture and its score."""
    if len(cells) != len(names):
        raise WrongRow(
            f"line {line}: it has {len(cells)} values, and the header has {len(names)} columns;"
            " write one value per column, and numbers with a decimal point"
        )
    given = dict(zip(names, cells, strict=True))
    pictures = [_picture(line, name, given[name], files) for name in PICTURES if name in given]
    if len({*pictures}) > 1:
        raise WrongRow(
            f"line {line}: file {_shown(given['file'])} and picture {given['picture']} are not the"
            " same; correct one, or leave out the column picture"
        )
    return pictures[0], _score(line, given["score"])


PICTURES = ("file", "picture")


def _picture(line: int, name: str, given: str, files: Sequence[str]) -> int:
    if name == "file":
        if given in files:
            return files.index(given)
        raise WrongRow(
            f"line {line}: {_shown(given)} is no file of the manifest{nearest(given, files)};"
            " correct or delete the line"
        )
    if re.fullmatch("[0-9]{1,9}", given) and int(given) < len(files):
        return int(given)
    raise WrongRow(
        f"line {line}: {_shown(given)} is no number of a picture, from 0 to {len(files) - 1};"
        " correct or delete the line"
    )


def _score(line: int, given: str) -> float:
    if given.lower() in ("", "nan"):
        return np.nan
    score = float(given) if NUMBER.fullmatch(given) else np.inf
    if np.isfinite(score):
        return score
    raise WrongRow(
        f"line {line}: the score {_shown(given)} is not a number such as -1.5 or 2e-3; correct it,"
        " or leave it empty if nothing was measured"
    )


def _shown(text: str, most: int = 60) -> str:
    """Return a text of another program for a message, in one line of signs that print."""
    short = repr(text[:most])
    return f"{short[:-1]}...{short[-1]}" if len(text) > most else short
