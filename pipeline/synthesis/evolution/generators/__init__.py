"""Generators: the space of pictures in which is searched.

Each is a function of its settings that returns a ``Generator``.
"""

from pipeline.synthesis.evolution.generators.decoder import decoder
from pipeline.synthesis.evolution.generators.deepsim import deepsim
from pipeline.synthesis.evolution.generators.fourier import fourier
from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator
from pipeline.synthesis.evolution.generators.grid import grid
from pipeline.synthesis.evolution.generators.module import module
from pipeline.synthesis.evolution.generators.pixels import pixels
from pipeline.synthesis.evolution.generators.principal_components import principal_components
from pipeline.synthesis.evolution.generators.taef2 import taef2

__all__ = [
    "BuiltGenerator",
    "Generator",
    "decoder",
    "deepsim",
    "fourier",
    "grid",
    "module",
    "pixels",
    "principal_components",
    "taef2",
]
