"""Which version has laid out a store: what becomes of others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.store.checksummed import read_document, write_document
from pipeline.store.format import check_format, mark_format
from pipeline.store.layout import Layout
from pipeline.store.metadata import STORE_FORMAT

VERSIONS = {"ascent": 2, "dream": 1}
OF_ONE_VERSION = {"store_format": STORE_FORMAT, "result_version": 1}
NOW = {**VERSIONS, "store_format": STORE_FORMAT}


@pytest.mark.parametrize(
    "before",
    [
        {"store_format": 2},
        NOW | {"ascent": 1},
        OF_ONE_VERSION,
        NOW,
        {**NOW, "x": 2},
    ],
)
def test_results_from_before_are_told_of_once(tmp_path: Path, caplog, before):
    layout = Layout(tmp_path)
    write_document(layout.format, before)
    for _ in range(2):
        with caplog.at_level(logging.INFO):
            check_format(layout)
            mark_format(layout, VERSIONS)
    told = [r.getMessage() for r in caplog.records if "results of another version" in r.message]
    assert len(told) == (before != NOW)
    if told:
        assert read_document(layout.format, "format.json") == NOW


def test_a_new_store_is_marked_without_a_word(tmp_path: Path, caplog):
    mark_format(Layout(tmp_path), VERSIONS)
    assert read_document(Layout(tmp_path).format, "format.json") == NOW
    assert caplog.records == []


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("/dev/null", "^out: '/dev/null' is not a folder; choose another out$"),
        ("damaged", r"/format\.json' is damaged \(it carries no checksum\); delete it$"),
        ("listed", r"/format\.json' cannot be read \(it is no regular file\); see that it can"),
        ("later", r"was written by a later version of artiphys \(store format 99, this one has"),
    ],
)
def test_a_store_of_which_there_is_no_telling_is_refused(tmp_path: Path, out: str, sentence: str):
    layout = Layout(tmp_path / out)
    if out == "damaged":
        layout.store.mkdir(parents=True)
        layout.format.write_text("{}")
    elif out == "listed":
        layout.format.mkdir(parents=True)
    elif out == "later":
        write_document(layout.format, {"store_format": 99})
    with pytest.raises(StoreError, match=sentence):
        check_format(layout)
