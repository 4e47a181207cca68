"""Figures of evolution: what is drawn are the medians of the table, and what has none is said."""

from __future__ import annotations

import doctest
import importlib
from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from pipeline.figures.evolution_curves import evolution_curves, unit_evolution
from pipeline.figures.evolution_matrix import searcher_matrix
from pipeline.figures.evolution_methods import looks
from pipeline.figures.evolution_names import Method
from pipeline.figures.evolution_noise import ranking_by_noise
from pipeline.figures.evolution_responses import relative_responses
from tests.figures.evolution_tables import CROSSED, RIVALS, gain, tables, without_reference


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def line(axis, gid: str) -> np.ndarray:
    (found,) = [each for each in axis.lines if each.get_gid() == gid]
    return np.stack([np.asarray(each, np.float64) for each in found.get_data()])


@pytest.mark.parametrize("name", ["names", "methods", "images", "animation"])
def test_examples_of_the_module(name: str):
    result = doctest.testmod(importlib.import_module(f"pipeline.figures.evolution_{name}"))
    assert result.attempted > 0
    assert result.failed == 0


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_method_of_many_looks_different_and_rivals_are_gray():
    searchers = [f"s{number}" for number in range(6)]
    generators = [f"g{number}" for number in range(12)]
    own = [Method(s, g) for s, g in product(searchers, generators)]
    for some in (own, own[::12], own[:12]):  # crossed, and of one generator or searcher
        shown = looks([*some, *(Method(*rival) for rival in RIVALS)])
        assert len({str(look) for look in shown.values()}) == len(shown)
        for method, look in shown.items():
            red, green, blue = to_rgb(look["color"])
            assert (red == green == blue) == method.rival
            assert look["linestyle"] != "-" or not method.rival


def test_curves_are_medians_over_units_of_the_multiples_of_the_top_patch():
    evolution, history = tables(restarts=2)
    axis = evolution_curves(history, evolution).axes[0]
    for method in (*CROSSED, *RIVALS):
        # Unit 2 is the middle one; a unit counts once, with the mean of its restarts.
        final = 2 * (gain(method, 0) + gain(method, 1)) / 2
        x, y = line(axis, Method(*method).name)
        np.testing.assert_allclose([x, y], [[20, 40, 60], final * np.array([1, 2, 3]) / 3])
    np.testing.assert_allclose(line(axis, "top_patch")[1], 1)
    np.testing.assert_allclose(line(axis, "ascent")[1], 8)
    over_ascent = evolution_curves(history, evolution, "ascent").axes[0]
    np.testing.assert_allclose(
        line(over_ascent, "genetic, grid")[1][-1], 2 * gain(CROSSED[0]) / 8 + 2 * 0.125 / 8
    )
    np.testing.assert_allclose(line(over_ascent, "top_patch")[1], 1 / 8)


def test_a_search_that_ended_early_holds_its_last_value_and_has_none_before_its_first():
    evolution, history = tables(units=(1, 2), methods=CROSSED[:1])
    short = history["unit"] == 1
    history.loc[short, "queries"] = history.loc[short, "generation"] + 20  # 21, 22, 23
    x, y = line(evolution_curves(history, evolution).axes[0], "genetic, grid")
    assert x.tolist() == [20, 21, 22, 23, 40, 60]
    own, other = np.array([np.nan, 2, 4, 6, 6, 6]) / 3, np.array([4, 4, 4, 4, 8, 12]) / 3
    np.testing.assert_allclose(y, [other[0], *(own[1:] + other[1:]) / 2])


def test_rivals_come_last_and_layers_keep_their_order():
    evolution, history = tables(layers=("conv5", "conv2"), methods=(*RIVALS, *CROSSED[:1]))
    figure = evolution_curves(history.replace({"generator": {"": None}}), evolution)
    assert [axis.get_title() for axis in figure.axes] == ["conv5, n = 3", "conv2, n = 3"]
    assert legend(figure) == [
        "genetic, grid", "natural images", "gradient ascent", "top patch", "ascent image, median",
    ]  # fmt: skip


@pytest.mark.parametrize("value", [0.0, -3.0, np.nan])
def test_units_whose_top_patch_is_not_above_0_have_no_multiple_and_are_counted(value: float):
    evolution, history = tables()
    some = without_reference(evolution, 4, value=value)
    axis = evolution_curves(history, some).axes[0]
    assert axis.get_title() == "conv2, n = 2 (1 undefined)"
    np.testing.assert_allclose(line(axis, "genetic, grid")[1][-1], 1.5 * gain(CROSSED[0]))
    none = without_reference(evolution, 1, 2, 4, value=value)
    figure = evolution_curves(history, none)
    assert "no reference\nabove 0" in words(figure)
    assert "conv2, n = 0 (3 undefined)" in words(figure)


def test_without_a_reference_curves_are_of_responses_and_with_a_rig_of_scores():
    evolution, history = tables()
    none = without_reference(evolution, 1, 2, 4, value=np.nan).assign(ascent=np.nan)
    final = history.query("unit == 2 and searcher == 'genetic' and generator == 'grid'").iloc[-1]
    rig = history.assign(noise_free=np.nan, best=history["best"] + 1)
    for runs, value, label in ((history, final["noise_free"], "response"),
                               (rig, final["best"] + 1, "score")):  # fmt: skip
        figure = evolution_curves(runs, none, None)
        assert line(figure.axes[0], "genetic, grid")[1][-1] == value
        assert figure.axes[0].get_ylabel() == label
        assert figure.axes[0].get_title() == "conv2, n = 3"
        assert not {"top patch", "ascent image, median"} & {*legend(figure)}
    nothing = evolution_curves(rig.assign(best=np.nan), none, None)
    assert "no response\nis finite" in words(nothing)


def test_the_legend_names_the_lines_that_are_drawn():
    evolution, history = tables()
    assert "ascent image, median" in legend(evolution_curves(history, evolution))
    none = evolution.assign(ascent=np.nan)
    assert "ascent image, median" not in legend(evolution_curves(history, none))


def test_a_single_generation_of_a_single_unit_is_a_visible_point():
    evolution, history = tables(units=(1,), generations=1)
    drawn = next(each for each in evolution_curves(history, evolution).axes[0].lines)
    assert drawn.get_marker() not in ("", "None")
    axis = unit_evolution(history).axes[0]
    assert {each.get_marker() for each in axis.lines}.isdisjoint({"", "None"})


def of_unit(**options) -> pd.DataFrame:
    _, history = tables(units=(2,), **options)
    return history


def test_a_unit_has_a_panel_for_each_method_with_every_restart_and_the_rivals():
    figure = unit_evolution(of_unit(restarts=3), 10.0, 80.0)
    assert [axis.get_title() for axis in figure.axes] == [Method(*each).name for each in CROSSED]
    for axis, method in zip(figure.axes, CROSSED, strict=True):
        finals = [
            each.get_ydata()[-1] for each in axis.lines if each.get_gid() == Method(*method).name
        ]
        np.testing.assert_allclose(finals, [20 * gain(method, restart) for restart in range(3)])
        assert len([each for each in axis.lines if each.get_gid() == "natural images"]) == 3
        np.testing.assert_allclose(line(axis, "top_patch")[1], 10)
        np.testing.assert_allclose(line(axis, "ascent")[1], 80)
        (band,) = axis.collections
        y = band.get_paths()[0].vertices[:, 1]
        np.testing.assert_allclose(y.max(), 10 * gain(method, 2))
        np.testing.assert_allclose(y.min(), 10 * gain(method, 0) / 3)
    assert len({axis.get_ylim() for axis in figure.axes}) == 1


def test_observed_responses_are_drawn_where_noise_makes_them_differ():
    clear, noisy = (unit_evolution(of_unit(noise=noise)) for noise in (0.0, 5.0))
    assert "best observed" not in words(clear)
    assert "best observed" in words(noisy)
    known, observed = (line(noisy.axes[0], f"genetic, grid{word}") for word in ("", ", observed"))
    np.testing.assert_allclose(observed - known, [[0.0] * 3, [5.0] * 3])


def test_images_without_a_score_are_counted_and_unknown_responses_are_said():
    history = of_unit(methods=CROSSED[:2])
    history.loc[history["generator"] == "grid", "missing"] = 2
    known = ["best", "noise_free", "noise_free_mean"]
    history.loc[history["generator"] == "decoder", known] = np.nan
    figure = unit_evolution(history)
    assert "6 without a score" in words(figure)
    assert "no response\nis finite" in words(figure)
    assert "top patch" not in legend(figure)


def test_curves_of_one_unit_are_refused_for_several():
    _, history = tables()
    with pytest.raises(ValueError, match=r"several values of unit \(1, 2, 4\); select one"):
        unit_evolution(history)


def cells(axis, gid: str) -> dict[tuple[int, int], str]:
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in axis.texts
        if text.get_gid() == gid
    }


def test_cells_of_the_matrix_are_medians_and_quartiles_of_the_table():
    evolution, _ = tables(units=(1, 2, 3, 4, 5), restarts=2)
    axis = searcher_matrix(evolution).axes[0]
    assert [each.get_text() for each in axis.get_yticklabels()] == ["genetic", "spherical"]
    assert [each.get_text() for each in axis.get_xticklabels()] == ["grid", "decoder"]
    # Of units 1 to 5 times the mean gain of two restarts.
    assert cells(axis, "median") == {(0, 0): "6.4", (0, 1): "7.9", (1, 0): "9.4", (1, 1): "11"}
    assert cells(axis, "quartiles")[0, 0] == "4.2 to 8.5"
    assert "natural images: 3.4 (2.2 to 4.5)\ngradient ascent: 24 (16 to 32)" in words(axis)
    assert cells(searcher_matrix(evolution, "ascent").axes[0], "median")[0, 0] == "0.80"


def test_cells_without_data_and_those_without_a_reference_are_marked():
    evolution, _ = tables()
    rest = evolution.loc[
        (evolution["searcher"] != "spherical") | (evolution["generator"] != "grid")
    ]
    rest = rest.copy()
    rest.loc[(rest["searcher"] == "genetic") & (rest["generator"] == "grid"), "top_patch"] = -1.0
    axis = searcher_matrix(rest).axes[0]
    hatched = [patch for patch in axis.patches if patch.get_hatch()]
    assert {each.get_gid(): round(each.get_y()) for each in hatched} == {
        "undefined": 0,
        "no data": 1,
    }
    assert set(cells(axis, "median")) == {(0, 1), (1, 1)}
    assert {"undefined", "no data"} <= set(words(axis))


def test_a_matrix_with_a_median_below_0_or_without_any_is_drawn():
    evolution, _ = tables()
    below = evolution.assign(over_patch=-evolution["over_patch"])
    assert cells(searcher_matrix(below).axes[0], "median")[0, 0] == "-4.0"
    none = searcher_matrix(without_reference(evolution, 1, 2, 4))
    assert cells(none.axes[0], "median") == {}
    assert "natural images: none\ngradient ascent: none" in words(none)


def test_a_matrix_of_rivals_only_is_refused():
    evolution, _ = tables(methods=RIVALS)
    with pytest.raises(
        ValueError, match="no searcher with a generator; there is nothing to compare"
    ):
        searcher_matrix(evolution)


def drawn(axis, gid: str) -> np.ndarray:
    (found,) = [each for each in axis.collections if each.get_gid() == gid]
    return np.asarray(found.get_offsets())[:, 1]


def median(axis, gid: str) -> float:
    (found,) = [each for each in axis.collections if each.get_gid() == f"median {gid}"]
    return float(found.get_segments()[0][0, 1])


def test_every_unit_is_a_point_and_bars_are_their_medians():
    evolution, _ = tables(layers=("conv2", "conv5"), units=(1, 2, 3, 5), restarts=2)
    top, ascent = relative_responses(evolution).axes
    for layer, method in product(("conv2", "conv5"), (*CROSSED, *RIVALS)):
        name = f"{layer}, {Method(*method).name}"
        ratio = np.array([1, 2, 3, 5]) * (gain(method, 0) + gain(method, 1)) / 2
        np.testing.assert_allclose(drawn(top, name), ratio)
        np.testing.assert_allclose(median(top, name), 2.5 * ratio[0])
        if method[0] != "gradient":  # no rival of itself
            np.testing.assert_allclose(median(ascent, name), 2.5 * ratio[0] / 8)
    assert not [each for each in ascent.collections if "gradient ascent" in str(each.get_gid())]
    assert [each.get_text() for each in top.get_xticklabels()] == ["conv2\nn = 4", "conv5\nn = 4"]
    assert "ascent image" in ascent.get_ylabel().replace("\n", " ")
    assert len(relative_responses(evolution, ["ascent"]).axes) == 1


def test_multiples_are_logarithmic_only_if_all_are_above_0_and_they_spread():
    evolution, _ = tables()
    assert relative_responses(evolution).axes[0].get_yscale() == "log"
    below = evolution.assign(over_patch=-evolution["over_patch"])
    assert relative_responses(below).axes[0].get_yscale() == "linear"
    one, _ = tables(units=(1,), methods=CROSSED[:2])
    assert relative_responses(one).axes[0].get_yscale() == "linear"


def test_multiples_of_a_reference_near_0_do_not_hide_the_others():
    evolution, _ = tables()
    first = (evolution["unit"] == 1) & (evolution["searcher"] == "genetic")
    far = evolution.assign(over_patch=evolution["over_patch"].mask(first, -1e4))
    figure = relative_responses(far, ["top_patch"])
    low, high = figure.axes[0].get_ylim()
    assert -0.5 * high < low < 0
    assert f"{first.sum()} points below this range" in words(figure)


def test_a_layer_without_references_says_so_and_other_units_are_left_out():
    evolution, _ = tables()
    top, ascent = relative_responses(without_reference(evolution, 4)).axes
    assert [each.get_text() for each in top.get_xticklabels()] == ["conv2\nn = 2"]
    assert [each.get_text() for each in ascent.get_xticklabels()] == ["conv2\nn = 3"]
    top = relative_responses(without_reference(evolution, 1, 2, 4)).axes[0]
    assert "undefined" in words(top)
    with pytest.raises(ValueError, match="no reference is given; name top_patch, ascent or both"):
        relative_responses(evolution, [])


def by_noise() -> pd.DataFrame:
    """Return methods of which the genetic ones gain with noise, so that ranks change."""
    clear, _ = tables()
    worse = clear["searcher"].map({"spherical": 0.5}).fillna(1.0)
    noisy = clear.assign(over_patch=clear["over_patch"] * worse)
    return pd.concat([clear.assign(noise="none"), noisy.assign(noise="poisson 5")])


def test_ranks_and_medians_are_those_of_each_noise_level():
    axis = ranking_by_noise(by_noise()).axes[0]
    assert [each.get_text() for each in axis.get_xticklabels()] == ["none", "poisson 5"]
    ranks = {
        Method(*method).name: [
            text.get_text() for text in axis.texts
            if text.get_gid() == f"rank {Method(*method).name}"
        ]
        for method in (*CROSSED, *RIVALS)
    }  # fmt: skip
    # Gains 2, 2.5, 3, 3.5, and with noise 2, 2.5, 1.5, 1.75.
    assert ranks == {
        "genetic, grid": ["4", "2"], "genetic, decoder": ["3", "1"],
        "spherical, grid": ["2", "4"], "spherical, decoder": ["1", "3"],
        "natural images": [], "gradient ascent": [],
    }  # fmt: skip
    np.testing.assert_allclose(line(axis, "spherical, grid")[1], [6, 3])
    assert len(line(axis, "gradient ascent")[0]) == 2


def test_equal_medians_have_equal_ranks_and_undefined_ones_have_none():
    table = by_noise().assign(over_patch=2.0)
    axis = ranking_by_noise(table).axes[0]
    assert {text.get_text() for text in axis.texts} == {"1"}
    nothing = ranking_by_noise(without_reference(table, 1, 2, 4))
    assert "no reference\nabove 0" in words(nothing)


@pytest.mark.parametrize(
    "draw", [searcher_matrix, relative_responses, lambda table: evolution_curves(table, table)]
)
def test_tables_of_several_models_or_without_a_column_are_refused(draw):
    evolution, _ = tables()
    two = pd.concat([evolution, evolution.assign(model="other")])
    with pytest.raises(ValueError, match="several values of model"):
        draw(two)
    with pytest.raises(ValueError, match="the table has no column top_patch"):
        draw(evolution.drop(columns="top_patch"))
