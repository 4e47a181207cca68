"""Tuning to curvature at an angular position: the best model of a bank, its null and intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.analysis.boundary_curvature import Elements
from pipeline.analysis.curvature_models import ModelBank, normalized
from pipeline.errors import ConfigError

_TIE = 1e-12  # correlations that differ by less are equal but for rounding


def fit_models(
    responses: Float[np.ndarray, "units *positions stimuli"],
    elements: Elements,
    bank: ModelBank | None = None,
) -> pd.DataFrame:
    """Return for each unit the model of a bank that correlates best with its responses.

    Every model is tried, in double precision, one block of the bank after the other. Of models
    that correlate equally well (to 1e-12) the one with the lowest number is taken. With several
    positions the responses at each are centered, and r is the sum of the dot products with the
    model divided by the norm of all responses and the square root of the number of positions: 1
    only if all positions agree (Pospisil et al. 2018). The last digits of r may depend on how many
    units are fitted together, as matrix products are rounded by blocks.

    Args:
        responses: of each unit to each stimulus, at one position or at several.
        elements: boundary elements of the stimuli, in the same order.
        bank: the models to try, by default those of Pospisil et al. (2018).

    Returns:
        One row per unit: ``unit`` (its row), ``model`` (number in the bank, -1: none), ``r``,
        ``mu_angle`` and ``spread_angle`` (degrees), ``mu_curvature`` and ``spread_curvature``, and
        ``reason``: why there are no numbers, or an empty string.

    Raises:
        ConfigError: responses and elements are of different numbers of stimuli.

    >>> discs = Elements(np.zeros((3, 1)), np.array([[0.2], [0.6], [0.9]]))
    >>> table = fit_models(np.array([[0.0, 1.0, 0.0], [2.0, 2.0, 2.0]]), discs)
    >>> table[["model", "r", "reason"]].round(2).values.tolist()
    [[2816, 1.0, ''], [-1, nan, 'responses are constant']]
    """
    bank = ModelBank() if bank is None else bank
    if responses.shape[-1] != len(elements.angle):
        raise ConfigError(
            f"responses: {responses.shape[-1]} stimuli were shown, but boundary elements are given "
            f"for {len(elements.angle)}; both must be in the same order"
        )
    reason = _reasons(responses)
    defined = reason == ""
    target = np.zeros((len(responses), responses.shape[-1]))
    target[defined] = _targets(responses[defined])
    best, model = np.full(len(target), -np.inf), np.full(len(target), -1)
    for number, block in enumerate(bank.blocks(elements)):
        r = block @ target.T
        top = r.max(axis=0)
        first = (r >= top - _TIE).argmax(axis=0)
        better = top > best + _TIE
        best[better] = r[first, np.arange(len(target))][better]
        model[better] = number * len(block) + first[better]
    model[~defined] = -1
    return pd.DataFrame(
        {
            "unit": np.arange(len(target)),
            "model": model,
            "r": np.where(defined, np.clip(best, -1, 1), np.nan),
            **{
                name: np.where(defined, values, np.nan)
                for name, values in bank.parameters(np.maximum(model, 0)).items()
            },
            "reason": reason,
        }
    )


def shuffled(
    responses: Float[np.ndarray, "units *positions stimuli"], rng: np.random.Generator
) -> Float[np.ndarray, "units *positions stimuli"]:
    """Return responses with the stimuli of each unit shuffled: the null of a fit.

    Each unit has an order of its own, which is the same at all of its positions.

    >>> shuffled(np.arange(8.0).reshape(1, 2, 4), np.random.default_rng(0))
    array([[[2., 0., 1., 3.],
            [6., 4., 5., 7.]]])
    """
    orders = [rng.permutation(responses.shape[-1]) for _ in responses]
    return np.stack([unit[..., order] for unit, order in zip(responses, orders, strict=True)])


def correlation_intervals(
    responses: Float[np.ndarray, "units stimuli"],
    predictions: Float[np.ndarray, "units stimuli"],
    rng: np.random.Generator,
    groups: Int[np.ndarray, " stimuli"] | None = None,
    resamples: int = 1000,
) -> Float[np.ndarray, "units 2"]:
    """Return the 95 % percentile bootstrap interval of the correlation with a given model.

    Stimuli are drawn with replacement (Efron 1979). The model of each unit is kept, so the interval
    does not tell how much of r is due to choosing the best of many models: a null by ``shuffled``
    responses does.

    Args:
        responses: of each unit to each stimulus.
        predictions: of the model of each unit.
        rng: draws the bootstrap.
        groups: stimuli with the same number are drawn together, such as the rotations of a shape,
            which are not independent of each other; by default each stimulus by itself.
        resamples: how many bootstrap samples.

    >>> r = np.array([[1.0, 2.0, 3.0, 4.0]])
    >>> correlation_intervals(r, 2 * r, np.random.default_rng(0)).round(6)
    array([[1., 1.]])
    """
    group = np.arange(responses.shape[1]) if groups is None else groups
    names, which = np.unique(group, return_inverse=True)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    weight = drawn[:, which].astype(np.float64)
    weight /= weight.sum(axis=1, keepdims=True)
    x, y = normalized(responses), normalized(predictions)
    mean_x, mean_y = weight @ x.T, weight @ y.T
    covariance = weight @ (x * y).T - mean_x * mean_y
    variances = (weight @ (x * x).T - mean_x**2) * (weight @ (y * y).T - mean_y**2)
    # A sample that drew a single stimulus over and over has no correlation.
    defined = variances > 1e-24 * variances.max(axis=0, initial=0.0)
    r = np.full_like(covariance, np.nan)
    np.divide(covariance, np.sqrt(np.where(defined, variances, 1.0)), out=r, where=defined)
    lost = np.isnan(r).all(axis=0)
    bounds = np.nanquantile(np.where(lost, 0.0, r), [0.025, 0.975], axis=0).T
    return np.where(lost[:, None], np.nan, bounds)


def _targets(
    responses: Float[np.ndarray, "units *positions stimuli"],
) -> Float[np.ndarray, "units stimuli"]:
    """Return for each unit the vector whose dot product with a model is r."""
    unit = _by_position(responses).astype(np.float64)
    centered = unit - unit.mean(axis=2, keepdims=True)
    length = np.sqrt((centered**2).sum(axis=(1, 2)) * unit.shape[1])[:, None]
    return np.divide(centered.sum(axis=1), length, out=np.zeros_like(unit[:, 0]), where=length > 0)


def _by_position(
    responses: Float[np.ndarray, "units *positions stimuli"],
) -> Float[np.ndarray, "units all_positions stimuli"]:
    *positions, stimuli = responses.shape[1:]
    return responses.reshape(len(responses), int(np.prod(positions)), stimuli)


def _reasons(responses: Float[np.ndarray, "units *positions stimuli"]) -> np.ndarray:
    unit = _by_position(responses)
    reason = np.full(len(unit), "", dtype=object)
    with np.errstate(invalid="ignore"):
        spread = np.ptp(unit, axis=2).max(axis=1, initial=0.0)
        largest = np.abs(unit).max(axis=(1, 2), initial=0.0)
    reason[spread <= 1e-12 * largest] = "responses are constant"
    reason[~np.isfinite(unit).all(axis=(1, 2))] = "responses are not finite"
    return reason
