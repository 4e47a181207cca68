"""Every statistic against SciPy, scikit-image, another method, or a case worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine as cosine_distance
from scipy.stats import percentileofscore, spearmanr
from skimage.metrics import structural_similarity
from skimage.registration._masked_phase_cross_correlation import cross_correlate_masked

from pipeline.analysis.similarity import pixels, populations, shifts, spectra, structure
from pipeline.analysis.similarity.catalog import Sample, chosen_statistics, statistics
from pipeline.analysis.similarity.populations import Population, selectivity
from pipeline.errors import ConfigError

RNG = np.random.default_rng(3)
A = RNG.normal(size=(4, 3, 12, 15))
B = 0.6 * A + RNG.normal(size=A.shape)


def each(measure, *others) -> list[float]:
    return [measure(*images) for images in zip(A, B, *others, strict=True)]


def test_spearman_and_cosine_are_those_of_scipy():
    tied = A.round(), B.round()
    expected = [spearmanr(a.ravel(), b.ravel())[0] for a, b in zip(*tied, strict=True)]
    np.testing.assert_allclose(pixels.spearman(*tied), expected, rtol=1e-12)
    expected = each(lambda a, b: 1 - cosine_distance(a.ravel(), b.ravel()))
    np.testing.assert_allclose(pixels.cosine(A, B), expected, rtol=1e-12)


def test_weighted_r_is_that_of_the_weighted_covariance_and_ignores_where_weights_are_zero():
    weights = RNG.integers(0, 4, size=(4, 12, 15))

    def expected(a, b, w):
        flat = np.broadcast_to(w, a.shape).ravel()
        (aa, ab), (_, bb) = np.cov(a.ravel(), b.ravel(), fweights=flat)
        return ab / np.sqrt(aa * bb)

    found = pixels.weighted_r(A, B, weights.astype(float))
    np.testing.assert_allclose(found, each(expected, weights), rtol=1e-10)
    elsewhere = np.where(weights[:, None] > 0, A, np.nan)
    np.testing.assert_array_equal(pixels.weighted_r(elsewhere, B, weights.astype(float)), found)
    assert np.isnan(pixels.weighted_r(A, B, np.zeros((4, 12, 15)))).all()


def test_ssim_is_that_of_scikit_image_and_takes_smaller_windows_on_small_fields():
    expected = each(
        lambda a, b: structural_similarity(
            a, b, channel_axis=0, data_range=max(a.max(), b.max()) - min(a.min(), b.min())
        )
    )
    np.testing.assert_allclose(structure.ssim(A, B), expected, rtol=1e-12)
    small = A[:, :, :6, :6], B[:, :, :6, :6]
    np.testing.assert_array_equal(structure.ssim(*small), structure.ssim(*small, window=5))
    assert np.isnan(structure.ssim(A[:, :, :2], B[:, :, :2])).all()
    with pytest.raises(ConfigError, match="window: 8 is not an odd number of pixels from 3; use 7"):
        structure.ssim(A, B, window=8)


def test_largest_r_over_shifts_is_that_of_masked_registration():
    """Against scikit-image's normalized cross-correlation, channel by channel."""
    one, other = A[:, :1], B[:, :1]
    whole = np.ones(one.shape[2:], bool)
    for limit in (0, 2, 3):
        expected = []
        for a, b in zip(one[:, 0], other[:, 0], strict=True):
            correlation = cross_correlate_masked(a, b, whole, whole, mode="full", axes=(0, 1))
            y, x = (side - 1 for side in whole.shape)
            near = correlation[y - limit : y + limit + 1, x - limit : x + limit + 1]
            expected.append(near.max())
        np.testing.assert_allclose(shifts.shifted_r(one, other, limit), expected, rtol=1e-9)
    np.testing.assert_allclose(shifts.shifted_r(A, B, 0), pixels.pearson(A, B), rtol=1e-9)


def test_shifts_are_found_up_to_a_quarter_of_the_side():
    wide = RNG.normal(size=(1, 3, 16, 24))
    one, other = wide[:, :, :, :20], wide[:, :, :, 3:23]
    assert shifts.shifted_r(one, other, 2)[0] < 0.9
    assert shifts.shifted_r(one, other, 3)[0] == pytest.approx(1)
    far = shifts.shifted_r(wide[:, :, :, :16], wide[:, :, :, 8:], 8)  # 16 / 4 is all that is tried
    assert far[0] < 0.9


def test_coherence_is_by_ring_and_blind_to_filters_that_keep_phases():
    """By hand, from the full plane of frequencies."""
    found = spectra.ring_coherence(A, B)
    fa, fb = (np.fft.fft2(x - x.mean(axis=(2, 3), keepdims=True)) for x in (A, B))
    radius = np.hypot(np.fft.fftfreq(12)[:, None], np.fft.fftfreq(15)[None]) * 12
    for ring in range(6):
        at = (radius >= ring + 0.5) & (radius < ring + 1.5)
        cross = (fa * fb.conj())[:, :, at].sum(axis=(1, 2))
        own = [(np.abs(f) ** 2)[:, :, at].sum(axis=(1, 2)) for f in (fa, fb)]
        np.testing.assert_allclose(found[:, ring], np.abs(cross) ** 2 / (own[0] * own[1]))
    sharpened = np.fft.ifft2(fa * np.floor(radius + 0.5) ** 2).real  # the same within a ring
    assert pixels.pearson(A, sharpened).max() < 0.9
    np.testing.assert_allclose(spectra.ring_coherence(A, sharpened), 1)
    np.testing.assert_allclose(spectra.coherence(A, sharpened), 1)


def test_amplitudes_are_blind_to_phases_but_not_to_orientations():
    across = np.sin(2 * np.pi * 3 * np.arange(16) / 16)
    bars = across[None, None, None] + 0.01 * RNG.normal(size=(1, 1, 16, 16))
    moved = np.roll(bars, 3, axis=3)
    assert spectra.amplitude_r(bars, moved)[0] == pytest.approx(1)
    assert pixels.pearson(bars, moved)[0] < 0
    assert spectra.amplitude_r(bars, bars.transpose(0, 1, 3, 2))[0] < 0.7


@pytest.mark.parametrize("name", [n for n, s in statistics().items() if s.needs == "images"])
def test_statistics_are_1_for_an_image_itself_and_undefined_for_none(name: str):
    statistic = statistics()[name]
    whole = np.concatenate([A[:1], A[:1], np.zeros_like(A[:1]), np.full_like(A[:1], np.nan)])
    own = Sample(whole, np.arange(4))
    found = statistic.between(own, own)
    np.testing.assert_allclose(found[:2], 1, rtol=1e-9)
    assert np.isnan(found[2:]).all()
    other = Sample(A, np.arange(4))
    assert np.isnan(statistic.between(own, other)[2:]).all()
    assert np.isnan(statistic.between(other, own)[2:]).all()
    rows = np.array([2, 0])
    some = [Sample(images[rows], rows) for images in (A, B)]
    pair = Sample(A, np.arange(4)), Sample(B, np.arange(4))
    np.testing.assert_allclose(statistic.between(*some), statistic.between(*pair)[rows])


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (1, 9)])
def test_tiny_fields_are_compared_as_far_as_that_is_possible(size: tuple[int, int]):
    """A convolution of one pixel sees three numbers; they have no frequencies and no windows."""
    a, b = (RNG.normal(size=(2, 3, *size)) for _ in range(2))
    none = {"ssim": min(size) < 3, "coherence": min(size) < 2, "amplitude": max(size) < 2}
    for name, each in statistics().items():
        if each.needs == "images":
            found = each.between(Sample(a, np.arange(2)), Sample(b, np.arange(2)))
            assert np.isnan(found).all() == none.get(name, False), name
            assert np.isfinite(found).all() != none.get(name, False), name


@given(st.floats(1e-6, 1e6), st.integers(0, 3), st.booleans())
@settings(max_examples=8)
def test_statistics_do_not_depend_on_the_size_of_steps(scale: float, row: int, both: bool):
    """What an ascent added is on an arbitrary scale."""
    a, b = A[row : row + 1], B[row : row + 1]
    for statistic in statistics().values():
        if statistic.needs == "images":
            plain = statistic.between(Sample(a, np.zeros(1, int)), Sample(b, np.zeros(1, int)))
            scaled = (scale * a if both else a), scale * b
            found = statistic.between(*(Sample(x, np.zeros(1, int)) for x in scaled))
            np.testing.assert_allclose(found, plain, rtol=1e-6, err_msg=statistic.name)


def test_percentile_and_d_prime_are_of_the_images_of_other_units():
    own = np.array([0, 0, 1, 2, 2, 3])
    responses = RNG.integers(0, 5, size=(6, 4)).astype(float)
    found = selectivity(responses, own)
    for row, unit in enumerate(own.tolist()):
        others = responses[own != unit, unit]
        score = responses[row, unit]
        percentile = percentileofscore(others, score, kind="mean")
        assert found["percentile"][row] == pytest.approx(percentile)
        assert found["d_prime"][row] == pytest.approx((score - others.mean()) / others.std(ddof=1))
        ahead = (others > score).sum() + (others == score).sum() / 2
        assert found["rank"][row] == pytest.approx(1 + ahead)
    lone = selectivity(responses[:2], own[:2])
    assert lone[["percentile", "d_prime", "rank"]].isna().all(axis=None)


def test_profiles_leave_out_the_own_unit_and_units_that_never_vary():
    population = Population(np.array([[1.0, 0, 5, 2, 1], [3, 4, 5, 0, 3]]), np.array([0, 1]))
    scores = population.standardized(population.responses)
    np.testing.assert_array_equal(scores[:, [0, 1, 3, 4]], [[-1, -1, 1, -1], [1, 1, -1, 1]])
    assert np.isnan(scores[:, 2]).all()
    a = np.array([[9.0, 1, np.nan, 2, 3], [1, 2, np.nan, 3, 9]])
    b = np.array([[-9.0, 2, np.nan, 4, 6], [3, 2, np.nan, 1, 9]])
    found = populations.response_profile_r(a, b, np.array([0, 4]))
    np.testing.assert_allclose(found, [1, -1])
    assert np.isnan(populations.response_profile_r(a[:, :4], b[:, :4], np.array([0, 0]))).all()


@pytest.mark.parametrize(
    ("names", "available", "message"),
    [
        (["pearsons"], ("images",), "statistics: 'pearsons' is not one of all, pearson, spearman"),
        (["pearsons"], ("images",), "; nearest: pearson"),
        ([], ("images",), "statistics: the list is empty; choose from pearson"),
        (["ssim", "ssim"], ("images",), "statistics: ['ssim', 'ssim'] names a statistic twice"),
        (["d_prime"], ("images",), "statistics: d_prime needs images of the receptive fields of"),
    ],
)
def test_what_is_no_choice_of_statistics(names: list[str], available, message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        chosen_statistics(names, available)
    assert chosen_statistics(["ssim", "pearson"]) == ["pearson", "ssim"]
