"""The folder of a showing: its files, and that others are never touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.errors import ConfigError, StoreError
from pipeline.synthesis.evolution.scorers import folder
from tests.synthesis.evolution.scorers.generations import (
    FIELD,
    generation,
    score,
    shown,
    shown_before,
)


def test_pictures_of_another_experiment_are_refused_and_nothing_is_touched(tmp_path: Path):
    path = shown_before(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    other = torch.arange(3)[:, None, None, None].expand(-1, *FIELD) / 255
    other[2] = 0.5
    with pytest.raises(StoreError) as refused:
        folder(tmp_path).score(other, shown(3))
    assert str(refused.value) == (
        f"scorer: '{path}' holds other pictures than those to be shown (1 of 3 are not in its"
        " manifest.csv), so it belongs to another experiment, or settings have changed; nothing in"
        " it was touched; give another path, or the settings of before"
    )
    for others in (2, 4):
        with pytest.raises(StoreError, match="holds other pictures"):
            score(tmp_path, others)
    with pytest.raises(StoreError, match=r"\(3 of 3 are not in its manifest.csv\)"):
        score(tmp_path, magnify=2)
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}


def test_a_manifest_may_have_been_saved_by_a_spreadsheet_but_not_be_damaged(tmp_path: Path):
    path = shown_before(tmp_path)
    manifest = path / "manifest.csv"
    text = manifest.read_text()
    manifest.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    (path / "scores.csv").write_text("picture,score\n0,1\n1,2\n2,3\n")
    assert score(tmp_path) == [1, 2, 3]
    manifest.write_bytes(text.encode("utf-16"))
    with pytest.raises(StoreError, match=r"manifest.csv' cannot be read as CSV .*; put it back as"):
        score(tmp_path)


def test_a_writing_that_was_broken_off_is_begun_anew(tmp_path: Path):
    path = shown_before(tmp_path)
    whole = {file.name: file.read_bytes() for file in path.iterdir()}
    (path / "manifest.csv").unlink()  # it is written last
    (path / "00001.png").write_bytes(b"of another experiment")
    (path / "00002.png").unlink()
    shown_before(tmp_path)
    assert whole == {file.name: file.read_bytes() for file in path.iterdir()}


def test_pictures_that_were_lost_are_written_again_unless_they_were_scored(tmp_path: Path):
    path = shown_before(tmp_path)
    (path / "00001.png").unlink()
    shown_before(tmp_path)
    assert (path / "00001.png").exists()
    (path / "scores.csv").write_text("picture,score\n0,1\n1,2\n2,3\n")
    (path / "00001.png").unlink()
    assert score(tmp_path) == [1, 2, 3]
    assert not (path / "00001.png").exists()


@pytest.mark.parametrize("name", ["scores.csv", "done"])
def test_scores_of_no_known_pictures_are_refused(tmp_path: Path, name: str):
    generation(tmp_path).mkdir(parents=True)
    (generation(tmp_path) / name).touch()
    with pytest.raises(StoreError, match=f"{name}' was there before any picture was shown; move"):
        score(tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_are_the_pictures_pixel_by_pixel(tmp_path: Path, channels: int):
    steps = np.random.default_rng(0).integers(0, 256, (2, channels, 4, 7), dtype=np.uint8)
    scorer = folder(tmp_path, magnify=3, timeout=0.01, poll=0.002)
    with pytest.raises(StoreError, match="no new one has come"):
        scorer.score(torch.from_numpy(steps) / 255, shown(2))
    manifest = pd.read_csv(generation(tmp_path) / "manifest.csv")
    assert manifest["picture"].tolist() == [0, 1]
    assert manifest[["unit", "candidate"]].to_numpy().tolist() == [[5, 0], [5, 1]]
    for name, digest, expected in zip(manifest["file"], manifest["sha256"], steps, strict=True):
        picture = Image.open(generation(tmp_path) / name)
        assert picture.mode == {1: "L", 3: "RGB"}[channels]
        pixels = np.asarray(picture)
        assert pixels.shape[:2] == (12, 21)
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == digest
        for row, column in ((0, 0), (5, 20), (11, 4)):
            assert np.array_equal(pixels[row, column].ravel(), expected[:, row // 3, column // 3])


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path):
    path = tmp_path / "rig"
    for name in ("../out", "..", "/etc", "a/b", "small steps (2)"):
        table = shown(1).assign(evolution=name)
        with pytest.raises(StoreError, match="no new one has come"):
            folder(path, timeout=0.01, poll=0.002).score(torch.zeros(1, *FIELD), table)
    assert [*tmp_path.iterdir()] == [path]
    assert len([*path.glob("*/generation_00001/manifest.csv")]) == 5


def test_pictures_that_png_cannot_hold_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^scorer.folder: pictures of 2 channels cannot be"):
        folder(tmp_path).score(torch.zeros(1, 2, 4, 4), shown(1))
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "own").touch()
    with pytest.raises(StoreError, match=r"^scorer: '.*/own/\S+' cannot be written"):
        score(tmp_path)
