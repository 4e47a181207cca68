"""Cells with Gabor filters: their parameters, drawn as in the macaque, and responses by formula.

The orientation is the direction along which a filter changes, in degrees clockwise from rightward
on the screen (y down), as in ``stimuli.degree_gratings``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.errors import ConfigError, nearest

GUNS = ("red", "green", "blue")
KINDS = ("simple", "complex", "color_opponent", "double_opponent")
# One of eight cells after the other.
ORDER = (
    "simple", "complex", "simple", "complex", "simple", "complex", "color_opponent",
    "double_opponent",
)  # fmt: skip
NEEDED = ("kind", "orientation", "frequency_per_degree", "phase")
GRAY_WEIGHTS = (1 / 3, 1 / 3, 1 / 3)
OPPONENT_WEIGHTS = ((1.0, -1.0, 0.0), (-1.0, 1.0, 0.0), (0.5, 0.5, -1.0), (-0.5, -0.5, 1.0))
SPONTANEOUS = 0.1  # of opponent cells, so that they can be inhibited
# Of De Valois, Yund et al. (1982), Vision Res 22:531; De Valois, Albrecht & Thorell (1982), Vision
# Res 22:545, all cells with foveal fields from .5 to 8 cycles per degree; Ringach (2002), J
# Neurophysiol 88:455, n_x by n_y.
ORIENTATION_BINS = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
ORIENTATION_COUNTS = np.array([110, 83, 100, 92])
FREQUENCY_BINS = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
FREQUENCY_COUNTS = np.array([4, 4, 17, 34, 40, 36, 51, 24])
SHAPE_BINS = np.logspace(-1, 0.2, 6)
SHAPE_COUNTS = np.array(
    [[2, 0, 1, 0, 0], [8, 9, 4, 1, 0], [1, 2, 19, 17, 3], [0, 0, 1, 7, 4], [0, 0, 0, 0, 0]]
)
TAIL = 3.5  # standard deviations that a filter must hold on either side
SPECTRUM = 0.76  # of standard deviation times frequency, below which pixels alias a filter


def drawn_cells(count: int, seed: int, limits: tuple[float, float]) -> pd.DataFrame:
    """Return cells with the distributions of the macaque, each drawn by itself.

    Orientation and frequency are drawn from the histograms of De Valois, evenly within a bin; the
    shape (``nx``, ``ny``) from Ringach's, again and again until the cell fits filters and pixels.
    So low frequencies have fewer cycles than they would have without borders.

    Args:
        count: of cells.
        seed: of the random numbers; a cell depends on it and on its number alone.
        limits: pixels per degree, and degrees on either side of a filter's middle.

    >>> drawn_cells(2, 0, (28.0, 2.05))["kind"].tolist()
    ['simple', 'complex']
    """
    rows = [_cell(ORDER[k % 8], np.random.default_rng([seed, k]), limits) for k in range(count)]
    return pd.DataFrame(rows)


def _cell(kind: str, rng: np.random.Generator, limits: tuple[float, float]) -> dict[str, object]:
    turn = float(_from_histogram(rng, ORIENTATION_BINS, ORIENTATION_COUNTS)) % 180
    octave = _from_histogram(rng, np.log2(FREQUENCY_BINS), FREQUENCY_COUNTS)
    frequency, phase = float(2**octave), float(rng.uniform(0, 360))
    colors = GRAY_WEIGHTS
    if kind.endswith("opponent"):
        colors = OPPONENT_WEIGHTS[rng.integers(4)]
    cell: dict[str, object] = {"kind": kind, "orientation": turn}
    cell |= {"frequency_per_degree": frequency, "phase": phase}
    cell |= dict(zip(GUNS, colors, strict=True))
    if kind == "color_opponent":  # a Gaussian, which has no orientation
        sigma = float(rng.uniform(0.1, 0.3))
        return cell | {
            "orientation": 0.0,
            "frequency_per_degree": 0.0,
            "phase": 0.0,
            "sigma_along": sigma,
            "sigma_across": sigma,
        }
    if kind == "double_opponent":  # even, so that uniform colors have an effect, too
        cell["phase"] = 0.0
    while True:
        number = rng.choice(SHAPE_COUNTS.size, p=SHAPE_COUNTS.ravel() / SHAPE_COUNTS.sum())
        bins = np.log(SHAPE_BINS)
        shape = [float(np.exp(rng.uniform(bins[k], bins[k + 1]))) for k in divmod(number, 5)]
        if not _misfit(np.array(shape) / frequency, frequency, limits):
            both = [side / frequency for side in shape]
            return cell | {"sigma_along": both[0], "sigma_across": both[1]}


def _from_histogram(
    rng: np.random.Generator, bins: Float[np.ndarray, " edges"], counts: np.ndarray
) -> float:
    number = int(rng.choice(len(counts), p=counts / counts.sum()))
    return float(rng.uniform(bins[number], bins[number + 1]))


def _misfit(sigmas: np.ndarray, frequency: float, limits: tuple[float, float]) -> str:
    """Return why a filter cannot be drawn without a noticeable error, or nothing."""
    density, reach = limits
    finest = SPECTRUM / max(density - 2 * frequency, 1e-9)
    if sigmas.min() < finest:
        return f"is finer than pixels can show: its smaller sigma must be at least {finest:.3f}"
    if sigmas.max() > reach / TAIL:
        return f"is wider than the filters: its larger sigma can be {reach / TAIL:.3f} at most"
    return ""


def completed(cells: pd.DataFrame, limits: tuple[float, float]) -> pd.DataFrame:
    """Return cells with all columns.

    Args:
        cells: as ``model=gabor_bank`` takes them.
        limits: pixels per degree, and degrees on either side of a filter's middle.

    Returns:
        ``unit``, ``kind``, ``orientation``, ``frequency_per_degree``, ``phase`` (degrees, of the
        filter's cosine), ``nx`` and ``ny`` (cycles; 0 for a Gaussian), ``sigma_along`` and
        ``sigma_across`` (degrees), ``red``, ``green``, ``blue``, ``spontaneous``, ``filters`` (1,
        or 4 of a complex cell) and ``first_filter``, its channel among the filters.

    Raises:
        ConfigError: a column is missing, or a cell is of an unknown kind or cannot be drawn.

    >>> cell = {"kind": "simple", "orientation": 20.0, "frequency_per_degree": 2.0, "phase": 0.0}
    >>> full = completed(pd.DataFrame([cell | {"nx": 0.5, "ny": 0.4}]), (28.0, 2.05))
    >>> full[["sigma_along", "sigma_across"]].to_numpy().tolist()
    [[0.25, 0.2]]
    """
    cells = cells.reset_index(drop=True).copy()
    if missing := [name for name in NEEDED if name not in cells]:
        raise ConfigError(f"model.table: lacks the columns {', '.join(missing)}")
    frequency = cells["frequency_per_degree"].to_numpy(dtype=float)
    shapes = {"sigma_along": "nx", "sigma_across": "ny"}
    for sigma, cycles in shapes.items():
        if sigma not in cells and cycles not in cells:
            raise ConfigError(f"model.table: needs either of the columns {cycles} and {sigma}")
        if sigma not in cells:
            cells[sigma] = cells[cycles] / np.where(frequency > 0, frequency, np.nan)
        cells[cycles] = cells[sigma] * frequency
    _check(cells, limits)
    opponent = cells["kind"].str.endswith("opponent").to_numpy()
    red_green = np.where(opponent[:, None], OPPONENT_WEIGHTS[0], GRAY_WEIGHTS)
    for k, gun in enumerate(GUNS):
        if gun not in cells:
            cells[gun] = red_green[:, k]
    if "spontaneous" not in cells:
        cells["spontaneous"] = np.where(opponent, SPONTANEOUS, 0.0)
    cells["filters"] = np.where(cells["kind"] == "complex", 4, 1)
    cells["first_filter"] = cells["filters"].cumsum() - cells["filters"]
    own = [*NEEDED, "nx", "ny", *shapes, *GUNS, "spontaneous", "filters", "first_filter"]
    return pd.DataFrame({"unit": np.arange(len(cells)), **{name: cells[name] for name in own}})


def _check(cells: pd.DataFrame, limits: tuple[float, float]) -> None:
    numbers = [*NEEDED[1:], "sigma_along", "sigma_across"]
    numbers += [name for name in (*GUNS, "spontaneous") if name in cells]
    for row, cell in enumerate(cells.to_dict("records")):
        kind = str(cell["kind"])
        if kind not in KINDS:
            raise ConfigError(
                f"model.table: '{kind}' in row {row} is not one of {', '.join(KINDS)}"
                f"{nearest(kind, KINDS)}"
            )
        values = np.array([cell[name] for name in numbers], dtype=float)
        frequency = float(cell["frequency_per_degree"])
        if not np.isfinite(values).all() or frequency < 0:
            raise ConfigError(
                f"model.table: row {row} holds a number that is missing, infinite or, of a"
                " frequency, negative; a Gaussian of frequency 0 needs sigma_along and sigma_across"
            )
        sigmas = np.array([cell["sigma_along"], cell["sigma_across"]], dtype=float)
        if misfit := _misfit(sigmas, frequency, limits):
            raise ConfigError(f"model.table: the cell in row {row} {misfit} degrees")


def linear_responses(
    cells: pd.DataFrame, orientation: float, frequency: float, phases: Float[np.ndarray, " phases"]
) -> Float[np.ndarray, "cells phases"]:
    """Return the responses of filters to unbounded gratings of contrast 1 in gray.

    The grating is ``sin(2 pi f (x cos t + y sin t) + phase)`` in network-input space, about the
    filter's middle. With E the Fourier transform of the envelope, the response to the cosine of
    phase p is (E(k + k0) cos(p + q) + E(k - k0) cos(p - q)) / 2, for a filter of phase q.

    Args:
        cells: as ``completed`` returns them.
        orientation: t in degrees.
        frequency: in cycles per degree.
        phases: in degrees.

    >>> cell = {"kind": "simple", "orientation": 0.0, "frequency_per_degree": 2.0, "phase": 0.0}
    >>> cells = completed(pd.DataFrame([cell | {"nx": 0.5, "ny": 0.5}]), (28.0, 2.05))
    >>> linear_responses(cells, 0.0, 2.0, np.array([0.0, 90.0])).round(3).tolist()
    [[0.0, 0.5]]
    """
    turn = np.deg2rad(orientation - cells["orientation"].to_numpy(dtype=float))
    own = cells["frequency_per_degree"].to_numpy(dtype=float)
    along, across = (
        (2 * np.pi * cells[f"sigma_{name}"].to_numpy(dtype=float)) ** 2 / 2
        for name in ("along", "across")
    )
    ahead, aside = frequency * np.cos(turn), frequency * np.sin(turn)
    plus, minus = (
        np.exp(-along * (ahead + sign * own) ** 2 - across * aside**2)[:, None] for sign in (1, -1)
    )
    shown = np.deg2rad(phases - 90.0)  # the phase of the cosine
    filtered = np.deg2rad(cells["phase"].to_numpy(dtype=float))[:, None]
    wave = (plus * np.cos(shown + filtered) + minus * np.cos(shown - filtered)) / 2
    return wave * cells[list(GUNS)].to_numpy(dtype=float).sum(1)[:, None]


def rates(
    cells: pd.DataFrame, orientation: float, frequency: float, phases: Float[np.ndarray, " phases"]
) -> Float[np.ndarray, "cells phases"]:
    """Return the rates of cells, by formula, for unbounded gratings of contrast 1 in gray.

    A complex cell's is the root of half the sum of the squares of two filters in quadrature; that
    of any other is its filter's response above 0, with its spontaneous rate.

    >>> cell = {"kind": "complex", "orientation": 0.0, "frequency_per_degree": 2.0, "phase": 0.0}
    >>> cells = completed(pd.DataFrame([cell | {"nx": 0.5, "ny": 0.5}]), (28.0, 2.05))
    >>> rates(cells, 0.0, 2.0, np.array([0.0, 90.0])).round(3).tolist()
    [[0.354, 0.354]]
    """
    even = linear_responses(cells, orientation, frequency, phases)
    quarter = cells.assign(phase=cells["phase"] + 90.0)
    odd = linear_responses(quarter, orientation, frequency, phases)
    spontaneous = cells["spontaneous"].to_numpy(dtype=float)[:, None]
    simple = np.maximum(even + spontaneous, 0)
    energy = np.sqrt((even**2 + odd**2) / 2)
    return np.where((cells["kind"] == "complex").to_numpy()[:, None], energy, simple)
