"""Waiting for the scores of a rig: line by line, with an end, and what is said of wrong lines."""

from __future__ import annotations

import doctest
import logging
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import ConfigError, StoreError
from pipeline.runner import stopping
from pipeline.runner.stopping import Stopped
from pipeline.synthesis.evolution.scorers import folder
from tests.synthesis.evolution.scorers.generations import (
    score,
    shown_before,
)

MODULE = import_module("pipeline.synthesis.evolution.scorers.folder")  # not its function


def test_a_stop_signal_that_was_lost_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stopping, "_told", ["SIGTERM"])
    with pytest.raises(Stopped):
        score(tmp_path)


def test_scores_come_line_by_line_and_half_a_number_is_not_read(tmp_path: Path):
    scores = shown_before(tmp_path) / "scores.csv"
    scores.write_text("file,score\n00002.png,5\n00000.png,1.5\n00001.png,12")  # of 12.75
    with pytest.raises(StoreError) as waited:
        score(tmp_path, timeout=0.02)
    assert str(waited.value) == (
        f"scorer: '{scores}' has the scores of 2 of 3 pictures, and a last line without a line end,"
        " which is not read, and no new one has come for 0.02 seconds (timeout); see that the other"
        " program runs, and repeat the command, which goes on from here; an empty file 'done'"
        " beside it says that the others were not measured"
    )
    with scores.open("a") as file:
        file.write(".75\n")
    assert score(tmp_path) == [1.5, 12.75, 5.0]


def test_done_says_that_no_more_will_come(tmp_path: Path):
    folder = shown_before(tmp_path)
    (folder / "done").touch()
    assert np.isnan(score(tmp_path)).all()
    (folder / "scores.csv").write_text("picture,score\n2,7")  # the last line needs no end now
    assert score(tmp_path)[2] == 7
    assert np.isnan(score(tmp_path)[:2]).all()


def test_a_timeout_counts_from_the_last_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scores = shown_before(tmp_path, 6) / "scores.csv"
    scores.write_text("picture,score\n")
    clock = 0.0

    def sleep(seconds: float) -> None:
        nonlocal clock
        clock += 0.4
        number = int(clock / 0.8 + 0.5) - 1  # one line at every second look
        if scores.read_text().count("\n") == number + 1:
            with scores.open("a") as file:
                file.write(f"{number},{number}\n")

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    assert score(tmp_path, 6, timeout=1.0) == [0, 1, 2, 3, 4, 5]
    assert clock > 4


def test_what_it_waits_for_is_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(MODULE, "TOLD_EVERY", 0.0)
    with caplog.at_level(logging.INFO):
        folder = shown_before(tmp_path)
    first, second, *_ = caplog.messages
    assert first == f"scorer: 3 pictures wait for scores in '{folder}'"
    file = folder / "scores.csv"
    assert second == f"scorer: waiting; '{file}' has the scores of 0 of 3 pictures"


def test_a_wrong_line_is_told_and_the_experiment_goes_on_once_it_is_mended(tmp_path: Path):
    scores = shown_before(tmp_path) / "scores.csv"
    before = scores.with_name("manifest.csv").read_bytes()
    scores.write_text("file,score\n00000.png,1\n00003.png,2\n")
    with pytest.raises(StoreError) as wrong:
        score(tmp_path)
    assert str(wrong.value) == (
        f"scorer: '{scores}', line 3: '00003.png' is no file of the manifest; nearest: 00002.png;"
        " correct or delete the line; then repeat the command, which goes on from here"
    )
    scores.write_text("file,score\n00000.png,1\n00001.png,2\n00002.png,3\n")
    assert score(tmp_path) == [1, 2, 3]
    assert scores.with_name("manifest.csv").read_bytes() == before


def test_a_file_that_is_wrong_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It may be rewritten in place just then."""
    scores = shown_before(tmp_path) / "scores.csv"
    scores.write_text('file,score\n"00000.png\n')

    def sleep_while_it_is_rewritten(seconds: float) -> None:
        scores.write_text("file,score\n00000.png,1\n00001.png,2\n00002.png,3\n")

    monkeypatch.setattr(time, "sleep", sleep_while_it_is_rewritten)
    assert score(tmp_path) == [1, 2, 3]


def test_scores_that_cannot_be_read_are_told(tmp_path: Path):
    scores = shown_before(tmp_path) / "scores.csv"
    scores.mkdir()
    with pytest.raises(StoreError, match=r"'.*scores.csv' cannot be read .*; then repeat the comm"):
        score(tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"magnify": 0}, "scorer.folder.magnify: 0 is not a whole number of at least 1"),
        ({"magnify": 1.5}, "scorer.folder.magnify: 1.5 is not a whole number of at least 1"),
        ({"magnify": "2"}, "scorer.folder.magnify: '2' is not a whole number of at least 1"),
        ({"poll": None}, "scorer.folder.poll: None is not a positive number of seconds"),
        ({"timeout": 0}, "scorer.folder.timeout: 0 is not a positive number of seconds; give null"),
        ({"poll": -1.0}, "scorer.folder.poll: -1.0 is not a positive number of seconds"),
    ],
)
def test_settings_out_of_range_are_told(settings: dict[str, Any], sentence: str, untyped: None):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        folder("anywhere", **settings)


@pytest.mark.parametrize("below", ["", "rig/monkey"])
def test_a_path_that_is_a_file_is_told_at_once(below: str, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"^scorer.folder.path: '.*/file' is a file, and a folder"
    ):
        folder(tmp_path / "file" / below)


def test_the_example_runs():
    assert doctest.testmod(MODULE).failed == 0
