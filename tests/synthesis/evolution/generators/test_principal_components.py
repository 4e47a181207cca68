import pytest
import torch
from numpy.random import RandomState
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators import principal_components
from pipeline.synthesis.evolution.generators.principal_components import components_of


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Twelve random pictures, darker to the left."""
    noise = torch.rand(12, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    return 0.3 + 0.05 * torch.arange(5) + 0.2 * noise


def test_directions_are_orthonormal_and_complete(pictures):
    mean, directions, deviations = components_of(pictures, 100)
    assert directions.shape == (11, 105)  # one less than pictures
    torch.testing.assert_close(directions @ directions.T, torch.eye(11, dtype=torch.float64))
    added = (pictures.double() - mean).flatten(1)
    torch.testing.assert_close(added @ directions.T @ directions, added)
    # The covariance of all pixels is that of the components.
    covariance = directions.T @ deviations.square().diag() @ directions
    torch.testing.assert_close(covariance, torch.cov(added.T))


def test_components_are_those_of_a_singular_value_decomposition(pictures):
    _, directions, deviations = components_of(pictures, 4)
    added = (pictures.double() - pictures.double().mean(0)).flatten(1)
    _, values, expected = torch.linalg.svd(added, full_matrices=False)
    torch.testing.assert_close(deviations, values[:4] / 11**0.5)
    torch.testing.assert_close((directions * expected[:4]).sum(1).abs(), torch.ones(4).double())


def test_all_pictures_of_the_set_come_back(setting, pictures):
    built = principal_components().build(setting((7, 5), pixels=pictures))
    again = built.draw(built.encode(pictures))
    torch.testing.assert_close(again, pictures, rtol=0, atol=1e-5)


def test_only_the_pictures_asked_for_are_used(setting, pictures):
    generator = principal_components(components=3, images=5)
    assert generator.images == 5
    built = generator.build(setting((7, 5), pixels=pictures))
    assert built.code_shape == (3,)
    codes = built.prior.draw(1, RandomState(0)) * 0
    drawn = built.draw(torch.from_numpy(codes))[0]
    torch.testing.assert_close(drawn, pictures[:5].mean(0), rtol=0, atol=1e-6)


def test_what_cannot_be_used_is_refused(setting, pictures):
    with pytest.raises(ConfigError, match="components: 0 is not a whole number of at least 1"):
        principal_components(components=0)
    with pytest.raises(ConfigError, match="images: 1 is not a whole number of at least 2"):
        principal_components(images=1)
    same = pictures[:1].expand(4, -1, -1, -1)
    with pytest.raises(ConfigError, match="needs two or more pictures that differ"):
        principal_components().build(setting((7, 5), pixels=same))
