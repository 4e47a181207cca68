"""Tuning of a layer's units to bars: the best bar of each, with one parameter changed at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from pipeline.analysis.bar_tuning import (
    GEOMETRY,
    mean_responses,
    preferred,
    variants,
    with_peaks,
)
from pipeline.errors import ConfigError
from pipeline.search.stimulus_responses import is_constant
from pipeline.stimuli.bars import bar_planes, with_flags
from pipeline.stimuli.field import Colors, Field
from pipeline.stimuli.looks import Looks, polarities
from pipeline.stimuli.stimulus_set import StimulusSet, compose

# Of both polarities; between them nothing but gray.
STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
CONTRASTS = (*(-step for step in STEPS[::-1]), 0.0, *STEPS)

# Presents a set to some units of a layer, and returns their responses to every stimulus of it.
Show = Callable[[StimulusSet], Float[np.ndarray, "units stimuli"]]


def tune_to_bars(
    stimuli: StimulusSet, field: Field, units: Sequence[int], show: Show
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return how units are tuned to length, width, orientation, polarity and contrast of bars.

    The best bar of a unit is the one of the set to which it responds most. Then the bars that
    differ from it in one parameter alone are shown at the same place, so every curve is a section
    through the best bar; what lies beside these sections is in the mean alone.

    Args:
        stimuli: bars in white on black and black on white.
        field: the canvas and its colors.
        units: their numbers.
        show: presents a set to these units.

    Returns:
        The curves, ``unit parameter value response mean peak``, and what each unit prefers, as
        ``pipeline.bar_tuning`` describes them.

    Raises:
        ConfigError: the set is not one of bars in two polarities.
    """
    check_bars(stimuli)
    responses = show(stimuli)
    best = responses.argmax(axis=1)
    constant = is_constant(responses)
    responding = np.flatnonzero(~constant)
    bars = stimuli.table.loc[best].reset_index(drop=True)
    curves = _sections(bars.loc[responding], stimuli.table, field, show)
    curves["mean"] = mean_responses(curves, stimuli.table, responses)
    curves = pd.concat(
        [curves.drop(columns="polarity"), _contrasts(bars.loc[responding], field, show)]
    )
    curves = with_peaks(curves.sort_values("row", kind="stable", ignore_index=True).rename(
        columns={"row": "unit"}
    ))  # fmt: skip
    curves["unit"] = np.asarray(units)[curves["unit"].to_numpy(np.int64)]
    found = {"unit": list(units), "stimulus": best, "response": responses.max(axis=1)}
    places = {"x": bars["x"], "y": bars["y"]}
    return curves, preferred(curves, pd.DataFrame(found | places), constant)


def check_bars(stimuli: StimulusSet) -> None:
    """Raise an error if a set is not one of bars in two polarities.

    Raises:
        ConfigError: it is not.
    """
    missing = [column for column in (*GEOMETRY, "polarity") if column not in stimuli.table]
    if missing:
        raise ConfigError(
            f"stimulus: {stimuli.name} has no column {missing[0]}, and tuning to bars needs bars in"
            " two polarities, such as bars_on_stride or bars_4a"
        )


def contrasts(colors: Colors) -> Looks:
    """Return bars on gray at every contrast of ``CONTRASTS``.

    A bar of contrast c differs from gray by c times ``Colors.swing``: as much as the peaks of a
    grating of that contrast (Michelson). Positive bars are lighter than gray, negative ones darker,
    and 0 is gray alone.

    >>> contrasts(Colors.published(1)).weights.flatten().tolist()[4:]
    [-0.0625, 0.0, 0.0625, 0.125, 0.25, 0.5, 1.0]
    """
    background = torch.tensor([colors.gray] * len(CONTRASTS))
    swing = torch.tensor(colors.swing, dtype=torch.float64)
    weights = torch.tensor(CONTRASTS, dtype=torch.float64)[:, None, None] * swing
    return Looks({"contrast": CONTRASTS}, background, weights.float())


def _sections(best: pd.DataFrame, shown: pd.DataFrame, field: Field, show: Show) -> pd.DataFrame:
    """Return the responses to bars that differ from the best one in one parameter."""
    kept = ["row", "parameter", "value", "polarity"]
    table = variants(best, shown)
    table["row"] = best.index.to_numpy()[table["row"]]
    if table.empty:
        return table.assign(response=np.empty(0)).loc[:, [*kept, "response"]]
    geometry = list(GEOMETRY)
    number = table.groupby(geometry, sort=False).ngroup().to_numpy()
    different = table.loc[:, geometry].drop_duplicates(ignore_index=True)
    looks = polarities(field.colors)
    responses = show(_bars("bar_sections", field, different, looks))
    column = len(looks) * number + (table["polarity"] < 0).to_numpy()
    own = responses[table["row"], column].astype(np.float64)
    return table.assign(response=own).loc[:, [*kept, "response"]]


def _contrasts(best: pd.DataFrame, field: Field, show: Show) -> pd.DataFrame:
    """Return the responses to the best bar on gray at all contrasts."""
    if best.empty:
        return pd.DataFrame()
    geometry = list(GEOMETRY)
    number = best.groupby(geometry, sort=False).ngroup().to_numpy()
    different = best.loc[:, geometry].drop_duplicates(ignore_index=True)
    looks = contrasts(field.colors)
    responses = show(_bars("bar_contrasts", field, different, looks))
    column = len(looks) * number[:, None] + np.arange(len(looks))
    own = np.take_along_axis(responses[best.index], column, axis=1)
    rows = {
        "row": best.index.repeat(len(looks)),
        "parameter": "contrast",
        "value": np.tile(CONTRASTS, len(best)),
        "response": own.ravel().astype(np.float64),
        "mean": np.nan,
    }
    return pd.DataFrame(rows)


def _bars(name: str, field: Field, bars: pd.DataFrame, looks: Looks) -> StimulusSet:
    return compose(name, field, with_flags(field, bars), looks, bar_planes(bars))
