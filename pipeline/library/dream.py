"""Dreams in a notebook: an objective maximized on a whole image, octave by octave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.library.options import (
    NoSources,
    OneDevice,
    Options,
    as_objective,
    make_recipe,
    read_options,
)
from pipeline.networks.loading.network import Network
from pipeline.synthesis.dream.octaves import CARRY, resized, sizes
from pipeline.synthesis.dream.plan import plan_octaves
from pipeline.synthesis.loop import ascend as climb
from pipeline.synthesis.objectives import Objective, Seen, layer_mean_square
from pipeline.synthesis.optimizers import Optimizer, sgd
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


@dataclass(frozen=True)
class DreamOptions(Options):
    """Options of a dream.

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
        if self.carry not in CARRY:
            raise ConfigError(f"carry: '{self.carry}' is not one of {', '.join(CARRY)}")


def dream(
    net: Network,
    layer: str,
    start: Float[Tensor, "c height width"],
    *,
    unit: int | None = None,
    objective: Objective | Callable[[Seen], Tensor] | None = None,
    optimizer: Optimizer | None = None,
    **options: Any,
) -> Dream:
    """Dream an image, octave by octave (Mordvintsev, Olah & Tyka 2015).

    Args:
        net: the network.
        layer: name of the layer.
        start: the image, in network-input space (``net.preprocessing.normalize(pixels)``); it is
            not modified.
        unit: unit of an objective of units.
        objective: one of ``pipeline.synthesis.objectives``, or a function as for ``ascend``; by
            default, the mean square of the layer.
        optimizer: optimizer of every octave; by default, plain ascent with gradients divided by
            their mean magnitude.
        options: levels, ratio, carry, constraint, transforms, seed and so on (``DreamOptions``).

    Raises:
        ConfigError: there is no such layer, or the options do not go together.
        NetworkError: the network does not run at the size of an octave.

    >>> import pipeline, torch
    >>> gray = torch.zeros(3, 96, 96)
    >>> tuple(pipeline.dream(pipeline.network("miniature"), "conv2", gray, levels=2).image.shape)
    (3, 96, 96)
    """
    chosen = read_options(DreamOptions, options)
    machine = OneDevice(net)
    size = (start.shape[1], start.shape[2])
    goal = as_objective(objective, layer_mean_square())
    terms = Terms({"objective": goal}, 1, size, chosen.gradient, whole=True)
    terms.check()
    recipe = make_recipe(net, terms, {}, chosen)
    starts = Starts(recipe, NoSources())
    steps = optimizer or sgd(steps=10, lr=0.03, normalize="mean")
    whole = start[None].to(machine.device)
    octaves = plan_octaves(sizes(size, chosen.ratio, chosen.levels), steps, None, None, None)
    image, found, scores = resized(whole, octaves[0].size), list[Tensor](), list[Tensor]()
    for number, octave in enumerate(octaves):
        image = CARRY[chosen.carry](image, whole, octave.size) if number else image
        sized = replace(terms, size=octave.size)
        scorer: Any = machine.place(sized.whole_scorer(net, net.layer(layer)).eval())
        begun = starts.start_from(
            net.layer(layer),
            [Numbered(-1 if unit is None else unit, 0)],
            [chosen.seed + number],
            scorer,
            starts.chain(octave.size).encode(image),
        )
        units = torch.tensor(begun.units, device=machine.device)
        score = scorer.begin(begun.images, units)
        done = climb(score, units, begun.parameters, octave.optimizer, begun.treatment)
        image = done.images
        found.append(image[0].cpu())
        scores.append(done.responses[0].cpu())
    return Dream(found[-1], found, scores)
