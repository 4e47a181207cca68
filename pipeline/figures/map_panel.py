"""Maps of the receptive fields of a few units: all methods side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse
from matplotlib.patheffects import withStroke

from pipeline.figures import style
from pipeline.figures.method_names import method_name

MOST = 8  # panels in a row
SIGNS = ("raises", "lowers")
NOISE = ("sparse_noise", "dense_noise")  # whose maps are light, and dark, that raises the response
COLOR_MAPS = {"raises": "Oranges", "lowers": "Blues"}
HALF_HEIGHT = 2 * np.sqrt(2 * np.log(2))  # width of a Gaussian at half height, in sigmas
REFERENCE_COLOR = style.SERIES_COLORS[2]
PATCH = "best_patch"  # stands for the column of patches
# Inches: beside, between, above and below panels, and above and below all of them.
_LEFT, _GAP, _HEAD, _FOOT, _TOP, _BOTTOM = 0.75, 0.06, 0.28, 0.16, 0.2, 0.44


class Outline(NamedTuple):
    """A Gaussian that was fitted to a map, as in ``pipeline.analysis.gaussian_fit``.

    Attributes:
        x: of its center, in pixels to the right of the center of the field.
        y: likewise down.
        sigma_long: standard deviation along its longer axis, in pixels.
        sigma_short: across it.
        orientation: of the longer axis in degrees, counterclockwise from the right.
    """

    x: float
    y: float
    sigma_long: float
    sigma_short: float
    orientation: float


@dataclass(frozen=True)
class UnitMaps:
    """The maps of one unit.

    Attributes:
        name: what stands beside them.
        maps: by method: what raises the response and what lowers it. All are centered on the field,
            and may differ in size.
        outlines: by method: of the fits to these two maps, ``None`` where there is none.
        patch: the image patch to which the unit responds most, 0..1, where it is to be shown.
    """

    name: str
    maps: Mapping[str, Float[np.ndarray, "2 _ _"]]
    outlines: Mapping[str, Sequence[Outline | None]] = field(default_factory=dict)
    patch: Float[np.ndarray, "_ _ 3"] | None = None


@style.paper_style()
def map_panel(
    units: Sequence[UnitMaps],
    title: str,
    *,
    reference: str | None = None,
    pixels_per_degree: float | None = None,
) -> Figure:
    """Return the maps of units: methods side by side, what raises the response above what lowers.

    Of noise it is the light that raises the response, above the dark that does.
    Every map is scaled from its lowest to its highest value, and all panels have the same scale of
    space. A solid line is the fitted Gaussian at half height; the dashed line is that of the
    reference, drawn in every panel. The cross is the center of the field. More than eight methods
    continue below.

    Args:
        units: with maps by the same methods.
        title: of the figure.
        reference: the method whose outline is drawn everywhere; by default the first that has any.
        pixels_per_degree: adds the size of a degree of visual angle.

    Raises:
        ValueError: there is no map, or units have maps by different methods.
    """
    methods = _check(units)
    if reference is None:
        fitted = [m for m in methods if any(any(u.outlines.get(m, ())) for u in units)]
        reference = fitted[0] if fitted else None
    patches = any(unit.patch is not None for unit in units)
    columns = [*([PATCH] if patches else []), *methods]
    layout = _Layout.of(columns, len(units), _reach(units))
    figure = style.new_figure(layout.width, layout.height, None)
    for number, unit in enumerate(units):
        for place, column in enumerate(columns):
            band, at = divmod(place, layout.across)
            block = number * layout.bands + band
            for k in (0,) if column == PATCH else (0, 1):
                axis = figure.add_axes(layout.box(block, k, at))
                _draw(axis, unit, column, k, reference)
                first = 1 if k == 1 and columns[0] == PATCH and band == 0 else 0
                _frame(axis, layout.reach, left=at == first, below=k == 1 or column == PATCH)
                if k == 0:
                    _head(axis, column, layout.side[0])
            if at == 0:
                _name_rows(figure, layout, block, unit.name)
    figure.suptitle(title, y=1 - 0.06 / layout.height, va="top")
    _label(figure, reference, pixels_per_degree)
    return figure


def _check(units: Sequence[UnitMaps]) -> list[str]:
    """Return the methods of all units."""
    if not units or not units[0].maps:
        raise ValueError("a panel needs a unit with at least one map, and got none")
    methods = list(units[0].maps)
    for unit in units[1:]:
        if list(unit.maps) != methods:
            raise ValueError(
                f"{unit.name!r} has maps by {', '.join(unit.maps)}; all units must have those of"
                f" the first, {', '.join(methods)}"
            )
    return methods


class _Layout(NamedTuple):
    """Where panels lie: two rows for a block of methods, one or more blocks for a unit.

    Lengths are in inches; ``side`` is the size of a panel, ``reach`` half of the field in pixels.
    """

    across: int
    bands: int
    blocks: int
    side: tuple[float, float]
    reach: tuple[float, float]

    @classmethod
    def of(cls, columns: Sequence[str], units: int, reach: tuple[float, float]) -> _Layout:
        """Return the layout of panels whose field reaches so far to the right and down."""
        bands = -(-len(columns) // MOST)
        across = -(-len(columns) // bands)
        side = min(1.2, (style.DOUBLE_COLUMN - _LEFT - 0.05) / across - _GAP)
        return cls(across, bands, bands * units, (side, side * reach[1] / reach[0]), reach)

    @property
    def width(self) -> float:
        """Of the figure."""
        own = _LEFT + self.across * (self.side[0] + _GAP) + 0.05
        return max(own, style.SINGLE_COLUMN)

    @property
    def height(self) -> float:
        """Of the figure."""
        return _TOP + self.blocks * self._block + _BOTTOM

    @property
    def _block(self) -> float:
        return _HEAD + 2 * self.side[1] + _GAP + _FOOT

    def box(self, block: int, k: int, at: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a panel as fractions of the figure."""
        left = _LEFT + at * (self.side[0] + _GAP)
        top = _TOP + block * self._block + _HEAD + k * (self.side[1] + _GAP)
        width, height = self.side
        return (
            left / self.width, 1 - (top + height) / self.height,
            width / self.width, height / self.height,
        )  # fmt: skip


def _reach(units: Sequence[UnitMaps]) -> tuple[float, float]:
    """Return how far the largest map reaches from its center, to the right and down."""
    sizes = [shown.shape[1:] for unit in units for shown in unit.maps.values()]
    down, across = (max(each) / 2 for each in zip(*sizes, strict=True))
    return across, down


def _draw(axis: Axes, unit: UnitMaps, column: str, k: int, reference: str | None) -> None:
    if column == PATCH:
        if unit.patch is not None:
            axis.imshow(unit.patch.clip(0, 1), extent=_extent(unit.patch.shape[:2]))
        return
    shown = unit.maps[column][k]
    if not np.isfinite(shown).all() or np.ptp(shown) == 0:
        axis.set_facecolor(str(style.MISSING_GRAY))
        axis.text(0.5, 0.5, "flat", transform=axis.transAxes, ha="center", va="center")
    else:
        axis.imshow(
            shown, COLOR_MAPS[SIGNS[k]], extent=_extent(shown.shape), interpolation="nearest"
        )
    axis.plot(0, 0, "+", color=style.INK, markersize=4, markeredgewidth=0.5, gid="center")
    for method, dashed in ((reference, True), (column, False)):
        outlines = unit.outlines.get(method, ()) if method else ()
        if outlines and (outline := outlines[k]) is not None:
            axis.add_patch(_ellipse(outline, dashed))


def _ellipse(outline: Outline, dashed: bool) -> Ellipse:
    """Return the fitted Gaussian at half height; y points down, so angles turn around."""
    return Ellipse(
        (outline.x, outline.y),
        HALF_HEIGHT * outline.sigma_long,
        HALF_HEIGHT * outline.sigma_short,
        angle=-outline.orientation,
        fill=False,
        edgecolor=REFERENCE_COLOR if dashed else style.INK,
        linestyle=(0, (3, 1.5)) if dashed else "-",
        linewidth=0.9,
        zorder=4 if dashed else 3,
        path_effects=[withStroke(linewidth=1.8, foreground="white")],
        gid="reference" if dashed else "outline",
    )


def _extent(size: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Return where the edges of a map lie, in pixels from its center."""
    height, width = size
    return -width / 2, width / 2, height / 2, -height / 2


def _frame(axis: Axes, reach: tuple[float, float], *, left: bool, below: bool) -> None:
    """Give a panel the limits that all have, and numbers where they are wanted."""
    across, down = reach
    axis.set(xlim=(-across, across), ylim=(down, -down))
    for ticks, half in ((axis.set_xticks, across), (axis.set_yticks, down)):
        step = _round_step(half)
        ticks([-step, 0, step])
    axis.tick_params(labelsize=5.5, length=1.5, pad=1.5, labelleft=left, labelbottom=below)
    axis.spines[:].set_visible(True)
    axis.spines[:].set_linewidth(0.4)


def _head(axis: Axes, column: str, width: float) -> None:
    said = "best patch" if column == PATCH else method_name(column)
    lines = style.wrapped(said, width, 6.5) + ("\n(light, dark)" if column in NOISE else "")
    axis.set_title(
        lines, fontsize=style.fitting(max(lines.split("\n"), key=len), width, 6.5), pad=2
    )


def _round_step(reach: float) -> int:
    """Return a round number of pixels, from half to nine tenths of the way to the edge."""
    steps = [s * 10**e for e in range(4) for s in (1, 2, 3, 4, 5, 6, 8)]
    return max([step for step in steps if step <= 0.9 * reach], default=1)


def _name_rows(figure: Figure, layout: _Layout, block: int, name: str) -> None:
    """Write the name of a unit and of the two signs to the left of two rows."""
    across = layout.width
    bottoms = [layout.box(block, k, 0)[1] for k in range(2)]
    height = layout.side[1] / layout.height
    figure.text(
        0.04 / across, (bottoms[0] + height + bottoms[1]) / 2, name, rotation=90, ha="left",
        va="center", fontsize=style.TEXT, multialignment="center",
    )  # fmt: skip
    for sign, bottom in zip(SIGNS, bottoms, strict=True):
        figure.text(
            0.47 / across, bottom + height / 2, f"{sign}\nresponse", rotation=90, ha="center",
            va="center", fontsize=5.5, multialignment="center",
        )  # fmt: skip


def _label(figure: Figure, reference: str | None, pixels_per_degree: float | None) -> None:
    height = figure.get_figheight()
    degrees = f" (1° = {pixels_per_degree:.3g} pixels)" if pixels_per_degree else ""
    said = f"pixels from the center of the field{degrees}"
    figure.text(0.5, 0.42 / height, said, ha="center", va="top", fontsize=style.TEXT)
    if reference is None:
        return
    dashes = (0, (3, 1.5))
    handles = [
        Line2D([], [], color=style.INK, linewidth=0.9, label="Gaussian fit at half height"),
        Line2D(
            [], [], color=REFERENCE_COLOR, linewidth=0.9, linestyle=dashes,
            label=f"that of {method_name(reference)}",
        ),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="lower center", ncols=2, bbox_to_anchor=(0.5, 0.0))
