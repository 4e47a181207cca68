from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.errors import ConfigError, ImageError
from pipeline.images.bundled import bundled_photographs
from pipeline.images.image_sets import arrays, folder
from pipeline.images.photographs import photographs
from pipeline.images.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(8, 6, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))


def save(path: Path, color: tuple[int, int, int] = (255, 0, 51), size: tuple[int, int] = (16, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path, lossless=True)
    return path


def test_folder_is_sorted_nested_and_takes_pictures_only(tmp_path: Path):
    for name in ("b.png", "a.JPG", "nested/deep/c.webp", "nested/a.jpeg"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    found = folder(PREPROCESSING, root=str(tmp_path))
    assert list(found.names) == ["a.JPG", "b.png", "nested/a.jpeg", "nested/deep/c.webp"]


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_folder_gives_network_input(tmp_path: Path, name: str):
    save(tmp_path / name)
    image = folder(PREPROCESSING, root=str(tmp_path)).read(0)
    assert image.shape == (3, 6, 6)
    for channel, value in enumerate([(1 - 0.5) / 0.5, (0 - 0.4) / 0.25, (0.2 - 0.3) / 0.2]):
        torch.testing.assert_close(image[channel], torch.full((6, 6), value))


def test_center_crop_without_resizing(tmp_path: Path):
    pixels = np.zeros((12, 16, 3), np.uint8)
    pixels[3:9, 5:11] = 255  # the central 6 x 6 pixels
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = folder(PREPROCESSING, root=str(tmp_path), resize=None).read(0)
    assert torch.equal(image, PREPROCESSING.normalize(torch.ones(3, 6, 6)))


def test_truncated_picture_is_named_with_the_reason(tmp_path: Path):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(ImageError, match=r"^images: 'cut\.jpg' cannot be decoded \(image file is"):
        folder(PREPROCESSING, root=str(tmp_path)).read(0)


def test_picture_smaller_than_the_crop_is_refused(tmp_path: Path):
    save(tmp_path / "a.png", size=(5, 20))
    with pytest.raises(ImageError) as caught:
        folder(PREPROCESSING, root=str(tmp_path), resize=None).read(0)
    assert str(caught.value) == (
        "images: 'a.png' is 5 x 20 pixels, smaller than the crop of 6; lower images.crop or set"
        " images.resize"
    )


def test_missing_and_empty_folders_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        folder(PREPROCESSING, root=str(tmp_path / "none"))
    assert str(caught.value) == (
        f"images.root: there is no folder '{tmp_path}/none'; give the path of one"
    )
    with pytest.raises(ConfigError) as caught:
        folder(PREPROCESSING, root=str(tmp_path))
    assert str(caught.value) == (
        f"images.root: '{tmp_path}' holds no picture ending in .jpg, .jpeg, .png, .ppm, .bmp, .pgm,"
        " .tif, .tiff, .webp"
    )
    with pytest.raises(ConfigError) as caught:
        arrays(PREPROCESSING, root=str(tmp_path))
    assert str(caught.value) == f"images.root: '{tmp_path}' holds no array ending in .npy"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "images.limit: 0 leaves no image; use null or a positive number"),
        ({"crop": 0}, "images.crop: 0 is not 'default' or a number of pixels"),
        ({"resize": "big"}, "images.resize: 'big' is not 'default', null or a number of pixels"),
    ],
)
def test_bad_sizes_are_refused(tmp_path: Path, options: dict, message: str):
    save(tmp_path / "a.png")
    with pytest.raises(ConfigError) as caught:
        folder(PREPROCESSING, root=str(tmp_path), **options)
    assert str(caught.value) == message


def test_identity_follows_names_contents_and_preprocessing(tmp_path: Path):
    path = save(tmp_path / "a.png")
    first = folder(PREPROCESSING, root=str(tmp_path)).settings
    assert folder(PREPROCESSING, root=str(tmp_path)).settings == first
    assert folder(PREPROCESSING, root=str(tmp_path), crop=5).settings != first
    save(tmp_path / "b.png")
    second = folder(PREPROCESSING, root=str(tmp_path)).settings
    assert second != first
    assert folder(PREPROCESSING, root=str(tmp_path), limit=1).settings == first
    save(path, color=(1, 2, 3), size=(32, 32))
    assert folder(PREPROCESSING, root=str(tmp_path), limit=1).settings != first


def test_arrays_are_sorted_by_number_and_taken_as_they_are(tmp_path: Path):
    for number in (10, 2, 1):
        np.save(tmp_path / f"{number}.npy", np.full((3, 4, 5), number, np.float32))
    found = arrays(PREPROCESSING, root=str(tmp_path))
    assert list(found.names) == ["1.npy", "2.npy", "10.npy"]
    assert found.size == (4, 5)
    assert found.pixel_scale is None
    assert torch.equal(found.read(2), torch.full((3, 4, 5), 10.0))


def test_bad_arrays_are_named_with_the_reason(tmp_path: Path):
    np.save(tmp_path / "0.npy", np.zeros((3, 4, 4), np.float32))
    np.save(tmp_path / "1.npy", np.zeros((3, 5, 4), np.float32))
    np.save(tmp_path / "2.npy", np.zeros((3, 4, 4), np.uint8))
    np.save(tmp_path / "3.npy", np.full((3, 4, 4), np.nan, np.float32))
    (tmp_path / "4.npy").write_bytes(b"")
    found = arrays(PREPROCESSING, root=str(tmp_path))
    reasons = {
        1: "images: '1.npy' is float32 3 x 5 x 4, not float 3 x 4 x 4 as the others",
        2: "images: '2.npy' is uint8 3 x 4 x 4, not float 3 x 4 x 4 as the others",
        3: "images: '3.npy' holds values that are not finite",
        4: "images: '4.npy' cannot be read as an array (No data left in file)",
    }
    for index, message in reasons.items():
        with pytest.raises(ImageError) as caught:
            found.read(index)
        assert str(caught.value) == message


def test_an_image_that_has_changed_since_it_was_searched_is_refused(tmp_path: Path):
    save(tmp_path / "a.png")
    found = folder(PREPROCESSING, root=str(tmp_path))
    image, digest = found.load(0)
    assert digest == found.digest(0) > 0
    assert torch.equal(found.read(0, digest), image)
    save(tmp_path / "a.png", size=(19, 20))
    with pytest.raises(ImageError) as caught:
        found.read(0, digest)
    assert str(caught.value) == (
        "images: 'a.png' has changed since it was searched; repeat the command, which searches"
        " changed images again"
    )


def test_no_usable_array_is_refused(tmp_path: Path):
    np.save(tmp_path / "0.npy", np.zeros((4, 4), np.float32))
    with pytest.raises(ConfigError) as caught:
        arrays(PREPROCESSING, root=str(tmp_path))
    assert str(caught.value) == (
        f"images.root: no array in '{tmp_path}' can be read as 3 x height x width, with the"
        " channels of the network; '0.npy' is 4 x 4"
    )


def test_the_labs_own_arrays_can_be_read(reference_data: Path):
    found = arrays(PREPROCESSING, root=str(reference_data / "images_bair"))
    assert list(found.names) == [f"{number}.npy" for number in range(16)]
    assert found.size == (227, 227)
    assert found.read(7).dtype == torch.float32


def test_photographs_are_crops_at_their_place():
    preprocessing = Preprocessing(None, 96, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    found = photographs(preprocessing, scales=[1.0])
    name = next(name for name in found.names if name.startswith("coffee/1/72-144"))
    crop = found.read(list(found.names).index(name))
    expected = bundled_photographs()["coffee"][72:168, 144:240].transpose(2, 0, 1) / 255
    np.testing.assert_allclose(crop.numpy(), expected, atol=1e-6)


def test_photographs_smaller_than_the_crop_are_enlarged():
    found = photographs(Preprocessing(None, 640, (0.0,) * 3, (1.0,) * 3))
    assert found.read(0).shape == (3, 640, 640)
    assert {name.split("/")[0] for name in found.names} == set(bundled_photographs())


def test_links_are_followed_but_not_in_circles(tmp_path: Path):
    save(tmp_path / "images" / "a.png")
    save(tmp_path / "elsewhere" / "b.png")
    (tmp_path / "images" / "loop").symlink_to(tmp_path / "images")
    (tmp_path / "images" / "linked").symlink_to(tmp_path / "elsewhere")
    found = folder(PREPROCESSING, root=str(tmp_path / "images"))
    assert list(found.names) == ["a.png", "linked/b.png"]


def test_link_to_nowhere_is_an_unreadable_image(tmp_path: Path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere.png")
    found = folder(PREPROCESSING, root=str(tmp_path))
    with pytest.raises(ImageError, match=r"^images: 'b\.png' cannot be read"):
        found.read(1)


def test_name_that_cannot_be_stored_is_refused(tmp_path: Path):
    save(tmp_path / "a\nb.png")
    with pytest.raises(ConfigError) as caught:
        folder(PREPROCESSING, root=str(tmp_path))
    assert str(caught.value) == (
        "images.root: 'a\\nb.png' is a name that cannot be stored; rename it"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "images.stride: 0 is not null or a positive number of pixels"),
        ({"scales": []}, "images.scales: [] are not numbers above 0 and up to 10"),
        ({"scales": [0.0]}, "images.scales: [0.0] are not numbers above 0 and up to 10"),
        ({"crop": 9999}, "images.crop: 9999 is beyond the 4096 pixels that are allowed"),
    ],
)
def test_crops_that_cannot_be_are_refused(options: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        photographs(PREPROCESSING, **options)
    assert str(caught.value) == message


def test_resizing_below_the_crop_is_refused(tmp_path: Path):
    save(tmp_path / "a.png")
    with pytest.raises(ConfigError) as caught:
        folder(PREPROCESSING, root=str(tmp_path), resize=5)
    assert str(caught.value) == (
        "images.resize: 5 is smaller than the crop of 6; raise images.resize or lower images.crop"
    )
