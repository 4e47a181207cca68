"""Cone weights, and color against gray, from isoluminant and cone-isolating gratings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.analysis.tuning.color import chromatic_preference, cone_weights
from pipeline.analysis.tuning.measured import Measured, with_flag
from pipeline.analysis.tuning.phases import mean_and_modulation
from pipeline.analysis.tuning.rates import SAME
from pipeline.errors import ConfigError
from pipeline.search.tuning.grids import NONE_LEFT, how_many, wrong_stimuli
from pipeline.search.tuning.sets import EQUAL
from pipeline.search.tuning.shown import NEEDS_COLOR, Found, Shown

LINEAR = 0.5  # share of the variance below which weights say little


def cone_properties(shown: Shown) -> Found:
    """Return cone weights by linear regression, and the preference of color over gray."""
    if "cones" not in shown.responses:
        raise ConfigError(NEEDS_COLOR)
    weights = _flagged(cone_weights(*_signed(shown)))
    colored, gray = (_strengths(shown, name) for name in ("isoluminant", "cones"))
    # Both cardinal axes, and gray, at the same RMS cone contrast.
    of_hue = [colored[0.0][1.0], colored[90.0][min(colored[90.0])]]
    preferred = chromatic_preference(
        np.concatenate(of_hue, axis=1), gray["luminance"][EQUAL], np.zeros(len(shown.units))
    )
    return [*weights, preferred], []


def _left_gratings(shown: Shown, name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the stimuli of a set of color gratings whose frequency pixels can show."""
    table = shown.tables[name]
    frequencies = table["frequency_per_degree"].to_numpy()
    wrong = wrong_stimuli(table, keep=shown.keep)
    left = np.flatnonzero(~np.isin(frequencies, frequencies[wrong]))
    if not len(left):
        raise ConfigError(NONE_LEFT)
    return table.iloc[left], shown.responses[name][:, left]


def _strengths(
    shown: Shown, name: str
) -> dict[float | str, dict[float, Float[np.ndarray, "units gratings"]]]:
    """Return the response to every grating by color and contrast: mean or first harmonic."""
    table, responses = _left_gratings(shown, name)
    phases = how_many(table, "phase")
    rates = shown.rate(responses).reshape(len(responses), -1, phases)
    mean, modulation = mean_and_modulation(rates)
    strength = np.maximum(mean - shown.blank[:, None], modulation)
    largest = np.maximum(np.abs(rates).max(axis=(1, 2)), np.abs(shown.blank))
    strength = np.where(strength > SAME * largest[:, None], strength, 0.0)
    first = table.iloc[::phases]
    color = "hue" if "hue" in first else "cone"
    found: dict[float | str, dict[float, np.ndarray]] = {}
    for key, rows in first.reset_index(drop=True).groupby([color, "contrast"]):
        which, contrast = key  # pyright: ignore[reportGeneralTypeIssues]
        found.setdefault(which, {})[float(contrast)] = strength[:, rows.index.to_numpy()]
    return found


def _signed(
    shown: Shown,
) -> tuple[Float[np.ndarray, "units stimuli"], Float[np.ndarray, "stimuli 3"]]:
    """Return responses to cone contrasts of both signs at each unit's best grating and phase.

    Half a cycle later the contrast of a grating has the other sign. Of the phases at which the
    middle of the field is brighter than gray, the one is taken at which this matters most, over all
    directions of color. Responses are not rectified, as the weights are of a linear regression.
    """
    table, responses = _left_gratings(shown, "cones")
    phases, colors, contrasts = (how_many(table, name) for name in ("phase", "cone", "contrast"))
    shape = (len(responses), -1, colors * contrasts, 2, phases // 2)
    by_sign = responses.astype(np.float64).reshape(shape)
    # Gratings and phases that are more than half a cycle apart side by side.
    differ = np.abs(by_sign[:, :, :, 0] - by_sign[:, :, :, 1]).max(axis=2)
    finite = np.where(np.isfinite(differ), differ, 0.0).reshape(len(responses), -1)
    grating, phase = np.unravel_index(finite.argmax(axis=1), differ.shape[1:])
    chosen = by_sign[np.arange(len(responses)), grating, :, :, phase]
    names = ["l_contrast", "m_contrast", "s_contrast"]
    crest = table[names].to_numpy()[: colors * contrasts * phases : phases]
    signed = np.stack([crest, -crest], axis=1)
    return chosen.reshape(len(responses), -1), signed.reshape(-1, 3)


def _flagged(weights: list[Measured]) -> list[Measured]:
    """Return the weights, with a flag where responses are far from linear in cone contrasts."""
    (fit,) = (one.value for one in weights if one.name == "cone_fit")
    low = np.nan_to_num(fit, nan=1.0) < LINEAR
    words = "not linear: the weights explain less than half of the variance"
    return [
        one if one.name == "cone_fit" else replace(one, flag=with_flag(one.flag, low, words))
        for one in weights
    ]
