"""How exact maps of receptive fields are, on units whose fields are known.

``python -m tests.benchmarks.known_fields`` prints the errors of every method and measure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import pipeline
from pipeline.analysis.gaussian_fit import fit_gaussians, gaussian
from pipeline.networks.loading.network import Network

LONG, SHORT = 3.5, 2.0  # sigmas of the envelope along and across the stripes, in pixels
PERIOD = 7.0  # of the stripes, in pixels
SIDE, STRIDE = 25, 2  # of the field, in pixels
FARTHEST = 4.0  # pixels from the center of the field, on each axis
FRAMES = 20_000  # of noise
METHODS = ("bars_on_stride", "bars_4a", "sin1", "shapes", "sparse_noise", "dense_noise")
MEASURES = {
    "Gaussian fit": ("gauss_x", "gauss_y"),
    "center of mass": ("x", "y"),
    "highest pixel": ("hot_x", "hot_y"),
    "20 strongest": ("tb20_x", "tb20_y"),
    "100 strongest": ("tb100_x", "tb100_y"),
}


def gabor(
    x: float, y: float, turn: float, period: float = PERIOD, phase: float = 0.0
) -> np.ndarray:
    """Draw a Gabor of sum 0, or without stripes (an infinite period) its envelope alone.

    Args:
        x: of its center from that of the field, to the right, in pixels.
        y: the same, down.
        turn: direction of its stripes and long axis, degrees counterclockwise from rightward.
        period: of its stripes, in pixels.
        phase: of its stripes at the center, radians: 0 for an even Gabor.
    """
    middle = (SIDE - 1) / 2
    bump = gaussian((SIDE, SIDE), np.array([1, middle + x, middle + y, LONG, SHORT, turn, 0]))
    if not np.isfinite(period):
        return bump
    down, right = np.indices((SIDE, SIDE)) - middle
    angle = np.deg2rad(turn)
    across = (right - x) * np.sin(angle) + (down - y) * np.cos(angle)
    striped = bump * np.cos(2 * np.pi * across / period - phase)
    return striped - bump * striped.sum() / bump.sum()


def known_places(count: int, seed: int = 0) -> pd.DataFrame:
    """Return random places in pixels and directions in degrees: columns x, y and turn."""
    drawn = np.random.default_rng(seed).uniform(size=(count, 3))
    return pd.DataFrame(
        {
            "x": FARTHEST * (2 * drawn[:, 0] - 1),
            "y": FARTHEST * (2 * drawn[:, 1] - 1),
            "turn": 180 * drawn[:, 2],
        }
    )


def network_of(kernels: list[np.ndarray], stride: int = STRIDE) -> Network:
    """Return a network of one layer whose units answer linearly by these kernels, in gray."""
    conv = nn.Conv2d(3, len(kernels), SIDE, stride=stride)
    stacked = torch.from_numpy(np.stack(kernels)).float()
    conv.weight = nn.Parameter(stacked[:, None].repeat(1, 3, 1, 1))
    conv.bias = nn.Parameter(torch.zeros(len(kernels)))
    side = SIDE + 2 * (SIDE // (2 * stride)) * stride
    return pipeline.network(nn.Sequential(conv), input_size=(3, side, side))


def errors(
    method: str, places: pd.DataFrame, period: float = PERIOD, phase: float = 0.0, **options: int
) -> pd.DataFrame:
    """Map units of known fields, and compare what raises their response with the truth.

    For bars and gratings the truth is the envelope. Noise maps the light subfield, and its truth
    is the Gaussian that fits the positive part of the kernel.

    Returns:
        One row per map, unit and measure: ``center`` (distance from the truth in pixels), and for
        Gaussian fits ``long`` and ``short`` (sizes by those of the truth) and ``turn`` (degrees).
    """
    stride = options.pop("stride", STRIDE)
    kernels = [gabor(*place, period, phase) for place in places.itertuples(index=False)]
    found = pipeline.map_receptive_fields(
        network_of(kernels, stride), "all", method, **{"frames": FRAMES, **options}
    )
    truth = places.assign(long=LONG, short=SHORT)
    if method.endswith("noise"):
        light = fit_gaussians(np.maximum(kernels, 0))
        columns = ["gauss_x", "gauss_y", "orientation", "sigma_long", "sigma_short"]
        truth = light[columns].set_axis(["x", "y", "turn", "long", "short"], axis=1)
    table = found.summary.query("sign == 1")
    truth = truth.loc[table["unit"]].reset_index(drop=True)
    table = table.reset_index(drop=True)
    parts = []
    for measure, (x, y) in MEASURES.items():
        if x not in table:
            continue
        part = table[["method", "unit"]].assign(measure=measure)
        part["center"] = np.hypot(table[x] - truth["x"], table[y] - truth["y"])
        if measure == "Gaussian fit":
            part["long"] = table["sigma_long"] / truth["long"]
            part["short"] = table["sigma_short"] / truth["short"]
            part["turn"] = np.abs((table["orientation"] - truth["turn"] + 90) % 180 - 90)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Print what is found of 20 even and 20 odd Gabors: medians, and the largest error."""
    places = known_places(20)
    shown = Table("map", "phase", *MEASURES, "long", "short", "turn")
    for method in METHODS:
        for phase, name in ((0.0, "even"), (np.pi / 2, "odd")):
            found = errors(method, places, phase=phase)
            for key, some in found.groupby("method", sort=False):
                centers = some.groupby("measure")["center"].agg(["median", "max"])
                cells = [_cell(*centers.loc[m]) if m in centers.index else "" for m in MEASURES]
                fit = some[["long", "short", "turn"]].median()
                shown.add_row(str(key), name, *cells, *(f"{value:.2f}" for value in fit))
    Console(width=140).print(shown)


def _cell(middle: float, largest: float) -> str:
    return "" if np.isnan(middle) else f"{middle:.2f} ({largest:.1f})"


if __name__ == "__main__":
    main()
