"""Lists of pictures: a CSV file, or any table, with a column of paths and others beside it.

They are read without torch: whether a run repeats an earlier one depends on the files of a list.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import ConfigError, first_line, listed, nearest
from pipeline.images.subsets import check_names, kept_indices
from pipeline.store.files import read_regular

log = logging.getLogger(__name__)
KEY = "images.file"
DELIMITERS = ",;\t"
# No zeros in front: ``007`` is the name of a subject, and would be another name as a number.
_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?|nan|NaN|-?inf")


class Listing(NamedTuple):
    """A list of pictures.

    Attributes:
        column: name of the column of paths.
        names: the paths as they are written.
        paths: the same, absolute or from the current folder.
        columns: the other columns by name, one value per picture; ``None`` is missing.
    """

    column: str
    names: list[str]
    paths: list[Path]
    columns: dict[str, list[Any]]


def read_listing(
    file: str, column: str | None = None, limit: int | None = None, seed: int | None = None
) -> Listing:
    """Return the pictures of a CSV file, in the order of its rows.

    The first line names the columns. Commas, semicolons or tabs separate them, whichever the first
    line has most of. A column is of integers, floats or booleans if all of its values are, and else
    of text; empty values are missing.

    Args:
        file: path of the CSV, in UTF-8.
        column: name of the column of paths, which are absolute or relative to the folder of the
            CSV; ``None``: the first column that names existing files.
        limit: number of pictures to keep, from the first; or a random choice with a ``seed``.
        seed: of that choice.

    Raises:
        ConfigError: it cannot be read as such a list, a picture is missing, or named twice.
    """
    path = Path(file).expanduser()
    header, rows, lines = _parsed(path)
    kept = kept_indices(len(rows), limit, seed)
    cells = {name: [row[column] for row in rows] for column, name in enumerate(header)}
    if "" in cells:
        log.info("%s: the column without a name in '%s' is left out", KEY, path)
        del cells[""]
    texts = {name: [values[row] for row in kept] for name, values in cells.items()}
    places = _Paths(KEY, f"'{path}'", path.parent, [lines[row] for row in kept])
    found = places.find(texts, column)
    del cells[found.column]
    columns = {name: typed(values) for name, values in cells.items()}
    return found._replace(columns={n: [v[row] for row in kept] for n, v in columns.items()})


def listing_of(columns: Mapping[Any, Sequence[Any]], column: str | None = None) -> Listing:
    """Return the pictures of a table in memory; paths are relative to the current folder.

    Args:
        columns: values by the name of a column, of which the other ones are kept as they are.
        column: as in ``read_listing``.

    Raises:
        ConfigError: as there.
    """
    cells = {str(name): list(values) for name, values in columns.items()}
    texts = {
        name: [os.fspath(value) for value in values]
        for name, values in cells.items()
        if all(isinstance(value, str | os.PathLike) for value in values)
    }
    check_names("images: a column", cells)
    found = _Paths("images", "the table", Path(), None).find(texts, column)
    del cells[found.column]
    return found._replace(columns=cells)


def typed(cells: Sequence[str]) -> list[Any]:
    """Return the cells of a column as integers, floats, booleans or text; empty ones are missing.

    >>> typed(["3", "", "10"]), typed(["0.5", "", "1e3"]), typed(["TRUE", "false"])
    ([3, None, 10], [0.5, nan, 1000.0], [True, False])
    >>> typed(["007", "12"]), typed(["", "x"])
    (['007', '12'], [None, 'x'])
    """
    given = {cell for cell in cells if cell}
    if given and all(_INT.fullmatch(cell) for cell in given):
        return [int(cell) if cell else None for cell in cells]
    if given and all(_FLOAT.fullmatch(cell) for cell in given):
        return [float(cell or "nan") for cell in cells]
    if given and {cell.lower() for cell in given} <= {"true", "false"}:
        return [cell.lower() == "true" if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _parsed(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Return the names of columns, the rows, and the number of the line in which each row ends."""
    text = _text(path)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    read = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        found = [(row, read.line_num) for row in read if any(row)]
    except csv.Error as error:
        raise ConfigError(
            f"{KEY}: '{path}' cannot be read as CSV in line {read.line_num} ({first_line(error)});"
            ' quotes are closed, and doubled within quotes ("")'
        ) from error
    if len(found) < 2:
        raise ConfigError(
            f"{KEY}: '{path}' lists no picture; give a first line with the names of columns, such"
            " as path,class, and a line for each picture"
        )
    (head, _), *body = found
    header = [name.strip() for name in head]
    check_names(f"{KEY}: '{path}' has a column", header)
    if twice := [name for n, name in enumerate(header) if name in header[:n]]:
        raise ConfigError(f"{KEY}: '{path}' has two columns '{twice[0]}'; rename one of them")
    for row, line in body:
        if len(row) != len(header):
            raise ConfigError(
                f"{KEY}: line {line} of '{path}' has {len(row)} values for the"
                f" {len(header)} columns {','.join(header)}; values with a"
                f" {'tab' if delimiter == chr(9) else repr(delimiter)} must be in quotes"
            )
    return header, [row for row, _ in body], [line for _, line in body]


def _text(path: Path) -> str:
    try:
        content = read_regular(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"{KEY}: '{path}' cannot be read ({reason}); give the path of a CSV file"
        ) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{KEY}: '{path}' is no text in UTF-8 (byte {error.start}); save it as CSV UTF-8"
        ) from error
    if "\0" in text:
        raise ConfigError(f"{KEY}: '{path}' is no text; give the path of a CSV file")
    return text


class _Paths(NamedTuple):
    """Where the paths of a list are looked for.

    Attributes:
        key: of the setting, for messages.
        what: holds the columns, for messages.
        folder: to which paths are relative.
        lines: number of the line of each row; ``None`` if it is no file, whose rows count from 0.
    """

    key: str
    what: str
    folder: Path
    lines: Sequence[int] | None

    def find(self, cells: Mapping[str, list[str]], column: str | None) -> Listing:
        """Return the column of paths with its pictures, all of which exist and differ."""
        if column is not None and column not in cells:
            raise ConfigError(
                f"images.column: {self.what} has no column '{column}' of paths; it has"
                f" {', '.join(cells) or 'none'}{nearest(column, cells)}"
            )
        chosen = column if column is not None else self._first(cells)
        names = cells[chosen]
        check_names(self.key, names)
        paths = [self._path(name) for name in names]
        self._refuse_missing(names, paths)
        self._refuse_repeated(names, paths)
        return Listing(chosen, names, paths, {})

    def _path(self, name: str) -> Path:
        return self.folder / Path(name).expanduser()

    def _first(self, cells: Mapping[str, list[str]]) -> str:
        for column, values in cells.items():
            if any(self._is_file(value) for value in dict.fromkeys(values)):
                return column
        column, values = next(iter(cells.items()), ("", [""]))
        looked = f"'{values[0]}', which is looked for in '{self.folder.absolute()}'"
        raise ConfigError(
            f"{self.key}: no column of {self.what} ({', '.join(cells)}) names files; the first"
            f" value is {looked}; correct the paths, or name their column with images.column"
        )

    def _is_file(self, name: str) -> bool:
        try:
            return bool(name) and self._path(name).is_file()
        except (OSError, ValueError, RuntimeError):  # no path at all
            return False

    def _refuse_missing(self, names: Sequence[str], paths: Sequence[Path]) -> None:
        missing = [n for n, name in enumerate(names) if not self._is_file(name)]
        if not missing:
            return
        shown = [f"'{names[n]}' ({self._row(n)})" for n in missing]
        windows = "; paths are written with /" if "\\" in names[missing[0]] else ""
        raise ConfigError(
            f"{self.key}: {self.what} names files that do not exist: {listed(shown, 2)}; the first"
            f" is looked for at '{paths[missing[0]].absolute()}'; correct the paths or remove the"
            f" rows{windows}"
        )

    def _refuse_repeated(self, names: Sequence[str], paths: Sequence[Path]) -> None:
        first: dict[str, int] = {}
        for row, path in enumerate(paths):
            before = first.setdefault(os.path.normpath(path), row)
            if before != row:
                raise ConfigError(
                    f"{self.key}: {self.what} names '{names[row]}' twice ({self._row(before)} and"
                    f" {self._row(row)}), and every image counts once; remove one of them"
                )

    def _row(self, number: int) -> str:
        return f"row {number}" if self.lines is None else f"line {self.lines[number]}"


def listed_files(options: Any) -> Iterator[Path]:
    """Yield the pictures of all lists among the settings of an image set.

    Lists that cannot be read have none; the run will say so.
    """
    if not isinstance(options, Mapping):
        return
    if str(options.get("_target_", "")).startswith("pipeline.images.lists."):
        try:
            named = (options.get(name) for name in ("column", "limit", "seed"))
            yield from read_listing(str(options.get("file")), *named).paths
        except (ConfigError, TypeError):
            return
    for value in options.values():
        yield from listed_files(value)
