"""Stacks: arrays of images in .npy, .npz and HDF5 files, read image by image."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError, ImageError, TransientError
from pipeline.images import hdf5 as hdf5_sets
from pipeline.images.axes import find_axes
from pipeline.images.hdf5 import hdf5
from pipeline.images.image_sets import ImageSet
from pipeline.images.preprocessing import Preprocessing
from pipeline.images.stacks import stack

WHOLE = Preprocessing(None, 8, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))
GRAY = Preprocessing(None, 8, (0.5,), (0.5,))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 10, 3), dtype=np.uint8)
NAMES = np.array(["ü", "a", "b", "c", "d"])
EXPECTED = torch.stack([WHOLE(torch.from_numpy(each).permute(2, 0, 1)) for each in PIXELS])


def npy(path: Path, images: np.ndarray) -> str:
    np.save(path.with_suffix(".npy"), images)
    return str(path.with_suffix(".npy"))


def npz(path: Path, images: np.ndarray, save: Callable = np.savez) -> str:
    save(path.with_suffix(".npz"), images=images, names=NAMES, n=np.arange(5), few=np.arange(3))
    return str(path.with_suffix(".npz"))


def h5(path: Path, images: np.ndarray, **options) -> str:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("group/images", data=images, **options)
        file["names"], file["n"], file["few"] = NAMES.tolist(), np.arange(5), np.arange(3)
    return str(path.with_suffix(".h5"))


def all_images(images: ImageSet) -> torch.Tensor:
    return torch.stack([images.read(index) for index in range(len(images))])


def refused(kind: Callable[..., ImageSet], file: str, **settings) -> str:
    with pytest.raises(ConfigError) as caught:
        kind(settings.pop("preprocessing", WHOLE), file=file, **settings)
    return str(caught.value).replace(file, "FILE")


FORMS = {
    "channels last": lambda path: stack(WHOLE, file=npy(path, PIXELS)),
    "channels first": lambda path: stack(WHOLE, file=npy(path, PIXELS.transpose(0, 3, 1, 2))),
    "npz": lambda path: stack(WHOLE, file=npz(path, PIXELS)),
    "compressed npz": lambda path: stack(WHOLE, file=npz(path, PIXELS, np.savez_compressed)),
    "npz by name": lambda path: stack(WHOLE, file=npz(path, PIXELS), array="images"),
    "HDF5": lambda path: hdf5(WHOLE, file=h5(path, PIXELS)),
    "HDF5 by name": lambda path: hdf5(WHOLE, file=h5(path, PIXELS), dataset="/group/images"),
    "chunks of several, compressed": lambda path: hdf5(
        WHOLE, file=h5(path, PIXELS, chunks=(2, 4, 10, 3), compression="gzip", shuffle=True)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_bytes_are_preprocessed_as_pictures_in_every_form(tmp_path: Path, form: str):
    found = FORMS[form](tmp_path / "images")
    assert list(found.names) == ["0", "1", "2", "3", "4"]
    assert torch.equal(all_images(found), EXPECTED)
    assert found.pixel_scale == (WHOLE.mean, WHOLE.std)
    with ThreadPoolExecutor(4) as pool:  # the same from several threads
        loaded = list(pool.map(found.load, [*range(5)] * 8))
    assert all(torch.equal(each.image, EXPECTED[n % 5]) for n, each in enumerate(loaded))
    assert [each.digest for each in loaded[:5]] == [found.digest(n) for n in range(5)]


@pytest.mark.parametrize(("kind", "write"), [(stack, npz), (hdf5, h5)])
def test_names_and_columns_lie_beside_the_images(tmp_path: Path, kind, write):
    file = write(tmp_path / "images", PIXELS)
    found = kind(WHOLE, file=file, names="names", columns=["n"], limit=3, seed=1)
    assert (list(found.names), found.columns) == (["ü", "a", "d"], {"n": [0, 1, 4]})
    assert torch.equal(all_images(found), EXPECTED[[0, 1, 4]])
    key = "array" if kind is stack else "dataset"
    held = "images, names, n, few" if kind is stack else "few, group/images, n, names"
    assert refused(kind, file, **{key: "imges"}).startswith(
        f"images.{key}: 'FILE' holds no 'imges'; it holds {held}; nearest: "
    )
    assert refused(kind, file, columns=["m"]).startswith(
        f"images.columns: 'FILE' holds no 'm'; it holds {held}"
    )
    assert refused(kind, file, names="few") == (
        "images.names: 'few' of 'FILE' is int64 of 3, not numbers or text for each of 5 images"
    )


def test_four_channels_are_taken_by_a_network_of_four(tmp_path: Path):
    four = Preprocessing(None, 8, (0.5, 0.4, 0.3, 0.2), (0.5, 0.25, 0.2, 0.1))
    images = np.concatenate([PIXELS, PIXELS[..., :1]], -1)
    expected = (images[:, :, 1:9] / 255 - np.array(four.mean)) / np.array(four.std)
    for kind, file in ((stack, npy(tmp_path / "a", images)), (hdf5, h5(tmp_path / "a", images))):
        found = all_images(kind(four, file=file)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_column_in_a_group_has_its_last_name_unless_two_share_it(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = PIXELS
        file["a/class"], file["b/class"] = np.arange(5), np.arange(5) * 2

    def columns(*asked: str) -> list[str]:
        return [*hdf5(WHOLE, file=f"{tmp_path}/a.h5", dataset="images", columns=asked).columns]

    assert columns("b/class") == ["class"]
    assert columns("a/class", "b/class") == ["a/class", "b/class"]


def test_gray_and_color_become_what_the_network_takes(tmp_path: Path):
    gray = stack(WHOLE, file=npy(tmp_path / "gray", PIXELS[..., 0]))
    assert torch.equal(gray.read(1), WHOLE(torch.from_numpy(PIXELS[1, ..., 0]).expand(3, -1, -1)))
    color = stack(GRAY, file=npy(tmp_path / "color", PIXELS))
    assert torch.equal(color.read(1), GRAY(torch.from_numpy(PIXELS[1]).permute(2, 0, 1)))
    floats = stack(GRAY, file=npy(tmp_path / "floats", PIXELS / 255), values="pixels")
    torch.testing.assert_close(floats.read(1), color.read(1), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "f8"])
def test_floats_are_pixels_or_network_input_and_never_guessed_in_silence(tmp_path, caplog, dtype):
    file = npy(tmp_path / "pixels", (PIXELS / 255).astype(dtype))
    assert refused(stack, file) == (
        "images.values: the floats of 'FILE' go from 0 to 1 and could be pixels or network input;"
        " give images.values=pixels for pixels in 0..1, or images.values=input"
    )
    torch.testing.assert_close(all_images(stack(WHOLE, file=file, values="pixels")), EXPECTED)
    given = stack(WHOLE, file=file, values="input")  # if that is asked for
    assert given.size == (8, 10)
    np.testing.assert_allclose(given.read(0), PIXELS[0].transpose(2, 0, 1) / 255, rtol=1e-6)

    file = npy(tmp_path / "input", EXPECTED.numpy().astype(dtype))
    with caplog.at_level("INFO"):
        assert torch.equal(all_images(stack(WHOLE, file=file)), EXPECTED)
    assert "go from -1.6 to 3.5, so they are taken as network input, unchanged" in caplog.text
    with pytest.raises(ImageError, match=r"'0' has values from -1\.\d+ to 3\.\d+, and pixels are"):
        stack(WHOLE, file=file, values="pixels").read(0)
    assert refused(stack, file, crop=4).startswith("images.resize, images.crop: network input is")


@pytest.mark.parametrize(
    ("shape", "channels", "sentence"),
    [
        ((5, 3, 8, 3), None, r"channels: a is 5 x 3 x 8 x 3, which can be read in two ways; give"),
        ((3, 8, 9), None, r"channels: a is 3 x 8 x 9, which may be one picture in color; give it"),
        ((8, 9, 3), None, r"channels: a is 8 x 9 x 3, which may be one picture in color"),
        ((5, 4, 8, 9), None, r"file: a is 5 x 4 x 8 x 9, and the network takes 1 or 3 channels"),
        ((5, 8, 9, 3), "first", r"file: a is 5 x 8 x 9 x 3 with images\.channels=first, and"),
        ((5, 8, 9), "last", r"file: a is 5 x 8 x 9 with images\.channels=last, and"),
        ((5, 8, 9), "front", r"channels: 'front' is not null, first, last or none"),
        ((0, 3, 8, 9), None, r"file: a is 0 x 3 x 8 x 9, not images x channels x height x width"),
        ((), None, r"file: a is a single number, not images x channels"),
    ],
)
def test_shapes_that_do_not_fit_in_exactly_one_way_are_refused(shape, channels, sentence):
    with pytest.raises(ConfigError, match=rf"^images\.{sentence}"):
        find_axes(shape, channels, 3, "pixels", "a")
    assert find_axes((5, 3, 8, 3), "last", 3, "pixels", "a").size == (3, 8)
    assert find_axes((3, 8, 9), "none", 3, "pixels", "a").size == (8, 9)


def test_what_is_no_array_of_images_is_refused(tmp_path: Path):
    class Trap:
        def __reduce__(self):
            return os.abort, ()

    objects = npy(tmp_path / "objects", np.array([Trap()], dtype=object))
    assert "cannot be read as an array" in refused(stack, objects)
    assert refused(stack, npy(tmp_path / "integers", PIXELS.astype(int))).startswith(
        "images.file: the images of 'FILE' are int64, neither uint8 pixels nor floats"
    )
    assert "its order is Fortran's" in refused(
        stack, npy(tmp_path / "fortran", np.asfortranarray(PIXELS))
    )
    cut = tmp_path / "cut.npy"
    cut.write_bytes(Path(npy(tmp_path / "whole", PIXELS)).read_bytes()[:-9])
    assert refused(stack, str(cut)).startswith("images.file: 'FILE' cannot be read as an array (mm")
    assert refused(stack, str(cut), names="names", values="no").startswith("images.file: 'FILE'")
    assert refused(stack, str(tmp_path / "none.npy")).startswith("images.file: there is no file 'F")
    assert refused(hdf5, str(cut)).startswith("images.file: 'FILE' cannot be opened as HDF5 (")
    assert refused(stack, npy(tmp_path / "whole", PIXELS), names="names").startswith(
        "images.names: 'FILE' holds a single array; save an .npz with numpy.savez"
    )
    two = tmp_path / "two.npz"
    np.savez(two, a=PIXELS, b=PIXELS, c=NAMES)
    assert refused(stack, str(two)) == (
        "images.array: 'FILE' holds several arrays of images (a, b); name the one to use"
    )


def test_data_in_other_files_are_refused_as_their_changes_would_not_be_seen(tmp_path: Path):
    other = h5(tmp_path / "other", PIXELS)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(PIXELS.shape, "u1")
        layout[:] = h5py.VirtualSource(other, "group/images", PIXELS.shape)
        file.create_virtual_dataset("images", layout)
        file["linked"] = h5py.ExternalLink(other, "group/images")
    found = refused(hdf5, str(tmp_path / "virtual.h5"))
    assert found.startswith("images.file: the data of 'images' are not in 'FILE' itself")
    assert "holds no 'linked'" in refused(hdf5, str(tmp_path / "virtual.h5"), dataset="linked")


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = h5(tmp_path / "images", PIXELS)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    assert refused(hdf5, file) == (
        "images=hdf5: HDF5 files need the package h5py; install it with pip install"
        " 'artiphys[hdf5]'"
    )


@pytest.mark.parametrize(("kind", "write"), [(stack, npy), (stack, npz), (hdf5, h5)])
def test_a_changed_image_is_another_image_and_a_copy_is_not(tmp_path: Path, kind, write):
    first = kind(WHOLE, file=write(tmp_path / "a", PIXELS))
    copy = kind(WHOLE, file=write(tmp_path / "b", PIXELS))
    changed = PIXELS.copy()
    changed[3, 2, 2, 1] ^= 1
    other = kind(WHOLE, file=write(tmp_path / "c", changed))
    assert len({each.settings["images"] for each in (first, copy, other)}) == 3  # by stamps
    assert first.like == copy.like == other.like  # so that contents are compared
    digests = [[each.digest(n) for n in range(5)] for each in (first, copy, other)]
    assert digests[0] == digests[1]
    assert [a != b for a, b in zip(digests[0], digests[2], strict=True)] == [0, 0, 0, 1, 0]


def test_a_file_that_is_cut_or_gone_meanwhile_stops_the_run(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("pipeline.images.files._WAITS", ())
    file = Path(npy(tmp_path / "images", PIXELS))
    found = stack(WHOLE, file=str(file))
    os.truncate(file, file.stat().st_size - 9)
    with pytest.raises(TransientError, match=r"'3' cannot be read, as .* has changed since"):
        found.read(3)
    file.unlink()
    with pytest.raises(TransientError, match=r"'0' cannot be read now \(No such file"):
        found.read(0)


def test_a_damaged_chunk_is_set_aside_and_others_are_read(tmp_path: Path):
    file = Path(h5(tmp_path / "a", PIXELS, chunks=(1, 8, 10, 3), fletcher32=True))
    content = bytearray(file.read_bytes())
    place = content.index(PIXELS[2].tobytes())
    content[place] ^= 1
    file.write_bytes(content)
    found = hdf5(WHOLE, file=str(file))
    assert torch.equal(found.read(1), EXPECTED[1])
    with pytest.raises(ImageError, match=r"^images: '2' cannot be read \(.*[Cc]hecksum|filter"):
        found.read(2)
    assert found.digest(2) == -1


def test_a_file_is_opened_anew_after_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = hdf5(WHOLE, file=h5(tmp_path / "images", PIXELS))
    opened = []
    real = hdf5_sets._open
    monkeypatch.setattr(hdf5_sets, "_open", lambda *given: opened.append(1) or real(*given))
    found.read(0), found.read(1)
    monkeypatch.setattr(hdf5_sets.os, "getpid", lambda: -2)
    assert torch.equal(found.read(2), EXPECTED[2])
    assert len(opened) == 2


@pytest.mark.parametrize(("kind", "write"), [(stack, npy), (stack, npz), (hdf5, h5)])
def test_a_file_that_changes_while_it_is_read_ends_the_run(kind, write, tmp_path: Path):
    """Or else some images would be those of one file, and some those of another."""
    file = write(tmp_path / "images", PIXELS)
    images = kind(WHOLE, file=file)
    images.read(0)
    Path(write(tmp_path / "others", PIXELS[::-1])).replace(file)
    with pytest.raises(TransientError) as caught:
        images.read(1)
    assert str(caught.value) == (
        f"images: '1' cannot be read, as '{file}' has changed since it was opened; repeat the"
        " command, which reads it anew"
    )
