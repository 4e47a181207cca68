"""Film strips, final images and animations of evolution: which image stands where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.text import Text

from pipeline.figures.evolution_animation import animated_search, search_frames
from pipeline.figures.evolution_images import film_strips, final_images
from pipeline.figures.evolution_pictures import FilmStrip, FinalImage, FinalImages


def strip(name: str, queries: list[int], channels: int = 3, side: int = 6) -> FilmStrip:
    """Return a strip whose images have the gray level of their queries in percent."""
    levels = np.array(queries) / 100
    images = np.ones((len(queries), side, side, channels)) * levels[:, None, None, None]
    return FilmStrip(name, images, queries, 10.0 * np.array(queries))


def grays(figure) -> list[list[int]]:
    """Return the gray levels of the images by row."""
    axes = figure.axes
    rows = sorted({round(axis.get_position().y0, 4) for axis in axes}, reverse=True)
    found: list[list[int]] = [[] for _ in rows]
    for axis in axes:
        pixels = np.asarray(axis.images[0].get_array())
        assert np.ptp(pixels) == 0
        assert pixels.shape[2] == 3
        found[rows.index(round(axis.get_position().y0, 4))].append(round(pixels[0, 0, 0] / 2.55))
    return found


def below(axis) -> list[str]:
    return [text.get_text() for text in axis.texts]


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("channels", [1, 3])
def test_each_row_shows_its_last_image_until_then_with_its_response(channels: int):
    figure = film_strips([strip("a", [20, 40, 60], channels), strip("b", [30, 60])], "t", "scaled.")
    assert [axis.get_title() for axis in figure.axes[:4]] == ["20 queries", "30", "40", "60"]
    missing = 88
    assert grays(figure) == [[20, 20, 40, 60], [missing, 30, 30, 60]]
    assert [below(axis) for axis in figure.axes[4:]] == [[""], ["300"], ["300"], ["600"]]
    said = "Below each image: response. Light gray: no generation was complete yet. scaled."
    assert said in " ".join(words(figure)[-1].split())
    assert "Below each image: response. c" in words(film_strips([strip("a", [20])], "t", "c"))


def test_of_many_generations_some_are_shown_evenly_spaced_in_queries():
    every = list(range(1, 100))
    titles = [axis.get_title() for axis in film_strips([strip("a", every)], "", "c", 8).axes]
    assert titles == ["1 query", "15", "29", "43", "57", "71", "85", "99"]
    assert len(film_strips([strip("a", [20])], "", "c").axes) == 1


def test_missing_pixels_are_gray_and_responses_that_are_not_finite_are_said():
    some = strip("a", [20, 40])
    some.images[0, 0, 0] = np.nan
    figure = film_strips([replace(some, responses=[np.nan, 2.0])], "", "c")
    pixels = np.asarray(figure.axes[0].images[0].get_array())
    assert pixels[0, 0].tolist() == [224] * 3
    assert pixels[1, 1].tolist() == [51] * 3
    assert below(figure.axes[0]) == ["none"]


def test_strips_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="there are no strips; a figure needs at least one"):
        film_strips([], "", "c")
    with pytest.raises(ValueError, match="13 strips do not fit on a page; select up to 12"):
        film_strips([strip("a", [20])] * 13, "", "c")
    fewer = replace(strip("a", [20, 40]), responses=[1.0])
    with pytest.raises(ValueError, match="'a' has 2 images, 2 query counts and 1 responses; give"):
        film_strips([fewer], "", "c")


def finals(name: str, top_patch: float, image: bool = True) -> FinalImages:
    gray = np.full((5, 4, 1), 0.2)
    patch = FinalImage("top patch", gray if image else None, top_patch)
    found = [FinalImage("genetic, grid", gray, 45.0), FinalImage("natural images", gray, -2.0)]
    return FinalImages(name, [patch, *found], top_patch)


def test_final_images_have_responses_and_multiples_of_the_top_patch():
    figure = final_images([finals("unit 1", 10.0), finals("unit 2", -1.0)], "t", "at 0.6 SD.")
    assert [axis.get_title() for axis in figure.axes[:3]] == [
        "top patch", "genetic, grid", "natural images",
    ]  # fmt: skip
    said = [below(axis) for axis in figure.axes]
    assert said[:3] == [["10.0", "\u00d7 1.0"], ["45.0", "\u00d7 4.5"], ["-2.00", "\u00d7 -0.20"]]
    assert said[3:] == [["-1.00", "undefined"], ["45.0", "undefined"], ["-2.00", "undefined"]]
    assert any(
        "undefined where there is none above 0" in each.replace("\n", " ") for each in words(figure)
    )
    defined = final_images([finals("unit 1", 10.0)], "t", "c")
    assert not any("undefined" in each for each in words(defined))


def test_a_missing_image_is_gray_and_units_need_the_same_images():
    figure = final_images([finals("unit 1", np.nan, image=False)], "t", "c")
    assert grays(figure) == [[88, 20, 20]]
    assert below(figure.axes[0]) == ["none", ""]
    other = replace(finals("unit 2", 1.0), images=finals("", 1.0).images[:2])
    with pytest.raises(ValueError, match=r"row 'unit 2' has the images .*; all rows must have"):
        final_images([finals("unit 1", 1.0), other], "t", "c")
    with pytest.raises(ValueError, match="there are no units"):
        final_images([], "t", "c")


def test_every_figure_fits_a_page():
    wide = strip("Cholesky CMA, principal components", [20, 40])
    for figure in (
        film_strips([wide] * 12, "title " * 20, "caption " * 40),
        final_images([finals(f"unit {number}", 1.0) for number in range(12)], "t", "c"),
    ):
        width, height = figure.get_size_inches()
        assert width <= 7.2
        assert height <= 10.5
        for axis in figure.axes:
            assert axis.get_position().width * width >= 0.3


# Animations.


def test_the_response_of_a_search_holds_until_the_next_generation():
    search = animated_search(strip("a", [20, 60]), [20, 40, 60], [1.0, 2.0, 3.0], "a note")
    assert np.isnan(search.response(0))
    assert np.isnan(search.response(19))
    assert [search.response(at) for at in (20, 39, 40, 59, 60)] == [1, 1, 2, 2, 3]
    assert [search.at(at)[0, 0, 0] for at in (20, 59, 60)] == [51, 51, 153]
    assert search.note == "a note"


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (2, 3), (5, 1)])
def test_a_video_has_a_frame_for_every_image(count: int, channels: int):
    searches = [
        animated_search(strip(f"s{n}", [20, 40], channels), [20, 40], [1.0 + n, np.nan])
        for n in range(count)
    ]
    frames = search_frames(searches, "title", "caption")
    assert len(frames) == 2
    for frame, level in zip(frames, (51, 102), strict=True):
        shown = (frame == level).all(2).mean()
        assert shown > 0.05  # the image itself, enlarged
    single = animated_search(strip("s", [20]), [20], [1.0])
    assert len(search_frames([single], "title", "caption")) == 1


def test_searches_that_cannot_be_animated_are_refused():
    with pytest.raises(
        ValueError, match="'a' has 2 query counts and 1 responses; give one of each"
    ):
        animated_search(strip("a", [20]), [20, 40], [1.0])
    with pytest.raises(
        ValueError, match="'a' has an image at query 30; give images at ends of its"
    ):
        animated_search(strip("a", [30]), [20, 40], [1.0, 2.0])
    with pytest.raises(ValueError, match="'a' has no images; give images"):
        animated_search(strip("a", []), [20], [1.0])
