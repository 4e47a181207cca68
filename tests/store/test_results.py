from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.store.layout import Layout
from pipeline.store.results import Result, digest_settings, find_result
from pipeline.store.sealed import read_document, write_document

SETTINGS = {"weights": "abc", "units": [1, 2], "lr": 0.1}


@pytest.fixture
def result(tmp_path: Path) -> Result:
    found = find_result(Layout(tmp_path), ("ascent", "net-1234", "conv1"), SETTINGS, ["a", "b"])
    found.begin("run", {"device": "cpu"})
    return found


def test_key_of_one_configuration_is_fixed():
    # A change here makes every stored result unreachable: raise RESULT_VERSION on purpose only.
    canonical = '{"lr":0.1,"result_version":2,"store_format":2,"units":[1,2],"weights":"abc"}'
    assert hashlib.sha256(canonical.encode()).hexdigest()[:16] == "3f63d4208d0c5b76"
    assert digest_settings(SETTINGS) == "3f63d4208d0c5b76"


@pytest.mark.parametrize(
    "changed",
    [{"weights": "abd"}, {"units": [2, 1]}, {"units": [1]}, {"lr": 0.2}, {"new": None}],
)
def test_key_follows_every_setting(changed: dict):
    assert digest_settings(SETTINGS | changed) != digest_settings(SETTINGS)


def test_key_does_not_depend_on_the_order_of_settings():
    assert digest_settings(dict(reversed(SETTINGS.items()))) == digest_settings(SETTINGS)


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


def test_the_same_content_gives_the_same_bytes(result: Result):
    arrays = {"x": np.arange(5.0), "a": np.zeros(2), "m": np.ones(1, np.int32)}
    result.write("a", arrays, {"status": ["ok"], "more": 1})
    result.write("b", dict(reversed(arrays.items())), {"more": 1, "status": ["ok"]})
    assert result.paths.item("a").read_bytes() == result.paths.item("b").read_bytes()


def test_other_programs_read_it(result: Result):
    from safetensors.numpy import load_file

    result.write("a", {"x": np.arange(5.0)})
    assert load_file(result.paths.item("a"))["x"].tolist() == [0, 1, 2, 3, 4]


def test_failed_write_leaves_nothing(result: Result):
    with pytest.raises(TypeError):
        result.write("a", {"x": np.zeros(2)}, {"notes": object()})
    assert result.missing() == ["a", "b"]
    assert sorted(p.name for p in result.folder.iterdir()) == ["manifest.json", "provenance"]


def test_the_manifest_says_what_there_should_be_and_the_provenance_who_made_it(result: Result):
    result.begin("other", {"device": "cuda", "state": "begun"})
    result.begin("other", {"device": "cuda", "state": "finished"})
    manifest = read_document(result.paths.manifest)
    assert manifest["items"] == ["a", "b"]
    assert manifest["settings"] == SETTINGS
    assert read_document(result.paths.provenance("run")) == {"device": "cpu"}
    assert read_document(result.paths.provenance("other"))["state"] == "finished"


def test_a_damaged_manifest_is_written_again(result: Result):
    whole = result.paths.manifest.read_bytes()
    flip(result.paths.manifest, 1000)
    result.begin("run", {})
    assert result.paths.manifest.read_bytes() == whole


def test_other_settings_under_the_same_key_are_refused(result: Result):
    write_document(result.paths.manifest, {"settings": {"weights": "other"}})
    with pytest.raises(StoreError, match="holds a result of other settings under the same key"):
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
