"""Noise: reproducible by number alone, of the stated statistics, fit for reverse correlation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.random_numbers import hashed, random_bits, uniform


def test_hashes_differ_for_different_numbers():
    numbers = torch.arange(200_000)
    assert hashed(numbers).unique().numel() == len(numbers)


def test_random_numbers_are_even_and_unrelated():
    drawn = uniform(random_bits(3, torch.arange(400), 500)).double()
    assert drawn.mean().item() == pytest.approx(0.5, abs=0.003)
    assert drawn.var().item() == pytest.approx(1 / 12, abs=0.001)
    counts = torch.histc(drawn, 20, 0, 1)
    assert (counts - 10_000).square().sum() / 10_000 < 45  # chi square, 19 degrees: p = 0.0007
    centered = drawn - 0.5
    for shifted in (centered.roll(1, 0), centered.roll(1, 1), centered.roll((1, 1), (0, 1))):
        assert abs((centered * shifted).mean()) * 12 < 0.01
    bits = (random_bits(3, torch.arange(400), 500)[..., None] >> torch.arange(32)) & 1
    assert (bits.double().mean((0, 1)) - 0.5).abs().max() < 0.005


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**40), st.lists(st.integers(0, 299), min_size=1, max_size=5))
def test_a_frame_depends_on_the_seed_and_its_number_alone(seed: int, rows: list[int]):
    field = Field(12, 10)
    for build in (sparse_noise, dense_noise):
        many, few = (
            build(field, stimuli=300, seed=seed),
            build(field, stimuli=max(rows) + 1, seed=seed),
        )
        assert torch.equal(many.draw(rows), torch.cat([few.draw([row]) for row in rows]))


def test_other_seeds_give_other_frames():
    field = Field(12, 10)
    for build in (sparse_noise, dense_noise):
        first, second = (build(field, stimuli=50, seed=seed).draw(range(50)) for seed in (0, 1))
        assert (first != second).flatten(1).any(1).float().mean() > 0.9


@pytest.mark.parametrize("per_frame", [1, 3, 12])
def test_sparse_frames_have_their_squares(per_frame: int):
    noise = sparse_noise(Field(12, 16), stimuli=400, per_frame=per_frame, side=4)
    drawn = noise.draw(range(400))
    assert not noise.table["clipped"].any()
    assert {-1, 1} <= {*drawn.unique().tolist()} <= {-1, 0, 1}
    # Squares differ in place: none covers another.
    assert (drawn[:, 0].abs().sum((1, 2)) == 16 * per_frame).all()
    white = (drawn == 1).float().mean() / (drawn != 0).float().mean()
    assert white.item() == pytest.approx(0.5, abs=0.1)
    assert (drawn[:, 0].abs().mean(0) - per_frame / 12).abs().max() < 0.1


def test_sparse_squares_reach_every_pixel_as_often():
    noise = sparse_noise(Field(13, 17), stimuli=4000, side=4)
    drawn = noise.draw(range(4000))[:, 0].abs()
    assert (drawn.mean(0) - 1 / 20).abs().max() < 0.02  # 4 by 5 cells
    np.testing.assert_array_equal(noise.table["clipped"], drawn.sum((1, 2)) < 16)
    assert 0 < noise.table["clipped"].mean() < 1


def test_the_table_says_where_sparse_squares_are():
    noise = sparse_noise(Field(13, 17), stimuli=30, per_frame=2, side=4)
    for row, drawn in enumerate(noise.draw(range(30))[:, 0]):
        for k in (0, 1):
            x, y, polarity = noise.table.loc[row, [f"x_{k}", f"y_{k}", f"polarity_{k}"]]
            top, left = int(y + 6 - 1.5), int(x + 8 - 1.5)
            seen = drawn[max(top, 0) : top + 4, max(left, 0) : left + 4]
            assert seen.numel()
            assert (seen == polarity).all()


def test_reverse_correlation_finds_a_linear_unit():
    kernel = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    dense = dense_noise(Field(6, 5), stimuli=4000)
    sparse = sparse_noise(Field(6, 5), stimuli=4000, side=1)
    for noise in (dense, sparse):
        shown = noise.draw(range(4000))[:, 0]
        found = torch.einsum("nhw,n->hw", shown, (shown * kernel).sum((1, 2)))
        found = found / shown.abs().sum(0)
        assert np.corrcoef(found.flatten(), kernel.flatten())[0, 1] > 0.97


def test_dense_noise_has_the_stated_distribution():
    field = Field(16, 16)
    binary = dense_noise(field, stimuli=100).draw(range(100))
    assert binary.unique().tolist() == [-1, 1]
    assert abs(binary[:, 0].mean()) < 0.02
    even = dense_noise(field, stimuli=100, distribution="uniform").draw(range(100))
    assert even[:, 0].var().item() == pytest.approx(1 / 3, abs=0.01)
    assert even.abs().max() <= 1


def test_dense_noise_is_gray_or_colored():
    gray, colored = (
        dense_noise(Field(16, 16), stimuli=50, colored=colored).draw(range(50))
        for colored in (False, True)
    )
    assert torch.equal(gray[:, 0], gray[:, 2])
    assert abs((colored[:, 0] * colored[:, 2]).mean()) < 0.03


def test_checks_have_their_side():
    drawn = dense_noise(Field(7, 9), stimuli=20, side=3).draw(range(20))[:, 0]
    for row, column in ((0, 0), (3, 6), (6, 3)):
        check = drawn[:, row : row + 3, column : column + 3].flatten(1)
        assert (check == check[:, :1]).all()
    assert (drawn[:, 2] != drawn[:, 3]).any()


def test_squares_reach_black_and_white_of_the_network():
    colors = Colors.bounds([0.4], [0.2])
    drawn = sparse_noise(Field(8, 8, colors=colors), stimuli=50).draw(range(50))
    torch.testing.assert_close(drawn.unique(), torch.tensor([-2.0, 0.0, 3.0]))


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (sparse_noise, {"side": 9}, r"sparse_noise.side: 9 is not a number of pixels from 1 to 8"),
        (
            sparse_noise,
            {"side": 4, "per_frame": 7},
            r"per_frame: 7 is not a number from 1 to 6, the cells of 4 pixels that cover the field",
        ),
        (
            dense_noise,
            {"distribution": "unifrm"},
            r"distribution: 'unifrm' is not one of binary, uniform; nearest: uniform",
        ),
    ],
)
def test_bad_options_are_named(build, options, message: str):
    with pytest.raises(ConfigError, match=message):
        build(Field(8, 9), **options)
