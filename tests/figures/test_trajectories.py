import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from pipeline.figures import style
from pipeline.figures.trajectories import ascent_curves


def climbs(layer: str, inits=("zeros", "top_patch"), units: int = 5, steps: int = 4):
    rng = np.random.default_rng(units)
    index = pd.MultiIndex.from_product(
        [["alexnet"], [layer], inits, range(units), range(steps)],
        names=["model", "layer", "init", "unit", "step"],
    )
    columns = {"transformed": False, "response": rng.normal(size=len(index))}
    return pd.DataFrame(columns, index=index).reset_index()


def table(*layers: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(layers, ignore_index=True)


def words(axis) -> str:
    return "\n".join(text.get_text() for text in axis.texts)


def test_one_panel_per_layer_in_the_order_of_the_table():
    figure = ascent_curves(table(climbs("conv10"), climbs("conv2"), climbs("conv1")))
    assert [axis.get_title() for axis in figure.axes] == ["conv10", "conv2", "conv1"]
    assert figure.get_supylabel().replace("\n", " ") == "response (median, quartiles over units)"
    assert {(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes} == {("step", "")}
    assert not any(axis.get_legend() for axis in figure.axes)


def test_line_is_the_median_and_band_the_quartiles_over_units():
    rows = climbs("conv1")
    axis = ascent_curves(rows).axes[0]
    for line, band, init in zip(axis.lines, axis.collections, ("zeros", "top_patch"), strict=True):
        responses = rows[rows["init"] == init].pivot(index="step", columns="unit")["response"]
        assert line.get_label() == init
        assert to_hex(line.get_color()) == style.INIT_COLORS[init]
        np.testing.assert_array_equal(line.get_xdata(), range(4))
        np.testing.assert_allclose(line.get_ydata(), np.median(responses, axis=1))
        corners = band.get_paths()[0].vertices
        for step in range(4):
            drawn = corners[corners[:, 0] == step, 1]
            low, high = np.quantile(responses.loc[step], [0.25, 0.75])
            np.testing.assert_allclose([drawn.min(), drawn.max()], [low, high])


def test_a_unit_with_copies_counts_once_by_their_mean():
    rows = climbs("conv1", inits=("zeros",), units=3)
    other = rows[rows["unit"] > 0].assign(response=rows["response"] + 2)
    [line] = ascent_curves(table(rows, other)).axes[0].lines
    means = rows["response"] + (rows["unit"] > 0)
    np.testing.assert_allclose(line.get_ydata(), means.groupby(rows["step"]).median())


def test_responses_to_transformed_images_are_drawn_apart_from_those_to_the_images_themselves():
    rows = climbs("conv1", inits=("zeros",))
    figure = ascent_curves(rows.assign(transformed=rows["step"].isin([1, 2])))
    itself, line = figure.axes[0].lines
    medians = rows.groupby("step")["response"].median()
    for drawn, steps in ((itself, [0, 3]), (line, [1, 2])):
        np.testing.assert_array_equal(drawn.get_xdata(), steps)
        np.testing.assert_allclose(drawn.get_ydata(), medians[steps])
    assert (itself.get_linewidth(), itself.get_marker()) == (0, "o")
    [bars] = [found for found in figure.axes[0].collections if isinstance(found, LineCollection)]
    quartiles = rows.groupby("step")["response"].quantile([0.25, 0.75]).unstack().loc[[0, 3]]
    np.testing.assert_allclose([bar[:, 1] for bar in bars.get_segments()], quartiles)
    [legend] = figure.legends
    assert [text.get_text() for text in legend.texts] == [
        "zeros", "the image itself (lines: transformed)"
    ]  # fmt: skip
    broken = rows["response"].where(rows["step"].isin([1, 2]))
    broken = rows.assign(response=broken, transformed=rows["step"].isin([1, 2]))
    assert [len(line.get_xdata()) for line in ascent_curves(broken).axes[0].lines] == [2]


def test_units_not_finite_are_left_out_and_counted():
    rows = climbs("conv1", inits=("zeros",), units=3)
    rows["response"] = rows["unit"].astype(float)
    rows.loc[(rows["unit"] == 2) & (rows["step"] > 1), "response"] = np.inf
    rows = rows.set_index(np.zeros(len(rows), int))
    axis = ascent_curves(rows).axes[0]
    assert axis.lines[0].get_ydata().tolist() == [1, 1, 0.5, 0.5]
    assert "n = 3\n1 not finite" in words(axis)
    assert "not finite" not in words(ascent_curves(climbs("conv1")).axes[0])


def test_nothing_finite_is_still_a_figure():
    figure = ascent_curves(climbs("conv1").assign(response=np.nan))
    assert "5 not finite" in words(figure.axes[0])
    assert style.render(figure, "pdf").startswith(b"%PDF")


def test_inits_of_different_length_and_in_one_layer_only():
    rows = table(
        climbs("conv1", ("zeros",), steps=2),
        climbs("conv1", ("noise",), steps=6),
        climbs("conv2", ("noise",), steps=1),
    )
    first, second = ascent_curves(rows).axes
    assert [len(line.get_xdata()) for line in first.lines] == [2, 6]
    [line] = second.lines
    assert line.get_color() == style.INIT_COLORS["noise"]
    assert line.get_marker() == "o"


def test_legend_names_every_init_once():
    inits = ("zeros", "top_patch", "noise", "image", "mine")
    figure = ascent_curves(table(climbs("conv1", inits), climbs("conv2", inits)))
    [legend] = figure.legends
    assert [text.get_text() for text in legend.texts] == list(inits)


def test_twenty_layers_of_one_unit():
    figure = ascent_curves(table(*(climbs(f"conv{i}", units=1, steps=3) for i in range(20))))
    assert [axis.get_title() for axis in figure.axes] == [f"conv{i}" for i in range(20)]


def test_saved_with_truetype_fonts():
    pdf = style.render(ascent_curves(climbs("conv1")), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_wrong_tables_are_refused():
    with pytest.raises(ValueError, match="no column step"):
        ascent_curves(climbs("conv1").drop(columns="step"))
    with pytest.raises(ValueError, match="several values of model"):
        ascent_curves(table(climbs("conv1"), climbs("conv1").assign(model="vgg16")))
