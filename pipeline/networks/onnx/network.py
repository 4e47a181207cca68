"""What a layer's network as ONNX consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OnnxNetwork:
    """A layer's network as two ONNX files.

    Attributes:
        forward: from ``images`` float32 [1, 3, height, width], in network-input space, to
            ``responses`` float32 [1, units].
        gradient: from ``images`` and ``unit`` int64 [1] to ``responses``, ``response`` [1] of that
            unit, and its ``gradient`` [1, 3, height, width].
        units: how many the layer has.
        size: height and width of the images.
        deviations: from PyTorch of ``responses`` and ``gradient``: on each of some random images
            the largest, relative to the largest magnitude, and of these the median.
    """

    forward: bytes
    gradient: bytes
    units: int
    size: tuple[int, int]
    deviations: dict[str, float]
