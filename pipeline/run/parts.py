"""The parts that stages work with, each built from the configuration once, on first use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pipeline.config.build import Group, build, complete
from pipeline.config.schema import Config
from pipeline.config.settings import whole_size
from pipeline.errors import ConfigError
from pipeline.store.code import is_own
from pipeline.store.identity import COPIES, chosen, group_name
from pipeline.store.layout import file_name, name_fault
from pipeline.store.results import WHOLE_LAYER

if TYPE_CHECKING:
    from torch import fx

    from pipeline.images.image_sets import ImageSet
    from pipeline.networks.graph.graph import Graph
    from pipeline.networks.layers import Layer
    from pipeline.networks.loading.network import Network
    from pipeline.networks.receptive_fields import Canvas
    from pipeline.networks.units.readouts import Readout
    from pipeline.runner.runner import Runner
    from pipeline.stimuli.field import Colors, Field
    from pipeline.synthesis.constraints import Constraint
    from pipeline.synthesis.inits import Init
    from pipeline.synthesis.optimizers import Optimizer
    from pipeline.synthesis.parameterizations import Parameterization
    from pipeline.synthesis.plan import Costs
    from pipeline.synthesis.recipe import Recipe
    from pipeline.synthesis.scoring import Scorer
    from pipeline.synthesis.smoothing import Smoothing
    from pipeline.synthesis.terms import Terms
    from pipeline.synthesis.transforms import Transform
    from pipeline.tracking import Start

log = logging.getLogger(__name__)


class Parts:
    """Everything that a stage may need, built from one configuration on first use.

    Attributes:
        config: the composed configuration.
        runner: devices and threads for the work.
        built: options built so far, by their place in the configuration.
    """

    def __init__(self, config: Config, runner: Runner) -> None:
        self.config = config
        self.runner = runner
        self.built: dict[str, Any] = {}
        self._costs: dict[fx.Node, Costs] = {}

    @cached_property
    def network(self) -> Network:
        """The network with its weights and with readouts.

        Raises:
            ConfigError: the model is not a ``Network``.
        """
        return self.build_network(self.config.model).with_readouts(self.readouts)

    @cached_property
    def readouts(self) -> dict[str, Readout]:
        """The readouts by name.

        Raises:
            ConfigError: one cannot be used.
        """
        from pipeline.networks.units.chains import check_readouts

        readouts = self._several("readout")
        check_readouts(readouts)
        return readouts

    def build_network(self, group: Group) -> Network:
        """Return the network that a configuration group describes.

        Raises:
            ConfigError: the model is not a ``Network``, or has a name that is no folder's.
        """
        from pipeline.networks.loading.network import Network
        from pipeline.networks.loading.preparation import prepared

        network = build(group, "model")
        if not isinstance(network, Network):
            raise ConfigError(
                f"model: {group['_target_']} returns a {type(network).__name__}, not a "
                "pipeline.networks.loading.network.Network; make one with build_network of "
                "that module"
            )
        _check_name(network.name)
        return prepared(network) if is_own(str(group["_target_"])) else network

    @cached_property
    def images(self) -> ImageSet:
        """The image set, preprocessed for the network."""
        return complete(build(self.config.images, "images"), "images", self.network.preprocessing)

    @cached_property
    def graph(self) -> Graph:
        """The network traced at the size of the images."""
        return self.sized_network.graph

    @cached_property
    def sized_network(self) -> Network:
        """The network together with the size of the images, at which it is traced."""
        return replace(self.network, input_size=self.images.size)

    @cached_property
    def layers(self) -> list[Layer]:
        """The chosen layers, in call order."""
        return self.find_layers(self.config.layers)

    def find_layers(self, names: str | list[str]) -> list[Layer]:
        """Return layers by name, checked to have all weights; log if their fields are upper bounds.

        Raises:
            ArtiphysError: a layer is unknown or lacks weights.
        """
        from pipeline.networks.receptive_fields import bound_note

        layers = self.sized_network.find_layers(names)
        for layer in layers:
            if note := bound_note(self.graph, layer.node, layer.name):
                log.warning("%s", note)
        return layers

    @cached_property
    def units(self) -> dict[str, list[int]]:
        """The chosen units, by layer name."""
        from pipeline.networks.units.selection import select_units

        return {layer.name: select_units(self.config.units, layer) for layer in self.layers}

    @cached_property
    def inits(self) -> dict[str, Init]:
        """The inits by name.

        Raises:
            ConfigError: no init is chosen.
        """
        if not chosen(self.config.init):
            raise ConfigError(
                "init: the list is empty; choose one or more, as in init=[zeros,noise]"
            )
        return self._several("init")

    @property
    def copies(self) -> int:
        """Number of images per unit and init."""
        return copies(self.config)

    def _several(self, group: str) -> dict[str, Any]:
        """Return the options chosen in a list group, by name, each built once."""
        options = chosen(getattr(self.config, group))
        return {name: self._one(f"{group}.{name}", option) for name, option in options.items()}

    def _one(self, key: str, option: Group) -> Any:
        """Return an option by its place in the configuration."""
        if key not in self.built:
            self.built[key] = build(option, key)
        return self.built[key]

    @cached_property
    def scoring(self) -> Terms:
        """The settings of scores: objectives, size of whole images, gradient rule."""
        from pipeline.synthesis.terms import Terms

        size = whole_size(self.config.ascent.size, self.images.size)
        rule = self._one("gradient", self.config.gradient)
        terms = Terms(self._several("objective"), self.copies, size, rule)
        terms.check()
        return terms

    @cached_property
    def parameterization(self) -> dict[str, Parameterization]:
        """The pieces of the parameterization, by name.

        Raises:
            ConfigError: two are of the same kind.
        """
        from pipeline.synthesis.parameterizations.chain import pieces_by_kind

        pieces = self._several("parameterization")
        pieces_by_kind(pieces)
        return pieces

    @cached_property
    def constraint(self) -> Constraint:
        """The constraint."""
        return self._one("constraint", self.config.constraint)

    @cached_property
    def smoothings(self) -> dict[str, Smoothing]:
        """The smoothings by name."""
        return self._several("smoothing")

    @cached_property
    def transforms(self) -> dict[str, Transform]:
        """The transforms by name, in the order in which they are applied."""
        return self._several("transform")

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer."""
        return self._one("optimizer", self.config.optimizer)

    @cached_property
    def start_tracking(self) -> Start:
        """The function that starts tracking."""
        return self._one("tracking", self.config.tracking)

    @cached_property
    def recipe(self) -> Recipe:
        """How images are made, apart from the optimizer."""
        from pipeline.synthesis.recipe import Recipe

        return Recipe(
            self.sized_network,
            self.scoring,
            self.inits,
            self.parameterization,
            None if self.option("constraint") == "none" else self.constraint,
            self._several("regularizer"),
            self.smoothings,
            self.transforms,
            self.config.seed,
        )

    def canvas(self, layer: Layer) -> Canvas:
        """Return the smallest canvas of one layer."""
        from pipeline.networks.receptive_fields import smallest_canvas

        return smallest_canvas(self.graph, layer.node)

    def stimulus(self, name: str) -> Callable[[Field], Any]:
        """Return what draws a chosen stimulus set on a field."""
        return self._one(f"stimulus.{name}", self.config.stimulus[name])

    @property
    def colors(self) -> Colors:
        """The colors of the screen, in network-input space.

        Raises:
            ConfigError: the network cannot show them.
        """
        from pipeline.stimuli.field import Colors

        screen, seen = self.config.screen, self.network.preprocessing
        return Colors.named(screen.colors, seen.mean, seen.std, screen.background)

    def field(self, layer: Layer, colors: Colors | None = None) -> Field:
        """Return the canvas on which stimuli for a layer are drawn; by default in ``colors``.

        Raises:
            ConfigError: the network cannot show them.
        """
        from pipeline.search.presentation import field_of
        from pipeline.stimuli.field import Screen

        settings = self.config.screen
        center = None if settings.center is None else (settings.center[0], settings.center[1])
        screen = Screen(*self.images.size, settings.visual_degrees, center)
        return field_of(self.graph, layer, colors or self.colors, screen)

    def costs(self, layer: Layer) -> Costs:
        """Return the cost of one score of a layer, from which batches are planned, counted once."""
        from pipeline.synthesis.plan import score_costs

        if layer.node not in self._costs:
            self._costs[layer.node] = score_costs(self.sized_network, self.scoring, layer)
        return self._costs[layer.node]

    def image_size(self, layer: Layer) -> tuple[int, int]:
        """Return height and width of the images in a layer's ascents."""
        box = self.canvas(layer).box
        return (box.height, box.width) if self.scoring.of_fields else self.scoring.size

    def climbed_units(self, layer: Layer) -> list[int]:
        """Return the units to climb: the chosen ones, or the layer as a whole."""
        return self.units[layer.name] if self.scoring.per_unit else [WHOLE_LAYER]

    def scorer(self, layer: Layer) -> Scorer:
        """Return the scorer of a layer, on the runner's device."""
        self.runner.place(self.network.module)
        scorer: Any = self.scoring.scorer(self.sized_network, layer)
        return cast("Scorer", self.runner.place(scorer.eval()))

    def option(self, group: str) -> str:
        """Return the name of the option chosen in a group; several names are joined by a plus."""
        return group_name(group, getattr(self.config, group))


def copies(config: Config) -> int:
    """Return the number of images per unit and init.

    Raises:
        ConfigError: it is not a positive number.
    """
    count = config.init.get(COPIES, 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"init.copies: {count!r} is not a positive number; use 1 or more")
    return count


def _check_name(name: str) -> None:
    """Check that a network's name, such as ``facebook/dinov2-small``, is one of folders."""
    for part in name.split("/"):
        if (fault := name_fault("model.name", file_name(part))) is not None:
            raise ConfigError(fault)
