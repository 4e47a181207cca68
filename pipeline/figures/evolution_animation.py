"""A search as an animation: the best image so far, and its response by images shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.figures.animated_ascent import AnimatedAscent
from pipeline.figures.animation import side_by_side, small_multiples
from pipeline.figures.evolution_pictures import FilmStrip

COUNTED = "query"
MANY = 4  # searches from which on they are small multiples
ACROSS = 5


def animated_search(
    strip: FilmStrip,
    queries: Sequence[int] | Float[np.ndarray, " generations"],
    responses: Sequence[float] | Float[np.ndarray, " generations"],
    note: str = "",
) -> AnimatedAscent:
    """Return a search as an ascent whose steps are queries.

    The response holds from one generation to the next, as the best image does; before the first
    generation there is none.

    Args:
        strip: name and images to show, at some of the generations; of one or three channels.
        queries: of every generation, increasing: images shown until its end.
        responses: to the best image at the end of every generation.
        note: remark on its outcome.

    Raises:
        ValueError: there are no images, an image is not of one of the generations, or there is not
            one response for each generation.
    """
    known = np.asarray(queries, np.int64)
    if len(known) != len(responses):
        raise ValueError(
            f"search '{strip.name}' has {len(known)} query counts and {len(responses)} responses;"
            " give one of each per generation"
        )
    absent = [int(at) for at in strip.queries if at not in known]
    if absent or not len(strip.queries):
        said = f"an image at query {absent[0]}" if absent else "no images"
        raise ValueError(
            f"search '{strip.name}' has {said}; give images at ends of its generations"
        )
    last = int(strip.queries[-1])
    at = np.searchsorted(known, np.arange(last + 1), "right") - 1
    by_query = np.where(at >= 0, np.asarray(responses, np.float64)[at], np.nan)
    return AnimatedAscent(strip.name, _bytes(strip), list(strip.queries), by_query, note)


def search_frames(
    searches: Sequence[AnimatedAscent], title: str, caption: str
) -> UInt8[np.ndarray, "frames page_height page_width 3"]:
    """Return the frames of a video: the best images so far, with their growing curves.

    Up to three searches are side by side with one pair of axes; more are small multiples, each with
    a curve of its own below. ``figures.video`` makes a GIF or MP4 of the frames.

    Args:
        searches: at least one, from ``animated_search``, all with images of one size.
        title: title of the page.
        caption: text below, which must state how images were scaled.

    >>> strip = FilmStrip("genetic, grid", np.zeros((2, 8, 8, 1)), [20, 40], [1.0, 2.0])
    >>> search = animated_search(strip, [20, 40], [1.0, 2.0])
    >>> len(search_frames([search], "conv1 unit 5", "In their own colors."))
    2
    """
    if len(searches) < MANY:
        return side_by_side(searches, title, caption, COUNTED)
    return small_multiples(searches, ACROSS, title, caption, COUNTED)


def _bytes(strip: FilmStrip) -> UInt8[np.ndarray, "frames height width 3"]:
    images = np.nan_to_num(strip.images, nan=0.5)
    whole = np.broadcast_to(images, (*images.shape[:3], 3))
    return np.rint(255 * whole.clip(0, 1)).astype(np.uint8)
