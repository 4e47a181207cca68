import numpy as np
import pytest

from pipeline.figures import scaling, style
from pipeline.figures.triptych import triptych, triptych_grid

NAMES = ["zeros", "added from top patch", "top patch"]


def panels(size: int = 11, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [(name, rng.random((size, size, 3)).astype(np.float32)) for name in NAMES]


def test_images_are_drawn_unscaled_in_their_order():
    figure = triptych(panels(), "alexnet, conv1, unit 3")
    for axis, (name, image) in zip(figure.axes, panels(), strict=True):
        assert axis.get_title().replace("\n", " ") == name
        np.testing.assert_allclose(axis.images[0].get_array() / 255, image, atol=0.5 / 255)
    assert figure.get_suptitle() == "alexnet, conv1, unit 3"
    assert figure.get_figwidth() == style.SINGLE_COLUMN


def test_caption_states_the_scaling():
    assert triptych(panels(), "t").get_supxlabel() == scaling.DESCRIPTIONS["range"]
    caption = scaling.DESCRIPTIONS["symmetric"]
    assert triptych(panels(), "t", caption).get_supxlabel() == caption


@pytest.mark.parametrize("description", scaling.DESCRIPTIONS.values())
def test_captions_fit_one_line_of_a_column(description):
    assert style.text_width(description, style.SMALL_TEXT) < style.SINGLE_COLUMN - 0.1


def test_small_images_show_their_pixels():
    assert triptych(panels(11), "t").axes[0].images[0].get_interpolation() == "nearest"
    assert triptych(panels(227), "t").axes[0].images[0].get_interpolation() != "nearest"


def test_missing_pixels_are_light_gray_and_input_is_unaltered():
    named = panels()
    named[1][1][:] = np.nan
    figure = triptych(named, "t")
    assert (figure.axes[1].images[0].get_array() == round(255 * style.MISSING_GRAY)).all()
    assert np.isnan(named[1][1]).all()
    style.render(figure, "png", 50)


def test_grid_has_a_row_per_unit_and_names_panels_once():
    rows = [(f"unit {unit}", panels(seed=unit)) for unit in (3, 1, 2)]
    figure = triptych_grid(rows)
    assert len(figure.axes) == 9
    titles = [axis.get_title().replace("\n", " ") for axis in figure.axes]
    assert titles == NAMES + [""] * 6
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == ["unit 3", "unit 1", "unit 2"]
    shown = figure.axes[5].images[0].get_array() / 255
    np.testing.assert_allclose(shown, rows[1][1][2][1], atol=0.5 / 255)


def test_twelve_rows_fit_a_page_and_nothing_overlaps():
    figure = triptych_grid([(f"unit {unit}", panels(9, unit)) for unit in range(12)], "alexnet")
    assert figure.get_figheight() < 9.5
    with style.paper_style():
        figure.draw_without_rendering()
        boxes = [axis.get_tightbbox() for axis in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_single_panel_and_pdf_fonts():
    pdf = style.render(triptych(panels()[:1], "one"), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_rows_must_have_the_same_panels():
    with pytest.raises(ValueError, match="row 'unit 1' has the panels"):
        triptych_grid([("unit 0", panels()), ("unit 1", panels()[:2])])
    with pytest.raises(ValueError, match="at least one panel"):
        triptych_grid([])
    with pytest.raises(ValueError, match="at least one panel"):
        triptych([], "t")
