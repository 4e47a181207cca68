from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.store.results import Result
from pipeline.synthesis.inits import Request, image, noise, result, top_patch, zeros

HALF = Preprocessing(resize=None, crop=6, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def no_patches(units: object, rank: int, sign: int) -> Tensor:
    raise AssertionError("this init must not ask for patches")


def request(*seeds: int, size: tuple[int, int] = (4, 4), patches=no_patches) -> Request:
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return Request(list(seeds), size, generators, HALF, patches)


def test_zeros_are_zeros():
    assert torch.equal(zeros().start(request(1, 2)), torch.zeros(2, 3, 4, 4))


def test_noise_has_the_standard_deviation_and_no_mean():
    drawn = noise(std=0.3).start(request(1, 2, size=(100, 100)))
    assert drawn.std().item() == pytest.approx(0.3, rel=0.02)
    assert drawn.mean().item() == pytest.approx(0, abs=0.005)


def test_noise_of_a_unit_does_not_depend_on_its_batch():
    together = noise().start(request(7, 8, 9))
    assert torch.equal(noise().start(request(8))[0], together[1])
    assert not torch.equal(together[0], together[1])


def test_top_patch_asks_for_rank_and_sign():
    asked = []

    def patches(units, rank: int, sign: int) -> Tensor:
        asked.append((list(units), rank, sign))
        return torch.ones(len(units), 3, 4, 4)

    init = top_patch(rank=3, sign=-1)
    assert init.needs_top_patches
    assert torch.equal(init.start(request(5, 6, patches=patches)), torch.ones(2, 3, 4, 4))
    assert asked == [([5, 6], 3, -1)]


@pytest.fixture
def gradient_picture(tmp_path: Path) -> Path:
    """A 6 x 6 picture whose red is 10 * row and whose green is 10 * column."""
    path = tmp_path / "picture.png"
    picture = Image.new("RGB", (6, 6))
    for row in range(6):
        for column in range(6):
            picture.putpixel((column, row), (10 * row, 10 * column, 0))
    picture.save(path)
    return path


def test_image_is_the_center_of_the_picture(gradient_picture: Path):
    start = image(str(gradient_picture)).start(request(1, 2, size=(2, 4)))
    pixels = start * 0.5 + 0.5
    torch.testing.assert_close(pixels[0, 0, :, 0] * 255, torch.tensor([20.0, 30.0]))
    torch.testing.assert_close(pixels[0, 1, 0] * 255, torch.tensor([10.0, 20.0, 30.0, 40.0]))
    assert torch.equal(start[0], start[1])


def test_image_smaller_than_the_field_is_surrounded_by_zeros(gradient_picture: Path):
    start = image(str(gradient_picture)).start(request(1, size=(8, 8)))
    assert start[:, :, 0].abs().max() == 0
    assert start[:, :, -1].abs().max() == 0
    assert start[0, 0, 1, 1] == -1  # black, normalized


def test_image_is_told_apart_by_contents(gradient_picture: Path):
    assert image(str(gradient_picture)).contents != image().contents


def stored(folder: Path, *items: dict[str, np.ndarray], **settings: object) -> str:
    """Write a result as a stage does."""
    earlier = Result(folder, settings, [f"item-{number}" for number in range(len(items))])
    earlier.begin("run", {})
    for name, arrays in zip(earlier.items, items, strict=True):
        earlier.write(name, arrays)
    return str(folder)


def frame(number: int, image: np.ndarray) -> dict[str, np.ndarray]:
    zero = np.zeros(1, int)
    return {"units": zero - 1, "copies": zero + number, "images": image[None], "octaves": zero}


def test_a_dream_of_several_frames_is_its_last(tmp_path: Path):
    images = np.random.default_rng(0).normal(size=(3, 3, 4, 4)).astype(np.float32)
    folder = stored(tmp_path / "dream", *(frame(n, image) for n, image in enumerate(images)))
    start = result(folder).start(request(1, 2))
    np.testing.assert_array_equal(start, images[[2, 2]])
    one = stored(tmp_path / "other_place", frame(7, images[2]))
    first = stored(tmp_path / "first", frame(0, images[0]))
    assert result(folder).contents != result(first).contents
    assert result(one).start(request(1)).equal(start[:1])


def test_images_of_copies_of_an_earlier_result_are_those_of_the_same_copy(tmp_path: Path):
    images = np.random.default_rng(1).normal(size=(4, 3, 4, 4)).astype(np.float32)
    arrays = {"units": np.array([5, 5, 7, 7]), "copies": np.array([0, 1, 0, 1]), "images": images}
    earlier = result(stored(tmp_path / "ascent", arrays))
    wanted = replace(request(7, 5), copies=[1, 0])
    np.testing.assert_array_equal(earlier.start(wanted), images[[3, 0]])
    with pytest.raises(ConfigError, match=r"' has no image of unit 6; it has units 5, 7$"):
        earlier.start(request(6))


def test_an_earlier_image_of_another_network_keeps_its_colors(tmp_path: Path):
    pixels = np.random.default_rng(3).uniform(size=(3, 4, 4)).astype(np.float32)
    other = replace(HALF, mean=(0.4, 0.3, 0.2), std=(0.2, 0.1, 0.3))
    image = other.normalize(torch.from_numpy(pixels)).numpy()
    for name, known in (("same", HALF), ("other", other)):
        folder = tmp_path / name
        settings = {"preprocessing": known.settings()}
        (start,) = result(stored(folder, frame(0, image), **settings)).start(request(1))
        shown = image if known is HALF else HALF.normalize(torch.from_numpy(pixels)).numpy()
        np.testing.assert_allclose(start, shown, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "covering"), [((9, 6), (9, 12)), ((2, 4), (3, 4)), ((3, 4), None)]
)
def test_an_earlier_image_of_another_size_is_resized_to_cover_it(
    tmp_path: Path, size: tuple[int, int], covering: tuple[int, int] | None
):
    image = np.random.default_rng(2).normal(size=(3, 3, 4)).astype(np.float32)
    (start,) = result(stored(tmp_path / "dream", frame(0, image))).start(request(1, size=size))
    expected = torch.from_numpy(image)
    if covering is not None:
        expected = interpolate(expected[None], covering, mode="bilinear", antialias=True)[0]
        top, left = ((a - b) // 2 for a, b in zip(covering, size, strict=True))
        expected = expected[:, top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(start, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: noise(std=-1.0), "init.noise.std: -1.0 is not a positive number"),
        (lambda: top_patch(rank=-1), "init.top_patch.rank: -1 is negative; ranks count from 0"),
        (
            lambda: top_patch(sign=0),
            "init.top_patch.sign: 0 is neither +1 (top) nor -1 (bottom)",
        ),
        (
            lambda: image("/no/such.png"),
            "init.image.path: there is no file '/no/such.png'; give the path of a picture",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


def test_file_that_is_no_picture_is_refused(tmp_path: Path):
    path = tmp_path / "text.png"
    path.write_text("not a picture")
    with pytest.raises(ConfigError, match=r"^init\.image\.path: '.*text\.png' cannot be decoded"):
        image(str(path))
