"""Gabor units whose responses to unbounded gratings are known in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.analysis.tuning.phases import Gratings

ORIENTATIONS = np.arange(12) * 15.0
FREQUENCIES = np.array([0.7711, 1.5422, 3.0844, 6.1688])
MANY_FREQUENCIES = np.logspace(-1.375, 3.875, 22, base=2)

GaborGratings = Callable[..., Gratings]


def gabor_rates(
    frequencies: np.ndarray,
    orientations: np.ndarray,
    kind: str = "simple",
    f0: float = 3.0844,
    theta0: float = 60.0,
    nx: float = 0.5,
    ny: float = 0.5,
    psi: float = 0.0,
    phases: int = 8,
) -> np.ndarray:
    """Return rates [frequencies, orientations, phases] of a Gabor with sigma = n / f0."""

    def linear(own_phase: float) -> np.ndarray:
        f, turn, phase = np.ix_(frequencies, orientations, np.arange(phases) * 360 / phases)
        across = f * np.cos(np.deg2rad(turn - theta0))
        along = f * np.sin(np.deg2rad(turn - theta0))

        def gain(q: np.ndarray) -> np.ndarray:
            return np.exp(-2 * np.pi**2 * ((nx / f0 * q) ** 2 + (ny / f0 * along) ** 2))

        near, far = np.deg2rad(phase - own_phase), np.deg2rad(phase + own_phase)
        return (gain(across + f0) * np.cos(far) + gain(across - f0) * np.cos(near)) / 2

    if kind == "simple":
        return np.maximum(linear(psi), 0)
    return np.hypot(linear(0), linear(90)) / np.sqrt(2)


@pytest.fixture
def gabor_gratings() -> GaborGratings:
    """Return a function that shows the gratings of a study to Gabor units, one per keyword set."""

    def show(*units: dict[str, object], study: str = "orientation", phases: int = 8) -> Gratings:
        few = study == "orientation"
        frequencies = FREQUENCIES if few else MANY_FREQUENCIES
        turns = ORIENTATIONS if few else np.arange(6) * 30.0
        rates = np.stack(
            [gabor_rates(frequencies, turns, phases=phases, **unit) for unit in units]  # pyright: ignore
        )
        cycles = np.array([[2.0], [3.0], [4.0]]) / (2 * frequencies)
        return Gratings(
            np.repeat(rates[:, None], 3, axis=1), np.zeros(len(units)), cycles, frequencies, turns
        )

    return show
