"""Closed uniform cubic B-splines: points, area and centroid."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipeline.errors import ConfigError

# Powers 1, t, t^2, t^3 of the four points around a segment, by 6.
BASIS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6


def spline(
    control: Float[np.ndarray, "points 2"], count: int, derivative: int = 0
) -> Float[np.ndarray, "count 2"]:
    """Return points of the closed curve at equal steps of its parameter.

    Args:
        control: control points, the first not repeated at the end.
        count: how many points; the first lies beside the first control point.
        derivative: 0 for the curve, 1 and 2 for its derivatives by the parameter, in which two
            neighboring control points are 1 apart.

    >>> square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> spline(square, 4).round(3).tolist()
    [[0.667, 0.0], [0.0, 0.667], [-0.667, 0.0], [0.0, -0.667]]
    """
    return spline_at(control, np.arange(count) * (len(control) / count), derivative)


def spline_at(
    control: Float[np.ndarray, "points 2"],
    parameter: Float[np.ndarray, " count"],
    derivative: int = 0,
) -> Float[np.ndarray, "count 2"]:
    """Return points of the closed curve at any parameter; see ``spline``.

    >>> square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> spline_at(square, np.array([0.5, 4.5])).round(6).tolist()
    [[0.458333, 0.458333], [0.458333, 0.458333]]
    """
    segment = np.floor(parameter).astype(int)
    t = parameter - segment
    around = control[(segment[:, None] + np.arange(-1, 3)) % len(control)]
    polynomials = np.einsum("pk,nkc->npc", BASIS, around)
    for _ in range(derivative):
        polynomials = polynomials[:, 1:] * np.arange(1, polynomials.shape[1])[:, None]
    powers = t[:, None] ** np.arange(polynomials.shape[1])
    return np.einsum("np,npc->nc", powers, polynomials)


def signed_area_and_centroid(
    control: Float[np.ndarray, "points 2"],
) -> tuple[float, Float[np.ndarray, " 2"]]:
    """Return the area inside the closed curve and its centroid, to rounding errors.

    The area is positive if the curve runs counterclockwise (x right, y up), and negative if it runs
    clockwise. Green's theorem turns both into integrals along the curve, of polynomials of degree 8
    at most, for which Gauss-Legendre quadrature with five nodes per segment is exact.

    Raises:
        ConfigError: the control points do not enclose an area.

    >>> square = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> area, centroid = signed_area_and_centroid(square + [3.0, 1.0])
    >>> round(area, 6), centroid.round(6).tolist()
    (1.355556, [3.0, 1.0])
    """
    nodes, weights = np.polynomial.legendre.leggauss(5)
    parameter = (np.arange(len(control))[:, None] + (nodes + 1) / 2).ravel()
    weight = np.tile(weights / 2, len(control))
    x, y = spline_at(control, parameter).T
    dx, dy = spline_at(control, parameter, 1).T
    area = weight @ (x * dy - y * dx) / 2
    if abs(area) <= 1e-9 * float(np.ptp(control, axis=0).max()) ** 2:
        raise ConfigError("shape: its control points must enclose an area")
    moments = np.array([weight @ (x * x * dy), -(weight @ (y * y * dx))]) / 2
    return float(area), moments / area
