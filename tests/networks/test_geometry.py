"""Rules along one axis, against enumerated windows, impulses and PyTorch's own sizes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.networks.graph.geometry import (
    EVERYTHING,
    POINTWISE,
    Adaptive,
    Global,
    Interval,
    Window,
)

small = st.integers(1, 5)
windows = st.builds(
    Window,
    kernel=small,
    stride=small,
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    dilation=st.integers(1, 3),
)


def seen(window: Window, position: int) -> list[int]:
    """Input positions of one output position, straight from the definition of a convolution."""
    start = position * window.stride - window.before
    return [start + window.dilation * j for j in range(window.kernel)]


def test_alexnet_conv1_by_hand():
    # 11 pixels, stride 4, padding 2 on 224: unit 0 starts two pixels outside.
    conv1 = Window(kernel=11, stride=4, before=2, after=2)
    assert conv1.output_size(224) == 55
    assert conv1.reach(Interval(0, 1), 224) == (-2, 9)
    assert conv1.reach(Interval(54, 55), 224) == (214, 225)
    assert conv1.reach(Interval(1, 3), 224) == (2, 17)


@given(windows, st.integers(1, 30))
def test_every_output_window_fits_in_the_padded_input(window, size):
    end = size + window.after - 1
    fitting = [i for i in range(40) if seen(window, i)[-1] <= end]
    assert window.output_size(size) == len(fitting)


@given(windows, st.integers(-5, 20), st.integers(1, 6))
def test_reach_is_the_hull_of_the_windows(window, start, count):
    hit = [p for i in range(start, start + count) for p in seen(window, i)]
    assert window.reach(Interval(start, start + count), 99) == (min(hit), max(hit) + 1)


@given(windows, st.integers(0, 10), st.integers(1, 5), st.integers(-4, 4))
def test_reach_moves_by_the_stride(window, start, count, shift):
    at = window.reach(Interval(start, start + count), 99)
    moved = window.reach(Interval(start + shift, start + shift + count), 99)
    assert moved == (at.start + shift * window.stride, at.stop + shift * window.stride)


@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    dilation=st.integers(1, 3),
    size=st.integers(1, 24),
    ceil=st.booleans(),
    data=st.data(),
)
def test_sizes_of_pooling_are_pytorchs(kernel, stride, dilation, size, ceil, data):
    padding = data.draw(st.integers(0, kernel // 2))
    try:
        pooled = F.max_pool1d(
            torch.zeros(1, 1, size), kernel, stride, padding, dilation, ceil_mode=ceil
        )
        expected = pooled.shape[-1]
    except RuntimeError:  # "Output size is too small"
        expected = 0
    rule = Window(kernel, stride, padding, padding, dilation, ceil)
    assert max(0, rule.output_size(size)) == expected


def test_ceil_mode_by_hand():
    # SqueezeNet's pools: 3 wide, stride 2. On 6 positions windows start at 0 and 2; ceil adds 4.
    assert Window(3, 2).output_size(6) == 2
    assert Window(3, 2, ceil=True).output_size(6) == 3
    # A last window that would start behind the input is left out.
    assert Window(1, 3, ceil=True).output_size(5) == 2
    # One that is longer than the input still gives one position.
    assert Window(3, 2, ceil=True).output_size(2) == 1


@given(st.integers(1, 9), st.integers(1, 30), st.data())
def test_adaptive_reach_is_what_pytorch_averages(outputs, size, data):
    position = data.draw(st.integers(0, outputs - 1))
    rule = Adaptive(outputs)
    pooled = F.adaptive_avg_pool1d(torch.eye(size)[:, None], outputs)[:, 0, position]
    hit = pooled.nonzero().flatten()
    expected = (int(hit.min()), int(hit.max()) + 1)
    assert rule.reach(Interval(position, position + 1), size) == expected
    assert rule.output_size(size) == outputs


def test_global_rules_reach_everything():
    assert Global(7).output_size(50) == 7
    assert Global(7).reach(Interval(3, 4), 50) == EVERYTHING


@pytest.mark.parametrize("rule", [POINTWISE, Window(3, 2, 1, 1), Adaptive(4)])
def test_everything_stays_everything(rule):
    reached = rule.reach(EVERYTHING, 50)
    assert reached == (-math.inf, math.inf)


@given(st.integers(-5, 5), st.integers(1, 5))
def test_pointwise_changes_nothing(start, count):
    interval = Interval(start, start + count)
    assert POINTWISE.reach(interval, 8) == interval
    assert POINTWISE.output_size(8) == 8


intervals = st.tuples(st.integers(-9, 9), st.integers(1, 9)).map(
    lambda pair: Interval(pair[0], pair[0] + pair[1])
)


@given(intervals, intervals)
def test_union_is_the_smallest_interval_with_both(first, second):
    joined = first.union(second)
    both = {*range(*first), *range(*second)}
    assert joined == (min(both), max(both) + 1)
    assert joined == second.union(first)
    assert joined.union(EVERYTHING) == EVERYTHING


@given(intervals, st.integers(1, 12))
def test_clip_keeps_what_is_on_the_map(interval, size):
    on_map = set(range(*interval)) & set(range(size))
    assume(on_map)
    assert set(range(*interval.clip(size))) == on_map
    assert EVERYTHING.clip(size) == (0, size)
