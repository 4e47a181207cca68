"""Files of images: what is opened at all, what is set aside for good, and what may pass."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import ImageError, TransientError
from pipeline.images import files
from pipeline.images.batches import load_batch
from pipeline.images.files import decode_array, decode_picture, read_content, read_picture
from pipeline.images.image_sets import folder
from pipeline.images.pictures import chosen_picture
from pipeline.images.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(None, 6, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))
ORIENTATION = 0x0112  # of EXIF


def picture(path: Path, size: tuple[int, int] = (16, 12), **saved) -> Path:
    pixels = np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)
    Image.fromarray(pixels).save(path, **saved)
    return path


def unreadable(path: Path, read=read_picture) -> str:
    with pytest.raises(ImageError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["EPS", "ICO", "TGA", "nothing"])
def test_what_is_in_no_known_format_is_not_opened_whatever_its_name(tmp_path: Path, kind: str):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"") if kind == "nothing" else picture(path, format=kind)
    # The same words every time: they are stored with the search.
    assert unreadable(path) == (
        "cannot be decoded (it is no JPEG, PNG, WebP, BMP, PPM, TIFF or GIF picture)"
    )


@pytest.mark.timeout(20)
def test_pipes_and_devices_are_not_read(tmp_path: Path):
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    for name in ("a.png", "b.png"):
        assert unreadable(tmp_path / name) == "is no regular file"
    picture(tmp_path / "c.png")
    batch = load_batch(folder(PREPROCESSING, root=str(tmp_path)), range(3))
    assert batch.indices.tolist() == [2]
    assert batch.unreadable == dict.fromkeys(["a.png", "b.png"], "is no regular file")


def test_files_and_pictures_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    narrow = picture(tmp_path / "narrow.png", (3000, 20))
    assert unreadable(narrow) == (
        "is 3000 x 20 pixels: its long side is more than 64 times the short"
    )
    monkeypatch.setattr(files, "MOST_PIXELS", 5_000_000)
    scan = tmp_path / "scan.png"
    Image.new("1", (2500, 2100)).save(scan)
    assert unreadable(scan) == "is 2500 x 2100 pixels, more than the 5 million allowed"
    monkeypatch.setattr(files, "LARGEST_FILE", 50)
    assert unreadable(narrow).startswith("is larger than the ")


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ENOMEM, errno.EMFILE])
@pytest.mark.parametrize("times", [2, 9])
def test_a_fault_that_may_pass_is_tried_again_and_never_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, times: int
):
    picture(tmp_path / "a.png")
    found = folder(PREPROCESSING, root=str(tmp_path))
    left = [times]
    read = files._regular_content

    def failing(path: Path) -> bytes:
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(number, os.strerror(number))
        return read(path)

    monkeypatch.setattr(files, "_regular_content", failing)
    monkeypatch.setattr(files, "_WAITS", (0.0, 0.0, 0.0))
    if times == 2:
        assert load_batch(found, [0]).unreadable == {}
    else:
        with pytest.raises(TransientError) as caught:
            load_batch(found, [0])
        assert str(caught.value) == (
            f"images: 'a.png' cannot be read now ({os.strerror(number)}); repeat the"
            " command when it can; finished work is kept"
        )


def test_a_lack_of_memory_is_not_a_fault_of_the_picture(tmp_path, monkeypatch):
    content = read_content(picture(tmp_path / "a.png"))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    monkeypatch.setattr(np, "load", fail)
    for decode in (decode_picture, lambda data: decode_array(data, (3, 2, 2))):
        with pytest.raises(TransientError, match="there is no memory left"):
            decode(content)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_that_is_named_is_upright_and_one_of_a_folder_as_stored(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = picture(tmp_path / "a.png", (16, 12), exif=exif)
    plain = read_picture(picture(tmp_path / "plain.png", (16, 12)))
    turned = {
        1: plain,
        2: plain.flip(2),
        3: plain.flip(1, 2),
        4: plain.flip(1),
        5: plain.transpose(1, 2),
        6: plain.transpose(1, 2).flip(2),
        7: plain.transpose(1, 2).flip(1, 2),
        8: plain.transpose(1, 2).flip(1),
    }
    upright, _ = chosen_picture("init.image.path", str(path))
    assert torch.equal(upright, turned[orientation])
    assert torch.equal(decode_picture(path.read_bytes()), plain)


def test_hidden_files_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    picture(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    with caplog.at_level("INFO"):
        assert folder(PREPROCESSING, root=str(tmp_path)).names == ["a.png"]
    assert caplog.messages == ["images: 1 hidden files are left out"]
