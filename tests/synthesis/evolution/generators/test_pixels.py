import numpy as np
import pytest
import torch
from numpy.random import RandomState

from pipeline.errors import ConfigError
from pipeline.synthesis.evolution.generators import pixels


def test_a_gene_is_a_pixel(setting):
    built = pixels().build(setting((2, 2), channels=1))
    pictures = built.draw(torch.tensor([[0.0, 0.25, 1.5, -2.0]]))
    assert pictures.tolist() == [[[[0.0, 0.25], [1.0, 0.0]]]]
    assert built.encode(pictures).tolist() == [[0.0, 0.25, 1.0, 0.0]]


def test_by_default_half_of_the_first_values_are_black(setting):
    """Standard normal noise cut to 0..1: half is below 0, and 15.9 % above 1."""
    built = pixels().build(setting((60, 60)))
    drawn = built.draw(torch.from_numpy(built.prior.draw(4, RandomState(0))))
    assert (drawn == 0).double().mean() == pytest.approx(0.5, abs=0.01)
    assert (drawn == 1).double().mean() == pytest.approx(0.1587, abs=0.01)


def test_the_first_values_can_lie_about_gray(setting):
    built = pixels(0.5, 0.1).build(setting((60, 60)))
    drawn = built.prior.draw(4, RandomState(0))
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.005)
    assert np.std(drawn) == pytest.approx(0.1, abs=0.005)


def test_a_standard_deviation_of_0_is_refused():
    with pytest.raises(ConfigError, match=r"generator\.pixels\.std: 0\.0 is not a positive number"):
        pixels(std=0.0)
