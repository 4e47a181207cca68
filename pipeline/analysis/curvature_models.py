"""Models of V4 neurons that are tuned to curvature at an angular position (APC), as a bank.

A model predicts a response to a shape as the maximum over its boundary elements of

    von Mises(angle; mu_angle, kappa = 1 / spread_angle) x normal(curvature; mu, spread)

(Pasupathy & Connor 2001, J Neurophysiol 86:2505; Pospisil, Pasupathy & Bair 2018, eLife 7:e38242).
As in the code of the second study kappa is one over ``spread_angle``, not over its square, so the
spread is no standard deviation; it is written as an angle all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.boundary_curvature import Elements
from pipeline.errors import ConfigError


def _logarithmic(low: float, high: float) -> Float[np.ndarray, " values"]:
    return np.geomspace(low, high, 16)


@dataclass(frozen=True)
class ModelBank:
    """Every combination of four lists of parameters, numbered with the last list fastest.

    The defaults are the 65,536 models of Pospisil et al. (2018).

    Attributes:
        angles: preferred angular positions, radians counterclockwise from the positive x axis.
        curvatures: preferred squashed curvatures, -1..1.
        angle_spreads: 1 / kappa of the von Mises function, given as angles in radians.
        curvature_spreads: standard deviations of the normal function of curvature.

    >>> bank = ModelBank()
    >>> len(bank)
    65536
    >>> bank.parameters(np.array([0, 65535])).round(2)
       mu_angle  mu_curvature  spread_angle  spread_curvature
    0       0.0          -0.5          23.0              0.09
    1     337.5           1.0         171.0              0.98
    """

    angles: Float[np.ndarray, " a"] = field(default_factory=lambda: np.arange(16) * np.pi / 8)
    curvatures: Float[np.ndarray, " c"] = field(default_factory=lambda: np.linspace(-0.5, 1, 16))
    angle_spreads: Float[np.ndarray, " b"] = field(
        default_factory=lambda: np.deg2rad(_logarithmic(23.0, 171.0))
    )
    curvature_spreads: Float[np.ndarray, " d"] = field(
        default_factory=lambda: _logarithmic(0.09, 0.98)
    )

    def __post_init__(self) -> None:
        for name in ("angle_spreads", "curvature_spreads"):
            if not (getattr(self, name) > 0).all():
                raise ConfigError(f"model bank: {name} must be more than 0")

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return (
            len(self.angles),
            len(self.curvatures),
            len(self.angle_spreads),
            len(self.curvature_spreads),
        )

    def __len__(self) -> int:
        return int(np.prod(self._shape))

    def parameters(self, numbers: Int[np.ndarray, " models"]) -> pd.DataFrame:
        """Return the parameters of models by their numbers; angles in degrees."""
        a, c, b, d = np.unravel_index(numbers, self._shape)
        return pd.DataFrame(
            {
                "mu_angle": np.rad2deg(self.angles[a]),
                "mu_curvature": self.curvatures[c],
                "spread_angle": np.rad2deg(self.angle_spreads[b]),
                "spread_curvature": self.curvature_spreads[d],
            }
        )

    def predictions(
        self, elements: Elements, numbers: Int[np.ndarray, " models"]
    ) -> Float[np.ndarray, "models stimuli"]:
        """Return what models predict for stimuli, up to a positive factor for each model."""
        a, c, b, d = np.unravel_index(numbers, self._shape)
        near, like = self._factors(elements)
        return np.stack(
            [(near[i, :, j] * like[k, :, m]).max(0) for i, k, j, m in zip(a, c, b, d, strict=True)]
        )

    def blocks(self, elements: Elements) -> Iterator[Float[np.ndarray, "models stimuli"]]:
        """Yield the predictions of all models in their order, centered and of length 1.

        A block holds the models of one angle and one curvature, so memory does not grow with the
        bank. A model that predicts the same for all stimuli is a row of zeros.
        """
        near, like = self._factors(elements)
        for at_angle in near:
            for at_curvature in like:
                block = np.zeros((near.shape[2], like.shape[2], near.shape[3]))
                for first, second in zip(at_angle, at_curvature, strict=True):
                    np.maximum(block, first[:, None] * second[None, :], out=block)
                yield normalized(block.reshape(-1, block.shape[-1]))

    def _factors(
        self, elements: Elements
    ) -> tuple[
        Float[np.ndarray, "a elements b stimuli"], Float[np.ndarray, "c elements d stimuli"]
    ]:
        """Return the von Mises and the normal factor of each element, 0 where there is none."""
        angle, curvature = (values.T[:, None] for values in elements)
        turn = np.cos(angle - self.angles[:, None, None, None]) - 1
        near = np.exp(turn / self.angle_spreads[:, None])
        steps = (curvature - self.curvatures[:, None, None, None]) / self.curvature_spreads[:, None]
        return np.nan_to_num(near), np.nan_to_num(np.exp(-(steps**2) / 2))


def normalized(
    values: Float[np.ndarray, "rows stimuli"],
) -> Float[np.ndarray, "rows stimuli"]:
    """Return rows with mean 0 and length 1; zeros where a row is constant."""
    centered = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centered, axis=1, keepdims=True)
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0.0)
    constant = length <= 1e-12 * largest * np.sqrt(values.shape[1])
    return np.divide(centered, length, out=np.zeros_like(centered), where=~constant)
