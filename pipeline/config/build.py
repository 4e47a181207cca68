"""Building objects from the configuration, with readable errors.

``Parts`` is everything a stage may ask for, each built once and only when asked for.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.schema import Config
from pipeline.errors import ArtiphysError, ConfigError, nearest
from pipeline.store.layout import Layout

if TYPE_CHECKING:
    from torch import fx

    from pipeline.ascent.constraints import Constraint
    from pipeline.ascent.inits import Init
    from pipeline.ascent.optimizers import Optimizer
    from pipeline.ascent.parameterizations import Parameterization
    from pipeline.ascent.plan import Costs
    from pipeline.ascent.regularizers import Regularizer
    from pipeline.ascent.scoring import Scorer
    from pipeline.ascent.smoothing import Smoothing
    from pipeline.ascent.terms import Terms
    from pipeline.ascent.transforms import Transform
    from pipeline.images.image_sets import ImageSet
    from pipeline.networks.cropping import Crop
    from pipeline.networks.graph import Graph
    from pipeline.networks.layers import Layer
    from pipeline.networks.load import Network
    from pipeline.networks.receptive_fields import Canvas
    from pipeline.runner.runner import Runner
    from pipeline.store.sweeps import Finished
    from pipeline.tracking import Start


COPIES = "copies"  # a setting of all inits
Group = Mapping[str, Any]  # one configuration group as plain data, with its _target_


def typed(composed: DictConfig) -> Config:
    """Return a composed configuration as an instance of the schema, all values resolved.

    Raises:
        ConfigError: a value is missing, or refers to something that is not there.
    """
    try:
        missing = sorted(str(key) for key in OmegaConf.missing_keys(composed))
        if missing:
            values = " ".join(f"{key}=VALUE" for key in missing)
            raise ConfigError(f"{', '.join(missing)}: must be given; add {values}")
        return cast("Config", OmegaConf.to_object(composed))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}") from error


def build(group: Group, key: str) -> Any:
    """Instantiate one configuration group.

    Args:
        group: its keys and values.
        key: where it stands in the configuration, for messages.

    Raises:
        ConfigError: a key is unknown, or the target refuses its values.
    """
    check_signature(group, key)
    try:
        return instantiate(group)
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ArtiphysError):
            raise cause from error
        text = str(cause or error).strip().splitlines()[0]
        raise ConfigError(f"{key}: {text}") from error


def complete(partial: Callable[..., Any], key: str, *arguments: Any) -> Any:
    """Call what a partial group was built to, with the arguments that only come later.

    Raises:
        ConfigError: the target refuses them or the group's values.
    """
    try:
        return partial(*arguments)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{key}: {str(error).strip().splitlines()[0]}") from error


def check_signature(group: Group, key: str) -> None:
    """Check that a group's keys are arguments of its target.

    Raises:
        ConfigError: there is no such target, or it takes no such argument.
    """
    for fault in signature_faults(group, key).values():
        raise ConfigError(fault)


def signature_faults(group: Group, key: str) -> dict[str, str]:
    """Return what is wrong with a group's keys, by name: all that its target will not take."""
    # As where an experiment sets what a command no longer chooses.
    given: Any = group
    if not isinstance(given, Mapping) or "_target_" not in given:
        return {"_target_": f"{key}: has settings, but is not chosen; choose it, or add ~{key}"}
    target = str(group["_target_"])
    try:
        function: Any = get_object(target)
        parameters = inspect.signature(function).parameters
    except Exception as error:  # noqa: BLE001 - importing it may run any code
        return {"_target_": f"{key}._target_: '{target}' cannot be imported ({error})"}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return {}
    hints = get_type_hints(function)
    faults: dict[str, str] = {}
    for name, value in group.items():
        if name.startswith("_"):
            continue
        if name not in parameters:
            faults[name] = (
                f"{key}.{name}: {target} takes no such argument; it takes"
                f" {', '.join(parameters) or 'none'}{nearest(name, parameters)}"
            )
        elif not _fits(value, hints.get(name, Any)):
            expected = parameters[name].annotation
            faults[name] = f"{key}.{name}: {value!r} is not of the type {expected}"
    return faults


def required(group: Group) -> set[str]:
    """Return the keys of a group that its target, which is there, cannot do without."""
    parameters = inspect.signature(cast("Callable[..., Any]", get_object(str(group["_target_"]))))
    given = {
        name
        for name, parameter in parameters.parameters.items()
        if parameter.default is parameter.empty
    }
    return {name for name in group if name.startswith("_") or name in given}


def _fits(value: Any, hint: Any) -> bool:
    """Say whether a value from YAML fits a plain type hint; other hints are left to the target."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    return True


def code_digest(group: Group) -> str | None:
    """Return the digest of the file that a group's target is defined in, if it is not this package.

    What the package itself computes is covered by its result version; a user's own function is
    edited without raising that, and its old results must not be taken for new ones.
    """
    target = str(group["_target_"])
    if target.startswith("pipeline."):
        return None
    try:
        file = inspect.getsourcefile(get_object(target))
        return hashlib.sha256(Path(str(file)).read_bytes()).hexdigest()
    except (TypeError, OSError):
        return None


def asks_network(config: Config) -> bool:
    """Say whether any stage asks the network; training makes one, collecting needs none."""
    return not set(config.stages) <= {"train", "collect"}


def collected_places(config: Config) -> list[str]:
    """Return where the runs lie that are collected: those of the same name, if none are given."""
    return config.collect.runs or [str(Layout(config.out).runs(config.name))]


class Parts:
    """Everything that a stage may ask for, built from one configuration when asked for.

    Attributes:
        config: the composed configuration.
        runner: what the work runs on.
    """

    def __init__(self, config: Config, runner: Runner) -> None:
        self.config = config
        self.runner = runner
        self._canvases: dict[fx.Node, Canvas] = {}
        self._crops: dict[fx.Node, Crop] = {}

    @cached_property
    def collected(self) -> Finished:
        """The runs to collect from, as they are when first asked for: before this run begins.

        Raises:
            StoreError: a place holds no run, or none has finished with correlations.
        """
        from pipeline.store.sweeps import find_finished_runs

        return find_finished_runs(collected_places(self.config))

    @cached_property
    def network(self) -> Network:
        """The network with its weights."""
        return build(self.config.model, "model")

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
        """The network, to be traced at the size of the images."""
        return replace(self.network, input_size=self.images.size)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers asked for, in call order."""
        return self.sized_network.layers(self.config.layers)

    @cached_property
    def units(self) -> dict[str, list[int]]:
        """The units asked for, by layer name."""
        from pipeline.networks.layers import select_units

        return {layer.name: select_units(self.config.units, layer) for layer in self.layers}

    @cached_property
    def inits(self) -> dict[str, Init]:
        """The inits by name.

        Raises:
            ConfigError: there is none.
        """
        if not chosen(self.config.init):
            raise ConfigError(
                "init: the list is empty; choose one or more, as in init=[zeros,noise]"
            )
        return self._built("init")

    @property
    def copies(self) -> int:
        """How many images of each unit are climbed from every init."""
        return copies(self.config)

    def _built(self, group: str) -> dict[str, Any]:
        """Return the options chosen in a group that is a list, by name."""
        options = chosen(getattr(self.config, group))
        return {name: build(option, f"{group}.{name}") for name, option in options.items()}

    @cached_property
    def scoring(self) -> Terms:
        """What is climbed: objectives, size of whole images, gradient rule."""
        from pipeline.ascent.terms import Terms

        size = whole_size(self.config.ascent.size, self.images.size)
        rule = build(self.config.gradient, "gradient")
        terms = Terms(self._built("objective"), self.copies, size, rule)
        terms.check()
        return terms

    @cached_property
    def parameterization(self) -> dict[str, Parameterization]:
        """The pieces of the parameterization, by name.

        Raises:
            ConfigError: two are of one kind.
        """
        from pipeline.ascent.parameterizations.chain import pieces_by_kind

        pieces = self._built("parameterization")
        pieces_by_kind(pieces)
        return pieces

    @cached_property
    def constraint(self) -> Constraint:
        """The constraint."""
        return build(self.config.constraint, "constraint")

    @cached_property
    def regularizers(self) -> dict[str, Regularizer]:
        """The regularizers by name."""
        return self._built("regularizer")

    @cached_property
    def smoothings(self) -> dict[str, Smoothing]:
        """What smooths between steps, by name."""
        return self._built("smoothing")

    @cached_property
    def transforms(self) -> dict[str, Transform]:
        """The transforms by name, in the order in which they are applied."""
        return self._built("transform")

    @cached_property
    def optimizer(self) -> Optimizer:
        """The optimizer."""
        return build(self.config.optimizer, "optimizer")

    @cached_property
    def start_tracking(self) -> Start:
        """The function that starts tracking."""
        return build(self.config.tracking, "tracking")

    def canvas(self, layer: Layer) -> Canvas:
        """Return the smallest canvas of one layer, worked out once."""
        from pipeline.networks.receptive_fields import smallest_canvas

        if layer.node not in self._canvases:
            self._canvases[layer.node] = smallest_canvas(self.graph, layer.node)
        return self._canvases[layer.node]

    def crop(self, layer: Layer) -> Crop:
        """Return what the unit of a layer's smallest canvas sees of every map, worked out once."""
        from pipeline.networks.cropping import Crop

        if layer.node not in self._crops:
            plan = self.canvas(layer)
            self._crops[layer.node] = Crop(self.graph, layer.node, plan.size, plan.position)
        return self._crops[layer.node]

    def costs(self, layer: Layer) -> Costs:
        """Return what one score of a layer takes, by which ascents are planned."""
        return self.crop(layer) if self.scoring.of_fields else self._whole(layer)

    def _whole(self, layer: Layer) -> Costs:
        from pipeline.ascent.plan import whole_costs

        sized = self.sized_network.sized(self.scoring.size)
        names = self.scoring.layer_names(layer)
        return whole_costs(sized.graph, [found.node for found in sized.layers(names)])

    def image_size(self, layer: Layer) -> tuple[int, int]:
        """Return height and width of the images that are climbed for a layer."""
        box = self.canvas(layer).box
        return (box.height, box.width) if self.scoring.of_fields else self.scoring.size

    def climbed_units(self, layer: Layer) -> list[int]:
        """Return the units whose images are climbed: those asked for, or the layer as a whole."""
        return self.units[layer.name] if self.scoring.per_unit else [WHOLE_LAYER]

    def scorer(self, layer: Layer) -> Scorer:
        """Return what scores images for a layer, on the runner's device."""
        self.runner.place(self.network.module)
        scorer: Any = self.scoring.scorer(self.sized_network, layer)
        return cast("Scorer", self.runner.place(scorer.eval()))

    def option(self, group: str) -> str:
        """Return the name of what is chosen in a group; several are joined by a plus."""
        options = getattr(self.config, group)
        if "_target_" in options:
            return str(options["_target_"]).rpartition(".")[2]
        return "+".join(chosen(options)) or "none"


LARGEST = 32_768  # pixels of a side
WHOLE_LAYER = -1  # stands for a unit where an objective is the layer's as a whole


def chosen(options: Mapping[str, Any]) -> dict[str, Group]:
    """Return the options of a group that is a list, without settings that all of them share."""
    return {name: option for name, option in options.items() if name != COPIES}


def copies(config: Config) -> int:
    """Return how many images of each unit are climbed from every init.

    Raises:
        ConfigError: it is no positive number.
    """
    count = config.init.get(COPIES, 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"init.copies: {count!r} is not a positive number; use 1 or more")
    return count


def whole_size(size: Any, default: tuple[int, int], key: str = "ascent.size") -> tuple[int, int]:
    """Return height and width of whole images.

    Args:
        size: a side in pixels, height and width, or ``None``.
        default: height and width where none are given.
        key: of the setting, for messages.

    Raises:
        ConfigError: it is none of these.
    """
    if size is None:
        return default
    sides = size if isinstance(size, list) else [size, size]
    if len(sides) != 2 or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 < n <= LARGEST for n in sides
    ):
        raise ConfigError(
            f"{key}: {size!r} is not a side of up to {LARGEST} pixels, height and width such as"
            " [240,320], or null"
        )
    return (sides[0], sides[1])
