"""Scores of another program: what is read, however far it has got, and what is said of the rest."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from pipeline.synthesis.evolution.scorers import score_file
from pipeline.synthesis.evolution.scorers.score_file import WrongRow, read_scores

FILES = ["00000.png", "00001.png", "00002.png"]


def test_the_example_runs():
    assert doctest.testmod(score_file).failed == 0


@pytest.mark.parametrize(
    "content",
    [
        b"file,score\n00000.png,1.5\n00001.png,-2e3\n00002.png,.5\n",
        b"\xef\xbb\xbffile,score\r\n00002.png,.5\r\n00000.png,+1.5\r\n00001.png,-2.E+3\r\n",
        b"score, picture, said\n 1.5 ,0,=1+1\n0.5,2,\n\n-2000,1,../x\n",
        b'"picture","file","score"\n0,00000.png,"1.5"\n1,00001.png,-2000\n2,00002.png,0.50\n\n',
    ],
)
def test_scores_are_read_in_any_order_and_other_columns_ignored(content: bytes):
    found = read_scores(content, FILES)
    assert found.scores.tolist() == [1.5, -2000, 0.5]
    assert not found.unfinished


def test_every_float_comes_back():
    given = np.random.default_rng(0).standard_normal(100) * 10.0 ** np.arange(-50, 50)
    lines = [f"{number},{score!r}\n" for number, score in enumerate(given.tolist())]
    found = read_scores(("picture,score\n" + "".join(lines)).encode(), ["x"] * 100)
    assert np.array_equal(found.scores, given)


def test_a_file_that_is_cut_anywhere_has_no_score_that_is_wrong():
    content = "file,score,remark\r\n00002.png,-12.75,é\r\n00000.png,150,\r\n00001.png,2e10,\r\n"
    given, whole = content.encode(), {"00000.png": 150.0, "00001.png": 2e10, "00002.png": -12.75}
    for end in range(len(given)):
        found = read_scores(given[:end], FILES)
        assert len(found.lines) == max(0, given[:end].count(b"\n") - 1)
        assert found.unfinished == (end > 0 and given[end - 1 : end] != b"\n")
        for number, name in enumerate(FILES):
            assert found.scores[number] == whole[name] or number not in found.lines


@pytest.mark.parametrize("empty", ["", "NaN", "nan", "  "])
def test_what_was_not_measured_is_empty_or_nan(empty: str):
    found = read_scores(f"picture,score\n1,{empty}\n0,1\n".encode(), FILES)
    assert np.isnan(found.scores[1])
    assert sorted(found.lines) == [0, 1]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"file;score\n00000.png;1\n",
            "line 1: the header is 'file;score', and must name the columns file,score or"
            " picture,score, once each, with commas between; correct it",
        ),
        (b"00000.png,1\n", "line 1: the header is '00000.png,1', and must name the columns"),
        (b"file,score,score\n", "line 1: the header is 'file,score,score', and must name"),
        (b"\n0,1\n", "line 1: the header is '', and must name the columns"),
        (
            b"file,score\n/etc/00000.png,1\n",
            "line 2: '/etc/00000.png' is no file of the manifest; nearest: 00000.png; correct or"
            " delete the line",
        ),
        (
            b"picture,score\n0,1\n\n3,1\n",
            "line 4: '3' is no number of a picture, from 0 to 2; correct or delete the line",
        ),
        (b"picture,score\n-1,1\n", "line 2: '-1' is no number of a picture"),
        (b"picture,score\n1.0,1\n", "line 2: '1.0' is no number of a picture"),
        (
            b"file,score\n00001.png,1\n00000.png,1\n00001.png,1\n",
            "line 4: '00001.png' has a score in line 2 already; leave one of them",
        ),
        (
            b"file,picture,score\n00001.png,2,1\n",
            "line 2: file '00001.png' and picture 2 are not the same; correct one, or leave out the"
            " column picture",
        ),
        (
            b"file,score\n00001.png,1,5\n",
            "line 2: it has 3 values, and the header has 2 columns; write one value per column, and"
            " numbers with a decimal point",
        ),
        (b"file,score\n00001.png\n", "line 2: it has 1 values, and the header has 2 columns"),
        (
            b"file,score\n00001.png,=1+1\n",
            "line 2: the score '=1+1' is not a number such as -1.5 or 2e-3; correct it, or leave it"
            " empty if nothing was measured",
        ),
        (b"file,score\n00001.png,inf\n", "line 2: the score 'inf' is not a number"),
        (b"file,score\n00001.png,1e999\n", "line 2: the score '1e999' is not a number"),
        (b"file,score\n00001.png,1_0\n", "line 2: the score '1_0' is not a number"),
        ("file,score\n00001.png,\u0661\n".encode(), "line 2: the score '\u0661' is not a number"),
        (b"file,score\n00001.png," + b"9" * 80 + b"x\n", f"line 2: the score '{'9' * 60}...' is"),
        (b"file,score\n\x1b[2J,1\n", r"line 2: '\x1b[2J' is no file of the manifest"),
        (b'file,score\n"00001.png,1\n', "line 2: it is not CSV (unexpected end of data); write it"),
        (b"file,score\n0000\xff.png,1\n", "line 2: it is not UTF-8 text; save it as such"),
        ("file,score\n".encode("utf-16"), "line 1: it is not UTF-8 text; save it as such"),
    ],
)
def test_what_is_wrong_is_told(content: bytes, sentence: str):
    with pytest.raises(WrongRow) as wrong:
        read_scores(content, FILES)
    assert str(wrong.value).startswith(sentence)
