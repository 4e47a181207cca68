"""Parameterizations: the parameters that ascents change, and how they are decoded to images.

A chain of pieces, sorted by kind whatever their order in the configuration: a space owns the
parameters and draws an image from them, a resolution enlarges it, colors mix its channels, and a
range brings its values into pixels. The chain ends in network-input space.
"""

from pipeline.synthesis.parameterizations.chain import PIXELS, Chain, compose
from pipeline.synthesis.parameterizations.colors import decorrelated
from pipeline.synthesis.parameterizations.pattern_networks import cppn
from pipeline.synthesis.parameterizations.pieces import Kind, Map, Parameterization, Setting, Space
from pipeline.synthesis.parameterizations.pixels import pixel
from pipeline.synthesis.parameterizations.ranges import clamp, sigmoid, tanh, unbounded
from pipeline.synthesis.parameterizations.resolutions import low_resolution
from pipeline.synthesis.parameterizations.spectra import fourier, maco

__all__ = [
    "PIXELS",
    "Chain",
    "Kind",
    "Map",
    "Parameterization",
    "Setting",
    "Space",
    "clamp",
    "compose",
    "cppn",
    "decorrelated",
    "fourier",
    "low_resolution",
    "maco",
    "pixel",
    "sigmoid",
    "tanh",
    "unbounded",
]
