"""Objectives: the scores that ascents maximize.

Each objective is a function of its settings that returns an ``Objective``: how a batch of images is
scored from one forward pass. Several objectives form one score, a weighted sum; a negative weight
minimizes.

The objectives in the literature differ only in which part of a layer's map z they use and by which
number they divide; each function names its source.
"""

from pipeline.synthesis.objectives.classes import class_logit, class_probability
from pipeline.synthesis.objectives.comparisons import accentuation, caricature, inversion
from pipeline.synthesis.objectives.copies import alignment, diversity
from pipeline.synthesis.objectives.directions import cosine_direction, direction
from pipeline.synthesis.objectives.objective import Objective, Seen
from pipeline.synthesis.objectives.units import (
    channel_mean,
    channel_sum,
    constant_minus_channel,
    unit_response,
)
from pipeline.synthesis.objectives.whole_layers import (
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
