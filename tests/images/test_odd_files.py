"""Odd files of pictures are read as the field's loaders read them, and where not, that is said."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import ConfigError, ImageError
from pipeline.images.files import decode_picture
from pipeline.images.folders import OTHER_PICTURES
from pipeline.images.image_sets import PICTURES, folder
from pipeline.images.preprocessing import Preprocessing

RGB = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
SECOND = RGB.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
RAMP = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16) + 77
ORIENTATION = 0x0112  # of EXIF


def stored(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def with_opacity(mode: str) -> Image.Image:
    picture = RGB.convert(mode)
    picture.putalpha(SECOND.convert("L"))
    return picture


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return exif


ODD = {
    "gray JPEG": stored(RGB.convert("L"), "JPEG"),
    "CMYK JPEG": stored(RGB.convert("CMYK"), "JPEG"),
    "CMYK TIFF": stored(RGB.convert("CMYK"), "TIFF"),
    "JPEG on its side": stored(RGB, "JPEG", exif=turned()),
    "PNG of a palette": stored(RGB.quantize(16), "PNG"),
    "PNG of a palette with a transparent color": stored(RGB.quantize(16), "PNG", transparency=3),
    "PNG of one bit": stored(RGB.convert("1"), "PNG"),
    "PNG with opacity": stored(with_opacity("RGB"), "PNG"),
    "gray PNG with opacity": stored(with_opacity("L"), "PNG"),
    "WebP with opacity": stored(with_opacity("RGB"), "WEBP", lossless=True),
    "animated PNG": stored(RGB, "PNG", save_all=True, append_images=[SECOND]),
    "animated WebP": stored(RGB, "WEBP", save_all=True, append_images=[SECOND], lossless=True),
    "animated GIF": stored(RGB, "GIF", save_all=True, append_images=[SECOND]),
    "TIFF of two pages": stored(RGB, "TIFF", save_all=True, append_images=[SECOND]),
    "packed TIFF": stored(RGB, "TIFF", compression="tiff_lzw"),
    "BMP": stored(RGB, "BMP"),
    "PPM": stored(RGB, "PPM"),
    "PGM": stored(RGB.convert("L"), "PPM"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_what_pillow_converts_it_to(name: str):
    with Image.open(io.BytesIO(ODD[name])) as opened:
        expected = np.asarray(opened.convert("RGB"))
    found = decode_picture(ODD[name])
    np.testing.assert_array_equal(found.permute(1, 2, 0), expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_of_16_bits_of_gray_the_upper_8_are_taken_where_pillow_clips(kind: str):
    content = stored(Image.fromarray(RAMP), kind)
    found = decode_picture(content)
    assert found.shape == (3, 16, 16)
    np.testing.assert_array_equal(found, np.stack([np.arange(256).reshape(16, 16)] * 3))
    with Image.open(io.BytesIO(content)) as opened:
        assert (np.asarray(opened.convert("RGB"))[1:] == 255).all()


def test_pixels_whose_range_is_unknown_are_refused():
    floats = stored(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF")
    integers = stored(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF")
    for content, kind in ((floats, "floating-point"), (integers, "32-bit")):
        with pytest.raises(ImageError) as caught:
            decode_picture(content)
        assert str(caught.value) == (
            f"has {kind} pixels, whose black and white are unknown; convert it to 8 or 16 bits"
        )


def test_a_folder_holds_what_torchvision_finds_and_tells_what_it_leaves_out(tmp_path, caplog):
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert sorted(PICTURES) == sorted(IMG_EXTENSIONS)
    assert not {*PICTURES} & OTHER_PICTURES
    whole = Preprocessing(None, 8, (0.5,) * 3, (0.5,) * 3)
    for name in ("b.gif", "a.GIF", "c.heic", "notes.txt"):
        (tmp_path / name).write_bytes(ODD["animated GIF"])
    with pytest.raises(ConfigError, match=r"it holds others, which are left out: 2 \.gif, 1 \.hei"):
        folder(whole, root=str(tmp_path))
    for number, ending in enumerate(PICTURES):
        (tmp_path / f"{number}{ending}").write_bytes(ODD["BMP"])
    caplog.clear()
    assert len(folder(whole, root=str(tmp_path))) == len(PICTURES)
    (message,) = caplog.messages
    assert message.startswith(
        "images: 3 pictures are left out for their endings (2 .gif, 1 .heic); images.root takes"
    )


def test_pictures_are_upright_where_that_is_asked_for(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(ODD["JPEG on its side"])
    whole = Preprocessing(None, 20, (0.0,) * 3, (1.0,) * 3)
    plain, upright = (folder(whole, root=str(tmp_path), upright=each) for each in (False, True))
    assert plain.settings != upright.settings
    expected = plain.read(0).transpose(1, 2).flip(2)  # both are the central square
    np.testing.assert_array_equal(upright.read(0), expected)
