"""Sets in color: hues, isoluminance, cones, and what pixels they are."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from pipeline.analysis.cone_colors import cone_contrasts
from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.stimuli.color_gratings import cone_gratings, isoluminant_gratings
from pipeline.stimuli.field import Colors, Field, Screen
from pipeline.stimuli.uniform_colors import (
    full_field_colors,
    gray_levels,
    hues,
    isoluminant_discs,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SEEN = Preprocessing(224, 224, MEAN, STD)
FIELD = Field(57, 57, colors=Colors.bounds(MEAN, STD), screen=Screen(224, 224))


def pixels(drawn: torch.Tensor) -> np.ndarray:
    """Return what is shown before the network's preprocessing, channels last."""
    return SEEN.pixels(drawn).double().numpy().transpose(0, 2, 3, 1)


def test_hues_are_pixels_of_full_saturation_before_preprocessing():
    found = pixels(hues(FIELD).draw(np.arange(360)))
    assert np.ptp(found, axis=(1, 2)).max() == 0
    known = {0: (1, 0, 0), 60: (1, 1, 0), 90: (0.5, 1, 0), 120: (0, 1, 0), 300: (1, 0, 1)}
    for hue, color in known.items():
        np.testing.assert_allclose(found[hue, 0, 0], color, atol=1e-6)
    shown = np.array([colorsys.rgb_to_hls(*color)[0] for color in found[:, 5, 5].clip(0, 1)])
    np.testing.assert_allclose(shown * 360, np.arange(360), atol=1e-3)


def test_gray_levels_and_colors_are_the_given_pixels():
    found = pixels(gray_levels(FIELD, [0.0, 0.25, 1.0]).draw([0, 1, 2]))[:, 3, 4]
    np.testing.assert_allclose(found, [[0.0] * 3, [0.25] * 3, [1.0] * 3], atol=1e-6)
    own = full_field_colors(FIELD, [[0.1, 0.2, 0.9]])
    np.testing.assert_allclose(pixels(own.draw([0]))[0, 0, 0], [0.1, 0.2, 0.9], atol=1e-6)
    assert gray_levels(Field(3, 3, colors=Colors.published(1))).draw([2]).shape == (1, 1, 3, 3)


@pytest.mark.parametrize("encoding", ["linear", "srgb"])
def test_discs_are_isoluminant_and_within_the_gamut(encoding: str):
    discs = isoluminant_discs(FIELD, encoding=encoding)
    table = discs.table
    assert len(table) == 24 * 3
    assert table[["hue", "contrast"]].iloc[:4].to_numpy().tolist() == [
        [0, 0.25], [0, 0.5], [0, 1], [15, 0.25],
    ]  # fmt: skip
    shown = pixels(discs.draw(np.arange(72)))
    assert shown.min() > -1e-6
    assert shown.max() < 1 + 1e-6
    linear = shown
    if encoding == "srgb":  # by the standard's formula, which has two pieces
        linear = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    gray, middle = linear[:, 0, 0], linear[:, 28, 28]
    np.testing.assert_allclose(gray, 0.5, atol=1e-6)
    excited = cone_contrasts(middle)
    columns = ["l_contrast", "m_contrast", "s_contrast"]
    np.testing.assert_allclose(excited, table[columns], atol=3e-6)
    # L and M, weighted as gray excites them, always sum to 0.
    np.testing.assert_allclose(excited[:, 0] * 0.3274 + excited[:, 1] * 0.1726, 0, atol=2e-5)
    assert table["s_contrast"].max() == pytest.approx(0.859 * 0.985, abs=1e-3)


def test_a_disc_is_as_wide_as_it_says():
    table = isoluminant_discs(FIELD, diameter=1.0).table
    assert table[["diameter", "leaves_field", "clipped"]].drop_duplicates().to_numpy().tolist() == [
        [28.0, False, False]
    ]
    drawn = pixels(isoluminant_discs(FIELD, diameter=1.0).draw([2]))[0, 28, :, 0]
    assert (drawn > 0.6).sum() == 29  # from -14 to 14
    whole = isoluminant_discs(Field(9, 9, colors=FIELD.colors), diameter=None)
    assert np.ptp(pixels(whole.draw([2])), axis=(1, 2)).max() == 0


def test_isoluminant_gratings_swing_between_opposite_hues():
    found = isoluminant_gratings(FIELD, frequencies=[0.75])
    assert len(found) == 6 * 12 * 3 * 8
    row = found.table.query("orientation == 0 and hue == 30 and contrast == 1 and phase == 90")
    opposite = found.table.query(
        "orientation == 0 and hue == 30 and contrast == 1 and phase == 270"
    )
    discs = isoluminant_discs(FIELD)
    rows = [discs.table.query(f"hue == {hue} and contrast == 1").index[0] for hue in (30, 210)]
    crest, valley = discs.draw(rows)[:, :, 28, 28]
    for index, color in ((row.index, crest), (opposite.index, valley)):
        torch.testing.assert_close(found.draw(index)[0, :, 28, 28], color, rtol=0, atol=1e-5)
    lms = cone_contrasts(pixels(found.draw(row.index)))[0]
    assert np.abs(lms[..., 0] * 0.3274 + lms[..., 1] * 0.1726).max() < 2e-5
    assert np.ptp(lms[..., 0]) > 0.1


@pytest.mark.parametrize("cones", ["smith_pokorny", "hunt_pointer_estevez"])
def test_gratings_for_one_cone_are_unseen_by_the_others(cones: str):
    found = cone_gratings(FIELD, frequencies=[1.5], cones=cones)
    assert len(found) == 6 * 4 * 3 * 8
    for number, cone in enumerate(("L", "M", "S")):
        rows = found.table.query(f"orientation == 30 and cone == '{cone}' and contrast == 1")
        shown = pixels(found.draw(rows.index))
        assert shown.min() > -1e-6
        assert shown.max() < 1 + 1e-6
        excited = np.abs(cone_contrasts(shown, cones)).max((0, 1, 2))
        name = f"{cone.lower()}_contrast"
        assert excited[number] == pytest.approx(rows[name].iloc[0], rel=0.01)
        assert np.delete(excited, number).max() < 1e-5
    gray = found.table.query("cone == 'luminance' and contrast == 1")
    shown = pixels(found.draw(gray.index[:8]))
    assert np.ptp(shown, axis=3).max() < 1e-5
    assert (shown.min(), shown.max()) == pytest.approx((0, 1), abs=0.01)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: hues(Field(3, 3, colors=Colors.published(1))), "color needs a network of 3 chan"),
        (lambda: isoluminant_discs(FIELD, encoding="rgb"), "'rgb' is not one of linear, srgb"),
        (lambda: isoluminant_discs(FIELD, cones="smith"), "'smith' is not one of smith_pokorny"),
        (lambda: isoluminant_gratings(FIELD, hues=5), "hues: 5 is not an even number"),
    ],
)
def test_what_cannot_be_shown_is_said(build, message: str):
    with pytest.raises(ConfigError, match=message):
        build()
