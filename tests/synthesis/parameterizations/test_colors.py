from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations import Setting, compose, decorrelated, unbounded


def mixing(setting: Setting, **settings) -> Tensor:
    """The matrix C, column by column: the colors of unit channels."""
    space = compose({"decorrelated": decorrelated(**settings)}, setting)
    channels = torch.eye(3, dtype=torch.float64)[:, :, None, None].expand(3, 3, *setting.size)
    return space.decode([channels])[:, :, 0, 0].T


def test_the_published_matrix(setting):
    published = [
        [0.56283, 0.19483, 0.04329],
        [0.58448, 0.0, -0.10824],
        [0.58448, -0.19483, 0.06494],
    ]
    found = mixing(setting(with_pictures=False))
    np.testing.assert_allclose(found.numpy(), published, atol=1e-5)
    # 0.461952 is the largest column norm of the root of the covariance.
    lengths = np.array([0.461952, np.hypot(0.09, 0.09), np.sqrt(0.02**2 + 0.05**2 + 0.03**2)])
    np.testing.assert_allclose(found.norm(dim=0).numpy(), lengths / 0.461952, rtol=1e-5)


def test_channels_of_every_pixel_are_mixed_alike(setting):
    space = compose({"decorrelated": decorrelated()}, setting((4, 5)))
    values = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    expected = np.einsum("rc,bchw->brhw", mixing(setting()).numpy(), values.numpy())
    np.testing.assert_allclose(space.decode([values]).numpy(), expected, atol=1e-12)


def test_channels_of_the_image_set_are_uncorrelated_and_of_equal_variance(setting, photographs):
    pieces = {"decorrelated": decorrelated("images"), "unbounded": unbounded()}
    (channels,) = compose(pieces, setting((40, 30))).encode(photographs((40, 30)))
    covariance = np.cov(channels.transpose(0, 1).flatten(1).numpy())
    np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(3), atol=1e-9)


def test_the_matrix_of_the_image_set_is_a_scaled_root_of_the_covariance(setting, photographs):
    own = setting((40, 30))
    found = mixing(own, matrix="images").numpy()
    std = np.array(own.preprocessing.std)
    pixels = photographs((40, 30)).transpose(0, 1).flatten(1).numpy() * std[:, None]
    eigenvalues = np.linalg.eigvalsh(np.cov(pixels))[::-1]
    assert np.linalg.norm(found, axis=0).max() == pytest.approx(1)
    np.testing.assert_allclose(found @ found.T, np.cov(pixels) / eigenvalues[0], atol=1e-9)
    np.testing.assert_allclose(found.T @ found, np.diag(eigenvalues / eigenvalues[0]), atol=1e-9)
    assert (found[0] >= 0).all()


def test_photographs_vary_most_in_brightness_as_in_imagenet(setting):
    first = mixing(setting((200, 200)), matrix="images")[:, 0]
    assert (first > 0.4).all()


def test_no_more_pictures_are_used_than_asked_for(setting, photographs):
    one = replace(setting((24, 17)), pictures=lambda: photographs((24, 17))[:1])
    few = mixing(setting((24, 17)), matrix="images", images=1)
    torch.testing.assert_close(few, mixing(one, matrix="images"))


def test_gray_pictures_are_refused(setting, photographs):
    gray = replace(
        setting(), pictures=lambda: photographs((24, 17)).mean(1, True).expand(-1, 3, -1, -1)
    )
    with pytest.raises(ConfigError) as caught:
        mixing(gray, matrix="images")
    assert str(caught.value) == (
        "parameterization.decorrelated.matrix: 'images' is not possible, since the colors of the"
        " image set do not vary in three dimensions, as in gray pictures; use 'imagenet'"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: decorrelated("imagent"),
            "parameterization.decorrelated.matrix: 'imagent' is neither 'imagenet' nor 'images';"
            " nearest: imagenet",
        ),
        (
            lambda: decorrelated(images=0),
            "parameterization.decorrelated.images: 0 is not positive; use 1 or more, such as 200",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message
