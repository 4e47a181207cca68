"""A rig's loop: the same bits as with a network, whatever happens, and what is refused."""

from __future__ import annotations

import doctest
import hashlib
import logging
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pipeline
from pipeline.errors import ConfigError, StoreError
from pipeline.library.evolution import Evolved
from pipeline.networks.loading.network import Network
from pipeline.runner import stopping
from pipeline.runner.stopping import Stopped
from pipeline.synthesis.evolution.rivals import natural
from pipeline.synthesis.evolution.scorers import Scorer, folder
from pipeline.synthesis.evolution.scorers.folder import Look
from pipeline.synthesis.evolution.scorers.showing_folder import ShowingFolder
from tests.synthesis.evolution.scorers.simulated_rig import SimulatedRig, at_work, of_network
from tests.synthesis.evolution.stand_ins import climbing, raw

MODULE = import_module("pipeline.synthesis.evolution.scorers.folder")  # not its function
FIELD = (1, 10, 10)
SHOWN = ["evolution", "kind", "generation", "unit", "restart", "candidate", "repeat"]


def experiment(**options: Any) -> dict[str, Any]:
    """Return options with everything that is shown to a rig: restarts, repeats, references."""
    generator = torch.Generator().manual_seed(0)
    given = {
        "searcher": climbing(),
        "generator": raw(),
        "queries": 40,
        "restarts": 2,
        "repeats": 2,
        "references": torch.randn(2, *FIELD, generator=generator),
        "reference_every": 1,
        "rivals": {"photographs": natural(population=5)},
        "images": torch.randn(7, 1, 20, 30, generator=generator),
    }
    return {**given, **options}


def evolve(net: Network, **options: Any) -> Evolved:
    return pipeline.evolve(net, "conv2", [4, 1], **experiment(**options))


def assert_same(found: Evolved, wanted: Evolved) -> None:
    """Compare all that does not need the network."""
    assert torch.equal(found.images, wanted.images)
    for name in ("table", "history", "references"):
        ours, theirs = getattr(found, name), getattr(wanted, name)
        of_rig = [column for column in ours if not column.startswith("noise_free")]
        pd.testing.assert_frame_equal(ours[of_rig], theirs[of_rig], check_exact=True)


@pytest.fixture(scope="module")
def wanted(own: Network) -> Evolved:
    """The experiment on the network itself, with pixels of 8 bits."""
    return evolve(own, bits=8)


def shown(count: int) -> pd.DataFrame:
    rows = [["own", "candidate", 1, 5, 0, number, 0] for number in range(count)]
    return pd.DataFrame(rows, columns=SHOWN)


def score(path: Path, count: int = 3, **settings: Any) -> list[float]:
    """Return the scores of a generation of dark pictures."""
    given = {"poll": 0.002, "timeout": 0.3, **settings}
    pictures = torch.arange(count)[:, None, None, None].expand(-1, *FIELD) / 255
    scores = folder(path, **given).score(pictures, shown(count))
    assert isinstance(scores, np.ndarray)
    return scores.tolist()


def generation(path: Path) -> Path:
    return path / "own" / "generation_00001"


def shown_before(path: Path, count: int = 3) -> Path:
    """Return the folder of a generation that was shown, and whose scores did not come."""
    with pytest.raises(StoreError, match="no new one has come"):
        score(path, count, timeout=0.01)
    return generation(path)


def test_a_rig_that_dies_again_and_again_is_as_good_as_the_network(
    own: Network, wanted: Evolved, tmp_path: Path
):
    with at_work(SimulatedRig(tmp_path, of_network(), lifetime=23)) as rig:
        found = evolve(own, score=folder(tmp_path, poll=0.002, timeout=60.0))
    assert_same(found, wanted)
    # 4 searches; references of a method are counted in its queries.
    lines = 4 * int(wanted.table.groupby("method")["queries"].first().sum())
    deaths = (len(rig.shown) - 1) // 23
    assert len({*rig.shown}) < len(rig.shown) == lines + deaths  # but for those it died at
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["README.txt", "conv2_1-4_photographs", "conv2_1-4_searcher_generator"]
    generations = sorted(path.name for path in (tmp_path / names[2]).iterdir())
    assert generations == [
        "generation_00001",
        "generation_00002",
        "references_00000",
        "references_00001",
    ]


def test_the_images_of_results_are_those_that_were_shown(own: Network, tmp_path: Path):
    with at_work(SimulatedRig(tmp_path, of_network())):
        found = evolve(own, rivals=(), score=folder(tmp_path, poll=0.002, timeout=60.0))
    shown = {
        np.asarray(Image.open(path)).tobytes() for path in tmp_path.glob("*/generation_*/*.png")
    }
    exact = own.preprocessing.pixels(found.images) * 255
    assert (exact - exact.round()).abs().max() < 1e-3
    assert all(image.round().byte().numpy().tobytes() in shown for image in exact)


def test_bits_that_are_not_those_of_the_rig_are_refused(own: Network, tmp_path: Path):
    evolve(own, rivals=(), queries=8, bits=8, score=Scorer(lambda p, s: [0.0] * len(p), bits=8))
    with pytest.raises(ConfigError, match=r"^bits: 10 is given, and the scorer shows .* of 8 bits"):
        evolve(own, rivals=(), bits=10, score=folder(tmp_path))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Stopped("SIGTERM")])
def test_a_stopped_experiment_goes_on_and_shows_nothing_twice(
    own: Network,
    wanted: Evolved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop: BaseException,
):
    looks, whole = 0, MODULE.look_at

    def look_at(showing: ShowingFolder) -> Look:
        nonlocal looks
        looks += 1
        if looks % 20 == 0:
            raise stop
        return whole(showing)

    monkeypatch.setattr(MODULE, "look_at", look_at)
    with at_work(SimulatedRig(tmp_path, of_network())) as rig:
        stops, found = 0, None
        while found is None:
            try:
                found = evolve(own, score=folder(tmp_path, poll=0.002, timeout=60.0))
            except type(stop):
                stops += 1
    assert stops > 1
    assert_same(found, wanted)
    assert len(rig.shown) == len({*rig.shown})


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


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"magnify": 0}, "scorer.folder.magnify: 0 is not a whole number of at least 1"),
        ({"magnify": 1.5}, "scorer.folder.magnify: 1.5 is not a whole number of at least 1"),
        ({"timeout": 0}, "scorer.folder.timeout: 0 is not a positive number of seconds; give null"),
        ({"poll": -1.0}, "scorer.folder.poll: -1.0 is not a positive number of seconds"),
    ],
)
def test_settings_out_of_range_are_told(settings: dict[str, Any], sentence: str, untyped: None):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        folder("anywhere", **settings)


def test_pictures_that_png_cannot_hold_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"^scorer.folder: pictures of 2 channels cannot be"):
        folder(tmp_path).score(torch.zeros(1, 2, 4, 4), shown(1))
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"^scorer: '.*/file/README.txt' cannot be written"):
        score(tmp_path / "file")


def test_a_scorer_is_told_what_each_picture_is(own: Network):
    tables: list[pd.DataFrame] = []

    def kept(pictures: torch.Tensor, shown: pd.DataFrame) -> list[float]:
        assert len(pictures) == len(shown)
        tables.append(shown)
        return [0.0] * len(pictures)

    evolve(own, score=Scorer(kept), rivals=(), queries=40)
    references, first, later, second = tables
    assert later["generation"].unique().tolist() == [1]
    assert references["kind"].unique().tolist() == ["reference"]
    assert references["generation"].unique().tolist() == [0]
    assert first["kind"].unique().tolist() == ["candidate"]
    assert [table["generation"].unique().tolist() for table in (first, second)] == [[1], [2]]
    searches = [(4, 0), (4, 1), (1, 0), (1, 1)]
    rows = [(*search, n, repeat) for repeat in (0, 1) for search in searches for n in range(8)]
    columns = ["unit", "restart", "candidate", "repeat"]
    assert [*first[columns].itertuples(index=False, name=None)] == rows


def test_the_example_runs():
    assert doctest.testmod(MODULE).failed == 0
