"""Full disks, stores that cannot be written, images that go or change: a sentence each."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from pipeline.cli.store import main as store
from pipeline.store.checksummed import write_document
from pipeline.store.layout import Layout
from tests.faults.conftest import Bench, assert_same, shards

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_a_full_disk_is_told_with_numbers_and_the_run_completes_once_there_is_room(
    bench: Bench, undisturbed: Path, small_disk: Path, capsys
):
    """The run fits when it begins; then somebody else's file takes the room."""
    out = small_disk / "out"
    process = bench.start_until(out, 25)
    other = small_disk / "other"
    with suppress(OSError), other.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    process.join(60)
    said = bench.said()
    assert process.exitcode == 1, said
    assert "error: out: the disk is full: '" in said
    assert " are free; free some space and repeat the command, which keeps" in said
    assert "Traceback" not in said
    kept = shards(out)
    assert len(kept) >= 25
    assert store(["verify", str(out)]) == 0
    assert ", 0 damaged, " in capsys.readouterr().out
    other.unlink()
    bench.run(out)
    assert kept.items() <= shards(out).items()
    assert_same(out, undisturbed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk read-only")
def test_a_store_that_cannot_be_written_is_told_at_once(bench: Bench, tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        said = bench.run(disk / "out", code=1)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert f"error: out: '{disk}/out/runs/main/" in said
    assert "cannot be created (Read-only file system); choose another out\n" in said


def test_a_store_of_a_later_version_is_refused(bench: Bench):
    out = bench.folder / "out"
    write_document(Layout(out).format, {"store_format": 99})
    said = bench.run(out, code=1)
    assert (
        f"error: out: '{out}/store' was written by a later version of artiphys (store format 99,"
        " this one has 3); update artiphys or choose another out\n"
    ) in said
    assert [path.name for path in out.rglob("*")] == ["store", "format.json"]


@pytest.fixture
def own(bench: Bench) -> Bench:
    """A bench with photographs of its own, to be spoiled."""
    shutil.copytree(bench.photographs, bench.folder / "photographs")
    return Bench(bench.folder, bench.folder / "photographs")


def test_a_folder_that_is_removed_between_search_and_ascent_is_told(own: Bench):
    out = own.folder / "out"
    own.run(out, "stages=[top_patches]")
    shutil.rmtree(own.photographs)
    said = own.run(out, code=1)
    assert (
        f"error: images.root: there is no folder '{own.photographs}'; give the path of one\n"
    ) in said


def test_an_image_that_is_removed_while_the_run_is_at_work_is_told(own: Bench):
    """The pictures go when the search is done, before the ascent reads them."""
    out = own.folder / "out"
    process = own.start(out)
    while "ascent: climbing" not in own.said():
        assert process.is_alive(), own.said()
    for path in own.photographs.iterdir():
        path.unlink()
    process.join(60)
    assert process.exitcode == 1
    assert "error: images: '" in own.said()
    assert "' cannot be read now (No such file or directory); repeat the command" in own.said()


def test_images_that_change_while_a_run_is_at_work_are_told(own: Bench):
    """They are other pictures of the same names when the ascent comes to start from them."""
    out = own.folder / "out"
    process = own.start(out)
    while "ascent: climbing" not in own.said():
        assert process.is_alive(), own.said()
    for path in own.photographs.iterdir():
        Image.new("RGB", (110, 100), (3, 200, 90)).save(path)
    process.join(60)
    assert process.exitcode == 1
    assert "' has changed since it was searched; repeat the command" in own.said()
    assert "top_patches: searching 60 images" in own.run(out)


def test_images_with_other_contents_are_searched_anew_whatever_their_size_and_time(own: Bench):
    out = own.folder / "out"
    own.run(out, "stages=[top_patches]")
    for path in own.photographs.iterdir():
        stat, content = path.stat(), bytearray(path.read_bytes())
        content[content.index(b"IEND") + 4] ^= 1  # of the checksum that ends a PNG file
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    said = own.run(out, "stages=[top_patches]", "search.max_unreadable=1.0", "name=other")
    assert "images: comparing 60 files with those searched before" in said
    assert "top_patches: searching 60 images" in said


def test_unreadable_images_are_set_aside_by_name_and_too_many_stop_the_run(own: Bench):
    out = own.folder / "out"
    (own.photographs / "007.png").write_bytes(b"no picture")
    said = own.run(out)
    assert "images: '007.png' is left out, as it cannot be decoded" in said
    for number in range(10, 20):
        (own.photographs / f"{number:03d}.png").write_bytes(b"no picture")
    said = own.run(out, code=1)
    assert "of 60 images cannot be used, the first is '" in said
    assert "repair or remove them, or raise search.max_unreadable\n" in said
    said = own.run(out, "search.max_unreadable=0.5")
    assert "done in" in said
    # What the run that stopped has found is judged again by the next.
    assert "of 60 images cannot be used" in own.run(out, code=1)


def test_the_same_images_elsewhere_and_touched_are_known_again(bench: Bench, undisturbed: Path):
    """Copied without their times, as to a node's own disk: nothing is computed again."""
    out = shutil.copytree(undisturbed, bench.folder / "out")
    before = {name: (out / name).stat().st_ino for name in shards(out)}
    copy = bench.folder / "copy"
    shutil.copytree(bench.photographs, copy, copy_function=shutil.copy)
    said = bench.run(out, f"images.root={copy}")
    assert "images: comparing 60 files with those searched before" in said
    assert "everything was in the store already" in said
    assert {name: (out / name).stat().st_ino for name in shards(out)} == before
    # The next time the copy is known by its times.
    said = bench.run(out, f"images.root={copy}", "name=other", "optimizer.lr=0.2")
    assert "comparing" not in said
    assert "top_patches: searching" not in said


def test_one_changed_image_is_noticed(own: Bench):
    out = own.folder / "out"
    own.run(out)
    known = shards(out)
    Image.new("RGB", (110, 100), (3, 200, 90)).save(own.photographs / "030.png")
    said = own.run(out)
    assert "top_patches: searching 60 images" in said
    assert len(shards(out)) > len(known)


def test_two_runs_that_want_the_same_at_the_same_time_end_with_one_good_copy(
    bench: Bench, undisturbed: Path
):
    out = bench.folder / "out"
    runs = [bench.start(out, f"name=run{number}") for number in range(3)]
    for process in runs:
        process.join(200)
    assert [process.exitcode for process in runs] == [0, 0, 0], bench.said()
    assert_same(out, undisturbed)
    assert store(["verify", str(out)]) == 0


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path: Path):
    from pipeline.store.files import write_bytes

    path, contents = tmp_path / "item", [bytes([n]) * 300_000 for n in range(8)]
    threads = [threading.Thread(target=write_bytes, args=(path, c)) for c in contents]
    for thread in threads:
        thread.start()
    seen = set()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            seen.add(path.read_bytes())
    for thread in threads:
        thread.join()
    assert seen | {path.read_bytes()} <= set(contents)
    assert list(tmp_path.iterdir()) == [path]
