"""Images as pictures in a notebook: a second way to their responses, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline.errors import ArtiphysError

NET = pipeline.network("miniature")
NOISE = torch.randn(3, 3, 29, 29, generator=torch.Generator().manual_seed(0)) * 3


def test_a_unit_at_the_place_of_the_image_responds_to_the_whole_picture_the_same():
    row = column = 10
    box = pipeline.receptive_field(NET, "conv2", (row, column))
    canvas = (2 * box.top + box.height, 2 * box.left + box.width)  # its center is this field
    shown = pipeline.stimulus_images(NET, "conv2", [2, 0, 2], NOISE, canvas=canvas)
    assert shown.table[["top", "left"]].iloc[0].tolist() == [box.top, box.left]
    pictures = torch.from_numpy(shown.pixels).permute(0, 3, 1, 2)
    images = NET.preprocessing.normalize(pictures / 255)
    maps = pipeline.responses(NET, images, "conv2", at="all")["conv2"]
    found = maps[[0, 1, 2], [2, 0, 2], row, column]
    np.testing.assert_allclose(shown.table["picture_response"], found, rtol=1e-4, atol=1e-4)
    assert np.min(shown.table["clipped"]) > 0.1


def test_pictures_of_one_channel_are_gray():
    own = pipeline.network(nn.Sequential(nn.Conv2d(1, 4, 5)), input_size=(1, 12, 9), mean=0.5)
    field = torch.linspace(-0.5, 0.5, 25).reshape(1, 1, 5, 5)
    shown = pipeline.stimulus_images(own, "conv1", 3, field)
    assert shown.pixels.shape == (1, 12, 9, 1)
    assert shown.pixels[0, [0, 3, 7], [0, 2, 6], 0].tolist() == [128, 0, 255]
    weight, bias = (part.detach()[3] for part in own.module.parameters())
    assert shown.table["response"].iloc[0] == pytest.approx(float((weight * field).sum() + bias))


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"units": [1, 2]}, "units: 2 numbers are not one for each of 3 images"),
        ({"units": 64}, r"units: \[64\] goes beyond conv2"),
        ({"units": 1.5}, "units: 1.5 is not a whole number"),
        ({"images": NOISE[:, :, 1:]}, r"images: float32 of shape \(3, 3, 28, 29\) are not images"),
        ({"images": "a.png"}, "images: str is neither a tensor nor an array"),
        ({"images": NOISE / 0}, "images: image 0 holds values that are not finite"),
        ({"canvas": (20, 60)}, "^canvas: 20 x 60 pixels are too few for images of 29 x 29"),
        ({"canvas": 6.5}, "canvas: 6.5 is no side"),
        ({"canvas": (60,)}, r"canvas: \(60,\) is no side, or height and width, in pixels"),
        ({"background": -0.1}, "^background: the gray of the canvas, -0.1, -0.1, -0.1, is not"),
        ({"scaling": "clipped"}, "^scaling: 'clipped' is not one of clip, contrast; nearest: clip"),
    ],
)
def test_what_cannot_be_shown_is_refused(given: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"units": 1, "images": NOISE, **given}
    with pytest.raises(ArtiphysError, match=message):
        pipeline.stimulus_images(NET, "conv2", **arguments)


def test_networks_whose_images_are_no_pictures_are_refused():
    own = pipeline.network(nn.Sequential(nn.Conv2d(2, 4, 5)), input_size=(2, 9, 9))
    with pytest.raises(ArtiphysError, match="images: pictures have 1 or 3 channels"):
        pipeline.stimulus_images(own, "conv1", 0, torch.zeros(1, 2, 5, 5))
