from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.figures import style
from pipeline.figures.correlation_histograms import histograms
from pipeline.figures.correlations import box_plot

BINS = np.linspace(-1.1, 1.1, 50)


def layer(name: str, units: int, undefined: int = 0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng([seed, units])
    r = rng.uniform(-0.3, 0.8, units)
    r[:undefined] = np.nan
    return pd.DataFrame(
        {
            "model": "alexnet",
            "layer": name,
            "unit": np.arange(units),
            "init_a": "zeros",
            "init_b": "top_patch",
            "r": r,
            "null_r": rng.normal(0, 0.05, units),
            "status": ["zero_gradient"] * undefined + ["ok"] * (units - undefined),
        }
    )


def table(*layers: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(layers, ignore_index=True)


NETWORK = table(layer("conv10", 64), layer("conv2", 7, undefined=3), layer("conv1", 5))


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def gid(figure: Figure, name: str) -> list:
    return figure.findobj(lambda artist: artist.get_gid() == name)


def heights(outline) -> np.ndarray:
    """Return the heights of the bars whose outline is drawn."""
    sides = list(pairwise(outline.get_paths()[0].vertices))
    middles = (BINS[1:] + BINS[:-1]) / 2
    return np.array(
        [max(y for (x, y), (end, _) in sides if min(x, end) < m < max(x, end)) for m in middles]
    )


def test_box_medians_are_those_of_the_table():
    figure = box_plot(NETWORK)
    for name, rows in NETWORK.groupby("layer"):
        [line] = gid(figure, f"median {name}")
        assert set(line.get_ydata()) == {rows["r"].median()}


def test_a_value_whose_status_is_not_ok_is_not_drawn():
    rows = layer("conv1", 5)
    rows.loc[4, ["r", "status"]] = [0.99, "undefined"]
    figure = box_plot(rows)
    [line] = gid(figure, "median conv1")
    assert set(line.get_ydata()) == {rows["r"].iloc[:4].median()}
    assert "n = 4\n1 undefined" in words(figure)
    [outline] = gid(histograms(rows), "observed")
    assert heights(outline).sum() == 4


def test_a_unit_with_copies_is_one_point_at_their_mean():
    rows = layer("conv1", 5)
    figure = box_plot(table(rows, rows.assign(r=rows["r"] + 0.2, status=["ok"] * 4 + ["other"])))
    [line] = gid(figure, "median conv1")
    expected = np.median(rows["r"] + [0.1, 0.1, 0.1, 0.1, 0.0])
    assert line.get_ydata() == pytest.approx([expected] * 2)
    assert "n = 5" in words(figure)
    assert [len(points.get_offsets()) for points in figure.axes[0].collections] == [5]


def test_boxes_keep_the_order_of_the_table_and_say_how_many():
    axis = box_plot(NETWORK).axes[0]
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels == ["conv10\nn = 64", "conv2\nn = 4\n3 undefined", "conv1\nn = 5"]
    medians = [gid(axis.figure, f"median {name}")[0] for name in ("conv10", "conv2", "conv1")]
    assert [line.get_xdata().mean() for line in medians] == [0, 1, 2]
    points = [len(p.get_offsets()) for p in axis.collections]
    assert points == [64, 4, 5]


def test_axes_are_labelled_as_in_the_original():
    axis = box_plot(NETWORK).axes[0]
    assert axis.get_ylabel() == "Pearson corr. coeff."
    assert axis.get_title() == "alexnet: Zero- vs. Top-Patch Initializations"
    other = NETWORK.assign(init_a="noise", init_b="image", model="vgg16")
    assert histograms(other).get_suptitle() == "vgg16: Noise- vs. Image Initializations"


def test_null_is_behind_and_gray():
    axis = box_plot(NETWORK).axes[0]
    null = [patch for patch in axis.patches if patch.get_zorder() == 1]
    observed = [patch for patch in axis.patches if patch.get_zorder() > 1]
    assert len(null) == len(observed) == 3
    red, green, blue, _ = null[0].get_facecolor()
    assert red == green == blue
    assert max(p.get_zorder() for p in null) < min(p.get_zorder() for p in axis.collections)


def test_points_are_the_units_spread_over_their_box_the_same_way_every_time():
    np.random.seed(1)  # noqa: NPY002 - seaborn's jitter would come from here
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = (box_plot(NETWORK).axes[0].collections for _ in range(2))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    for position, (points, repeated, (_, rows)) in enumerate(
        zip(first, again, NETWORK.groupby("layer", sort=False), strict=True)
    ):
        places = points.get_offsets()
        np.testing.assert_array_equal(places, repeated.get_offsets())
        np.testing.assert_array_equal(places[:, 1], rows["r"].dropna())
        assert np.abs(places[:, 0] - position).max() <= 0.3
        assert len(np.unique(places[:, 0])) == len(places)


def test_every_value_lies_inside_the_axes():
    rows = layer("conv1", 4).assign(r=[1.0, -1.0, 0.0, 0.5])
    low, high = box_plot(rows).axes[0].get_ylim()
    assert low <= -1
    assert high >= 1
    low, high = box_plot(rows.assign(r=[0.9, 0.91, 0.92, 1.0])).axes[0].get_ylim()
    assert low <= -0.15
    assert high >= 1


def test_one_panel_per_layer_in_the_order_of_the_table():
    assert [axis.get_title() for axis in histograms(NETWORK).axes] == ["conv10", "conv2", "conv1"]


def test_histogram_counts_are_those_of_numpy():
    for axis, (_, rows) in zip(
        histograms(NETWORK).axes, NETWORK.groupby("layer", sort=False), strict=True
    ):
        drawn = {outline.get_gid(): outline for outline in axis.collections}
        assert list(drawn) == ["null", "observed"]
        for outline in drawn.values():
            edges = np.unique(outline.get_paths()[0].vertices[:, 0].round(9))
            np.testing.assert_allclose(edges, BINS, atol=1e-9)
        observed, null = heights(drawn["observed"]), heights(drawn["null"])
        np.testing.assert_array_equal(observed, np.histogram(rows["r"].dropna(), BINS)[0])
        np.testing.assert_array_equal(null, np.histogram(rows["null_r"], BINS)[0])
        assert observed.sum() == (rows["status"] == "ok").sum()


def test_panels_tell_the_median_and_count_the_undefined():
    for axis, (_, rows) in zip(
        histograms(NETWORK).axes, NETWORK.groupby("layer", sort=False), strict=True
    ):
        text = "\n".join(t.get_text() for t in axis.texts)
        assert f"median {rows['r'].median():.2f}" in text
        assert f"n = {rows['r'].notna().sum()}" in text
        assert ("3 undefined" in text) == rows["r"].isna().any()
        assert ("undefined" in text) == rows["r"].isna().any()


def test_a_median_just_below_zero_is_not_written_as_minus_zero():
    figure = histograms(layer("conv1", 3).assign(r=[-0.3, -0.001, 0.2]))
    assert "median 0.00" in words(figure)


@pytest.mark.parametrize("draw", [box_plot, histograms])
def test_all_undefined_is_drawn_and_counted(draw):
    rows = table(layer("conv1", 6, undefined=6), layer("conv2", 8))
    rows.loc[rows["layer"] == "conv1", "null_r"] = np.nan
    figure = draw(rows)
    style.render(figure, "png", dpi=40)
    assert "n = 0\n6 undefined" in words(figure)
    style.render(draw(layer("conv1", 2, undefined=2)), "png", dpi=40)


@pytest.mark.parametrize("draw", [box_plot, histograms])
def test_one_unit_is_enough(draw):
    assert style.render(draw(layer("fc", 1)), "pdf").startswith(b"%PDF")


@pytest.mark.parametrize("draw", [box_plot, histograms])
def test_figures_are_saved_with_truetype_fonts(draw):
    pdf = style.render(draw(NETWORK), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


@pytest.mark.parametrize(("count", "undefined"), [(1, 2), (5, 0), (12, 0), (20, 2), (53, 0)])
def test_layer_labels_never_overlap(count, undefined):
    rows = table(*(layer(f"conv{i + 1}", 3 + undefined, undefined, i) for i in range(count)))
    figure = box_plot(rows)
    with style.paper_style():
        figure.draw_without_rendering()
        axis = figure.axes[0]
        labels = axis.get_xticklabels()
        assert len(labels) == count
        boxes = [label.get_window_extent() for label in labels]
        angle = np.deg2rad(labels[0].get_rotation())
        frame = axis.get_window_extent()
    assert figure.get_figwidth() in (style.SINGLE_COLUMN, style.DOUBLE_COLUMN)
    assert frame.height > 1.2 * figure.dpi
    assert all(box.y0 >= 0 and box.x0 >= 0 for box in boxes)
    pitch = frame.width / (count + 0.2)
    height = 1.0 * (6 if angle > 1.5 else 7) / 72 * figure.dpi
    # Slanted lines of text lie one pitch apart along the axis, so pitch * sin apart across.
    if angle:
        assert pitch * np.sin(angle) >= height
    else:
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_twenty_panels_fit():
    rows = table(*(layer(f"conv{i + 1}", 3, seed=i) for i in range(20)))
    figure = histograms(rows)
    assert [axis.get_title() for axis in figure.axes] == [f"conv{i + 1}" for i in range(20)]
    figure.get_layout_engine().execute(figure)
    boxes = [axis.get_window_extent() for axis in figure.axes]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_table_is_unaltered_and_its_index_does_not_matter():
    before = NETWORK.copy()
    box_plot(NETWORK)
    histograms(NETWORK)
    pd.testing.assert_frame_equal(NETWORK, before)
    clashing = NETWORK.set_index(np.zeros(len(NETWORK), int))
    assert style.render(box_plot(clashing), "png", 50) == style.render(box_plot(before), "png", 50)


@pytest.mark.parametrize("draw", [box_plot, histograms])
def test_wrong_tables_are_refused_in_one_sentence(draw):
    with pytest.raises(ValueError, match="no column null_r; it has model"):
        draw(NETWORK.drop(columns="null_r"))
    with pytest.raises(ValueError, match="has no rows"):
        draw(NETWORK.iloc[:0])
    two = table(NETWORK, NETWORK.assign(init_b="noise"))
    with pytest.raises(ValueError, match=r"several values of init_b \(top_patch, noise\)"):
        draw(two)
