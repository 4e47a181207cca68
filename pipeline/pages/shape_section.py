"""The section of a unit's page about its tuning to shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pipeline.pages.sections import (
    Curve,
    Number,
    Numbers,
    Outline,
    Outlines,
    Part,
    Plot,
    Section,
    Words,
)

TITLE = "Tuning to shapes"
ABOUT = (
    "Responses to 362 shapes (51 shapes, rotated), drawn here in white on gray. The model is a"
    " preference for one curvature of the outline at one angular position around the center (APC;"
    " Pospisil, Pasupathy & Bair 2018); r is the correlation of its responses with those of the"
    " unit to the shapes at the center of the field."
)
EXTREMES = 5  # shapes on each side
REACH = 2.2  # of the frame of a shape, in units of its coordinates


@dataclass(frozen=True, eq=False)
class ShownShapes:
    """What the section shows of one unit.

    Attributes:
        row: its row of the table ``shape_tuning``.
        responses: to every shape at every position.
        blank: response to the background alone.
        positions: in pixels to the right of the center; 0 is among them.
        outlines: of the shapes, x right and y up.
        names: of the shapes.
    """

    row: Mapping[str, Any]
    responses: Float[np.ndarray, "positions shapes"]
    blank: float
    positions: Float[np.ndarray, " positions"]
    outlines: Float[np.ndarray, "shapes vertices 2"]
    names: Sequence[str]

    @property
    def central(self) -> Float[np.ndarray, " shapes"]:
        """Responses at the center."""
        return self.responses[int(np.flatnonzero(self.positions == 0)[0])]


def shape_section(shown: ShownShapes) -> Section:
    """Return the section of one unit."""
    reason = str(shown.row["reason"])
    parts: list[Part] = [Numbers(_numbers(shown.row))]
    if reason:
        parts.insert(0, Words(f"{reason[0].upper()}{reason[1:]}."))
    if np.isfinite(shown.central).all() and np.ptp(shown.central) > 0:
        parts += _extremes(shown)
    if np.isfinite(shown.row["apc_r"]):
        parts += _model(shown.row)
    if np.isfinite(shown.responses).all() and len(shown.positions) > 1:
        parts += _positions(shown)
    return Section(TITLE, parts, ABOUT)


def _numbers(row: Mapping[str, Any]) -> list[Number]:
    null = ""
    if np.isfinite(row["null_r"]):
        null = (
            f"shuffled responses: median {row['null_r']:.2f}, 95th percentile"
            f" {row['null_r_95']:.2f}"
        )
    inside = f"at {row['positions_inside']} positions inside the field; 1 if only the gain changes"
    return [
        Number("r of the best APC model", row["apc_r"], note=null),
        Number("translation invariance", row["translation_invariance"], note=inside),
        Number(
            "preferred angular position", row["mu_angle"], "°", "counterclockwise from the right"
        ),
        Number("spread of position", row["spread_angle"], "°", "1 / kappa of the von Mises"),
        Number(
            "preferred curvature",
            row["mu_curvature"],
            note="below 0 concave",
        ),
        Number("spread of curvature", row["spread_curvature"], note="standard deviation"),
        Number("kurtosis over shapes", row["kurtosis"], note="3 if responses are normal"),
        Number("sparseness over shapes", row["sparseness"], note="0 to 1"),
    ]


def _extremes(shown: ShownShapes) -> list[Part]:
    order = np.argsort(shown.central, kind="stable")
    sides = {"Best shapes": order[::-1][:EXTREMES], "Worst shapes": order[:EXTREMES]}
    return [Outlines(name, _outlines(shown, some), REACH) for name, some in sides.items()]


def _outlines(shown: ShownShapes, some: np.ndarray) -> list[Outline]:
    numbers: list[int] = some.tolist()
    return [Outline(shown.outlines[n], float(shown.central[n]), shown.names[n]) for n in numbers]


def _model(row: Mapping[str, Any]) -> list[Part]:
    """Return the two factors of the model, each with the maximum 1."""
    angle = np.arange(0.0, 361.0, 5.0)
    spread = np.deg2rad(row["spread_angle"])
    von_mises = np.exp((np.cos(np.deg2rad(angle - row["mu_angle"])) - 1) / spread)
    curvature = np.linspace(-1.0, 1.0, 81)
    off = (curvature - row["mu_curvature"]) / row["spread_curvature"]
    shared: dict[str, Any] = {"y_name": "model", "y_range": (0.0, 1.0)}
    return [
        Plot(
            "Model: angular position",
            "degrees counterclockwise from the right",
            curves=[Curve("von Mises", angle, von_mises)],
            x_ticks=(0.0, 90.0, 180.0, 270.0, 360.0),
            **shared,
        ),
        Plot(
            "Model: curvature",
            "curvature",
            curves=[Curve("normal", curvature, np.exp(-(off**2) / 2))],
            **shared,
        ),
    ]


def _positions(shown: ShownShapes) -> list[Part]:
    best, worst = int(shown.central.argmax()), int(shown.central.argmin())
    named = {
        "best shape": shown.responses[:, best],
        "mean of all": shown.responses.mean(axis=1),
        "worst shape": shown.responses[:, worst],
        "no shape": np.full(len(shown.positions), shown.blank),
    }
    x_name = "pixels right of the center"
    curves = [Curve(name, shown.positions, y) for name, y in named.items()]
    r = Curve("r", shown.positions, _correlations(shown), points=True)
    return [
        Plot("Response by position", x_name, "response", curves),
        Plot("Correlation with the center", x_name, "r", [r], y_range=(0.0, 1.0)),
    ]


def _correlations(shown: ShownShapes) -> Float[np.ndarray, " positions"]:
    """Return r over shapes of responses at each position with those at the center."""
    centered = shown.responses.astype(np.float64)
    centered -= centered.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centered, axis=1)
    own = int(np.flatnonzero(shown.positions == 0)[0])
    silent = norms <= 1e-6 * norms.max()  # what rounding leaves of a constant
    products = (centered * centered[own]).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(silent | silent[own], np.nan, products / (norms * norms[own]))
