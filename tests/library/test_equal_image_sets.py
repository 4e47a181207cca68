"""The same pictures are the same images, to the last bit, from wherever they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import pipeline
from pipeline.errors import ConfigError
from pipeline.library.image_sets import described_set, kinds
from pipeline.networks.loading.network import Network


@dataclass(frozen=True)
class Pictures:
    """Pictures as PNG files of a folder, with what is known of them.

    Attributes:
        folder: of the files; other files that hold the same pictures are written beside it.
        names: of the files, below the folder.
        pixels: their contents, images x height x width x channels.
        table: ``class`` and ``trial`` of each.
    """

    folder: Path
    names: list[str]
    pixels: np.ndarray
    table: pd.DataFrame

    def beside(self, name: str) -> str:
        """Return the path of a file beside the folder."""
        return str(self.folder.parent / name)


def of_folder(given: Pictures) -> dict[str, Any]:
    return {"kind": "folder", "root": str(given.folder)}


def of_list(given: Pictures) -> dict[str, Any]:
    given.table.assign(path=given.names).to_csv(given.folder / "list.csv", index=False)
    return {"kind": "list", "file": str(given.folder / "list.csv")}


def of_npz(given: Pictures) -> dict[str, Any]:
    columns = {name: given.table[name].to_numpy() for name in ("trial",)}
    file = given.beside("stack.npz")
    np.savez(file, pixels=given.pixels, names=np.array(given.names), **columns)
    return {"kind": "stack", "file": file, "names": "names", "columns": ["trial"]}


def of_npy(given: Pictures) -> dict[str, Any]:
    np.save(given.beside("stack.npy"), given.pixels.transpose(0, 3, 1, 2))
    return {"kind": "stack", "file": given.beside("stack.npy")}


def of_hdf5(given: Pictures) -> dict[str, Any]:
    with h5py.File(given.beside("stack.h5"), "w") as file:
        file.create_dataset("pixels", data=given.pixels, chunks=True, compression="lzf")
        file["names"], file["class"] = given.names, given.table["class"].tolist()
        file["trial"] = given.table["trial"]
    columns = ["class", "trial"]
    return {"kind": "hdf5", "file": given.beside("stack.h5"), "names": "names", "columns": columns}


# A kind of image set is added with what writes the pictures and returns its settings.
SOURCES: dict[str, Callable[[Pictures], dict[str, Any]]] = {
    "list": of_list,
    "npz": of_npz,
    "npy": of_npy,
    "hdf5": of_hdf5,
}
NAMELESS = ("npy",)  # whose names are numbers


@pytest.fixture(scope="module")
def net() -> Network:
    return pipeline.network("miniature")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Five pictures, larger than the network's input."""
    folder = tmp_path_factory.mktemp("given") / "pictures"
    (folder / "in").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 100, 130, 3), dtype=np.uint8)
    names = ["a.png", "b.png", "c.png", "in/a.png", "in/b.png"]
    for name, each in zip(names, pixels, strict=True):
        Image.fromarray(each).save(folder / name)
    table = pd.DataFrame({"class": ["cat", "dog", "cat", "dog", "=x"], "trial": [1, 2, 3, 4, 5]})
    return Pictures(folder, names, pixels, table)


def patches(net: Network, images: Any) -> pd.DataFrame:
    return pipeline.top_patches(net, images, "conv1", keep=3, units=[1, 5]).table


@pytest.mark.parametrize("source", SOURCES)
def test_tables_are_equal_to_those_of_a_folder(net: Network, given: Pictures, source: str):
    expected = patches(net, pipeline.image_set(net, **of_folder(given)))
    images = pipeline.image_set(net, **SOURCES[source](given))
    found = patches(net, images)
    if source in NAMELESS:
        found["image"] = [given.names[int(name)] for name in found["image"]]
    pd.testing.assert_frame_equal(found[list(expected.columns)], expected)
    known = given.table.set_index(pd.Index(given.names))
    for name in images.columns:  # of each image its own
        assert found[f"image_{name}"].tolist() == known.loc[found["image"], name].tolist()


@pytest.mark.parametrize("source", SOURCES)
def test_a_choice_of_images_is_the_same_from_everywhere(net: Network, given: Pictures, source: str):
    expected = pipeline.image_set(net, **of_folder(given), limit=3, seed=1)
    found = pipeline.image_set(net, **SOURCES[source](given), limit=3, seed=1)
    for index in range(3):
        np.testing.assert_array_equal(found.read(index), expected.read(index))


def test_files_tables_and_dictionaries_are_told_by_what_they_are(net: Network, given: Pictures):
    paths = [given.folder / name for name in given.names]
    of_table = given.table.assign(image=paths, score=[0.5, None, 1, 2, 3])
    expected = patches(net, str(given.folder))["response"].tolist()
    for images in (of_list(given)["file"], of_npy(given)["file"], of_table, of_hdf5(given)["file"]):
        assert patches(net, images)["response"].tolist() == expected
    found = patches(net, of_table)
    assert list(found.columns[-3:]) == ["image_class", "image_trial", "image_score"]

    both = pipeline.image_set(net, {"all": given.folder, "two": of_table[3:]}, limit=6)
    assert list(both.names[4:]) == ["all/in/b.png", f"two/{paths[3]}"]
    assert both.columns["set"] == ["all"] * 5 + ["two"]
    assert both.columns["class"] == [None] * 5 + ["dog"]
    one = pipeline.image_set(net, given.folder)
    assert pipeline.image_set(net, [one, one]).columns["set"] == ["0"] * 5 + ["1"] * 5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "images: give either images, such as a folder, or kind, the name of an image set"),
        (
            {"kind": "foldr"},
            "kind: 'foldr' is no kind of image set; the kinds are .*nearest: fo",
        ),
        ({"kind": "list"}, "file: must be given for this kind of image set"),
        (
            {"images": ".", "crp": 8},
            "crp: is no setting of these images, which have .*nearest: c",
        ),
        ({"images": np.zeros((1, 8, 8, 3), np.uint8), "crop": 8}, "crop: ndarray takes no such se"),
        ({"images": ".", "limit": 0}, "limit: 0 leaves no image; use null or a positive number"),
        ({"images": "no.npz"}, "images: there is no file 'no.npz'; give the path of an .npy or"),
        ({"images": "no.csv"}, "images: 'no.csv' cannot be read"),
        ({"images": pd.DataFrame({"a": ["x.png"]})}, r"images: no column of the table \(a\) names"),
        ({"images": pd.DataFrame({"a": [1]})}, r"images: no column of the table \(\) names files"),
    ],
)
def test_wrong_settings_are_told_by_the_names_of_arguments(
    net, given, monkeypatch, settings, sentence
):
    monkeypatch.chdir(given.folder)
    with pytest.raises(ConfigError, match=rf"^{sentence}"):
        pipeline.image_set(net, **settings)


def test_every_option_is_a_kind_and_only_the_packages_own_are_made_from_a_run(given: Pictures):
    assert {"folder", "list", "stack", "hdf5", "several", "photographs", "arrays"} <= {*kinds()}
    known = kinds()["folder"]
    assert described_set({"_target_": known, "root": str(given.folder)}) is not None
    # A former module of a kind, and a set of sets.
    several = {"_target_": "pipeline.images.several.several", "limit": None}
    inner = {"_target_": "pipeline.images.elsewhere.folder", "_partial_": True, "root": "."}
    assert described_set(several | {"sets": {"one": inner}}) is not None
    for target in ("os.abort", "mine.folder", "pipeline.images.files.read_picture"):
        assert described_set({"_target_": target}) is None
        assert described_set(several | {"sets": {"one": {"_target_": target}}}) is None
