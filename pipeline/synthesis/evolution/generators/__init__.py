"""Generators: the space of pictures in which is searched.

Each is a function of its settings that returns a ``Generator``.
"""

from pipeline.synthesis.evolution.generators.generator import BuiltGenerator, Generator

__all__ = ["BuiltGenerator", "Generator"]
