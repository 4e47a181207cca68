from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from pipeline.figures import style
from pipeline.figures.animated_ascent import AnimatedAscent
from pipeline.figures.animation import side_by_side, small_multiples

SIDE = 51  # shown four times as large


def panel(name="", steps=range(5), seed=0, side=SIDE):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(steps), side, side, 3), dtype=np.uint8)
    return AnimatedAscent(name, images, list(steps), np.linspace(1.0, 9.0 + seed, max(steps) + 1))


def inked(frame, number=0):
    """Return how many pixels have the color of a curve."""
    color = np.rint(255 * np.array(to_rgb(style.SERIES_COLORS[number])))
    return int((np.abs(frame - color).max(2) <= 2).sum())


def holds(frame, image, factor):
    """Say whether an image lies somewhere in a frame, enlarged and not altered."""
    large = image.repeat(factor, 0).repeat(factor, 1)
    height, width = large.shape[:2]
    corners = (frame[: -height + 1, : -width + 1] == large[0, 0]).all(2)
    return any(
        np.array_equal(frame[y : y + height, x : x + width], large) for y, x in np.argwhere(corners)
    )


def test_every_step_is_a_frame_with_its_own_image_unaltered():
    shown = panel()
    frames = side_by_side([shown], "a title", "a caption")
    assert len(frames) == 5
    for number, frame in enumerate(frames):
        assert holds(frame, shown.images[number], 4)
        assert not holds(frame, shown.images[(number + 1) % 5], 4)


def test_before_its_first_image_a_panel_is_empty():
    early, late = panel("early", [0, 4]), panel("late", [2, 4], seed=1)
    assert (late.at(0) == late.at(1)).all()
    assert len(np.unique(late.at(0))) == 1
    frames = side_by_side([early, late], "", "")  # at steps 0, 2 and 4
    assert [holds(frame, late.images[-1], 4) for frame in frames] == [False, False, True]
    assert [holds(frame, late.images[0], 4) for frame in frames] == [False, True, False]


def test_curves_grow_from_frame_to_frame():
    frames = side_by_side([panel("one"), panel("two", seed=1)], "a title", "a caption")
    for number in (0, 1):
        ink = [inked(frame, number) for frame in frames]
        assert ink == sorted(ink)
        assert ink[-1] > ink[0] > 0


def test_responses_to_transformed_images_make_a_line_apart_from_those_to_the_image_itself():
    shown = replace(panel(), transformed=True)
    assert shown.curve(4) == ([(1, 3.0), (2, 5.0), (3, 7.0)], [(0, 1.0), (4, 9.0)])
    assert panel().curve(1) == ([(0, 1.0), (1, 3.0)], [])
    assert [shown.is_transformed(step) for step in range(6)] == [False, *[True] * 3, False, False]
    for draw in (side_by_side, lambda *page: small_multiples(page[0], 1, *page[1:])):
        apart, joined = draw([shown], "", ""), draw([panel()], "", "")
        assert inked(apart[0]) == inked(joined[0])  # the start alone
        # Two steps of four are not drawn, and the start keeps its mark.
        assert inked(apart[0]) < inked(apart[3]) < inked(apart[4])
        assert not np.array_equal(apart[3], joined[3])


def test_panels_are_told_apart_by_more_than_their_color():
    one, two = panel("same", steps=[0]), panel("same", steps=[0], seed=1)
    alone = [side_by_side([each], "", "")[0] for each in (one, two)]
    assert inked(alone[0], 0) == inked(alone[1], 0)
    both = side_by_side([one, two], "", "")[0]
    # The disk and the square of the first curve and the second have different areas.
    assert inked(both, 1) != inked(alone[0], 0)


def test_a_shorter_ascent_waits_for_the_longer():
    short, long = panel("short", [0, 1, 2]), panel("long", [0, 3, 6], seed=1)
    frames = side_by_side([short, long], "", "")
    assert len(frames) == 5  # at 0, 1, 2, 3 and 6
    assert holds(frames[2], long.images[0], 4)
    assert holds(frames[4], short.images[2], 4)
    assert holds(frames[4], long.images[2], 4)
    assert short.response(6) == short.responses[-1]


def test_what_is_not_finite_ends_its_curve():
    whole = panel()
    broken = replace(whole, responses=np.array([1.0, 3, np.nan, np.nan, np.nan]), note="not finite")
    frames = side_by_side([broken], "", "")
    assert inked(frames[1]) == inked(frames[4])
    nothing = replace(whole, responses=np.full(5, np.nan))
    assert inked(side_by_side([nothing], "", "")[4]) == 0
    flat = replace(whole, responses=np.zeros(5))
    assert inked(side_by_side([flat], "", "")[4]) > 0


def test_large_images_are_reduced_to_the_mean_of_their_pixels():
    gray = np.zeros((1, 1000, 1000, 3), np.uint8)
    gray[:, ::2] = 200
    shown = replace(panel(steps=[0]), images=gray)
    frame = side_by_side([shown], "", "")[0]
    assert frame.shape[0] < 700
    middle = frame[200:400, 100:400].astype(float)
    assert abs(middle.mean() - 100) < 1


@pytest.mark.parametrize("count", [1, 5, 9])
def test_small_multiples_hold_every_unit(count):
    panels = [panel(f"unit {number}", seed=number) for number in range(count)]
    frames = small_multiples(panels, 4, "a title", "a caption")
    assert len(frames) == 5
    for each in panels:
        assert holds(frames[3], each.images[3], 2)
    ink = [inked(frame) for frame in frames]
    assert ink == sorted(ink)
    assert ink[-1] > ink[0]


def test_nothing_but_images_numbers_and_curves_changes_between_frames():
    gray = np.full((5, SIDE, SIDE, 3), 128, np.uint8)
    still = replace(panel(), images=gray, responses=np.full(5, 7.0))
    frames = side_by_side([still], "a long title " * 9, "a caption " * 30)
    changed = (frames != frames[:1]).any((0, 3))
    rows = np.flatnonzero(changed.any(1))
    assert 0 < changed.mean() < 0.05
    assert rows[-1] < 0.9 * len(changed)  # neither the caption
    assert holds(frames[0], gray[0], 4)
