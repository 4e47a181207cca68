from __future__ import annotations

import pytest

from pipeline.cli.text_table import text_table


def test_cells_stand_to_the_right_but_those_of_some_columns():
    rows = [("job", "settings", "state"), ("0", "lr=1", "finished"), ("10", "lr=0.05", "failed")]
    assert text_table(rows, left=(1, 2)) == [
        "job  settings  state",
        "  0  lr=1      finished",
        " 10  lr=0.05   failed",
    ]


@pytest.mark.parametrize("columns", ["20", "100"])
def test_no_value_is_cut_styled_or_colored(monkeypatch: pytest.MonkeyPatch, columns: str):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    names = [
        "a" * 300,
        "[bold]units[/bold]=[0,1]",
        ":smile: 12 https://host/w.pth",
        "x " * 90 + "x",
    ]
    width = max(map(len, names))
    found = text_table([(name, str(number)) for number, name in enumerate(names)])
    assert found == [f"{name:<{width}}  {number}" for number, name in enumerate(names)]


def test_a_row_is_one_line_even_where_a_cell_has_several():
    assert text_table([("a\nb", "1"), ("", "2")]) == ["a b  1", "     2"]


def test_wide_letters_take_two_columns():
    assert text_table([("日本", "1"), ("abcd", "2")]) == ["日本  1", "abcd  2"]
