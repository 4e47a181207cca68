"""Images on a gray canvas: what is clipped, and what contrast is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import ConfigError
from pipeline.stimuli.gray_canvas import GrayCanvas


def test_what_is_clipped_is_counted_and_rounding_is_not():
    values = np.array([-0.5, -0.001, 0.0, 0.25, 0.5, 1.0, 1.001, 1.5]).reshape(1, 1, 2, 4)
    shown = GrayCanvas(2, 4, (0.5,)).show(values)
    assert shown.pixels.ravel().tolist() == [0, 0, 0, 64, 128, 255, 255, 255]
    assert (shown.clipped[0], shown.factors[0]) == (2 / 8, 1.0)


pixels = arrays(np.float64, (2, 3, 3, 2), elements=st.floats(-40, 40))
grays = st.tuples(*[st.floats(0.05, 0.95)] * 3)


@given(images=pixels, gray=grays)
def test_fitted_contrast_reaches_black_or_white_and_can_be_undone(
    images: np.ndarray, gray: tuple[float, float, float]
):
    images[0] = np.asarray(gray)[:, None, None]  # without contrast
    images[1, 0, 0, 0] = gray[0] + 0.5
    shown = GrayCanvas(5, 4, gray, "contrast").show(images)
    assert shown.clipped.tolist() == [0, 0]
    assert shown.factors[0] == 1
    field = shown.pixels[1, :, 1:4, 1:3]
    assert {0, 255} & set(field.ravel().tolist())
    middle = np.asarray(gray)[:, None, None]
    again = middle + (field / 255 - middle) / shown.factors[1]
    assert np.abs(again - images[1]).max() < 0.51 / 255 / shown.factors[1]


@pytest.mark.parametrize(
    ("gray", "scaling", "message"),
    [
        ((1.5,), "clip", "screen.background: the gray of the canvas, 1.5, is not a pixel value"),
        ((0.5, 0.5), "clip", "stimuli.images: pictures have 1 or 3 channels, and the images of"),
        ((0.0,), "contrast", "stimuli.scaling: contrast is fitted about the gray of the canvas"),
        ((0.5,), "fit", "stimuli.scaling: 'fit' is not one of clip, contrast"),
    ],
)
def test_a_canvas_that_cannot_be_shown_is_refused(
    gray: tuple[float, ...], scaling: str, message: str
):
    with pytest.raises(ConfigError, match=message):
        GrayCanvas(4, 4, gray, scaling)
