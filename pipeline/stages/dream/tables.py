"""The tables of dreams, and what is said of them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.run.active_run import ActiveRun
from pipeline.stages.dream import DREAMS, FEATURES
from pipeline.stages.dream.results import Dream, read_frame
from pipeline.store.tables import read_table


def dreams(run: ActiveRun, planned: Sequence[Dream]) -> pd.DataFrame:
    """Return the table of dreams: one row per layer, init, unit, frame and octave."""
    rows: list[dict[str, Any]] = []
    for dream in planned:
        for number in range(len(dream.result.items)):
            frame = read_frame(dream, number)
            for index, octave in enumerate(dream.octaves):
                scores = frame.scores[frame.octaves == index]
                rows.append(
                    _identity(run, dream)
                    | {
                        "frame": number,
                        "octave": index,
                        "height": octave.size[0],
                        "width": octave.size[1],
                        "steps": octave.optimizer.steps,
                        "start_score": scores[0],
                        "final_score": scores[-1],
                        "status": frame.status[index],
                    }
                )
    return pd.DataFrame(rows, columns=list(DREAMS.columns))


def dream_features(run: ActiveRun, planned: Sequence[Dream]) -> pd.DataFrame:
    """Return the mean response of every feature to the images themselves, through the dreams.

    Of a single frame it holds every step; of each of several frames the last.
    """
    columns = list(FEATURES.columns)
    frames = [pd.DataFrame(columns=columns)]
    for dream in planned:
        count = len(dream.result.items)
        for number in range(count):
            frame = read_frame(dream, number)
            at = slice(None) if count == 1 else slice(-1, None)
            for layer, means in frame.means.items():
                rows, features = means[at].shape
                table = _identity(run, dream) | {
                    "frame": number,
                    "octave": frame.octaves[at].repeat(features),
                    "step": frame.steps[at].repeat(features),
                    "feature_layer": layer,
                    "feature": np.tile(np.arange(features), rows),
                    "mean_response": means[at].ravel(),
                }
                frames.append(pd.DataFrame(table, columns=columns))
    return pd.concat(frames[1:] or frames, ignore_index=True)


def _identity(run: ActiveRun, dream: Dream) -> dict[str, Any]:
    return {
        "model": run.parts.network.name,
        "layer": dream.layer.name,
        "init": dream.init,
        "unit": dream.unit,
        "objective": run.parts.option("objective"),
    }


def findings(run: ActiveRun, _dreams: Sequence[Dream]) -> list[str]:
    """Return the scores of every dream, a line each."""
    table = read_table(run.paths.tables, DREAMS.name)
    last = table[table["frame"] == table["frame"].max()]
    lines = ["score before and after each octave of the dream:"]
    for (layer, init, unit), rows in last.groupby(["layer", "init", "unit"], sort=False):  # type: ignore[misc]
        name = f"{layer} from {init}" + ("" if unit < 0 else f", unit {unit}")
        pairs = zip(rows["start_score"], rows["final_score"], strict=True)
        octaves = ", ".join(f"{start:.4g} to {final:.4g}" for start, final in pairs)
        lines.append(f"  {name}: {octaves}")
    return lines
