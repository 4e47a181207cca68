"""The networks that see the images of a run: itself, and those of ``transfer.to``."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipeline.config.build import Group
from pipeline.config.settings import ResponsesConfig
from pipeline.config.transfer import ITSELF
from pipeline.errors import ArtiphysError, ConfigError
from pipeline.networks.layers import Layer
from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts


@dataclass(frozen=True, eq=False)
class Seer:
    """A network that sees images, with all of its units.

    Attributes:
        name: as in ``transfer.to``; ``itself`` is that of the run.
        run: its network, images, layers and keys, as of a run of this network alone.
        layers: that see images.
    """

    name: str
    run: ActiveRun
    layers: list[Layer]

    @property
    def itself(self) -> bool:
        """Whether this is the network of the run."""
        return self.name == ITSELF


def seers(run: ActiveRun) -> Iterator[Seer]:
    """Yield the networks that see the images of a run, the run's own first.

    Its own layers are those of the run: what the units of others make of its images is compared
    with what its own units do.

    Raises:
        ArtiphysError: a network cannot be built or has no such layer; the message names its key.
    """
    config = run.parts.config.transfer
    names = [layer.name for layer in run.parts.layers]
    own = seer(run, ITSELF, run.parts.config.model, names)
    own.run.parts.sized_network = run.parts.sized_network
    own.run.parts.network, own.run.parts.images = run.parts.network, run.parts.images
    own.run.images = run.images
    yield replace(own, layers=own.run.parts.layers)
    for name, group in config.to.items():
        with of_key(f"transfer.to.{name}", name):
            other = seer(run, name, group, config.layers.get(name, "all"))
            _check_images(run, other)
            yield replace(other, layers=other.run.parts.layers)


def seer(run: ActiveRun, name: str, group: Group, layers: Any) -> Seer:
    """Return a network as if it were that of the run, with all units of its layers."""
    config, parts = run.parts.config, run.parts
    responses = ResponsesConfig(at=config.transfer.at)
    given: dict[str, Any] = {"model": dict(group), "layers": layers, "units": "all"}
    own = Parts(replace(config, **given, responses=responses), parts.runner)
    return Seer(name, ActiveRun.planned(own, run.layout, run.code), [])


@contextmanager
def of_key(key: str, name: str) -> Generator[None]:
    """Let errors about a network name its own key of the configuration."""
    try:
        yield
    except ArtiphysError as error:
        said = str(error)
        if said.startswith("layers:"):
            said = f"transfer.layers.{name}: {said.removeprefix('layers:').strip()}"
        elif said.startswith("model."):
            said = f"{key}.{said.removeprefix('model.')}"
        else:
            said = f"{key}: {said.removeprefix('model:').strip()}"
        error.args = (said,)
        raise


def _check_images(run: ActiveRun, other: Seer) -> None:
    """Refuse an image set that is the input of one network, and is shown to another."""
    own, seen = run.parts.network.preprocessing, other.run.parts.network.preprocessing
    alike = (own.mean, own.std) == (seen.mean, seen.std)
    if run.parts.images.pixel_scale is None and not alike:
        raise ConfigError(
            "it normalizes pixels in another way than the network of the run, and the image set is"
            " normalized already; choose images=folder or images=photographs"
        )
