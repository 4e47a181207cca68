"""Results of transfer: the responses of all units of layers of the networks that see images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from pipeline.analysis.transfer import UnitNorms
from pipeline.images.perturbations import Perturbation
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.layers import Layer
from pipeline.search.transfer import Viewer, Viewing
from pipeline.stages.set_responses import read_responses
from pipeline.stages.transfer.networks import Seer
from pipeline.stages.transfer.sources import Source
from pipeline.store.results import Result

ITEM = RESPONSES = "responses"


@dataclass(frozen=True, eq=False)
class Norms:
    """The responses of a layer to the image set.

    Attributes:
        seer: the network.
        layer: its layer.
        result: the stored result, each item of which is a block of images.
    """

    seer: Seer
    layer: Layer
    result: Result

    @property
    def reads(self) -> dict[str, str]:
        """Which part of a map is stored, by the name of its array."""
        return {RESPONSES: self.seer.run.parts.config.transfer.at}

    @cached_property
    def read(self) -> UnitNorms:
        """The responses, read once."""
        return UnitNorms(read_responses(self, RESPONSES))

    @cached_property
    def strongest(self) -> Int[np.ndarray, " units"]:
        """The index of the image to which each unit responds most."""
        responses = read_responses(self, RESPONSES)
        return np.where(np.isnan(responses), -np.inf, responses).argmax(axis=0)


@dataclass(frozen=True, eq=False)
class Seen:
    """The responses of a layer to the images of one source.

    Attributes:
        source: the images.
        norms: the layer, with its responses to the image set.
        viewing: how the images are shown.
        made_in: preprocessing of the network that the images are for.
        result: the stored result.
    """

    source: Source
    norms: Norms
    viewing: Viewing
    made_in: Preprocessing
    result: Result

    @cached_property
    def responses(self) -> Float[np.ndarray, "n *units"]:
        """The responses, read once: ``[n, units]``; of changed images ``[n, changes, units]``."""
        return self.result.read(ITEM)[0]["responses"]

    @cached_property
    def images(self) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Unit and copy of each image that was shown."""
        found = self.result.read(ITEM)[0]
        return found["units"], found["copies"]

    @property
    def of_itself(self) -> bool:
        """Whether the layer is the one that the images were made for."""
        return self.norms.seer.itself and self.norms.layer.name == self.source.layer.name

    @property
    def viewer_field(self) -> int:
        """The height of the receptive field of the units that see the images."""
        return self.norms.seer.run.parts.canvas(self.norms.layer).box.height

    def viewer(self) -> Viewer:
        """Return the units that see the images, on the device of the run."""
        parts = self.norms.seer.run.parts
        return Viewer(
            parts.sized_network,
            self.norms.layer,
            self.made_in,
            self.viewing,
            parts.runner.device,
        )


@dataclass(frozen=True, eq=False)
class Changed(Seen):
    """The responses of a layer to changed images of some units of one source.

    Attributes:
        units: whose images are changed.
        changes: kinds and levels.
        seed: of the noise.
    """

    units: Sequence[int]
    changes: list[Perturbation]
    seed: int
