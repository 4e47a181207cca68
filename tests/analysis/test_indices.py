from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.analysis.indices import COLOR_ORDERS, color_rotation_index, fnat
from pipeline.errors import ConfigError


def test_fnat_by_hand():
    natural = np.tile(np.arange(20.0), (3, 1))  # the ten highest have the mean 14.5
    strongest = np.array([29.0, 7.25, -3.0])
    np.testing.assert_allclose(fnat(strongest, natural), [2, 0.5, 0])
    np.testing.assert_allclose(fnat(-strongest, -natural, sign=-1), [2, 0.5, 0])


def test_fnat_is_undefined_where_photographs_hardly_drive_the_unit():
    natural = np.array([[0.99, -5.0], [1.0, -5.0], [-2.0, -3.0]])
    ratio = fnat(np.ones(3), natural, images=1)
    assert np.isnan(ratio).tolist() == [True, False, True]


@given(st.floats(1.0, 100.0))
def test_fnat_is_a_ratio(gain: float):
    natural = np.tile(np.arange(1.0, 13.0), (1, 1))
    strongest = np.array([4.0])
    np.testing.assert_allclose(fnat(gain * strongest, gain * natural), fnat(strongest, natural))


def test_what_fnat_does_not_take():
    with pytest.raises(ConfigError, match=r"^fnat: sign must be 1 or -1, not 2$"):
        fnat(np.ones(1), np.ones((1, 10)), sign=2)
    message = (
        r"^fnat: the mean over the 10 best photographs was asked for, but there are only 9; "
        r"ask for fewer$"
    )
    with pytest.raises(ConfigError, match=message):
        fnat(np.ones(1), np.ones((1, 9)))


def responses(weights: list[float], images: np.ndarray) -> np.ndarray:
    """Return the responses of a linear unit to images with their channels in every order."""
    return np.stack([images[:, list(order)] @ weights for order in COLOR_ORDERS], axis=1)[None]


def test_color_rotation_index_of_linear_units():
    assert COLOR_ORDERS[0] == (0, 1, 2)
    assert len(set(COLOR_ORDERS)) == 6
    images = np.random.default_rng(0).normal(size=(4000, 3))
    gray = color_rotation_index(responses([1.0, 1.0, 1.0], images))[0]
    assert gray == pytest.approx(0, abs=1e-12)
    red = color_rotation_index(responses([1.0, 0.0, 0.0], images))[0]
    # The mean of the SD of three normal values over their SD: 0.7236 (the factor c_4 times that
    # from three to two degrees of freedom, sqrt(2/3) * 0.8862).
    assert red == pytest.approx(np.sqrt(2 / 3) * 0.8862, abs=0.02)
    assert color_rotation_index(responses([5.0, 0.0, 0.0], images))[0] == pytest.approx(red)


def test_color_rotation_index_without_variation_is_undefined():
    same = np.repeat(np.arange(6.0)[None, None], 4, axis=1)
    assert np.isnan(color_rotation_index(same)).all()


def test_too_few_orders():
    message = (
        r"^color rotation index: responses to 6 orders of the color channels are needed, not to 3$"
    )
    with pytest.raises(ConfigError, match=message):
        color_rotation_index(np.zeros((1, 2, 3)))
