"""Dreams in a notebook: an objective maximized on a whole image, octave by octave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.any_images import finite_floats, plain_tensor
from pipeline.library.arguments import chosen_layer, chosen_units, of_network, whole_number
from pipeline.library.options import (
    CommonOptions,
    NoSources,
    OneDevice,
    as_objective,
    as_option,
    make_recipe,
    read_options,
)
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.store.results import WHOLE_LAYER
from pipeline.store.summaries import short_repr
from pipeline.synthesis.dream.octaves import CARRY, resized, sizes
from pipeline.synthesis.dream.plan import Octave, plan_octaves
from pipeline.synthesis.loop import Ascent
from pipeline.synthesis.loop import ascend as climb
from pipeline.synthesis.objectives import Objective, Seen, layer_mean_square
from pipeline.synthesis.optimizers import Optimizer, sgd
from pipeline.synthesis.recipe import Recipe
from pipeline.synthesis.starts import Numbered, Starts
from pipeline.synthesis.terms import Terms


@dataclass(frozen=True)
class Dream:
    """A dreamt image.

    Attributes:
        image: the image, in network-input space.
        octaves: the images after each octave, from coarse to fine.
        scores: scores of each octave, before every step and after the last.
    """

    image: Float[Tensor, "c height width"]
    octaves: list[Float[Tensor, "_ _ _"]]
    scores: list[Float[Tensor, " steps_and_one"]]

    __repr__ = short_repr


@dataclass(frozen=True, repr=False)
class DreamOptions(CommonOptions):
    """How an image is dreamt, besides what ``Options`` describes for ascents, too.

    Attributes:
        levels: number of octaves; the last has the size of the image.
        ratio: ratio of the sides of one octave to those of the one before.
        carry: what carries over to the next octave: the ``whole`` dream, or only its ``details``,
            added to the start.
    """

    levels: int = 3
    ratio: float = 1.4
    carry: str = "details"

    def __post_init__(self) -> None:
        whole_number("levels", self.levels)
        ratio: Any = self.ratio
        if isinstance(ratio, bool) or not isinstance(ratio, int | float):
            raise ConfigError(f"ratio: {ratio!r} is not a number; use 1.4 or 1.8")
        if str(self.carry) not in CARRY:
            raise ConfigError(f"carry: {self.carry!r} is not one of {', '.join(CARRY)}")


@of_network
def dream(
    net: Network,
    layer: str,
    start: Tensor | np.ndarray,
    *,
    unit: int | None = None,
    objective: Objective | Callable[[Seen], Tensor] | str | None = None,
    optimizer: Optimizer | str | None = None,
    **options: Any,
) -> Dream:
    """Dream an image, octave by octave (Mordvintsev, Olah & Tyka 2015).

    Args:
        net: the network.
        layer: name of the layer.
        start: the image ``[channels, height, width]``, in network-input space
            (``net.preprocessing.normalize(pixels)``); it is not altered.
        unit: that an objective of units is climbed for.
        objective: of ``pipeline.synthesis.objectives`` or a function of what was seen, as in
            ``ascend``; the mean square of the layer by default.
        optimizer: of every octave, as in ``ascend``; plain ascent with gradients of unit mean size
            by default.
        options: levels, ratio, carry (``DreamOptions``), parameterization, constraint,
            regularizers, smoothings, transforms, gradient and seed (``Options``).

    Raises:
        ConfigError: there is no such layer, or the options do not go together.
        NetworkError: the network does not run at the size of an octave.

    >>> import pipeline, torch
    >>> gray = torch.zeros(3, 96, 96)
    >>> tuple(pipeline.dream(pipeline.network("miniature"), "conv2", gray, levels=2).image.shape)
    (3, 96, 96)
    """
    chosen = read_options(DreamOptions, options, ("unit", "objective", "optimizer"))
    found = chosen_layer(net, layer)
    whole = _image(net, start).to(net.device)
    size = (whole.shape[2], whole.shape[3])
    goal = as_objective(objective, layer_mean_square(), per_unit=unit is not None)
    climbed = Numbered(_unit(goal, found, unit), 0)
    terms = Terms({"objective": goal}, 1, size, chosen.gradient, whole=True)
    terms.check()
    recipe = make_recipe(net, terms, {}, chosen)
    default = sgd(steps=10, lr=0.03, normalize="mean")
    steps = default if optimizer is None else as_option("optimizer", optimizer)
    octaves = plan_octaves(sizes(size, chosen.ratio, chosen.levels), steps, None, None, None)
    image, done = resized(whole, octaves[0].size), list[Ascent]()
    for number, octave in enumerate(octaves):
        image = CARRY[chosen.carry](image, whole, octave.size) if number else image
        done.append(_octave(recipe, found, climbed, octave, image, chosen.seed + number))
        image = done[-1].images
    images = [each.images[0].cpu() for each in done]
    return Dream(images[-1], images, [each.responses[0].cpu() for each in done])


def _octave(
    recipe: Recipe,
    layer: Layer,
    climbed: Numbered,
    octave: Octave,
    image: Float[Tensor, "1 c height width"],
    seed: int,
) -> Ascent:
    """Return what one octave leaves of an image of its size."""
    machine, starts = OneDevice(recipe.network), Starts(recipe, NoSources())
    sized = replace(recipe.terms, size=octave.size)
    scorer: Any = machine.place(sized.whole_scorer(recipe.network, layer).eval())
    parameters = starts.chain(octave.size).encode(image)
    begun = starts.start_from(layer, [climbed], [seed], scorer, parameters)
    units = torch.tensor(begun.units, device=machine.device)
    score = scorer.begin(begun.images, units)
    return climb(score, units, begun.parameters, octave.optimizer, begun.treatment)


def _image(net: Network, start: Any) -> Float[Tensor, "1 c height width"]:
    shown = type(start).__name__
    if isinstance(start, Tensor | np.ndarray):
        image = plain_tensor("start", start)
        shown = f"{str(image.dtype).removeprefix('torch.')} of shape {tuple(image.shape)}"
        channels = len(net.preprocessing.mean)
        if image.is_floating_point() and image.ndim == 3 and image.shape[0] == channels:
            return finite_floats("start", image[None])
    raise ConfigError(
        f"start: {shown} is no network input [channels, height, width]; give floats, such as"
        " net.preprocessing.normalize(pixels) of pixels in 0..1"
    )


def _unit(objective: Objective, layer: Layer, unit: int | None) -> int:
    """Return the number of the unit that is climbed, or what stands for the layer as a whole."""
    if objective.per_unit and unit is None:
        raise ConfigError("unit: must be given, since the objective is of a unit")
    if unit is None:
        return WHOLE_LAYER
    if not objective.per_unit:
        raise ConfigError(
            "unit: this objective is of the layer as a whole; leave it out, or give an objective of"
            " units, such as objective='channel_mean'"
        )
    (number,) = chosen_units([unit], layer)
    return number
