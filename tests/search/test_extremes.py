"""Streaming extremes against a full sort, with many ties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import NetworkError
from pipeline.search.extremes import Extremes, peaks


def brute_force(responses, keep, sign):
    """Sort all of [images, units, positions]: response first, then lower image and position.

    Returns (response, image, position) of the ``keep`` best of every unit, one per image.
    """
    found = []
    for unit in range(responses.shape[1]):
        best = []
        for image, row in enumerate(responses[:, unit].tolist()):
            # Python's min returns the first of equal positions.
            position = min(range(len(row)), key=lambda at: -sign * row[at])
            best.append((row[position], image, position))
        found.append(sorted(best, key=lambda item: (-sign * item[0], item[1]))[:keep])
    return found


def rows(extremes):
    stacked = zip(
        *(field.tolist() for field in extremes.kept()),
        strict=True,
    )
    return [list(zip(*unit, strict=True)) for unit in stacked]


@st.composite
def searches(draw):
    images, units = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    values = draw(
        st.lists(
            st.integers(-2, 2),
            min_size=images * units * height * width,
            max_size=images * units * height * width,
        )
    )
    return torch.tensor(values, dtype=torch.float32).reshape(images, units, height, width)


@given(
    responses=searches(),
    keep=st.integers(1, 15),
    sign=st.sampled_from([1, -1]),
    batch=st.integers(1, 13),
    data=st.data(),
)
def test_it_is_a_full_sort_whatever_the_batches_and_the_order(responses, keep, sign, batch, data):
    order = data.draw(st.permutations(range(len(responses))))
    extremes = Extremes(responses.shape[1], keep, sign)
    for start in range(0, len(order), batch):
        indices = torch.tensor(order[start : start + batch])
        extremes.add(indices, *peaks(responses[indices], sign))
    assert rows(extremes) == brute_force(responses.flatten(2), keep, sign)
    assert extremes.kept().responses.dtype == torch.float32
    assert extremes.kept().images.dtype == extremes.kept().positions.dtype == torch.int64


def test_extremes_by_hand():
    # Three images of one unit on a map of 1 x 3.
    responses = torch.tensor([[5.0, 7.0, 7.0], [1.0, 9.0, -3.0], [7.0, 0.0, -3.0]])
    top, bottom = Extremes(1, 2, 1), Extremes(1, 2, -1)
    for extremes in (top, bottom):
        extremes.add(torch.tensor([0, 1, 2]), *peaks(responses[:, None, None], extremes.sign))
    # Image 2 has 7 as well, but comes after image 0; 7 and 7 of image 0 count once.
    assert rows(top) == [[(9.0, 1, 1), (7.0, 0, 1)]]
    assert rows(bottom) == [[(-3.0, 1, 2), (-3.0, 2, 2)]]


@pytest.mark.parametrize("sign", [1, -1])
def test_thousands_of_ties_stay_in_the_order_of_images(sign):
    order = torch.randperm(4000, generator=torch.Generator().manual_seed(0))
    extremes = Extremes(1, 2000, sign)
    extremes.add(order, *peaks((order % 4).float()[:, None, None, None], sign))
    best = 3 if sign > 0 else 0
    expected = [*range(best, 4000, 4), *range(best - sign, 4000, 4)]
    assert extremes.kept().images[0].tolist() == expected


def test_more_are_asked_for_than_there_are_images():
    extremes = Extremes(2, 100, 1)
    extremes.add(torch.tensor([4]), *peaks(torch.ones(1, 2, 2, 2), 1))
    extremes.add(torch.tensor([3]), *peaks(torch.zeros(1, 2, 2, 2), 1))
    assert rows(extremes) == [[(1.0, 4, 0), (0.0, 3, 0)]] * 2


def test_nothing_is_found_in_nothing():
    extremes = Extremes(3, 5, -1)
    assert rows(extremes) == [[], [], []]
    nothing = torch.empty(3, 0)
    extremes.add(torch.empty(0, dtype=torch.int64), nothing, nothing.long())
    assert rows(extremes) == [[], [], []]


@given(st.floats(-1e6, 1e6, width=32), st.sampled_from([1, -1]))
def test_the_bottom_is_the_top_of_the_negative(value, sign):
    generator = torch.Generator().manual_seed(0)
    responses = torch.randn(9, 2, 3, 3, generator=generator) + value
    plain, negative = Extremes(2, 4, sign), Extremes(2, 4, -sign)
    plain.add(torch.arange(9), *peaks(responses, sign))
    negative.add(torch.arange(9), *peaks(-responses, -sign))
    assert torch.equal(plain.kept().responses, -negative.kept().responses)
    assert torch.equal(plain.kept().images, negative.kept().images)
    assert torch.equal(plain.kept().positions, negative.kept().positions)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_response_that_is_not_finite_stops_the_search(bad):
    responses = torch.zeros(3, 2, 2, 2)
    responses[1, 1, 0, 1] = bad
    sign = -1 if bad == -np.inf else 1
    extremes = Extremes(2, 5, sign)
    extremes.add(torch.tensor([10, 20, 30]), *peaks(responses, sign))
    with pytest.raises(NetworkError) as caught:
        _ = extremes.kept().responses
    assert str(caught.value) == (
        "model: a response to image 20 is not finite; are the weights whole?"
    )


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_keys_hold_the_response_to_the_last_bit(values):
    extremes = Extremes(1, len(values), 1)
    responses = torch.tensor([values])
    extremes.add(torch.arange(len(values)), responses, torch.zeros(responses.shape).long())
    assert torch.equal(extremes.kept().responses[0], responses[0].sort(descending=True).values)


def test_images_beyond_two_billion_keep_their_numbers():
    extremes = Extremes(1, 3, -1)
    images = torch.tensor([2**32 - 2, 2**31, 5])
    extremes.add(images, torch.tensor([[1.0, -1.0, 1.0]]), torch.tensor([[7, 8, 9]]))
    assert rows(extremes) == [[(-1.0, 2**31, 8), (1.0, 5, 9), (1.0, 2**32 - 2, 7)]]


@pytest.mark.parametrize("sign", [1, -1])
def test_peaks_are_the_same_channels_last(sign):
    drawn = torch.randint(0, 4, (5, 3, 4, 6), generator=torch.Generator().manual_seed(2)).float()
    plain = peaks(drawn, sign)
    last = peaks(drawn.contiguous(memory_format=torch.channels_last), sign)
    assert torch.equal(plain[0], last[0])
    assert torch.equal(plain[1], last[1])
