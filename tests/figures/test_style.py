import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from pipeline.figures import style


def drawn(text: str = "Pearson 0.5") -> Figure:
    with style.paper_style():
        figure = style.new_figure(2.0, 1.0)
        figure.add_subplot().set_title(text)
    return figure


def test_pdf_fonts_are_truetype_even_if_the_user_asks_for_type_3():
    with mpl.rc_context({"pdf.fonttype": 3}):
        pdf = style.render(drawn(), "pdf")
    assert b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf
    # The same search finds Type 3 where it is.
    with mpl.rc_context({"pdf.fonttype": 3}):
        drawn().savefig(buffer := io.BytesIO(), format="pdf")
    assert b"/Type3" in buffer.getvalue()


@pytest.mark.parametrize("file_format", ["pdf", "png", "svg"])
def test_the_same_figure_gives_the_same_bytes(file_format):
    assert style.render(drawn(), file_format) == style.render(drawn(), file_format)


def test_style_does_not_leak_and_ignores_the_users_own():
    before = dict(mpl.rcParams)
    drawn()
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"axes.facecolor": "black", "axes.spines.top": True}):
        axis = drawn().axes[0]
    assert axis.get_facecolor() == (1, 1, 1, 1)
    assert not axis.spines["top"].get_visible()


@pytest.mark.parametrize(
    "file", sorted(Path(style.__file__).parent.glob("*.py")), ids=lambda file: file.stem
)
def test_modules_load_without_pyplot_seaborn_and_torch(file, monkeypatch):
    for module in ("matplotlib.pyplot", "seaborn", "torch"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it now fails
    runpy.run_path(str(file))


@pytest.mark.commands
def test_drawing_with_seaborn_chooses_no_backend_and_leaves_no_figure_with_pyplot():
    lines = [
        "import matplotlib, numpy, pandas",
        "from pipeline.figures import style",
        "from pipeline.figures.feature_means import COLUMNS, feature_means",
        "table = pandas.DataFrame(0, index=[0, 1], columns=COLUMNS).assign(step=[0, 1])",
        "style.render(feature_means(table), 'pdf')",
        "import seaborn, matplotlib.pyplot",
        "print(matplotlib.pyplot.get_fignums(), matplotlib.get_backend(auto_select=False))",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, env=environment
    )
    assert (done.stdout.strip(), done.stderr) == ("[] None", "")


def test_colors_are_fixed_for_shipped_inits_and_distinct_for_others():
    colors = style.init_colors(["mine", "zeros", "another"])
    assert list(colors) == ["mine", "zeros", "another"]
    assert colors["zeros"] == style.init_colors(["top_patch", "zeros"])["zeros"]
    assert colors["mine"] == style.init_colors(["another", "mine"])["mine"]
    assert len(set(colors.values())) == 3
    assert style.NULL_COLOR not in {*style.INIT_COLORS.values(), *style.OTHER_COLORS}


def test_init_titles():
    inits = ["zeros", "top_patch", "noise", "image", "grey_card"]
    titles = ["Zero", "Top-Patch", "Noise", "Image", "Grey-Card"]
    assert [style.init_title(init) for init in inits] == titles


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 13, 20])
def test_panels_fit_a_paper_and_each_column_ends_in_numbers(count):
    figure, axes = style.panel_grid(["conv"] * count, "step")
    assert len(axes) == len(figure.axes) == count
    assert figure.get_figwidth() in (style.SINGLE_COLUMN, style.DOUBLE_COLUMN)
    lowest = {}
    for axis in axes:
        lowest[axis.get_subplotspec().colspan.start] = axis
    assert len(lowest) <= 4
    for axis in axes:
        numbered = axis.xaxis.get_tick_params()["labelbottom"]
        assert numbered == (axis in lowest.values())


def test_wrapped_text_fits_and_keeps_every_word():
    text = "alexnet: Zero- vs. Top-Patch Initializations"
    lines = style.wrapped(text, 1.5, 8.0).split("\n")
    assert " ".join(lines) == text
    assert len(lines) > 1
    assert all(style.text_width(line, 8.0) <= 1.5 for line in lines)
    assert style.wrapped("", 1.0) == ""


def test_long_panel_titles_are_made_to_fit():
    names = ["features.denseblock4.denselayer16.conv2", "conv1"] * 4
    _, axes = style.panel_grid(names, "step")
    for axis, name in zip(axes, names, strict=True):
        assert axis.get_title() == name
        size = axis.title.get_fontsize()
        assert style.text_width(name, size) <= style.DOUBLE_COLUMN / 4 - 0.29
    assert axes[1].title.get_fontsize() == pytest.approx(8)


def test_text_width_is_that_of_the_drawn_text():
    with style.paper_style():
        figure = style.new_figure(4.0, 1.0)
        text = figure.text(0, 0, "layer1.0.conv1", fontsize=7)
        figure.draw_without_rendering()
        extent = text.get_window_extent()
    assert style.text_width("layer1.0.conv1", 7.0) == pytest.approx(
        extent.width / figure.dpi, rel=0.08
    )


def test_no_format_is_dated():
    for file_format in ("pdf", "svg"):
        text = style.render(drawn(), file_format).decode("latin-1")
        assert not re.search(r"CreationDate|<dc:date>", text)
