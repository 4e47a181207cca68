"""A ground-truth network: cells of known orientation, frequency, phase, shape and color.

Its layer ``cells``, which is ``conv3`` in tables, answers as simple cells (half-rectified Gabor
filters), complex cells (the energy of two Gabor filters in quadrature), color-opponent cells (a
Gaussian of opposite colors) and double-opponent cells (a Gabor filter of opposite colors). What can
be measured of them is known beforehand: ``analysis.gabor_cells`` has their responses to gratings by
formula.

Sources: the energy model of Adelson & Bergen (1985), J Opt Soc Am A 2:284; a bank of Gabor filters
with the macaque's parameters as in Dapello, Marques et al. (2020), NeurIPS 33.
"""

from __future__ import annotations

from pathlib import Path
from typing import no_type_check

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.analysis.gabor_cells import GUNS, completed, drawn_cells
from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import digest_weights

INPUT_SIZE = 224  # pixels along each side
VISUAL_DEGREES = 8.0  # of the input
PIXELS_PER_DEGREE = INPUT_SIZE / VISUAL_DEGREES
KERNEL = 115  # pixels along each side of the filters: 2.05 degrees on either side of their center
STRIDE = 7  # a quarter of a degree between neighboring cells
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
FLOOR = 1e-12  # under the root, whose slope is infinite at 0


class GaborBank(nn.Module):
    """Gabor filters, half-squared and summed to the rates of cells.

    A simple cell is one filter, whose half-square has the rectified response as its root; a complex
    cell is four, of phases 90 degrees apart, whose half-squares sum to the energy.

    Attributes:
        truth: what is known of each unit of ``cells``, as ``analysis.gabor_cells`` says.
    """

    def __init__(self, truth: pd.DataFrame) -> None:
        super().__init__()
        self.truth = truth
        filters = int(truth["filters"].to_numpy().sum())
        self.gabors = nn.Conv2d(3, filters, KERNEL, STRIDE, padding=KERNEL // 2)
        self.rectify = nn.ReLU()
        self.pool = nn.Conv2d(filters, len(truth), 1, bias=False)
        self.cells = nn.Conv2d(len(truth), len(truth), 1, bias=False)

    @no_type_check  # torch.fx traces with a proxy, which is not a tensor
    def forward(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n cells h w"]:
        """Return the rates of all cells at all places."""
        energy = self.pool(self.rectify(self.gabors(images)).square())
        return self.cells((energy + FLOOR).sqrt() - FLOOR**0.5)

    def set_weights(self) -> None:
        """Set the weights to what the truth says."""
        truth = self.truth
        owner = np.repeat(np.arange(len(truth)), truth["filters"])
        of_filter = truth.iloc[owner].reset_index(drop=True)
        # Of the filters of a complex cell, each is a quarter of a cycle further.
        quarter = of_filter.groupby(owner).cumcount()
        phase = of_filter["phase"] + 90.0 * quarter
        weights = gabor_filters(of_filter.assign(phase=phase))
        pool = np.zeros((len(truth), len(owner)))
        pool[owner, np.arange(len(owner))] = np.where(of_filter["filters"] == 4, 0.5, 1.0)
        with torch.no_grad():
            self.gabors.weight.copy_(torch.from_numpy(weights))
            bias = torch.from_numpy(of_filter["spontaneous"].to_numpy(copy=True))
            self.gabors.bias.copy_(bias)  # pyright: ignore[reportOptionalMemberAccess]
            self.pool.weight.copy_(torch.from_numpy(pool)[:, :, None, None])
            self.cells.weight.copy_(torch.eye(len(truth))[:, :, None, None])


def gabor_filters(cells: pd.DataFrame) -> Float[np.ndarray, "cells 3 side side"]:
    """Return filters of unit volume, times the color weights, about their middle pixel.

    A filter is ``exp(-a^2 / 2 sa^2 - b^2 / 2 sb^2) cos(2 pi f a + phase)`` with a along and b
    across the orientation, which is clockwise from rightward, y down.
    """
    axis = (np.arange(KERNEL) - KERNEL // 2) / PIXELS_PER_DEGREE
    y, x = axis[:, None], axis[None, :]
    names = ("orientation", "frequency_per_degree", "phase", "sigma_along", "sigma_across")
    turn, frequency, phase, along, across = (
        cells[name].to_numpy(dtype=float)[:, None, None] for name in names
    )
    a = x * np.cos(np.deg2rad(turn)) + y * np.sin(np.deg2rad(turn))
    b = y * np.cos(np.deg2rad(turn)) - x * np.sin(np.deg2rad(turn))
    envelope = np.exp(-0.5 * (np.square(a / along) + np.square(b / across)))
    volume = 2 * np.pi * along * across * PIXELS_PER_DEGREE**2
    filters = envelope / volume * np.cos(2 * np.pi * frequency * a + np.deg2rad(phase))
    return filters[:, None] * cells[list(GUNS)].to_numpy(dtype=float)[:, :, None, None]


def gabor_bank(cells: int = 64, seed: int = 0, table: str | Path | None = None) -> Network:
    """Return the ground-truth network; ``net.module.truth`` is what is known of its cells.

    Its input is 224 x 224 pixels, of 8 degrees; pixels 0 and 1 are -1 and 1 to the network, so that
    ``published`` colors and ``bounds`` are the same. Cells see 115 x 115 pixels and lie 7 apart.

    Args:
        cells: how many, of which three in eight are simple, three complex, one color-opponent and
            one double-opponent, by turns.
        seed: of their parameters, which have the distributions of cells of the macaque.
        table: CSV file of cells to have instead: ``kind`` (simple, complex, color_opponent,
            double_opponent), ``orientation`` (degrees clockwise), ``frequency_per_degree``,
            ``phase`` (degrees), and ``nx`` and ``ny`` (standard deviations along and across the
            orientation in cycles) or ``sigma_along`` and ``sigma_across`` in degrees; optionally
            ``red``, ``green``, ``blue`` and ``spontaneous``.

    Raises:
        ConfigError: the table cannot be used, or a cell does not fit the pixels or the filters.

    >>> net = gabor_bank(cells=8)
    >>> net.module.truth[["kind", "filters"]].value_counts().tolist()
    [3, 3, 1, 1]
    """
    if cells < 1:
        raise ConfigError(f"model.cells: {cells} is not a positive number of cells")
    truth = drawn_cells(cells, seed, limits()) if table is None else _read(table)
    module = GaborBank(completed(truth, limits()))
    module.set_weights()
    preprocessing = Preprocessing(resize=INPUT_SIZE, crop=INPUT_SIZE, mean=MEAN, std=STD)
    module.eval().requires_grad_(False)
    digest = digest_weights(module, frozenset())
    return Network("gabor_bank", module, preprocessing, "default", digest)


def limits() -> tuple[float, float]:
    """Return pixels per degree, and degrees on either side of a filter's middle."""
    return PIXELS_PER_DEGREE, KERNEL / 2 / PIXELS_PER_DEGREE


def _read(table: str | Path) -> pd.DataFrame:
    path = Path(table).expanduser()
    if not path.is_file():
        raise ConfigError(f"model.table: there is no file {path}")
    return pd.read_csv(path)
