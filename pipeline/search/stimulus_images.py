"""Images of receptive fields as pictures for a screen, and what units respond to each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.unit_networks import UnitNetwork
from pipeline.stimuli.gray_canvas import GrayCanvas
from pipeline.store.summaries import short_repr

# The last bits of responses depend on it.
TOGETHER = 16  # images that are shown to the unit network at once


@dataclass(frozen=True)
class StimulusImages:
    """Pictures of images on a gray canvas.

    Attributes:
        pixels: 8-bit pixels of the whole canvases.
        table: one row per picture: ``unit``; ``scaling``, ``factor`` and ``clipped``, how the image
            was brought into the range of pixels (``pipeline.stimuli.gray_canvas``); ``response`` of
            the unit to the image, and ``picture_response`` to the picture; ``top`` and ``left`` of
            the image in the picture, and ``height`` and ``width`` of it and of the canvas, in
            pixels and in degrees.
    """

    pixels: UInt8[np.ndarray, "images height width channels"]
    table: pd.DataFrame

    __repr__ = short_repr


@dataclass(frozen=True)
class ImagePresenter:
    """Shows images of the receptive field of one layer on a canvas.

    Attributes:
        network: unit network of the layer.
        preprocessing: of the network.
        canvas: the canvas.
        degrees: of visual angle of a pixel.
        device: of the unit network.
    """

    network: UnitNetwork
    preprocessing: Preprocessing
    canvas: GrayCanvas
    degrees: float
    device: torch.device

    def __call__(
        self, images: Float[Tensor, "images channels height width"], units: Sequence[int]
    ) -> StimulusImages:
        """Return the pictures of images in network-input space.

        Args:
            images: of the size of the receptive field, with finite values.
            units: whose responses to each are measured, one per image.
        """
        shown = self.canvas.show(self.preprocessing.pixels(images.double()).numpy())
        top, left, bottom, right = self.canvas.box(self.network.input_size)
        seen = torch.from_numpy(shown.pixels[:, :, top:bottom, left:right])
        lengths = {
            "height": bottom - top,
            "width": right - left,
            "canvas_height": self.canvas.height,
            "canvas_width": self.canvas.width,
        }
        table = {
            "unit": list(units),
            "scaling": self.canvas.scaling,
            "factor": shown.factors,
            "clipped": shown.clipped,
            "response": self._respond(images, units),
            "picture_response": self._respond(self.preprocessing.normalize(seen / 255), units),
            "top": top,
            "left": left,
            **lengths,
            **{f"{name}_degrees": side * self.degrees for name, side in lengths.items()},
        }
        return StimulusImages(shown.pixels.transpose(0, 2, 3, 1), pd.DataFrame(table))

    def _respond(
        self, images: Float[Tensor, "images channels height width"], units: Sequence[int]
    ) -> Float[np.ndarray, " images"]:
        found: list[Tensor] = []
        with torch.inference_mode():
            for some, of in zip(
                images.split(TOGETHER), torch.tensor(units).split(TOGETHER), strict=True
            ):
                found.append(self.network(some.to(self.device), of.to(self.device)).cpu())
        return torch.cat(found).numpy()
