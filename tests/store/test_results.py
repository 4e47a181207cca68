from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.store.checksummed import DamagedError, read_document, write_arrays, write_document
from pipeline.store.layout import Layout
from pipeline.store.metadata import STORE_FORMAT, Metadata, digest_settings, read_metadata, versions
from pipeline.store.results import Result, find_result

SETTINGS = {"weights": "abc", "units": [1, 2], "lr": 0.1}


@pytest.fixture
def result(tmp_path: Path) -> Result:
    found = find_result(Layout(tmp_path), ("ascent", "net-1234", "conv1"), SETTINGS, ["a", "b"], 3)
    found.begin("run", {"device": "cpu"})
    return found


def test_key_of_one_configuration_is_fixed():
    # A change here makes every stored result unreachable: raise versions on purpose only.
    canonical = '{"lr":0.1,"result_version":3,"store_format":3,"units":[1,2],"weights":"abc"}'
    assert hashlib.sha256(canonical.encode()).hexdigest()[:16] == "5eb1046c8846f503"
    assert digest_settings(SETTINGS, versions(3)) == "5eb1046c8846f503"


@pytest.mark.parametrize(
    "changed",
    [{"weights": "abd"}, {"units": [2, 1]}, {"units": [1]}, {"lr": 0.2}, {"new": None}],
)
def test_key_follows_every_setting(changed: dict):
    assert digest_settings(SETTINGS | changed, versions(3)) != digest_settings(
        SETTINGS, versions(3)
    )


def test_key_does_not_depend_on_the_order_of_settings():
    assert digest_settings(dict(reversed(SETTINGS.items())), versions(3)) == digest_settings(
        SETTINGS, versions(3)
    )


def test_what_is_written_is_read_bit_for_bit(result: Result):
    arrays = {
        "images": np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32),
        "units": np.array([5, 7]),
        "turned": np.arange(6.0).reshape(2, 3).T,  # not contiguous
    }
    result.write("a", arrays, {"status": ["ok", "zero_gradient"]})
    read, notes = result.read("a")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    assert notes == {"status": ["ok", "zero_gradient"]}
    assert list(result.read("a", ["units"])[0]) == ["units"]


def test_missing_items_are_known(result: Result):
    assert result.missing() == ["a", "b"]
    result.write("b", {"x": np.zeros(1)})
    assert result.missing() == ["a"]


def test_missing_item_is_refused(result: Result):
    with pytest.raises(StoreError, match=r"a\.safetensors' is missing; run its stage again$"):
        result.read("a")


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_is_found(result: Result):
    """One bit at a time, all over the file: header, names, digest and numbers."""
    result.write("a", {"x": np.arange(3.0), "y": np.ones(2, np.int8)}, {"status": ["ok"]})
    path = result.paths.item("a")
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 7):  # every byte, each bit of it somewhere
        flip(path, bit)
        assert result.missing() == ["a", "b"], f"bit {bit}"
        path.write_bytes(whole)
        assert result.missing() == ["b"]


@pytest.mark.parametrize("keep", [1, 5, 100, -1])
@pytest.mark.parametrize("names", [None, ["x"]])
def test_damaged_item_is_set_aside_and_never_read(result: Result, keep: int, names):
    result.write("a", {"x": np.arange(100.0)})
    path = result.folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        StoreError,
        match=r"a\.safetensors' was damaged \(it.*\) and is kept as"
        r" 'a\.safetensors\.damaged1'; run its stage again$",
    ):
        result.read("a", names)
    assert not path.exists()
    assert path.with_name("a.safetensors.damaged1").stat().st_size > 0


def test_an_item_that_is_damaged_after_it_was_read_is_found(result: Result):
    result.write("a", {"x": np.arange(100.0)})
    result.read("a")
    flip(result.paths.item("a"), 4000)
    with pytest.raises(StoreError, match="its checksum does not fit its content"):
        result.read("a", ["x"])


def test_the_same_content_gives_the_same_bytes_in_the_same_place(result: Result):
    arrays = {"x": np.arange(5.0), "a": np.zeros(2), "m": np.ones(1, np.int32)}
    result.write("a", arrays, {"status": ["ok"], "more": 1})
    first = result.paths.item("a").read_bytes()
    result.write("a", dict(reversed(arrays.items())), {"more": 1, "status": ["ok"]})
    assert result.paths.item("a").read_bytes() == first


def test_other_programs_read_it(result: Result):
    from safetensors.numpy import load_file

    result.write("a", {"x": np.arange(5.0)})
    assert load_file(result.paths.item("a"))["x"].tolist() == [0, 1, 2, 3, 4]


def test_failed_write_leaves_nothing(result: Result):
    with pytest.raises(TypeError):
        result.write("a", {"x": np.zeros(2)}, {"notes": object()})
    assert result.missing() == ["a", "b"]
    assert sorted(p.name for p in result.folder.iterdir()) == ["metadata.json", "provenance"]


def test_the_manifest_says_what_there_should_be_and_the_provenance_who_made_it(result: Result):
    result.begin("other", {"device": "cuda", "state": "begun"})
    result.begin("other", {"device": "cuda", "state": "finished"})
    assert read_metadata(result.paths) == Metadata(SETTINGS, ["a", "b"], 3, STORE_FORMAT)
    place = f"ascent/net-1234/conv1/{result.key}/provenance/run.json"
    assert read_document(result.paths.provenance("run"), place) == {"device": "cpu"}
    assert read_document(result.paths.provenance("other"))["state"] == "finished"


def test_a_damaged_manifest_is_written_again(result: Result):
    whole = result.paths.metadata.read_bytes()
    flip(result.paths.metadata, 1000)
    result.begin("run", {})
    assert result.paths.metadata.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [
        {"x": 1},
        {"settings": SETTINGS, "items": "ab"},
        {"settings": [], "items": ["a", "b"]},
        {"settings": SETTINGS, "items": ["a", 1]},
        {"settings": SETTINGS | {"lr": 0.2}, "items": ["a", "b"], **versions(3)},
    ],
)
def test_a_sealed_manifest_of_another_kind_is_damaged_and_written_again(result: Result, content):
    path = result.paths.metadata
    whole = path.read_bytes()
    write_document(path, content, result.paths.place(path))
    with pytest.raises(
        DamagedError, match=r"^it (does not say what|names items)|^its settings are"
    ):
        read_metadata(result.paths)
    assert not result.is_described()
    result.begin("run", {})
    assert path.read_bytes() == whole


def test_a_result_that_an_earlier_version_has_described_stays_described(result: Result):
    path = result.paths.metadata
    before = path.with_name("manifest.json")
    described = read_document(path)
    path.unlink()
    content = {name: described[name] for name in ("settings", "items", *versions(3))}
    write_document(before, content, result.paths.place(before))
    assert result.paths.metadata == before
    assert result.is_described()
    result.begin("run", {})
    assert not path.exists()


def test_other_settings_under_the_same_key_are_refused(result: Result):
    same_key = Result(result.folder, {"weights": "other"}, result.items)
    with pytest.raises(StoreError, match="holds a result of other settings under the same key"):
        same_key.begin("run", {})


def test_a_file_that_belongs_elsewhere_is_never_used(result: Result, tmp_path: Path):
    """Any file of a store, whole as it is, in the place of any other."""
    layout, arrays = Layout(tmp_path), {"x": np.arange(3.0)}
    places = [("ascent", "net-1234", "conv2"), ("correlations", "net-1234", "conv1")]
    others = [find_result(layout, place, SETTINGS, ["a"], 3) for place in places]
    others.append(find_result(layout, ("ascent", "net-1234", "conv1"), {"lr": 2}, ["a"], 3))
    for each in (result, *others):
        each.begin("run", {})
        each.write("a", arrays)
    result.write("b", arrays)
    own, whole = result.paths.item("a"), result.paths.item("a").read_bytes()
    for stranger in (result.paths.item("b"), *(other.paths.item("a") for other in others)):
        own.write_bytes(stranger.read_bytes())
        with pytest.raises(StoreError, match=r"was damaged \(it is '.*', which does not belong"):
            result.read("a")
        own.write_bytes(stranger.read_bytes())
        assert result.missing() == ["a"]
        own.write_bytes(whole)
        assert result.missing() == []
    for other in others:  # the whole folder under another key
        shutil.rmtree(result.folder)
        shutil.copytree(other.folder, result.folder)
        assert not result.is_described()
        assert result.missing() == ["a", "b"]


def test_files_of_earlier_versions_are_read_as_such_alone(result: Result):
    write_arrays(result.paths.item("a"), {"x": np.arange(3.0)}, {})
    before = Result(result.folder, {}, ("a",), from_before=True)
    np.testing.assert_array_equal(before.read("a")[0]["x"], np.arange(3.0))
    with pytest.raises(StoreError, match=r"was damaged \(it was written by an earlier version\)"):
        result.read("a")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_told_and_left_alone(result: Result, make):
    path = result.paths.item("a")
    make(path)
    for ask in (result.missing, lambda: result.read("a")):
        with pytest.raises(StoreError, match=r"a\.safetensors' cannot be read \(it is no regular"):
            ask()
    assert path.exists()


def test_what_may_not_be_read_is_told_and_left_alone(result: Result, monkeypatch):
    """A colleague's file is not damaged, nor is one that a file server cannot give just now."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    result.write("a", {"x": np.zeros(1)})
    monkeypatch.setattr("pipeline.store.checksummed.read_regular", refuse)
    for ask in (result.missing, lambda: result.read("a"), lambda: result.begin("run", {})):
        with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\); see that it"):
            ask()
    assert result.paths.item("a").is_file()


def test_a_manifest_that_is_a_folder_is_told(result: Result):
    result.paths.metadata.unlink()
    result.paths.metadata.mkdir()
    with pytest.raises(StoreError, match=r"metadata\.json' cannot be read \(it is no regular file"):
        result.begin("run", {})


def test_empty_file_counts_as_missing(result: Result):
    result.write("a", {"x": np.zeros(1)})
    (result.folder / "a.safetensors").write_bytes(b"")
    assert result.missing() == ["a", "b"]


def test_colleagues_can_read_what_is_written(result: Result):
    result.write("a", {"x": np.zeros(1)})
    plain = result.folder / "plain"
    plain.touch()
    assert (result.folder / "a.safetensors").stat().st_mode == plain.stat().st_mode
