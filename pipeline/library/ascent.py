"""Ascents in a notebook: images that maximize responses, from any start, by any objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.any_images import finite_floats, plain_tensor
from pipeline.library.arguments import chosen_layer, chosen_units, of_network, whole_number
from pipeline.library.options import (
    NoSources,
    OneDevice,
    Options,
    as_objective,
    as_option,
    make_recipe,
    read_options,
)
from pipeline.networks.layers import Layer
from pipeline.networks.loading.network import Network
from pipeline.store.results import WHOLE_LAYER
from pipeline.store.summaries import short_repr
from pipeline.synthesis.climber import Batch, Climber
from pipeline.synthesis.inits import Init, Request
from pipeline.synthesis.objectives import Objective, Seen, unit_response
from pipeline.synthesis.optimizers import Optimizer, sgd
from pipeline.synthesis.plan import batches, score_costs
from pipeline.synthesis.recipe import Recipe
from pipeline.synthesis.starts import Starts
from pipeline.synthesis.terms import Terms


@dataclass(frozen=True)
class Ascents:
    """Finished ascents, one image per unit and copy.

    Attributes:
        units: unit of each image; -1 is the layer as a whole.
        copies: number of each image among those of its unit.
        starts: the starting images, in network-input space.
        images: the images after the last step.
        responses: the score before every step and after the last.
        status: per image ``ok``, ``zero_gradient`` (the start could not move) or ``not_finite``.
        layer: name of the layer.
        network: the network that they are for.
    """

    units: Int[np.ndarray, " images"]
    copies: Int[np.ndarray, " images"]
    starts: Float[Tensor, "images c height width"]
    images: Float[Tensor, "images c height width"]
    responses: Float[Tensor, "images steps_and_one"]
    status: list[str]
    layer: str
    network: Network

    __repr__ = short_repr

    @property
    def added(self) -> Float[Tensor, "images c height width"]:
        """The difference between the final and the starting images."""
        return self.images - self.starts

    @property
    def table(self) -> pd.DataFrame:
        """One row per image: unit, copy, responses before and after, status."""
        return pd.DataFrame(
            {
                "unit": self.units,
                "copy": self.copies,
                "start_response": self.responses[:, 0].numpy(),
                "final_response": self.responses[:, -1].numpy(),
                "status": self.status,
            }
        )


@of_network
def ascend(
    net: Network,
    layer: str,
    units: Any = "all",
    *,
    start: str | Init | Tensor | np.ndarray = "zeros",
    objective: Objective | Callable[[Seen], Tensor] | str | None = None,
    optimizer: Optimizer | str | None = None,
    **options: Any,
) -> Ascents:
    """Maximize the response of units, or your own objective, by gradient ascent.

    Without an objective, the image of a unit has exactly the size of its receptive field, and only
    that part is computed (``networks.unit_networks``). Objectives are computed on whole images.

    Args:
        net: the network, whose device is used.
        layer: name of the layer.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``; of an objective of
            the layer as a whole, ``all``.
        start: images ``[units x copies, channels, height, width]`` in network-input space, or one
            for all, which are not altered; or an init of ``pipeline.synthesis.inits``: ``zeros``,
            ``constant``, ``noise``, ``uniform``, ``parameters``, ``image`` or ``result``. In place
            of ``top_patch`` and ``mean_patch``, give the images that ``top_patches`` finds.
        objective: of ``pipeline.synthesis.objectives``, or a function from what was seen of the
            layer (``Seen``: ``responses`` [batch, units, rows, columns], ``units``, ``images``) to
            one score per image. Of units are ``unit_response``, ``channel_mean``, ``channel_sum``,
            ``constant_minus_channel``; of the layer as a whole ``layer_mean``, ``layer_sum``,
            ``layer_mean_square``, ``layer_sum_square``, ``layer_half_sum_square``, ``direction``,
            ``cosine_direction``, ``inversion``, ``caricature``; of the output ``class_logit`` and
            ``class_probability``. ``diversity``, ``alignment`` and ``accentuation`` are made to be
            added to others.
        optimizer: of ``pipeline.synthesis.optimizers``: ``sgd``, ``momentum``, ``adam`` or
            ``named`` (any of ``torch.optim``); plain gradient ascent by default.
        options: copies, size, constraint, transforms, seed and so on (``Options``). Options, inits,
            objectives and optimizers may also be given by name, which stands for their defaults.

    Raises:
        ConfigError: there is no such layer or unit, or the options do not go together.

    >>> import pipeline
    >>> from pipeline.synthesis.optimizers import sgd
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.ascend(net, "conv1", [5], optimizer=sgd(steps=3))
    >>> tuple(found.images.shape), found.status
    ((1, 3, 9, 9), ['ok'])
    >>> mean = pipeline.ascend(
    ...     net, "conv1", [5], objective=lambda seen: seen.own.mean((1, 2)), optimizer=sgd(steps=3)
    ... )
    >>> tuple(mean.images.shape)
    (1, 3, 96, 96)
    """
    chosen = read_options(Options, options, ("units", "start", "objective", "optimizer"))
    copies = whole_number("copies", chosen.copies)
    given = _images(start) if isinstance(start, Tensor | np.ndarray) else None
    goal = as_objective(objective, unit_response())
    terms = Terms({"objective": goal}, copies, _size(net, chosen.size, given), chosen.gradient)
    terms.check()
    found = chosen_layer(net, layer)
    _refuse_unused(terms, units, chosen.size)
    numbers = chosen_units(units, found) if terms.per_unit else [WHOLE_LAYER]
    init = as_option("start", start) if given is None else _given_start(given, numbers, copies)
    recipe = make_recipe(net, terms, {start if isinstance(start, str) else "start": init}, chosen)
    climber = sgd() if optimizer is None else as_option("optimizer", optimizer)
    return _climb(recipe, found, numbers, climber)


def _refuse_unused(terms: Terms, units: Any, size: Any) -> None:
    if terms.of_fields and size is not None:
        raise ConfigError(
            "size: images of this objective have the size of the receptive field; leave it out, or"
            " give an objective of whole images, such as objective='channel_mean'"
        )
    if not terms.per_unit and not (isinstance(units, str) and units == "all"):
        raise ConfigError(
            "units: this objective is of the layer as a whole; leave them out, or give an"
            " objective of units, such as objective='channel_mean'"
        )


def _images(start: Tensor | np.ndarray) -> Float[Tensor, "starts c height width"]:
    images = plain_tensor("start", start)
    if images.ndim != 4:
        raise ConfigError(
            f"start: a tensor of shape {tuple(images.shape)} is not [images, channels, height,"
            " width]"
        )
    if not images.is_floating_point():
        raise ConfigError(f"start: {images.dtype} is no network input; give floating-point images")
    return finite_floats("start", images)


def _climb(recipe: Recipe, layer: Layer, units: Sequence[int], optimizer: Optimizer) -> Ascents:
    machine = OneDevice(recipe.network)
    climber = Climber(Starts(recipe, NoSources()), machine)
    (init,) = recipe.inits
    costs = score_costs(recipe.network, recipe.terms, layer)
    together = batches(units, costs, machine.device.type, recipe.terms.copies)
    done = [climber(Batch(layer, init, some, "float32", optimizer)) for some in together]
    return Ascents(
        np.concatenate([start.units for start, _ in done]),
        np.concatenate([start.copies for start, _ in done]),
        torch.cat([ascent.starts for _, ascent in done]).cpu(),
        torch.cat([ascent.images for _, ascent in done]).cpu(),
        torch.cat([ascent.responses for _, ascent in done]).cpu(),
        [status for _, ascent in done for status in ascent.status],
        layer.name,
        recipe.network,
    )


def _given_start(
    images: Float[Tensor, "starts c height width"], units: Sequence[int], copies: int
) -> Init:
    """Return an init that starts from one's own images: one for all, or one per unit and copy."""
    wanted = [(unit, copy) for unit in units for copy in range(copies)]
    if len(images) not in (1, len(wanted)):
        raise ConfigError(
            f"start: {len(images)} images are neither one for all nor one for each of"
            f" {len(units)} units and {copies} copies"
        )
    rows = {image: row if len(images) > 1 else 0 for row, image in enumerate(wanted)}

    def start(request: Request) -> Tensor:
        expected = (request.channels, *request.input_size)
        if tuple(images.shape[1:]) != expected:
            raise ConfigError(
                f"start: images of {tuple(images.shape[1:])} do not fit; channels, height and"
                f" width must be {expected}"
            )
        return images[[rows[image] for image in zip(request.units, request.copies, strict=True)]]

    return Init(start)


def _size(net: Network, size: Any, start: Tensor | None) -> tuple[int, int]:
    if size is not None:
        try:
            height, width = (size, size) if isinstance(size, int) else size
            return whole_number("size", height), whole_number("size", width)
        except (ConfigError, TypeError, ValueError) as error:
            raise ConfigError(
                f"size: {size!r} is no side, or height and width, in pixels"
            ) from error
    if start is not None:
        return (start.shape[2], start.shape[3])
    return net.input_size or net.preprocessing.input_size
