from __future__ import annotations

import numpy as np
import pytest
from matplotlib.patches import Ellipse
from matplotlib.text import Text

from pipeline.analysis.gaussian_fit import fit_gaussians, gaussian
from pipeline.figures import style
from pipeline.figures.map_panel import MOST, Outline, UnitMaps, map_panel
from pipeline.figures.method_names import method_name

RNG = np.random.default_rng(0)


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def panels(figure, title: str):
    """Return the upper panel of a method and the one below."""
    at = next(n for n, axis in enumerate(figure.axes) if axis.get_title() == title)
    return figure.axes[at : at + 2]


def drawn(axis, gid: str) -> list[Ellipse]:
    return [patch for patch in axis.patches if patch.get_gid() == gid]


def unit(methods: list[str], size: tuple[int, int] = (9, 9), **settings) -> UnitMaps:
    maps = {method: RNG.random((2, *size)) for method in methods}
    return UnitMaps("conv1\nunit 3", maps, **settings)


def test_the_outline_is_the_fit_at_half_height():
    """Points of the ellipse lie where the fitted Gaussian, drawn by its own code, is one half."""
    parameters = np.array([1.0, 21.0, 16.0, 6.0, 2.5, 35.0, 0.0])
    bump = gaussian((41, 51), parameters)
    row = fit_gaussians(bump[None]).iloc[0]
    columns = ["gauss_x", "gauss_y", "sigma_long", "sigma_short", "orientation"]
    outline = Outline(*row[columns])
    maps = {"gradient": np.stack([bump, bump])}
    figure = map_panel([UnitMaps("unit", maps, {"gradient": [outline, None]})], "title")
    (ellipse,) = drawn(figure.axes[0], "outline")
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    rim = ellipse.get_patch_transform().transform(np.stack([np.cos(turns), np.sin(turns)], axis=1))
    for x, y in rim:  # from the center of the field, y down
        angle = np.deg2rad(35.0)
        right, down = x + 25 - 21, y + 20 - 16
        along = np.cos(angle) * right - np.sin(angle) * down
        across = np.sin(angle) * right + np.cos(angle) * down
        assert np.exp(-((along / 6) ** 2) / 2 - (across / 2.5) ** 2 / 2) == pytest.approx(0.5, 1e-3)
    assert drawn(figure.axes[1], "outline") == []


def test_the_outline_of_the_reference_is_in_every_panel():
    outline = Outline(1.0, 2.0, 3.0, 2.0, 10.0)
    other = Outline(-1.0, 0.0, 2.0, 2.0, 0.0)
    fits = {"gradient": [outline, None], "occlusion": [other, other]}
    figure = map_panel([unit(["bars_4a", "gradient", "occlusion"], outlines=fits)], "title")
    for name in ("bars (4a)", "gradient", "occlusion"):
        upper, lower = panels(figure, name)
        (ellipse,) = drawn(upper, "reference")
        assert ellipse.get_center() == (1.0, 2.0)
        assert drawn(lower, "reference") == []
    assert len(drawn(panels(figure, "occlusion")[1], "outline")) == 1
    assert "that of gradient" in words(figure)
    chosen = map_panel([unit(["gradient", "occlusion"], outlines=fits)], "t", reference="occlusion")
    assert len(drawn(panels(chosen, "gradient")[1], "reference")) == 1


def test_maps_are_centered_on_the_field_and_pixels_keep_their_place():
    shown = np.zeros((2, 7, 11))
    shown[0, 1, 9] = 1  # 4 pixels to the right and 2 up
    maps = {"gradient": shown, "occlusion": RNG.random((2, 5, 5))}
    figure = map_panel([UnitMaps("unit", maps)], "title")
    (image,) = figure.axes[0].get_images()
    left, right, bottom, top = image.get_extent()
    assert (left, right, bottom, top) == (-5.5, 5.5, 3.5, -3.5)
    np.testing.assert_array_equal(image.get_array(), shown[0])
    (smaller,) = panels(figure, "occlusion")[0].get_images()
    assert tuple(smaller.get_extent()) == (-2.5, 2.5, 2.5, -2.5)
    limits = {(axis.get_xlim(), axis.get_ylim()) for axis in figure.axes}
    assert limits == {((-5.5, 5.5), (3.5, -3.5))}


def test_a_flat_map_says_so():
    maps = {"gradient": np.stack([np.zeros((9, 9)), np.full((9, 9), np.nan)])}
    figure = map_panel([UnitMaps("unit", maps)], "title")
    assert words(figure).count("flat") == 2


@pytest.mark.parametrize(("count", "patch"), [(1, False), (5, True), (8, False), (8, True)])
def test_panels_do_not_overlap_and_fit_a_page(count: int, patch: bool):
    names = [f"method_{number}" for number in range(count)]
    own = np.zeros((9, 9, 3)) if patch else None
    figure = map_panel([unit(names, patch=own), unit(names, patch=own)], "title")
    assert figure.get_figwidth() <= style.DOUBLE_COLUMN + 0.01
    assert len(figure.axes) == 2 * (2 * count + patch)
    boxes = [axis.get_position() for axis in figure.axes]
    for number, box in enumerate(boxes):
        assert box.x0 > 0
        assert box.x1 <= 1
        assert not any(box.overlaps(other) for other in boxes[:number])
    rows = {round(box.y0, 4) for box in boxes}
    assert len(rows) == 2 * 2 * (1 if count + patch <= MOST else 2)


def test_the_size_of_a_degree_is_said():
    assert any("1° = 28.4 pixels" in text for text in words(
        map_panel([unit(["gradient"])], "title", pixels_per_degree=28.375)
    ))  # fmt: skip


def test_names_of_methods():
    assert method_name("guided_backprop") == "guided backprop"
    assert method_name("my_own") == "my own"
    figure = map_panel([unit(["sparse_noise"])], "title")
    assert any("(light, dark)" in text for text in words(figure))


def test_units_must_have_the_same_methods():
    with pytest.raises(
        ValueError, match=r"has maps by occlusion; all units must have those of the"
    ):
        map_panel([unit(["gradient"]), unit(["occlusion"])], "title")
    with pytest.raises(
        ValueError, match=r"^a panel needs a unit with at least one map, and got no"
    ):
        map_panel([], "title")
