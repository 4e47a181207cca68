"""The figure of best Gabors: quartiles by layer, what cannot be drawn, and what is missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from pipeline.figures.best_gabor import gabor_indices_by_layer

TABLE = pd.DataFrame(
    {
        "model": "own",
        "layer": ["conv1"] * 5 + ["conv2"] * 3 + ["conv3"] * 2,
        "gabor_over_ascent": [0.1, 0.2, 0.4, 0.8, 1.0, 0.5, -0.3, 0.0, np.nan, np.nan],
        "gabor_over_patch": [4.0, 1.0, 2.0, np.nan, 3.0, 8.0, 8.0, 8.0, 1.0, 2.0],
    }
)


def words(axis) -> list[str]:
    return [text.get_text() for text in axis.findobj(Text)]


def test_points_are_units_and_boxes_their_quartiles():
    ascent, patch = gabor_indices_by_layer(TABLE).axes
    drawn = [points.get_offsets()[:, 1].tolist() for points in ascent.collections]
    assert drawn == [[0.1, 0.2, 0.4, 0.8, 1.0], [0.5]]
    levels = {line.get_ydata()[0] for line in patch.lines if len(set(line.get_ydata())) == 1}
    assert {1.75, 2.5, 3.25, 8.0, 1.25, 1.5} <= levels  # quartiles of 1, 2, 3, 4 and of 1, 2
    (interval,) = (line for line in ascent.lines if line.get_gid() == "interval")
    low, high = interval.get_ydata()
    assert 0.1 <= low < 0.4 < high <= 1.0


def test_what_cannot_be_drawn_is_counted_and_what_is_missing_is_said():
    ascent, patch = gabor_indices_by_layer(TABLE).axes
    assert "2 at or below 0" in words(ascent)
    assert words(ascent).count("none") == 1
    assert "none" not in words(patch)
    assert ascent.get_ylim()[0] < 0.1
    assert patch.get_ylim()[1] > 8.0


def test_tables_of_several_networks_are_refused():
    with pytest.raises(ValueError, match="model"):
        gabor_indices_by_layer(pd.concat([TABLE, TABLE.assign(model="other")]))
