"""A drawing shows what its label says."""

import pytest
import torch

from pipeline.miniature.labeled import labeled_drawings
from pipeline.miniature.network import CLASSES

GRAY = torch.full((3, 96, 96), 0.5)


@pytest.fixture(scope="module")
def drawn():
    """Drawings on uniform ground, where the shape is all that differs, and their names."""
    images, labels = labeled_drawings([GRAY], 600, 96, torch.Generator().manual_seed(0))
    return images, [CLASSES[label].split("/") for label in labels.tolist()]


def shape_color(image):
    """Return the color difference of shape and ground, without the intensity."""
    ground = image[:, 0, 0]
    difference = image - ground[:, None, None]
    most = difference.abs().sum(0).flatten().argmax()
    color = difference.flatten(1)[:, most]
    return color - color.mean(), ground - ground.mean()


def test_every_class_is_drawn(drawn):
    _, names = drawn
    assert {"/".join(name) for name in names} == set(CLASSES)


def test_images_are_pixels(drawn):
    images, _ = drawn
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1


@pytest.mark.parametrize(
    ("color", "channel", "sign"),
    [("red", 0, 1), ("green", 1, 1), ("blue", 2, 1), ("yellow", 2, -1)],
)
def test_the_shape_has_the_hue_of_its_label(drawn, color, channel, sign):
    images, names = drawn
    for image, name in zip(images, names, strict=True):
        if name[2] == color:
            over_ground, ground = shape_color(image)
            # The ground's slight tint shows where the shape has little color of its own.
            difference = sign * (over_ground + ground)
            assert difference.argmax() == channel


def test_gray_shapes_have_no_hue(drawn):
    images, names = drawn
    for image, name in zip(images, names, strict=True):
        if name[2] == "gray":
            over_ground, ground = shape_color(image)
            assert (over_ground + ground).abs().max() <= ground.abs().max() + 1e-5


def test_intensity_does_not_tell_the_color(drawn):
    images, names = drawn
    means = {}
    for color in ("red", "green", "blue", "yellow", "gray"):
        chosen = [image for image, name in zip(images, names, strict=True) if name[2] == color]
        levels = torch.stack([image.mean() - image[:, 0, 0].mean() for image in chosen])
        assert 0.3 < (levels > 0).float().mean() < 0.7
        means[color] = levels.mean().item()
    assert max(means.values()) - min(means.values()) < 0.01


@pytest.mark.parametrize("kind", ["grating", "bar"])
def test_the_shape_is_turned_as_its_label_says(drawn, kind):
    images, names = drawn
    chosen = [index for index, name in enumerate(names) if name[0] == kind][:60]
    angles = torch.tensor([float(names[index][1]) for index in chosen])
    # The channel that differs most from the ground, so that hardly any shape is missed.
    difference = images[chosen] - images[chosen, :, :1, :1]
    strongest = difference.abs().sum((2, 3)).argmax(1)
    difference = difference[torch.arange(len(chosen)), strongest]

    spectra = torch.fft.fft2(difference, s=(128, 128)).abs().square()
    frequency = torch.fft.fftfreq(128)
    upward, rightward = torch.meshgrid(-frequency, frequency, indexing="ij")
    if kind == "grating":
        # Its window alone has its energy around zero.
        spectra = spectra * (torch.hypot(upward, rightward) > 0.06)
    doubled = torch.polar(spectra, (2 * torch.atan2(upward, rightward)).expand_as(spectra))
    # A spectrum extends across the axis of its shape.
    axes = torch.rad2deg(doubled.sum((1, 2)).angle()) / 2 + 90
    assert ((axes - angles + 90) % 180 - 90).abs().max() < 22.5


def test_the_generator_decides_everything():
    once, again, other = (
        labeled_drawings([GRAY], 8, 96, torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)
    )
    assert torch.equal(once[0], again[0])
    assert torch.equal(once[1], again[1])
    assert not torch.equal(once[0], other[0])
