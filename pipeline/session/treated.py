"""How ascents begin: starting images, parameters, and what happens to images on their way."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ImageError
from pipeline.images.batches import load_batch, spread
from pipeline.images.patches import centered
from pipeline.networks.gradient_rules import at_step
from pipeline.networks.layers import Layer
from pipeline.session.searched import read_patches
from pipeline.session.session import Session
from pipeline.synthesis.constraints import Circumstances
from pipeline.synthesis.inits import Request
from pipeline.synthesis.parameterizations import Chain, Setting, compose
from pipeline.synthesis.scoring import Scorer
from pipeline.synthesis.smoothing import Smoothing
from pipeline.synthesis.treatment import Treatment

Size = tuple[int, int]


@dataclass(frozen=True)
class Beginning:
    """Where one batch of ascents begins; copies of a unit lie side by side.

    Attributes:
        units: one per image.
        copies: number of each image among those of its unit.
        parameters: of the starting images.
        images: the starting images.
        treatment: what happens to images on their way to the network and between steps.
        budgets: what the constraint allows each image; NaN where that is no one number.
    """

    units: Sequence[int]
    copies: Sequence[int]
    parameters: Sequence[Tensor]
    images: Float[Tensor, "batch 3 height width"]
    treatment: Treatment
    budgets: Float[Tensor, " batch"]


class Numbered(NamedTuple):
    """One of the images of a unit."""

    unit: int
    copy: int


class Beginnings:
    """Makes beginnings; the parameterization of each size is built once, and threads share it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lock = threading.Lock()
        self.build = lru_cache(maxsize=4)(self._build)

    def chain(self, size: Size) -> Chain:
        """Return the parameterization of images of one size."""
        with self.lock:
            return self.build(size)

    def _build(self, size: Size) -> Chain:
        parts = self.session.parts
        asked = max((piece.images for piece in parts.parameterization.values()), default=0)
        setting = Setting(
            size,
            parts.network.preprocessing,
            lambda: sample_pictures(self.session, size, asked),
        )
        return compose(parts.parameterization, setting)

    def __call__(
        self,
        layer: Layer,
        init: str,
        units: Sequence[int],
        scorer: Scorer,
        device: torch.device,
        kind: torch.dtype,
    ) -> Beginning:
        """Return where the ascents of some units of a layer begin, from one init.

        Args:
            layer: the layer.
            init: its name.
            units: each once.
            scorer: what scores them.
            device: where they are climbed.
            kind: in which precision.
        """
        parts, size = self.session.parts, scorer.input_size
        images = [Numbered(unit, copy) for unit in units for copy in range(parts.copies)]
        whole = not parts.scoring.of_fields
        seeds = [seed_of(self.session, layer, init, *image) for image in images]
        request = self.request(layer, images, seeds, size, whole=whole)
        chosen = parts.inits[init]
        if chosen.start is None:
            drawn = self.chain(size).draw(request.generators, chosen.std)
            parameters = [parameter.to(device, kind) for parameter in drawn]
        else:
            parameters = self.chain(size).encode(chosen.start(request).to(device, kind))
        return self.beginning(layer, images, seeds, scorer, parameters)

    def request(
        self,
        layer: Layer,
        images: Sequence[Numbered],
        seeds: Sequence[int],
        size: Size,
        *,
        whole: bool,
    ) -> Request:
        """Return what starting images are asked for, of a size; whole pictures or fields."""
        session = self.session
        return Request(
            [image.unit for image in images],
            size,
            [torch.Generator().manual_seed(seed) for seed in seeds],
            session.parts.network.preprocessing,
            lambda wanted, rank, sign: read_patches(session, layer, wanted, rank, sign, size),
            [image.copy for image in images],
            whole,
        )

    def beginning(
        self,
        layer: Layer,
        images: Sequence[Numbered],
        seeds: Sequence[int],
        scorer: Scorer,
        parameters: Sequence[Tensor],
        smoothings: Sequence[Smoothing] | None = None,
    ) -> Beginning:
        """Return where ascents begin from some parameters.

        Args:
            layer: the layer.
            images: units and copies.
            seeds: one per image.
            scorer: what scores them.
            parameters: of the starting images.
            smoothings: others than those of the run.
        """
        parts, chain = self.session.parts, self.chain(scorer.input_size)
        units = [image.unit for image in images]

        def patches() -> Tensor:
            found = read_patches(self.session, layer, units, 0, 1, scorer.input_size)
            return found.to(parameters[0])

        given = Circumstances(chain.decode(parameters), parts.network.preprocessing, patches)
        bound = parts.constraint.bind(given)
        treatment = Treatment(
            chain,
            None if parts.option("constraint") == "none" else bound.project,
            list(parts.regularizers.values()),
            list(parts.transforms.values()),
            list(parts.smoothings.values() if smoothings is None else smoothings),
            [seed ^ TRANSFORMS for seed in seeds] if parts.transforms else (),
            at_step if parts.scoring.rule.relu_steps is not None else None,
            not (parts.transforms and scorer.takes_any_size()),
            parts.network.preprocessing,
        )
        return Beginning(
            units,
            [image.copy for image in images],
            parameters,
            treatment.image(parameters),
            treatment,
            bound.budget,
        )


TRANSFORMS = 0x5DEECE66D  # parts the random numbers of transforms from those of the start


def seed_of(session: Session, layer: Layer, init: str, unit: int, copy: int) -> int:
    """Return the seed of one image of one unit, whatever order or process it is climbed in."""
    parts = session.parts
    identity = f"{parts.config.seed}/{parts.network.digest}/{layer.call}/{init}/{unit}"
    identity += f"/{copy}" if copy else ""
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1


def sample_pictures(
    session: Session, size: Size, count: int
) -> Float[Tensor, "pictures 3 height width"]:
    """Return some of the image set, evenly spread, as network input cut to a size.

    Images that cannot be read are left out.
    """
    loaded = load_batch(session.images, spread(len(session.images), count))
    if not len(loaded.images):
        name, reason = next(iter(loaded.unreadable.items()))
        raise ImageError(
            f"images: none of {count} can be used; the first is '{name}', which {reason}"
        )
    return torch.stack([centered(image, size) for image in loaded.images])
