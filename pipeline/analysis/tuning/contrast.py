"""Response to contrast: R = R0 + Rmax c^n / (c^n + c50^n).

Naka & Rushton (1966); of cortical cells Albrecht & Hamilton (1982, J Neurophysiol 48:217).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.analysis.tuning.curves import is_flat
from pipeline.analysis.tuning.measured import (
    FLAT,
    NOT_FINITE,
    Measured,
    finite_units,
    flags,
    with_flag,
)
from pipeline.errors import ConfigError

FEWEST = 5  # contrasts for four parameters
EXPONENTS = (0.1, 10.0)
_BEYOND = 1000.0  # c50 may be so many times the highest contrast: then c^n is a power law
_ZERO_CONTRAST = -50.0  # in the place of its logarithm
_TINY = 1e-15  # keeps what does not matter from dividing by zero
_BELOW = 0.1  # or this part of the lowest one
_GRID = (16, 24)  # exponents and c50 of the first search
_STEPS = 40
_SMALLEST = 1e-7  # step in log parameters at which a fit has converged


def contrast_properties(
    responses: Float[np.ndarray, "units contrasts"], contrasts: Float[np.ndarray, " contrasts"]
) -> list[Measured]:
    """Return the Naka-Rushton fit to the responses of each unit, and how monotonic they are.

    Least squares: for every n and c50, R0 and Rmax >= 0 follow by linear regression; n (0.1 to 10)
    and c50 are found on a grid and refined by Gauss-Newton steps. A unit whose c50 lies beyond the
    highest contrast is unsaturated: c50 and Rmax are NaN, and n is that of the power law.

    Args:
        responses: rates, at any scale.
        contrasts: from 0 to 1 (Michelson) or RMS, ascending; 0, a blank, may be the first.

    Returns:
        ``half_contrast``, ``contrast_exponent``, ``contrast_gain``, ``contrast_offset``,
        ``contrast_fit`` (share of variance explained) and ``contrast_monotonicity``, the response
        at the highest contrast divided by the highest response.

    Raises:
        ConfigError: fewer than five contrasts, or they are negative or not ascending.

    >>> c = np.logspace(-2, 0, 12)
    >>> found = contrast_properties((2 + 10 * c**2 / (c**2 + 0.2**2))[None], c)
    >>> [round(float(one.value[0]), 3) for one in found]
    [0.2, 2.0, 10.0, 2.0, 1.0, 1.0]
    """
    _check(contrasts)
    finite = finite_units(responses)
    curves = np.where(finite[:, None], responses, 0.0).astype(np.float64)
    flat = is_flat(curves)
    height, start = _start(curves, contrasts)
    falls = ~flat & ~(height > 0)
    flag = flags(
        len(curves),
        (~finite, NOT_FINITE),
        (flat, FLAT),
        (falls, "the response falls with contrast"),
    )
    fitted = flag == ""
    values = np.full((len(curves), 5), np.nan)
    values[fitted] = _fit(curves[fitted], contrasts, start[fitted])
    unsaturated = fitted & (values[:, 0] > contrasts[-1])
    early = fitted & (values[:, 0] < contrasts[contrasts > 0][0])
    open_ended = with_flag(
        flag, unsaturated, "unsaturated: half of the asymptote lies beyond the highest contrast"
    )
    said = with_flag(open_ended, early, "c50 lies below the lowest contrast")
    values[unsaturated, 0] = values[unsaturated, 2] = np.nan
    names = ("half_contrast", "contrast_exponent", "contrast_gain", "contrast_offset")
    highest = curves.max(axis=1)
    defined = finite & ~flat & (highest > 0)
    last = np.divide(curves[:, -1], highest, out=np.full(len(curves), np.nan), where=defined)
    mute = ~flat & finite & (highest <= 0)
    monotonic = with_flag(np.where(falls, "", flag), mute, "no response is above 0")
    studied = finite & ~flat
    return [
        *(
            Measured(name, values[:, k], said, studied)
            for k, name in enumerate((*names, "contrast_fit"))
        ),
        Measured("contrast_monotonicity", last, monotonic, studied),
    ]


def naka_rushton(
    contrasts: Float[np.ndarray, " contrasts"],
    half: Float[np.ndarray, " units"],
    exponent: Float[np.ndarray, " units"],
) -> Float[np.ndarray, "units contrasts"]:
    """Return c^n / (c^n + c50^n), from 0 at contrast 0 to 1.

    >>> naka_rushton(np.array([0.0, 0.5]), np.array([0.5]), np.array([3.0]))
    array([[0. , 0.5]])
    """
    with np.errstate(divide="ignore", over="ignore"):
        steps = np.log(contrasts) - np.log(half)[:, None]
        return 1 / (1 + np.exp(-exponent[:, None] * steps))


def _check(contrasts: Float[np.ndarray, " contrasts"]) -> None:
    if len(contrasts) < FEWEST or contrasts[0] < 0 or not (np.diff(contrasts) > 0).all():
        raise ConfigError(
            f"contrasts: at least {FEWEST} are needed, ascending from 0 or above, not"
            f" {contrasts.tolist()}"
        )


def _grid(
    contrasts: Float[np.ndarray, " contrasts"],
) -> tuple[Float[np.ndarray, " models"], Float[np.ndarray, " models"]]:
    """Return the logarithms of c50 and n of the first search."""
    lowest = contrasts[contrasts > 0][0]
    half = np.linspace(np.log(_BELOW * lowest), np.log(10 * contrasts[-1]), _GRID[1])
    low, high = np.log(EXPONENTS)
    exponent = np.linspace(float(low), float(high), _GRID[0])
    first, second = np.meshgrid(half, exponent, indexing="ij")
    return first.ravel(), second.ravel()


def _start(
    curves: Float[np.ndarray, "units contrasts"], contrasts: Float[np.ndarray, " contrasts"]
) -> tuple[Float[np.ndarray, " units"], Float[np.ndarray, "units 2"]]:
    """Return the best correlation with a curve of the grid, and its log c50 and log n."""
    half, exponent = _grid(contrasts)
    models = naka_rushton(contrasts, np.exp(half), np.exp(exponent))
    models -= models.mean(axis=1, keepdims=True)
    length = np.sqrt((models**2).sum(axis=1, keepdims=True))
    usable = length[:, 0] > 1e-9
    models, half, exponent = models[usable] / length[usable], half[usable], exponent[usable]
    fits = curves @ models.T
    best = fits.argmax(axis=1)
    scale = 1e-9 * np.abs(curves).max(axis=1, initial=0.0)
    height = fits[np.arange(len(curves)), best]
    return np.where(height > scale, height, 0.0), np.stack([half[best], exponent[best]], axis=1)


def _fit(
    curves: Float[np.ndarray, "units contrasts"],
    contrasts: Float[np.ndarray, " contrasts"],
    start: Float[np.ndarray, "units 2"],
) -> Float[np.ndarray, "units 5"]:
    """Return c50, n, Rmax, R0 and the share of variance explained, by damped Gauss-Newton steps."""
    p = start.copy()
    scale = np.abs(curves).max(axis=1, keepdims=True)
    target = curves / scale
    low = np.log([_BELOW * contrasts[contrasts > 0][0], EXPONENTS[0]])
    high = np.log([_BEYOND * contrasts[-1], EXPONENTS[1]])
    damping = np.full(len(p), 1e-3)
    linear, left = _linear(target, contrasts, p)
    active = np.arange(len(p))
    for _ in range(_STEPS):
        some = target[active]
        step = _step(some, contrasts, p[active], linear[active], damping[active])
        trial = np.clip(p[active] + step, low, high)
        weights, error = _linear(some, contrasts, trial)
        better = error < left[active]
        moved = np.abs(trial - p[active]).max(axis=1, initial=0.0)
        kept = active[better]
        p[kept], linear[kept], left[kept] = trial[better], weights[better], error[better]
        damping[active] *= np.where(better, 0.2, 8.0)
        active = active[(moved > _SMALLEST) & (damping[active] < 1e8)]
        if not len(active):
            break
    total = ((target - target.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    gains = linear * scale
    return np.column_stack([np.exp(p), gains[:, 0], gains[:, 1], 1 - left / total])


def _linear(
    target: Float[np.ndarray, "units contrasts"],
    contrasts: Float[np.ndarray, " contrasts"],
    p: Float[np.ndarray, "units 2"],
) -> tuple[Float[np.ndarray, "units 2"], Float[np.ndarray, " units"]]:
    """Return the best Rmax >= 0 and R0 for given log c50 and log n, and the sum of squares left."""
    model = naka_rushton(contrasts, np.exp(p[:, 0]), np.exp(p[:, 1]))
    mean, level = model.mean(axis=1, keepdims=True), target.mean(axis=1, keepdims=True)
    covariance = ((model - mean) * (target - level)).sum(axis=1)
    variance = ((model - mean) ** 2).sum(axis=1)
    gain = np.divide(covariance, variance, out=np.zeros(len(p)), where=variance > 0)
    gain = np.maximum(gain, 0.0)
    offset = level[:, 0] - gain * mean[:, 0]
    left = ((offset[:, None] + gain[:, None] * model - target) ** 2).sum(axis=1)
    return np.stack([gain, offset], axis=1), left


def _step(
    target: Float[np.ndarray, "units contrasts"],
    contrasts: Float[np.ndarray, " contrasts"],
    p: Float[np.ndarray, "units 2"],
    linear: Float[np.ndarray, "units 2"],
    damping: Float[np.ndarray, " units"],
) -> Float[np.ndarray, "units 2"]:
    """Return the damped step in log c50 and log n while R0 and Rmax follow (Kaufman 1975)."""
    n = np.exp(p[:, 1:])
    model = naka_rushton(contrasts, np.exp(p[:, 0]), n[:, 0])
    slope = linear[:, :1] * model * (1 - model) * n
    with np.errstate(divide="ignore"):
        distance = np.maximum(np.log(contrasts), _ZERO_CONTRAST) - p[:, :1]
    residual = target - linear[:, 1:] - linear[:, :1] * model
    half, exponent = (_apart(columns, model) for columns in (-slope, slope * distance))
    a, b, c = (half**2).sum(1), (half * exponent).sum(1), (exponent**2).sum(1)
    first, second = (half * residual).sum(1), (exponent * residual).sum(1)
    a, c = a * (1 + damping) + _TINY, c * (1 + damping) + _TINY
    step = np.stack([c * first - b * second, a * second - b * first], axis=1)
    return np.clip(step / (a * c - b**2)[:, None], -1, 1)


def _apart(
    columns: Float[np.ndarray, "units contrasts"], model: Float[np.ndarray, "units contrasts"]
) -> Float[np.ndarray, "units contrasts"]:
    """Return what a change of R0 and Rmax cannot make up for."""
    centered = model - model.mean(axis=1, keepdims=True)
    columns = columns - columns.mean(axis=1, keepdims=True)
    length = (centered**2).sum(axis=1, keepdims=True) + _TINY
    return columns - centered * ((columns * centered).sum(axis=1, keepdims=True) / length)
