"""The stimulus sets of this package by name."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.stimuli.bars import bars_4a, bars_4b, bars_4c7o
from pipeline.stimuli.bars_on_stride import bars_on_stride
from pipeline.stimuli.blocks import blocks
from pipeline.stimuli.checkerboards import checkerboards
from pipeline.stimuli.color_gratings import (
    cone_gratings,
    isoluminant_gratings,
    spatial_opponency,
)
from pipeline.stimuli.compound_gratings import center_surround, plaids
from pipeline.stimuli.degree_gratings import contrast_series, gratings
from pipeline.stimuli.edges import drifting_edges
from pipeline.stimuli.gratings import sin1, sine_1, sine_2
from pipeline.stimuli.marques import (
    blank,
    marques_orientation,
    marques_receptive_field,
    marques_size,
    marques_spatial_frequency,
)
from pipeline.stimuli.noise import dense_noise, sparse_noise
from pipeline.stimuli.pictures import pictures
from pipeline.stimuli.shapes import shapes, v4_shapes
from pipeline.stimuli.stimulus_set import StimulusSet
from pipeline.stimuli.textures import textures
from pipeline.stimuli.uniform_colors import (
    full_field_colors,
    gray_levels,
    hues,
    isoluminant_discs,
)

Builder = Callable[..., StimulusSet]  # from the field, and options

BUILDERS: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        bars_4a, bars_4b, bars_4c7o, bars_on_stride, sin1, sine_1, sine_2, shapes, v4_shapes,
        blocks, sparse_noise, dense_noise, checkerboards, drifting_edges, pictures,
        blank, marques_receptive_field, marques_orientation, marques_spatial_frequency,
        marques_size, gratings, contrast_series, plaids, center_surround, textures,
        hues, gray_levels, full_field_colors, isoluminant_discs, isoluminant_gratings,
        cone_gratings, spatial_opponency,
    )
}  # fmt: skip
