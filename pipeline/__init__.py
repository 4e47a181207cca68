"""Artificial neurophysiology: what every unit of a vision network wants to see."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.analysis.mixed_effects import mixed_effects as mixed_effects
    from pipeline.analysis.opponency_fractions import opponency_fractions as opponency_fractions
    from pipeline.analysis.opponency_fractions import opponency_over_seeds as opponency_over_seeds
    from pipeline.analysis.paired_tests import paired_tests as paired_tests
    from pipeline.analysis.shape_summary import shape_summary as shape_summary
    from pipeline.library.ascent import ascend as ascend
    from pipeline.library.bar_tuning import bar_tuning as bar_tuning
    from pipeline.library.best_gabor import best_gabor as best_gabor
    from pipeline.library.color_rotation import color_rotation_index as color_rotation_index
    from pipeline.library.dream import dream as dream
    from pipeline.library.evolution import evolve as evolve
    from pipeline.library.evolution_options import EvolutionOptions as EvolutionOptions
    from pipeline.library.export import export as export
    from pipeline.library.image_sets import image_set as image_set
    from pipeline.library.networks import network as network
    from pipeline.library.networks import receptive_field as receptive_field
    from pipeline.library.opponency import opponency as opponency
    from pipeline.library.options import Options as Options
    from pipeline.library.patches import top_patches as top_patches
    from pipeline.library.receptive_fields import map_receptive_fields as map_receptive_fields
    from pipeline.library.responses import responses as responses
    from pipeline.library.robustness import robustness as robustness
    from pipeline.library.runs import open_run as open_run
    from pipeline.library.shape_tuning import shape_tuning as shape_tuning
    from pipeline.library.similarity import similarity as similarity
    from pipeline.library.stimuli import stimulus_set as stimulus_set
    from pipeline.library.stimulus_images import stimulus_images as stimulus_images
    from pipeline.library.transfer import transfer as transfer
    from pipeline.library.tuning import tuning as tuning
    from pipeline.library.unit_similarity import unit_facets as unit_facets
    from pipeline.library.unit_similarity import unit_similarity as unit_similarity
    from pipeline.networks.units.dictionaries import dictionary as dictionary
    from pipeline.stages.collect.results import collect as collect

# Loaded on first use: the command line must respond without importing torch and pandas.
_ROOMS = {
    "EvolutionOptions": "pipeline.library.evolution_options",
    "Options": "pipeline.library.options",
    "ascend": "pipeline.library.ascent",
    "bar_tuning": "pipeline.library.bar_tuning",
    "best_gabor": "pipeline.library.best_gabor",
    "collect": "pipeline.stages.collect.results",
    "color_rotation_index": "pipeline.library.color_rotation",
    "dictionary": "pipeline.networks.units.dictionaries",
    "dream": "pipeline.library.dream",
    "evolve": "pipeline.library.evolution",
    "export": "pipeline.library.export",
    "image_set": "pipeline.library.image_sets",
    "map_receptive_fields": "pipeline.library.receptive_fields",
    "mixed_effects": "pipeline.analysis.mixed_effects",
    "network": "pipeline.library.networks",
    "open_run": "pipeline.library.runs",
    "opponency": "pipeline.library.opponency",
    "opponency_fractions": "pipeline.analysis.opponency_fractions",
    "opponency_over_seeds": "pipeline.analysis.opponency_fractions",
    "paired_tests": "pipeline.analysis.paired_tests",
    "receptive_field": "pipeline.library.networks",
    "responses": "pipeline.library.responses",
    "robustness": "pipeline.library.robustness",
    "shape_summary": "pipeline.analysis.shape_summary",
    "shape_tuning": "pipeline.library.shape_tuning",
    "similarity": "pipeline.library.similarity",
    "stimulus_images": "pipeline.library.stimulus_images",
    "stimulus_set": "pipeline.library.stimuli",
    "top_patches": "pipeline.library.patches",
    "transfer": "pipeline.library.transfer",
    "tuning": "pipeline.library.tuning",
    "unit_facets": "pipeline.library.unit_similarity",
    "unit_similarity": "pipeline.library.unit_similarity",
}
__all__ = [
    "EvolutionOptions", "Options", "ascend", "bar_tuning", "best_gabor", "collect",
    "color_rotation_index", "dictionary", "dream", "evolve", "export", "image_set",
    "map_receptive_fields", "mixed_effects", "network", "open_run", "opponency",
    "opponency_fractions", "opponency_over_seeds", "paired_tests", "receptive_field", "responses",
    "robustness", "shape_summary", "shape_tuning", "similarity", "stimulus_images", "stimulus_set",
    "top_patches", "transfer", "tuning", "unit_facets", "unit_similarity",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    from pipeline.errors import nearest

    near = "" if name.startswith("_") else nearest(name, __all__)
    raise AttributeError(f"module 'pipeline' has no attribute '{name}'{near}")


def __dir__() -> list[str]:
    return __all__
