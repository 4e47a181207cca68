"""Objectives: what is climbed.

Each objective is a function of its settings that returns an ``Objective``: how a batch of images is
scored from what one forward pass leaves. Several objectives add up to one score, each by its
weight; a negative weight minimizes.

The reductions of the literature differ only in what they take of a layer's map z and by which
number they divide; each function names its source.
"""

from pipeline.ascent.objectives.classes import class_logit, class_probability
from pipeline.ascent.objectives.comparisons import accentuation, caricature, inversion
from pipeline.ascent.objectives.copies import alignment, diversity
from pipeline.ascent.objectives.directions import cosine_direction, direction
from pipeline.ascent.objectives.objective import Objective, Seen
from pipeline.ascent.objectives.units import (
    channel_mean,
    channel_sum,
    constant_minus_channel,
    unit_response,
)
from pipeline.ascent.objectives.whole_layers import (
    layer_half_sum_square,
    layer_mean,
    layer_mean_square,
    layer_sum,
    layer_sum_square,
)

__all__ = [
    "Objective",
    "Seen",
    "accentuation",
    "alignment",
    "caricature",
    "channel_mean",
    "channel_sum",
    "class_logit",
    "class_probability",
    "constant_minus_channel",
    "cosine_direction",
    "direction",
    "diversity",
    "inversion",
    "layer_half_sum_square",
    "layer_mean",
    "layer_mean_square",
    "layer_sum",
    "layer_sum_square",
    "unit_response",
]
