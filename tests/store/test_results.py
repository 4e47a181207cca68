from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.store.layout import Layout
from pipeline.store.results import Result, digest_settings, find_result

SETTINGS = {"weights": "abc", "units": [1, 2], "lr": 0.1}


@pytest.fixture
def result(tmp_path: Path) -> Result:
    found = find_result(Layout(tmp_path), ("ascent", "net-1234", "conv1"), SETTINGS, ["a", "b"])
    found.begin({"device": "cpu"})
    return found


def test_key_of_one_configuration_is_fixed():
    # A change here makes every stored result unreachable: raise RESULT_VERSION on purpose only.
    canonical = '{"lr":0.1,"result_version":2,"units":[1,2],"weights":"abc"}'
    assert hashlib.sha256(canonical.encode()).hexdigest()[:8] == "4494466f"
    assert digest_settings(SETTINGS) == "4494466f"


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


@pytest.mark.parametrize("keep", [0, 5, 100, -1])
def test_truncated_item_is_refused(result: Result, keep: int):
    result.write("a", {"x": np.arange(100.0)})
    path = result.folder / "a.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"is damaged \(.*\); delete it and run its stage again$"):
        result.read("a")


def test_failed_write_leaves_nothing(result: Result):
    with pytest.raises(TypeError):
        result.write("a", {"x": np.zeros(2)}, {"notes": object()})
    assert result.missing() == ["a", "b"]
    assert sorted(p.name for p in result.folder.iterdir()) == ["record.json", "settings.json"]


def test_other_settings_under_the_same_key_are_refused(result: Result):
    (result.folder / "settings.json").write_text(json.dumps({"weights": "other"}))
    with pytest.raises(StoreError, match="holds a result of other settings under the same key"):
        result.begin({})


def test_empty_file_counts_as_missing(result: Result):
    result.write("a", {"x": np.zeros(1)})
    (result.folder / "a.safetensors").write_bytes(b"")
    assert result.missing() == ["a", "b"]


def test_colleagues_can_read_what_is_written(result: Result):
    result.write("a", {"x": np.zeros(1)})
    plain = result.folder / "plain"
    plain.touch()
    assert (result.folder / "a.safetensors").stat().st_mode == plain.stat().st_mode
