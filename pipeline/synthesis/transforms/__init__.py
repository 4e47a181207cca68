"""Transforms: random changes of the images before the network, drawn again at every step.

Responses that survive them cannot depend on single pixels. Images are in network-input
space, where 0 is the mean color, or, after ``pixels``, in pixel space, where 0 is black; every
transform is differentiable. Each is a function of its settings that returns a ``Transform``.

Source: Olah, Mordvintsev and Schubert 2017, "Feature Visualization" (transformation robustness).
"""

from pipeline.synthesis.transforms.boxes import boxes
from pipeline.synthesis.transforms.cuts import crop, fit, flip, jitter, pad, roll, rolled
from pipeline.synthesis.transforms.noises import noise
from pipeline.synthesis.transforms.transform import Generators, Transform, pixels
from pipeline.synthesis.transforms.warps import angles, factors, resize, rotate, scale

__all__ = [
    "Generators",
    "Transform",
    "angles",
    "boxes",
    "crop",
    "factors",
    "fit",
    "flip",
    "jitter",
    "noise",
    "pad",
    "pixels",
    "resize",
    "roll",
    "rolled",
    "rotate",
    "scale",
]
