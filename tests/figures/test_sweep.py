from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pipeline.figures import style
from pipeline.figures.sweep import LABEL, sweep_figure


def rows(job: str, layers: int, model: str = "alexnet", inits=("zeros", "noise"), seed: int = 0):
    rng = np.random.default_rng([seed, *job.encode()])
    median = rng.uniform(0, 0.8, layers)
    return pd.DataFrame(
        {
            "job": job,
            "model": model,
            "layer": [f"conv{number}" for number in range(1, layers + 1)],
            "init_a": inits[0],
            "init_b": inits[1],
            "units": 64,
            "undefined": 0,
            "median": median,
            "q25": median - 0.2,
            "q75": median + 0.2,
            "ci_low": median - 0.1,
            "ci_high": median + 0.05,
            "null_median": rng.normal(0, 0.02, layers),
            "noise_ceiling": rng.uniform(0.9, 1, layers),
        }
    )


def table(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def sweep(models: dict[str, int], optimizers=("sgd", "adam"), more: str = "") -> pd.DataFrame:
    return table(
        *(
            rows(f"model={model} optimizer={optimizer}{more}", layers, model)
            for model, layers in models.items()
            for optimizer in optimizers
        )
    )


def many(jobs: int, layers: int) -> pd.DataFrame:
    return table(*(rows(f"optimizer=momentum seed={seed}", layers) for seed in range(jobs)))


TWO = sweep({"miniature": 3, "alexnet": 5})


def gid(artist, name: str) -> list:
    return artist.findobj(lambda found: found.get_gid() == name)


def legend(figure: Figure) -> list[str]:
    [found] = figure.legends
    return [text.get_text() for text in found.texts]


def layer_names(axis) -> list[str]:
    return [label.get_text() for label in axis.get_xticklabels()]


def test_every_model_layer_and_optimizer_is_shown():
    figure = sweep_figure(TWO)
    assert [axis.get_title() for axis in figure.axes] == ["miniature", "alexnet"]
    assert figure.get_suptitle() == "Zero- vs. Noise Initializations"
    assert legend(figure) == ["optimizer=sgd", "optimizer=adam"]
    for axis, layers in zip(figure.axes, (3, 5), strict=True):
        assert layer_names(axis) == [f"conv{number}\n64" for number in range(1, layers + 1)]
        for name in legend(figure):
            [line] = gid(axis, f"median {name}")
            assert len(line.get_xdata()) == layers
    assert figure.axes[0].get_ylabel() == LABEL


def test_marks_are_the_values_of_the_table():
    figure = sweep_figure(TWO)
    for axis in figure.axes:
        for optimizer in ("sgd", "adam"):
            name = f"optimizer={optimizer}"
            source = TWO[TWO["job"] == f"model={axis.get_title()} {name}"]
            [line] = gid(axis, f"median {name}")
            np.testing.assert_array_equal(line.get_ydata(), source["median"])
            for mark, low, high in (
                ("quartiles", "q25", "q75"),
                ("interval", "ci_low", "ci_high"),
            ):
                [lines] = gid(axis, f"{mark} {name}")
                ends = np.array(lines.get_segments())
                np.testing.assert_array_equal(ends[:, :, 1], source[[low, high]].to_numpy())
                np.testing.assert_array_equal(ends[:, 0, 0], line.get_xdata())
    for column, color in (("null_median", style.NULL_COLOR), ("noise_ceiling", style.INK)):
        found = gid(figure, column)
        heights = np.concatenate([np.array(lines.get_segments())[:, 0, 1] for lines in found])
        np.testing.assert_array_equal(heights, TWO[column])
        assert {to_hex(lines.get_color()[0]) for lines in found} == {color}


def test_a_job_has_one_color_and_marker_in_all_panels_and_no_two_share_both():
    figure = sweep_figure(many(12, 2))
    looks = {}
    for name in legend(figure):
        [line] = gid(figure, f"median {name}")
        looks[name] = (line.get_color(), line.get_marker())
    assert len(set(looks.values())) == 12
    first, second = sweep_figure(TWO).axes
    for name in ("optimizer=sgd", "optimizer=adam"):
        [one], [other] = gid(first, f"median {name}"), gid(second, f"median {name}")
        assert one.get_color() == other.get_color()
        assert one.get_marker() == other.get_marker()


def test_jobs_of_a_layer_stand_side_by_side_in_its_place():
    figure = sweep_figure(many(6, 4))
    x = np.array([gid(figure, f"median {name}")[0].get_xdata() for name in legend(figure)])
    assert (np.diff(x, axis=0) > 0).all()
    assert (np.abs(x - np.arange(4)) < 0.5).all()
    np.testing.assert_allclose(x.mean(axis=0), np.arange(4), atol=1e-12)


def test_color_is_by_all_in_which_jobs_of_a_model_differ():
    assert legend(sweep_figure(sweep({"a": 2, "b": 2}, more=" seed=1"))) == [
        "optimizer=sgd seed=1",
        "optimizer=adam seed=1",
    ]
    # Weights that go with a model are told by its panel; a random control is not.
    own = [("alexnet", "a.pth"), ("vgg16", "v.pth"), ("vgg16", "random")]
    runs = [rows(f"model={m} model.weights={w}", 2, m) for m, w in own]
    assert legend(sweep_figure(table(*runs[:2]))) == []
    assert legend(sweep_figure(table(*runs))) == [f"model.weights={w}" for _, w in own]
    spaced = [rows(f"images.root=my photos {n} model={n}", 2, n) for n in ("a", "b")]
    assert legend(sweep_figure(table(*spaced))) == [
        "images.root=my photos a",
        "images.root=my photos b",
    ]


def test_one_run_needs_no_legend():
    figure = sweep_figure(rows("", 3))
    assert legend(figure) == []
    assert figure.axes[0].get_title() == "alexnet: Zero- vs. Noise Initializations"
    assert len(gid(figure, "median ")) == 1


def test_pairs_of_inits_have_panels_of_their_own():
    pairs = (("zeros", "noise"), ("zeros", "top_patch"))
    figure = sweep_figure(
        table(*(rows(f"model={m}", 2, m, pair) for m in ("a", "b") for pair in pairs))
    )
    assert [axis.get_title() for axis in figure.axes] == [
        f"{model}: Zero- vs. {other} Initializations"
        for other in ("Noise", "Top-Patch")
        for model in ("a", "b")
    ]
    # One row for each pair.
    rows_of = [axis.get_subplotspec().rowspan.start for axis in figure.axes]
    assert rows_of == [0, 0, 1, 1]


def test_a_model_without_a_pair_leaves_no_empty_panel():
    summary = table(rows("model=a", 2, "a"), rows("model=b", 2, "b", ("zeros", "image")))
    assert len(sweep_figure(summary).axes) == 2


def test_layers_have_the_order_of_the_job_with_the_most():
    few = rows("seed=0", 4).iloc[[2]]
    all_layers = rows("seed=1", 4).iloc[[3, 2, 0, 1]]
    [axis] = sweep_figure(table(few, all_layers)).axes
    assert [name.split("\n")[0] for name in layer_names(axis)] == [
        "conv4", "conv3", "conv1", "conv2",
    ]  # fmt: skip
    [line] = gid(axis, "median seed=0")
    np.testing.assert_allclose(line.get_xdata(), [1 - 0.2])
    # Whatever the order of its rows, the line goes from left to right.
    [axis] = sweep_figure(table(all_layers, rows("seed=2", 4))).axes
    assert (np.diff(gid(axis, "median seed=2")[0].get_xdata()) > 0).all()


def test_units_are_those_with_a_correlation():
    one, other = rows("seed=0", 2), rows("seed=1", 2).assign(undefined=[0, 3])
    [axis] = sweep_figure(table(one, other)).axes
    assert layer_names(axis) == ["conv1\n64", "conv2\n61-64"]


def test_undefined_layers_are_left_blank():
    summary = TWO.copy()
    numbers = ["median", "q25", "q75", "ci_low", "ci_high", "null_median", "noise_ceiling"]
    summary.loc[summary["layer"] == "conv2", numbers] = np.nan
    summary.loc[summary["layer"] == "conv2", "undefined"] = 64
    figure = sweep_figure(summary)
    assert "conv2\n0" in layer_names(figure.axes[0])
    # No line leads over the gap.
    lines = gid(figure.axes[1], "median optimizer=sgd")
    assert [np.round(line.get_xdata() + 0.2).tolist() for line in lines] == [[0], [2, 3, 4]]
    style.render(figure, "png", dpi=40)
    summary[numbers] = np.nan
    style.render(sweep_figure(summary), "png", dpi=40)


def test_every_value_lies_inside_the_axes():
    low = TWO.assign(q25=-0.9, noise_ceiling=1.0)
    for axis in sweep_figure(low).axes:
        bottom, top = axis.get_ylim()
        assert bottom < -0.9
        assert top > 1
    bottoms = {axis.get_ylim() for axis in sweep_figure(TWO).axes}
    assert len(bottoms) == 1


@pytest.mark.parametrize(
    ("models", "jobs", "layers"),
    [
        *((1, 1, 1), (1, 1, 5), (1, 6, 13), (2, 2, 5), (2, 6, 13), (3, 1, 1), (3, 6, 5)),
        *((5, 2, 4), (1, 2, 53), (2, 12, 20)),
    ],
)
def test_nothing_overlaps_or_leaves_the_page(models: int, jobs: int, layers: int):
    seeds = [f"optimizer=momentum seed={seed}" if jobs > 1 else "" for seed in range(jobs)]
    names = [f"net{number}" for number in range(models)]
    figure = sweep_figure(
        table(*(rows(f"model={m} {s}".strip(), layers, m) for m in names for s in seeds))
    )
    assert figure.get_figwidth() in (style.SINGLE_COLUMN, style.DOUBLE_COLUMN)
    with style.paper_style():
        figure.draw_without_rendering()
        page = figure.bbox
        panels = [axis.get_tightbbox() for axis in figure.axes]
        frames = [axis.get_window_extent() for axis in figure.axes]
        legend_box = figure.legends[0].get_window_extent()
        ticks = [[t.get_window_extent() for t in a.get_xticklabels()] for a in figure.axes]
    assert all(frame.height > 0.9 * figure.dpi for frame in frames)
    assert not any(a.overlaps(b) for i, a in enumerate(panels) for b in panels[:i])
    assert not any(panel.overlaps(legend_box) for panel in panels)
    for box in (*panels, legend_box):
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    assert all(a.x1 < b.x0 for row in ticks for a, b in pairwise(row))


def test_long_names_are_turned_or_made_to_fit():
    long = "features.denseblock4.denselayer{}.conv"
    parts = [rows(f"optimizer.lr={lr} optimizer=momentum precision=bfloat16", 13) for lr in (1, 2)]
    parts[0]["job"] += " images.root=" + 9 * "/a_folder"
    summary = table(*parts).assign(model="a_network_with_a_name_of_its_own_that_takes_its_time")
    summary["layer"] = [long.format(name) for name in summary["layer"]]
    figure = sweep_figure(summary)
    with style.paper_style():
        figure.draw_without_rendering()
        [frame] = [axis.get_window_extent() for axis in figure.axes]
        labels = figure.axes[0].get_xticklabels()
        boxes = [label.get_window_extent() for label in labels]
        title = figure.axes[0].title.get_window_extent()
        jobs = figure.legends[0].get_window_extent()
    assert labels[0].get_text() == f"{long.format('conv1')} (64)"
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    assert all(box.y0 > 0 for box in boxes)
    assert frame.height > 0.9 * figure.dpi
    for box in (title, jobs):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_table_is_unaltered_and_its_index_does_not_matter():
    before = TWO.copy()
    expected = style.render(sweep_figure(TWO), "png", 50)
    pd.testing.assert_frame_equal(TWO, before)
    clashing = TWO.set_index(np.zeros(len(TWO), int))
    assert style.render(sweep_figure(clashing), "png", 50) == expected


def test_figures_are_saved_with_truetype_fonts():
    pdf = style.render(sweep_figure(TWO), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_wrong_tables_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="no column noise_ceiling; it has job"):
        sweep_figure(TWO.drop(columns="noise_ceiling"))
    with pytest.raises(ValueError, match="has no rows"):
        sweep_figure(TWO.iloc[:0])
