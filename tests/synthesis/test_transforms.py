from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from pipeline.config.build import build
from pipeline.config.search_path import conf_dir
from pipeline.errors import ConfigError
from pipeline.synthesis.transforms import (
    Transform,
    angles,
    boxes,
    crop,
    factors,
    fit,
    flip,
    jitter,
    noise,
    pad,
    pixels,
    resize,
    roll,
    rotate,
    scale,
)

ALL: dict[str, Callable[[], Transform]] = {
    "pad": lambda: pad(3, fill=0.5),
    "jitter": lambda: jitter(2),
    "jitter, moved": lambda: jitter(2, keeps_size=True),
    "boxes": lambda: boxes(pixels=4, count=2),
    "pixels": pixels,
    "roll": lambda: roll(5),
    "crop": lambda: crop(4),
    "scale": scale,
    "rotate": rotate,
    "flip": flip,
    "noise": noise,
    "resize": lambda: resize(9),
}


def sources(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def numbered(batch: int, height: int, width: int) -> Tensor:
    """Images whose pixels all differ, the same for every sample: a place can be read off."""
    return torch.arange(3.0 * height * width).view(1, 3, height, width).repeat(batch, 1, 1, 1)


@pytest.mark.parametrize("name", ALL)
def test_sample_depends_on_its_own_generator_alone(name: str):
    transform, images = ALL[name](), drawn(5, 3, 8, 7)
    together = transform.apply(images, sources(1, 2, 3, 4, 5))
    for index, seed in enumerate((1, 2, 3, 4, 5)):
        alone = transform.apply(images[index : index + 1], sources(seed))
        torch.testing.assert_close(alone[0], together[index], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_both_precisions_see_the_same_change(name: str):
    transform, images = ALL[name](), drawn(4, 3, 8, 7)
    double = transform.apply(images, sources(1, 2, 3, 4))
    single = transform.apply(images.float(), sources(1, 2, 3, 4))
    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_gradient_equals_finite_differences(name: str):
    transform, images = ALL[name](), drawn(2, 3, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: transform.apply(x, sources(1, 2)), (images,))


@pytest.mark.parametrize("name", ALL)
def test_generators_go_on_just_where_the_transform_is_random(name: str):
    transform = ALL[name]()
    generators = sources(1, 2)
    before = [source.get_state() for source in generators]
    transform.apply(drawn(2, 3, 8, 7), generators)
    moved = [
        not torch.equal(state, source.get_state())
        for state, source in zip(before, generators, strict=True)
    ]
    assert moved == [transform.random] * 2


def test_pad_surrounds_with_its_fill():
    images = drawn(2, 3, 4, 5)
    found = pad(3, fill=0.5).apply(images, sources(1, 2))
    expected = np.pad(images.numpy(), [(0, 0), (0, 0), (3, 3), (3, 3)], constant_values=0.5)
    np.testing.assert_array_equal(found.numpy(), expected)


def places(transform: Transform, height: int, width: int, count: int = 400) -> Counter:
    """Count where the parts of a transform that cuts came from, checking that each is a part."""
    images = numbered(count, height, width)
    found = transform.apply(images, sources(*range(count)))
    rows, columns = found.shape[2:]
    counted: Counter = Counter()
    for sample in found:
        top, left = divmod(int(sample[0, 0, 0].item()), width)
        assert torch.equal(sample, images[0, :, top : top + rows, left : left + columns])
        counted[top, left] += 1
    return counted


def test_jitter_cuts_every_smaller_part_about_equally_often():
    counted = places(jitter(2), 6, 9)
    assert set(counted) == {(top, left) for top in range(3) for left in range(3)}
    assert min(counted.values()) > 400 / 9 / 2


def test_jitter_that_keeps_the_size_moves_down_and_to_the_right_as_in_lucent():
    images, counted = numbered(300, 6, 9) + 1, Counter()
    for sample in jitter(3, keeps_size=True).apply(images, sources(*range(300))):
        top, left = (int((sample[0] > 0).any(axis).int().argmax()) for axis in (1, 0))
        assert torch.equal(sample[:, top:, left:], images[0, :, : 6 - top, : 9 - left])
        assert not sample[:, :top].any()
        assert not sample[:, :, :left].any()
        counted[top, left] += 1
    assert set(counted) == {(top, left) for top in range(3) for left in range(3)}
    assert min(counted.values()) > 300 / 9 / 2


def test_boxes_shrink_from_step_to_step_about_the_middle():
    """On a ramp, a box shows its own place and side."""
    ramp = torch.linspace(0, 1, 33, dtype=torch.float64).expand(1, 3, 33, 33)
    ramp = torch.stack((ramp[0, 0], ramp[0, 0].T, torch.ones(33, 33)))[None].repeat(400, 1, 1, 1)
    transform = boxes((0.6, 0.2), spread=0.02, wander=0.05, pixels=5)
    assert (transform.looks, transform.at is None) == (32, False)
    for step, size in ((0, 0.6), (1, 0.4), (2, 0.2)):
        assert transform.at is not None
        found = transform.at(step, 3).apply(ramp, sources(*range(400)))
        assert found.shape[2:] == (5, 5)
        assert (found[:, 2] - 1).abs().max() < 1e-12  # nothing beyond the edges yet
        for sides, centers in (
            (found[:, 0, 0, -1] - found[:, 0, 0, 0], found[:, 0, 2, 2]),
            (found[:, 1, -1, 0] - found[:, 1, 0, 0], found[:, 1, 2, 2]),
        ):
            assert sides.mean().item() == pytest.approx(size, abs=0.004)
            assert sides.std().item() == pytest.approx(0.02, rel=0.15)
            assert centers.mean().item() == pytest.approx(0.5, abs=0.01)
            assert centers.std().item() == pytest.approx(0.05, rel=0.15)


def test_boxes_of_oblong_images_are_square():
    """The share is that of the shorter side: 16 of 33 columns as of 17 rows."""
    rows = torch.arange(17.0)[:, None].expand(17, 33)
    columns = torch.arange(33.0).expand(17, 33)
    images = torch.stack((rows, columns, rows))[None]
    found = boxes(0.5, spread=0.0, wander=0.0, pixels=3).apply(images, sources(1))
    torch.testing.assert_close(found[0, 0, :, 0], torch.tensor([4.0, 8.0, 12.0]))
    torch.testing.assert_close(found[0, 1, 0], torch.tensor([12.0, 16.0, 20.0]))


def test_crop_cuts_every_square_about_equally_often():
    counted = places(crop(4), 5, 7)
    assert set(counted) == {(top, left) for top in range(2) for left in range(4)}
    assert min(counted.values()) > 400 / 8 / 2


def test_cut_of_nothing_is_the_image():
    images = drawn(2, 3, 6, 6)
    for transform in (jitter(0), roll(0), crop(6), pad(0)):
        assert torch.equal(transform.apply(images, sources(1, 2)), images)


def test_gradient_of_a_crop_lies_in_the_crop_alone():
    images = numbered(1, 6, 6).requires_grad_()
    found = crop(3).apply(images, sources(4))
    (gradient,) = torch.autograd.grad(found.sum(), images)
    top, left = divmod(int(found[0, 0, 0, 0].item()), 6)
    expected = torch.zeros(1, 3, 6, 6)
    expected[:, :, top : top + 3, left : left + 3] = 1
    assert torch.equal(gradient, expected)


def test_roll_shifts_around_the_edges_by_every_integer_in_both_axes():
    images = numbered(300, 7, 9)
    found = roll(2).apply(images, sources(*range(300)))
    shifts = set()
    for sample in found:
        row, column = (sample[0] == 0).nonzero()[0].tolist()  # where the first pixel went
        down, right = (row + 3) % 7 - 3, (column + 4) % 9 - 4
        expected = np.roll(images[0].numpy(), (down, right), axis=(1, 2))
        np.testing.assert_array_equal(sample.numpy(), expected)
        shifts.add((down, right))
    assert shifts == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_roll_goes_around_images_smaller_than_itself():
    images = numbered(20, 3, 2)
    found = roll(32).apply(images, sources(*range(20)))
    assert torch.equal(found.flatten(1).sort(1).values, images.flatten(1).sort(1).values)


def test_gradient_of_a_roll_is_rolled_back():
    images = drawn(2, 3, 5, 6).requires_grad_()
    found = roll(4).apply(images, sources(1, 2))
    (gradient,) = torch.autograd.grad(found, images, found.detach())
    assert torch.equal(gradient, images)


def scipy_warped(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Sample an image [3, height, width] at matrix @ (row, column), from its center, bilinearly."""
    center = (np.array(image.shape[1:]) - 1) / 2
    return np.stack(
        [
            ndimage.affine_transform(
                channel, matrix, offset=center - matrix @ center, order=1, mode="grid-constant"
            )
            for channel in image
        ]
    )


@pytest.mark.parametrize("size", [(21, 21), (12, 31), (24, 10)])
@pytest.mark.parametrize("factor", [0.9, 1.0, 1.37])
def test_scale_equals_scipy(size: tuple[int, int], factor: float):
    images = drawn(2, 3, *size)
    found = scale(factor, factor).apply(images, sources(1, 2))
    for index in range(2):
        expected = scipy_warped(images[index].numpy(), np.eye(2) / factor)
        np.testing.assert_allclose(found[index].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("size", [(21, 21), (12, 31), (24, 10)])
def test_rotate_equals_scipy(size: tuple[int, int]):
    images = drawn(1, 3, *size).repeat(30, 1, 1, 1)
    found = rotate(degrees=20.0, step=20.0, upright=0).apply(images, sources(*range(30)))
    seen = set()
    for sample in found:
        errors = {}
        for degrees in (-20, 0, 20):
            angle = np.deg2rad(degrees)
            matrix = np.array(  # from (row, column) of a pixel to where it comes from
                [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
            )
            expected = scipy_warped(images[0].numpy(), matrix)
            errors[degrees] = np.abs(sample.numpy() - expected).max()
        nearest = min(errors, key=lambda degrees: errors[degrees])
        assert errors[nearest] < 1e-9
        seen.add(nearest)
    assert seen == {-20, 0, 20}


def test_quarter_turns_are_quarter_turns_counterclockwise():
    images = drawn(1, 3, 6, 6).repeat(40, 1, 1, 1)
    found = rotate(degrees=90.0, step=90.0, upright=0).apply(images, sources(*range(40)))
    turned = [torch.rot90(images[0], turns, (1, 2)) for turns in (-1, 0, 1)]
    seen = {
        index
        for sample in found
        for index, expected in enumerate(turned)
        if (sample - expected).abs().max() < 1e-9
    }
    assert seen == {0, 1, 2}
    assert angles(90.0, 90.0, 0) == [-90, 0, 90]
    # One of the generators draws the last angle, +90 degrees: that must be the turn by +1.
    last = next(seed for seed in range(40) if torch.randint(3, (), generator=sources(seed)[0]) == 2)
    torch.testing.assert_close(found[last], turned[2])


def test_angles_and_factors_are_those_of_lucent():
    assert Counter(angles(10.0, 1.0, 5)) == Counter([*range(-10, 11), *[0] * 5])
    assert factors(0.9, 1.1, 0.02) == pytest.approx([1 + (i - 5) / 50 for i in range(11)])


@given(count=st.integers(1, 40), step=st.floats(0.001, 1))
def test_factors_reach_the_largest_in_spite_of_rounding(count: int, step: float):
    found = factors(0.5, 0.5 + count * step, step)
    assert len(found) == count + 1
    assert found[-1] == pytest.approx(0.5 + count * step)


def test_flip_mirrors_with_its_probability():
    images = numbered(2000, 2, 3)
    found = flip(0.3).apply(images, sources(*range(2000)))
    mirrored = (found == images.flip(3)).flatten(1).all(1)
    kept = (found == images).flatten(1).all(1)
    assert torch.equal(mirrored, ~kept)
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(flip(0.0).apply(images, sources(*range(2000))), images)
    assert torch.equal(flip(1.0).apply(images, sources(*range(2000))), images.flip(3))


def test_noise_has_its_standard_deviation_and_no_mean():
    images = torch.ones(4, 3, 60, 60)
    added = noise(std=0.2).apply(images, sources(1, 2, 3, 4)) - images
    assert added.std().item() == pytest.approx(0.2, rel=0.02)
    assert added.mean().item() == pytest.approx(0, abs=0.005)
    assert not torch.equal(added[0], added[1])


def test_noise_is_new_at_every_step():
    images, generators = torch.zeros(1, 3, 4, 4), sources(1)
    first = noise().apply(images, generators)
    assert not torch.equal(first, noise().apply(images, generators))


def test_resize_is_linear_from_corner_to_corner():
    row = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    found = resize(5).apply(row.expand(1, 3, 2, 3), sources(1))
    expected = np.interp(np.linspace(0, 2, 5), [0, 1, 2], row.numpy())
    np.testing.assert_allclose(found[0, 2, 3].numpy(), expected, atol=1e-12)
    assert found.shape == (1, 3, 5, 5)


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
)
def test_fit_keeps_the_center(height: int, width: int, rows: int, columns: int):
    images = numbered(2, height, width) + 1
    found = fit(images, (rows, columns))
    assert found.shape == (2, 3, rows, columns)
    expected = torch.zeros(2, 3, rows, columns)
    for row in range(rows):
        for column in range(columns):
            y, x = row + (height - rows) // 2, column + (width - columns) // 2
            if 0 <= y < height and 0 <= x < width:
                expected[:, :, row, column] = images[:, :, y, x]
    assert torch.equal(found, expected)


def test_fit_undoes_a_pad():
    images = drawn(2, 3, 7, 4)
    assert torch.equal(fit(pad(5, fill=9.0).apply(images, sources(1, 2)), (7, 4)), images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pad(-1), "transform.pad.pixels: -1 is negative; use 0 or more"),
        (
            lambda: pad(fill=float("inf")),
            "transform.pad.fill: inf is not a finite number; 0 is the mean color",
        ),
        (lambda: jitter(-8), "transform.jitter.pixels: -8 is negative; use 0 or more"),
        (lambda: roll(-2), "transform.roll.pixels: -2 is negative; use 0 or more"),
        (lambda: crop(0), "transform.crop.size: 0 is not a positive number of pixels"),
        (lambda: resize(-5), "transform.resize.size: -5 is not a positive number of pixels"),
        (
            lambda: scale(lowest=0.0),
            "transform.scale.lowest: 0.0 is not a positive number; 1 keeps the size",
        ),
        (
            lambda: scale(lowest=1.2),
            "transform.scale.highest: 1.1 is not a number of at least lowest, 1.2",
        ),
        (lambda: scale(step=0.0), "transform.scale.step: 0.0 is not a positive number"),
        (lambda: rotate(degrees=181.0), "transform.rotate.degrees: 181.0 is not from 0 to 180"),
        (
            lambda: rotate(step=float("nan")),
            "transform.rotate.step: nan is not a positive number",
        ),
        (
            lambda: rotate(upright=-1),
            "transform.rotate.upright: -1 is negative; it counts further zeros among the angles",
        ),
        (lambda: flip(1.5), "transform.flip.probability: 1.5 is not from 0 to 1"),
        (
            lambda: boxes((0.5, 0.0)),
            "transform.boxes.size: (0.5, 0.0) is not above 0 and at most 1; use 0.25 or"
            " [0.5, 0.05]",
        ),
        (
            lambda: boxes((0.5, 0.2, 0.1)),
            "transform.boxes.size: (0.5, 0.2, 0.1) is not a number of 0 or more, or two of them;"
            " write one value or [start, end]",
        ),
        (lambda: boxes(spread=-1.0), "transform.boxes.spread: -1.0 is not a number of 0 or more"),
        (lambda: boxes(wander=-1.0), "transform.boxes.wander: -1.0 is not a number of 0 or more"),
        (lambda: boxes(count=0), "transform.boxes.count: 0 is not positive; use 1 or more"),
        (
            lambda: boxes(pixels=0),
            "transform.boxes.pixels: 0 is not a positive number of pixels",
        ),
        (lambda: noise(-0.1), "transform.noise.std: -0.1 is not a number of 0 or more"),
        (
            lambda: jitter(4).apply(drawn(1, 3, 4, 9), sources(1)),
            "transform.jitter.pixels: 4 leaves nothing of images of 4 x 9 pixels; lower it or pad"
            " them first",
        ),
        (
            lambda: crop(5).apply(drawn(1, 3, 9, 4), sources(1)),
            "transform.crop.size: 5 is larger than images of 9 x 4 pixels; lower it or pad them"
            " first",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


def test_standard_stack_is_what_its_file_says_in_this_order():
    stack = yaml.safe_load((conf_dir() / "transform" / "standard.yaml").read_text("utf-8"))
    assert list(stack) == ["pad", "jitter", "scale", "rotate", "jitter_again"]
    images, generators, sizes = drawn(2, 3, 40, 30), sources(1, 2), []
    for name, group in stack.items():
        images = build(group, f"transform.{name}").apply(images, generators)
        sizes.append(tuple(images.shape[2:]))
    assert sizes == [(64, 54), (56, 46), (56, 46), (56, 46), (52, 42)]
    assert images.isfinite().all()
