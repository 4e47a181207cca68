"""Nulls keep what they say, and reject as often as they say."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from pipeline.analysis.similarity.catalog import Sample, statistics
from pipeline.analysis.similarity.comparison import NullDraws, Similarities, compare
from pipeline.analysis.similarity.nulls import (
    matched_noise,
    other_units,
    permutation_p,
    phase_scrambled,
)
from pipeline.analysis.similarity.tables import (
    median_test,
    similarity_summary,
    similarity_table,
)

log = logging.getLogger(__name__)  # shown by --log-cli-level=INFO


def rngs(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, n]) for n in range(count)]


def noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return stationary periodic noise with a spectrum that falls with frequency."""
    white = np.random.default_rng(seed).standard_normal(shape)
    radius = np.hypot(np.fft.fftfreq(shape[2])[:, None], np.fft.fftfreq(shape[3])[None])
    return np.fft.ifft2(np.fft.fft2(white) / (radius + 0.1)).real


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 4)])
def test_scrambled_images_keep_amplitudes_means_and_colors(size: tuple[int, int]):
    images = noise((3, 2, *size), 0) + 5
    found = phase_scrambled(images, rngs(3))
    spectra = np.fft.fft2(images), np.fft.fft2(found)
    np.testing.assert_allclose(np.abs(spectra[1]), np.abs(spectra[0]), atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=(2, 3)), images.mean(axis=(2, 3)))
    cross = [of[:, 0] * of[:, 1].conj() for of in spectra]
    np.testing.assert_allclose(cross[1], cross[0], atol=1e-9)
    again = phase_scrambled(images[1:2], rngs(3)[1:2])
    np.testing.assert_array_equal(again[0], found[1])  # whatever other images there are


def test_matched_noise_has_the_spectrum_on_average_and_varies_about_it():
    image = noise((1, 2, 6, 6), 1)
    drawn = matched_noise(np.repeat(image, 4000, axis=0), rngs(4000))
    power = np.abs(np.fft.fft2(drawn)) ** 2
    expected = np.abs(np.fft.fft2(image)) ** 2
    np.testing.assert_allclose(power.mean(axis=0)[:, 1:], expected[0, :, 1:], rtol=0.12)
    assert power[:, 0, 1, 2].std() == pytest.approx(expected[0, 0, 1, 2], rel=0.1)  # exponential


def test_partners_are_other_usable_units_of_the_same_copy_each_once():
    units, copies = np.repeat([5, 2, 9, 7], 2), np.tile([0, 1], 4)
    usable = np.array([True] * 5 + [False] + [True] * 2)  # copy 1 of unit 9
    found = other_units(units, copies, usable, 99, np.random.default_rng(0))
    assert found.shape == (2, 8)
    assert (found[:, units == 9] == -1).all()
    rest = found[:, units != 9]
    assert (copies[rest] == copies[units != 9]).all()
    assert (units[rest] != units[units != 9]).all()
    for of_image in rest.T:
        assert len(set(of_image.tolist())) == 2
    alone = other_units(units[:2], copies[:2], usable[:2], 9, np.random.default_rng(0))
    assert alone.shape == (0, 2)


def test_p_values_by_hand():
    draws = np.array([[0.1, 0.5, np.nan], [0.5 - 1e-12, 0.6, np.nan], [np.nan, 0.7, 1.0]])
    p = permutation_p(np.array([0.5, 0.5, np.nan]), draws)
    np.testing.assert_allclose(p, [2 / 3, 1, np.nan])  # equal but for rounding is as large


DRAWS = 19  # by which 5 % of p are 0.05


def compared(images: int, names: list[str], kind: str, seed: int, units: int = 0) -> Similarities:
    """Compare unrelated images with draws of a null, in layers of some units if that is given."""
    first, second = (noise((images, 1, 8, 8), seed + n) for n in (0, 1000))
    own, size = np.arange(images), units or images
    partners = [
        start + other_units(own[:size], 0 * own[:size], own[:size] >= 0, DRAWS, rng)
        for start, rng in zip(range(0, images, size), rngs(images // size, seed), strict=True)
    ]
    known = statistics(shift=1)
    seeds = [[seed, n] for n in range(images)]
    nulls = NullDraws([kind], DRAWS, np.concatenate(partners, axis=1), seeds)
    samples = Sample(first, own), Sample(second, own)
    return compare(*samples, own, [known[name] for name in names], nulls)


def rates(found: Similarities, kind: str, units: int = 1) -> dict[str, float]:
    """Return which share of images, or of layers by their median over units, has p <= 0.05."""
    values = np.median(found.values.reshape(len(found.values), -1, units), axis=2)
    draws = np.median(found.draws[kind].reshape(*values.shape[:1], DRAWS, -1, units), axis=3)
    p = [permutation_p(*each) for each in zip(values, draws, strict=True)]
    if units > 1:  # the medians are those of the table
        row = median_test(found.values[0, :units], found.draws[kind][0, :, :units])
        assert row["p"] == p[0][0]
    shares = (np.array(p) <= 0.05).mean(axis=1).tolist()
    return dict(zip(found.statistics, shares, strict=True))


@pytest.mark.parametrize("kind", ["units", "phase"])
def test_unrelated_images_are_significant_in_5_percent(kind: str):
    """The standard error is 0.5 %."""
    found = rates(compared(2000, ["pearson", "ssim"], kind, 5), kind)
    np.testing.assert_allclose([*found.values()], 0.05, atol=0.01)


def test_unrelated_layers_are_significant_in_5_percent():
    """500 layers of 20 units: the standard error is 1 %."""
    found = rates(compared(10_000, ["pearson"], "units", 3, units=20), "units", units=20)
    assert found["pearson"] == pytest.approx(0.05, abs=0.02)


IMAGES_ALONE = [name for name, each in statistics().items() if each.needs == "images"]


def nominal(found: dict[str, float], kind: str) -> dict[str, float]:
    """Return the rates that should be nominal.

    Scrambled phases keep amplitudes, which alone decide ``amplitude``; noise around the amplitudes
    of one image has other amplitudes than the image.
    """
    log.info("%s: %s", kind, {name: f"{100 * rate:.2f} %" for name, rate in found.items()})
    if kind == "phase":
        assert found["amplitude"] == 0
    return found if kind == "units" else {n: r for n, r in found.items() if n != "amplitude"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["units", "phase", "noise"])
def test_all_statistics_have_their_nominal_rate(kind: str):
    """On 8000 pairs of unrelated images; the standard error is 0.24 %."""
    found = nominal(rates(compared(8000, IMAGES_ALONE, kind, 7), kind), kind)
    np.testing.assert_allclose([*found.values()], 0.05, atol=0.01, err_msg=str(found))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["units", "phase", "noise"])
def test_all_statistics_of_layers_have_their_nominal_rate(kind: str):
    """By the median over units, of 2000 layers of 20 units; the standard error is 0.49 %."""
    found = rates(compared(40_000, IMAGES_ALONE, kind, 11, units=20), kind, units=20)
    found = nominal(found, kind)
    np.testing.assert_allclose([*found.values()], 0.05, atol=0.01, err_msg=str(found))


def test_tables_count_units_without_a_value_and_average_copies_first():
    units, copies = np.array([3, 3, 8, 8, 4, 4]), np.array([0, 1] * 3)
    nan = np.nan
    values = np.array([[0.9, 0.7, 0.5, nan, nan, nan]])
    draws = np.zeros((1, 3, 6))
    draws[:, :, 4:] = nan
    draws[0, 0, :2] = [0.8, 0.9]
    found = Similarities(["pearson"], values, {"units": draws})
    status = ["ok", "ok", "ok", "ok", "zero_gradient", "zero_gradient"]
    table = similarity_table(found, units, copies, status)
    assert table["status"].tolist() == [*["ok"] * 3, "undefined", *["zero_gradient"] * 2]
    np.testing.assert_allclose(table["p"], [1 / 4, 2 / 4, 1 / 4, nan, nan, nan])
    np.testing.assert_allclose(table["null"][:2], [0.8 / 3, 0.3])
    assert table["draws"].tolist() == [3, 3, 3, 3, 0, 0]
    row = similarity_summary(found, units, np.random.default_rng(0), {"pearson": 0.99}).iloc[0]
    assert (row["units"], row["undefined"], row["ceiling"]) == (3, 1, 0.99)
    assert row["value"] == pytest.approx(0.65)  # of 0.8 and 0.5
    # Medians of the draws are 0.425, 0 and 0; none reaches 0.65.
    assert (row["p"], row["null"]) == (0.25, 0.0)
    none = similarity_table(Similarities(["pearson"], values), units, copies, status)
    assert set(none["null_kind"]) == {"none"}
    assert none["p"].isna().all()


@pytest.mark.parametrize(
    ("values", "draws", "note"),
    [
        ([0.5, 0.4], {"units": np.zeros((1, 9, 2))}, ""),
        ([0.5], {"units": np.empty((1, 0, 1))}, "there are no other units whose images could be"),
        ([np.nan], {"phase": np.zeros((1, 9, 1))}, "no unit has a value"),
        ([0.5], {"twin": np.full((1, 9, 1), np.nan)}, "the twin has no value of this statistic"),
        ([0.5], {}, "no null was drawn"),
    ],
)
def test_what_has_no_null_says_why(values: list[float], draws: dict[str, np.ndarray], note: str):
    found = Similarities(["d_prime"], np.array([values]), draws)
    row = similarity_summary(found, np.arange(len(values)), np.random.default_rng(0)).iloc[0]
    assert row["note"].startswith(note)
    assert np.isnan(row["null"]) == bool(note)
