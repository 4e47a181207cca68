"""Images that units prefer as pictures for a screen, and what units respond to the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.any_images import finite_floats, plain_tensor
from pipeline.library.arguments import chosen_layer, degrees, of_network, whole_number
from pipeline.networks.loading.network import Network
from pipeline.networks.units.selection import select_units
from pipeline.search.stimulus_images import ImagePresenter, StimulusImages
from pipeline.stimuli.gray_canvas import GrayCanvas


@of_network
def stimulus_images(
    net: Network,
    layer: str,
    units: Any,
    images: Tensor | np.ndarray,
    *,
    canvas: Sequence[int] | int | None = None,
    background: float | None = None,
    scaling: str = "clip",
    visual_degrees: float = 8.0,
) -> StimulusImages:
    """Return images of receptive fields as 8-bit pictures on gray, to be shown in a lab.

    The responses in the table say what is lost in the range and the 8 bits of pixels.

    Args:
        net: the network.
        layer: name of the layer.
        units: whose images they are: a number for all, or one number per image.
        images: ``[images, channels, height, width]`` in network-input space, of the size of the
            receptive field: such as ``images`` of ``pipeline.ascend``, or what ``patches`` of
            ``pipeline.top_patches`` returns; a tensor or an array.
        canvas: height and width of the pictures in pixels, or their side, with an image at the
            center; by default those of the network's input, or of the receptive field where that is
            larger.
        background: pixel value of the gray around images, from 0 to 1; by default the mean color of
            the network's preprocessing.
        scaling: ``clip``: pixels are shown as they are, and those beyond black or white as black or
            white; ``contrast``: the contrast of each image about gray is multiplied by the largest
            factor at which nothing is clipped.
        visual_degrees: width of the network's input in degrees of visual angle.

    Raises:
        ConfigError: there is no such layer or unit, or the images do not fit.
        ImageError: the images hold values that are not finite.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv2", [5, 7])
    >>> shown = pipeline.stimulus_images(net, "conv2", found.units, found.images, background=0.5)
    >>> shown.pixels.shape, shown.pixels.dtype, shown.table["unit"].tolist()
    ((2, 96, 96, 3), dtype('uint8'), [5, 7])
    """
    found, seen = chosen_layer(net, layer), net.preprocessing
    network = net.unit_network(layer).to(net.device)
    shown = _images(images, (len(seen.mean), *network.input_size))
    gray = seen.mean if background is None else (background,) * len(seen.mean)
    height, width = net.graph.input_size
    sides = _sides(canvas) or (max(height, shown.shape[2]), max(width, shown.shape[3]))
    numbers = _units(units, len(shown))
    select_units(sorted(set(numbers)), found)
    pixel = degrees(visual_degrees) / width
    screen = GrayCanvas(*sides, tuple(map(float, gray)), scaling)
    return ImagePresenter(network, seen, screen, pixel, net.device)(shown, numbers)


def _images(images: Any, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(images, Tensor | np.ndarray):
        raise ConfigError(f"images: {type(images).__name__} is neither a tensor nor an array")
    given = plain_tensor("images", images)
    if tuple(given.shape[1:]) != shape or not len(given) or not given.is_floating_point():
        kind = str(given.dtype).removeprefix("torch.")
        raise ConfigError(
            f"images: {kind} of shape {tuple(given.shape)} are not images of the receptive field;"
            f" give floating-point network input [images, {', '.join(map(str, shape))}]"
        )
    return finite_floats("images", given).cpu()


def _units(units: Any, count: int) -> list[int]:
    given = units.tolist() if hasattr(units, "tolist") else units
    numbers = [*given] if isinstance(given, list | tuple | range) else [given] * count
    if len(numbers) != count:
        raise ConfigError(f"units: {len(numbers)} numbers are not one for each of {count} images")
    return [whole_number("units", number, 0) for number in numbers]


def _sides(canvas: Any) -> tuple[int, int] | None:
    if canvas is None:
        return None
    try:
        height, width = (canvas, canvas) if isinstance(canvas, int) else canvas
        return whole_number("canvas", height), whole_number("canvas", width)
    except (ConfigError, TypeError, ValueError) as error:
        raise ConfigError(
            f"canvas: {canvas!r} is no side, or height and width, in pixels"
        ) from error
