"""Gradients of the responses of single units by the pixels of images, and maps made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.networks.unit_networks import UnitNetwork

# Pixels and images that are run at once. The last bits of maps depend on them: raise the versions
# of the stages that store maps if you change them.
PIXELS, MOST = 1 << 16, 64

COLORS = ("mean", "sum")

Images = Float[Tensor, "batch c height width"]
Units = Int[Tensor, " batch"]


def plain_gradients(network: UnitNetwork, images: Images, units: Units) -> Images:
    """Return the gradient of the response of ``units[i]`` by the pixels of ``images[i]``.

    Args:
        network: on the device of the images.
        images: network input of the size of the field.
        units: the unit of each image.
    """
    leaf = images.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(network(leaf, units).sum(), leaf)
    return gradient


def guided_gradients(network: UnitNetwork, images: Images, units: Units) -> Images:
    """Return what guided backpropagation carries from the response to the pixels.

    It starts from the response itself, as tonyfu97/RF-Mapping does (guided_backprop.py), so from a
    negative number where the unit is inhibited.

    Args:
        network: with the gradient rule ``guided``, on the device of the images.
        images: network input of the size of the field.
        units: the unit of each image.
    """
    leaf = images.detach().requires_grad_()
    with torch.enable_grad():
        responses = network(leaf, units)
        # Gradient rules are those of a loss that is minimized: they let negative numbers pass.
        loss = -(responses.detach() * responses).sum()
        (gradient,) = torch.autograd.grad(loss, leaf)
    return -gradient


def integrated_gradients(
    network: UnitNetwork, image: Float[Tensor, "c height width"], unit: int, steps: int
) -> Float[Tensor, "c height width"]:
    """Return the share of each value of an image in the response of a unit to it.

    The mean gradient on the way from zeros, the mean color of the preprocessing, to the image,
    times the image: integrated gradients (Sundararajan, Taly & Yan 2017, equation 3), with the
    gradient taken at the middle of each of the equal steps. The shares add up to the response less
    that to zeros, but for the error of the sum over steps.

    Args:
        network: on the device of the image.
        image: network input of the size of the field.
        unit: the unit.
        steps: on the way.
    """
    total = torch.zeros_like(image)
    way = (torch.arange(steps, device=image.device) + 0.5) / steps
    for some in way.split(at_once(network)):
        images = some[:, None, None, None] * image
        units = torch.full((len(some),), unit, device=image.device)
        total += plain_gradients(network, images, units).sum(0)
    return total / steps * image


def at_once(network: UnitNetwork) -> int:
    """Return how many images are run together: by their size alone, so that maps repeat."""
    height, width = network.input_size
    return max(1, min(MOST, PIXELS // (height * width)))


def in_full_batches(
    run: Callable[[Images, Units], Images], images: Images, units: Units, size: int
) -> Iterator[Images]:
    """Yield the result of each batch, all run with ``size`` images.

    The last is filled up, because rounding may depend on how many images are run together.
    """
    for start in range(0, len(images), size):
        some, whose = images[start : start + size], units[start : start + size]
        lacking = size - len(some)
        if lacking:
            some = torch.cat([some, some[-1:].expand(lacking, -1, -1, -1)])
            whose = torch.cat([whose, whose[-1:].expand(lacking)])
        yield run(some, whose)[: size - lacking]


def without_color(gradients: Images, color: str) -> Float[Tensor, "batch height width"]:
    """Return gradients as one map each: what remains of the channels, as a distance from zero.

    Args:
        gradients: of each image.
        color: ``mean``, the absolute value of the mean over channels, where opposite ones cancel,
            or ``sum``, the sum of absolute values.
    """
    return gradients.mean(1).abs() if color == "mean" else gradients.abs().sum(1)


def at_most_one(maps: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch height width"]:
    """Return maps divided by their maximum; those that are zero stay as they are."""
    highest = maps.amax((1, 2), keepdim=True)
    return torch.where(highest > 0, maps / highest, 0.0)
