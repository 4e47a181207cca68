"""Image sets from datasets of Hugging Face, which the tests save."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.errors import ConfigError, ImageError
from pipeline.images.decoding import PictureDecoder
from pipeline.images.huggingface import huggingface
from tests.images.tars import PREPROCESSING, picture

datasets = pytest.importorskip("datasets")
FILES = [picture(n, "PNG" if n % 2 else "JPEG") for n in range(6)]
FILES[4] = FILES[4][:-200]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of save_to_disk with two splits."""
    features = datasets.Features(
        {
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "picture": datasets.Image(),
            "width": datasets.Value("float64"),
            "known": datasets.Value("bool"),
            "boxes": datasets.List(datasets.Value("int64")),
            "raw": datasets.Value("binary"),
        }
    )
    rows = {
        "label": [0, 1, None, 1, 0, 1],
        "picture": [{"bytes": each, "path": None} for each in FILES[:5]] + [None],
        "width": [0.5, 1.5, None, 2.0, 3.0, 4.0],
        "known": [True, False, True, False, True, False],
        "boxes": [[1]] * 6,
        "raw": FILES,
    }
    whole = datasets.Dataset.from_dict(rows, features=features)
    path = tmp_path_factory.mktemp("saved")
    both = datasets.DatasetDict({"train": whole, "test": whole.select([1])})
    both.save_to_disk(str(path))
    return path


def listed(path: object, **options: Any):
    return huggingface(PREPROCESSING, path=str(path), **options)


def test_rows_are_named_by_split_and_carry_scalars(saved: Path):
    found = listed(saved, split="train")
    assert found.names == [f"train/{n}" for n in range(6)]
    assert found.columns == {
        "label": ["cat", "dog", None, "dog", "cat", "dog"],
        "width": [0.5, 1.5, None, 2.0, 3.0, 4.0],
        "known": [True, False, True, False, True, False],
    }
    some = listed(saved, split="train", limit=3, seed=0)
    indices = [found.names.index(name) for name in some.names]
    assert some.columns["width"] == [found.columns["width"][index] for index in indices]
    assert some.digest(2) == found.digest(indices[2])


def test_pictures_are_decoded_from_their_bytes_as_files_are(saved: Path):
    decode = PictureDecoder(PREPROCESSING)
    for column in ("picture", "raw"):
        found = listed(saved, split="train", column=column)
        for n in (0, 1, 2, 3):
            assert torch.equal(found.load(n).image, decode(FILES[n]))
    with pytest.raises(ImageError, match=r"^images: 'train/4' cannot be decoded \("):
        found.read(4)
    with pytest.raises(ImageError) as caught:
        listed(saved, split="train").read(5)
    assert str(caught.value) == "images: 'train/5' is missing: its row holds no picture"


def test_local_files_are_read_by_the_name_of_a_builder(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for n, content in enumerate(FILES[:4]):
        path = tmp_path / "pictures" / ("dog" if n % 2 else "cat") / f"{n}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    found = listed("imagefolder", files=str(tmp_path / "pictures"))
    assert found.columns["label"] == ["cat", "cat", "dog", "dog"]
    assert torch.equal(found.load(1).image, PictureDecoder(PREPROCESSING)(FILES[2]))
    digest = found.digest(0)
    (tmp_path / "pictures" / "cat" / "0.jpg").write_bytes(picture(11))
    changed = listed("imagefolder", files=str(tmp_path / "pictures"))
    assert changed.settings != found.settings
    assert changed.digest(0) != digest
    table = tmp_path / "table.parquet"
    whole = datasets.load_from_disk(str(saved))["train"]
    whole.to_parquet(str(table))
    assert listed("parquet", files=str(table)).digest(0) == listed(saved, split="train").digest(0)
    stamp = table.stat()
    whole.select([1, 0]).to_parquet(str(table))
    os.utime(table, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert listed("parquet", files=str(table)).digest(0) == listed(saved, split="train").digest(1)


def test_a_copied_dataset_has_the_same_names_and_sizes_but_other_stamps(
    saved: Path, tmp_path: Path
):
    datasets.load_from_disk(str(saved))["train"].save_to_disk(str(tmp_path / "train"))
    first, copied = (listed(path) for path in (saved / "train", tmp_path / "train"))
    assert copied.like == first.like
    assert copied.settings != first.settings
    assert copied.digest(1) == first.digest(1)


def test_what_is_missing_is_told(saved: Path, monkeypatch: pytest.MonkeyPatch):
    others = "it has label, picture, width, known, boxes, raw"
    messages = {
        "images.split: '{}' has train, test; choose one": {},
        "images.split: '{}' has train, test; 'trian' is not one; nearest: train": {
            "split": "trian"
        },
        f"images.column: the dataset has no column 'pictur'; {others}; nearest: picture": {
            "split": "train",
            "column": "pictur",
        },
        "images.column: 'width' holds no pictures, but Value('float64'); pictures are in picture": {
            "split": "train",
            "column": "width",
        },
        "images.path: there is no folder '{}/none'": {"path": f"{saved}/none"},
        "images.path: with images.files it says how they are read: imagefolder, parquet, arrow; not"
        " 'pandas'": {"path": "pandas", "files": "x.pkl"},
        "images.limit: 0 leaves no image; use null or a positive number": {"limit": 0},
    }
    for message, options in messages.items():
        with pytest.raises(ConfigError) as caught:
            huggingface(PREPROCESSING, **({"path": str(saved)} | options))
        assert str(caught.value) == message.format(saved)
    with pytest.raises(ConfigError) as caught:
        listed(saved / "test", split="train")
    assert str(caught.value) == (
        f"images.split: '{saved}/test' holds a dataset without splits; leave images.split out"
    )


def test_a_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch):
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach 'lab/photos' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(ConfigError) as caught:
        listed("lab/photos")
    assert str(caught.value) == (
        "images.path: 'lab/photos' cannot be loaded as a dataset (Couldn't reach 'lab/photos' on"
        " the Hub); give a folder written by save_to_disk, local files by images.files, or a name"
        " on the Hub, which must be reachable if the dataset is not in its cache"
    )
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'artiphys\[datasets\]'"):
        listed("lab/photos")
