"""Lists of pictures: CSV files as spreadsheets and scripts write them, and faulty ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import ConfigError
from pipeline.images.listings import listed_files, read_listing, typed
from pipeline.images.lists import list as list_of_pictures
from pipeline.images.preprocessing import Preprocessing

WHOLE = Preprocessing(None, 8, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures with names that need care."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "in").mkdir()
    for number, name in enumerate(("a.png", "b, c.png", "in/ü.png")):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / name)
    return folder


def written(pictures: Path, text: str | bytes, name: str = "list.csv") -> str:
    path = pictures / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def refusal(pictures: Path, text: str | bytes, column: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read_listing(written(pictures, text), column)
    return str(caught.value).replace(str(pictures), "FOLDER")


def test_rows_are_images_in_their_order_and_other_columns_keep_their_types(pictures: Path):
    text = (
        "subject,file,class,trial,rt,seen\n"
        '007,in/ü.png,"x, ""y""",3,0.5,TRUE\n'
        '\n012,"b, c.png",,,,\n'
        "100,a.png,=1+1,-4,1e-3,false\n"
    )
    found = list_of_pictures(WHOLE, file=written(pictures, text))
    assert list(found.names) == ["in/ü.png", "b, c.png", "a.png"]
    assert found.read(0)[0, 0, 0] == pytest.approx((2 / 255 - 0.5) / 0.5)
    missing = found.columns["rt"][1]
    assert missing != missing  # NaN
    assert {name: [*values][::2] for name, values in found.columns.items()} == {
        "subject": ["007", "100"], "class": ['x, "y"', "=1+1"], "trial": [3, -4],
        "rt": [0.5, 0.001], "seen": [True, False],
    }  # fmt: skip
    assert [found.columns[name][1] for name in ("class", "trial", "seen")] == [None] * 3


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_marks_ends_of_lines_and_a_byte_order_mark_make_no_difference(pictures, before, end, mark):
    rows = [["path", "n"], ['"b, c.png"', "1"], ["a.png", "2"]]
    text = before + end.join(mark.join(row) for row in rows).encode()
    found = read_listing(written(pictures, text))
    assert (found.names, found.columns) == (["b, c.png", "a.png"], {"n": [1, 2]})


def test_what_pandas_writes_is_read_with_its_types(pictures: Path):
    table = pd.DataFrame({"n": [1, 2], "x": [0.1, float("nan")], "b": [True, False]})
    table["path"] = [str(pictures / "a.png"), "in/ü.png"]
    file = pictures / "pandas.csv"
    table.to_csv(file)  # with its index, a column without a name
    found = pd.DataFrame(read_listing(str(file)).columns)
    pd.testing.assert_frame_equal(found, table[["n", "x", "b"]])


@settings(max_examples=30)
@given(st.lists(st.none() | st.integers(-(10**17), 10**17), min_size=1).filter(any))
def test_integers_come_back_as_they_were(numbers: list[int | None]):
    assert typed(["" if n is None else str(n) for n in numbers]) == numbers


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5)))
def test_any_text_is_read_and_never_fails(cells: list[str]):
    found = typed(cells)
    assert len(found) == len(cells)
    if any(isinstance(value, str) for value in found):
        assert found == [cell or None for cell in cells]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'FOLDER/list.csv' lists no picture; give a first line with the names of columns"),
        ("path\n", "'FOLDER/list.csv' lists no picture"),
        (
            "path,n\na.png,1,2\n",
            "line 2 of 'FOLDER/list.csv' has 3 values for the 2 columns path,n",
        ),
        ('path,n\na.png,"1\n', "'FOLDER/list.csv' cannot be read as CSV in line 2"),
        ("n,n\n1,a.png\n", "'FOLDER/list.csv' has two columns 'n'; rename one of them"),
        ("päth\na.png\n".encode("latin-1"), "'FOLDER/list.csv' is no text in UTF-8 (byte 1)"),
        ("path\na.png\n".encode("utf-16"), "'FOLDER/list.csv' is no text in UTF-8 (byte 0)"),
        (b"pa\0th\na.png\n", "'FOLDER/list.csv' is no text; give the path of a CSV file"),
        (
            "n,path\n1,a.png\n2,A.png\n\n3,in\\a.png\n",
            "'FOLDER/list.csv' names files that do not exist: 'A.png' (line 3), 'in\\a.png' (line"
            " 5); the first is looked for at 'FOLDER/A.png'; correct the paths or remove the rows",
        ),
        (
            "path,n\nin/../a.png,1\na.png,2\n",
            "'FOLDER/list.csv' names 'a.png' twice (line 2 and line 3), and every image counts"
            " once; remove one of them",
        ),
        (
            "n,p\n1,x.png\n",
            "no column of 'FOLDER/list.csv' (n, p) names files; the first value is '1', which is"
            " looked for in 'FOLDER'; correct the paths, or name their column with images.column",
        ),
        ('path\n"a\n.png"\n', "no column of 'FOLDER/list.csv' (path) names files"),
    ],
)
def test_a_faulty_list_is_refused_with_the_place(pictures: Path, text: str | bytes, sentence: str):
    assert refusal(pictures, text).startswith(f"images.file: {sentence}")


def test_a_column_that_is_named_must_exist_and_hold_paths(pictures: Path):
    text = "a,path\na.png,b\n"
    assert refusal(pictures, text, "pth") == (
        "images.column: 'FOLDER/list.csv' has no column 'pth' of paths; it has a, path; nearest:"
        " path"
    )
    assert refusal(pictures, text, "path").startswith(
        "images.file: 'FOLDER/list.csv' names files that do not exist: 'b' (line 2)"
    )
    with pytest.raises(ConfigError) as caught:
        read_listing(str(pictures / "none.csv"))
    assert str(caught.value) == (
        f"images.file: '{pictures}/none.csv' cannot be read (No such file or directory); give the"
        " path of a CSV file"
    )


def test_only_the_images_that_are_used_must_exist_and_count(pictures: Path):
    file = written(pictures, "path,n\na.png,1\nin/ü.png,x\nmissing.png,3\n", "long.csv")
    first = list_of_pictures(WHOLE, file=file, limit=2)
    assert (list(first.names), first.columns) == (["a.png", "in/ü.png"], {"n": ["1", "x"]})
    options = {"_target_": "pipeline.images.lists.list", "file": file, "column": None, "limit": 2}
    several = {"_target_": "pipeline.images.several.several", "sets": {"one": options}}
    expected = [pictures / "a.png", pictures / "in/ü.png"]
    assert [*listed_files(several)] == expected
    assert [*listed_files(options | {"limit": None})] == []  # which the run itself refuses
