"""A layer's network as ONNX."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OnnxNetwork:
    """A layer's network as two ONNX files.

    Attributes:
        forward: from ``images`` float32 [1, channels, height, width], in network-input space, to
            ``responses`` float32 [1, units].
        gradient: from ``images`` and ``unit`` int64 [1] to ``responses``, ``response`` [1] of that
            unit, and its ``gradient`` [1, channels, height, width].
        units: number of units of the layer.
        size: height and width of the images.
        deviations: deviations of ``responses`` and ``gradient`` from PyTorch: the median over
            random images of the largest deviation, relative to the largest magnitude.
    """

    forward: bytes
    gradient: bytes
    units: int
    size: tuple[int, int]
    deviations: dict[str, float]
