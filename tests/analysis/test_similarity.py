from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import pearsonr

from pipeline.analysis.similarity import pearson

RNG = np.random.default_rng(0)


def test_agrees_with_scipy():
    a = RNG.normal(size=(5, 3, 7, 7)).astype(np.float32)
    b = (a + RNG.normal(size=a.shape)).astype(np.float32)
    expected = [
        pearsonr(x.ravel().astype(float), y.ravel().astype(float))[0]
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(pearson(a, b), expected, rtol=1e-12)


def test_by_hand():
    a = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 0.0, -1.0]])
    b = np.array([[2.0, 4.0, 6.0], [3.0, 2.0, 1.0], [1.0, -2.0, 1.0]])
    np.testing.assert_allclose(pearson(a, b), [1, -1, 0], atol=1e-15)


@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e-30, 1e30])
def test_constant_image_is_undefined(value: float):
    constant = np.full((1, 3, 9, 9), value, np.float32)
    other = RNG.normal(size=constant.shape).astype(np.float32)
    assert np.isnan(pearson(constant, other)).all()
    assert np.isnan(pearson(other, constant)).all()


def test_image_that_is_not_finite_is_undefined_and_leaves_the_others():
    a = RNG.normal(size=(3, 10))
    b = a.copy()
    b[1, 3] = np.nan
    b[2, 0] = np.inf
    r = pearson(a, b)
    assert r[0] == pytest.approx(1)
    assert np.isnan(r[1:]).all()


@given(
    arrays(np.float64, (2, 12), elements=st.floats(-10, 10)),
    st.floats(0.1, 1e6),
    st.floats(-100, 100),
)
def test_bounded_symmetric_and_invariant_to_scale_and_shift(images, scale: float, shift: float):
    a, b = images[:1], images[1:]
    r = pearson(a, b)
    np.testing.assert_array_equal(r, pearson(b, a))
    if np.isnan(r).any():
        return
    assert -1 <= r[0] <= 1
    # Far below the shift an image is lost to rounding.
    if min(np.ptp(a), np.ptp(b)) > 1e-3:
        np.testing.assert_allclose(pearson(scale * a + shift, b), r, atol=1e-6)


def test_tiny_images_do_not_underflow():
    a = RNG.normal(size=(1, 50)) * 1e-200
    assert pearson(a, a)[0] == pytest.approx(1)
