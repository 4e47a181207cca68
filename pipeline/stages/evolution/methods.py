"""The methods of a run: searchers, generators, rivals and scorers, built, with their settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from inspect import signature
from typing import Any, Generic, TypeVar

from pipeline.config.build import Group
from pipeline.errors import ConfigError
from pipeline.run.active_run import ActiveRun
from pipeline.run.faults import Faults
from pipeline.store.code import argument_digests, is_own
from pipeline.store.identity import chosen, described
from pipeline.synthesis.evolution import generators, rivals
from pipeline.synthesis.evolution.generators import Generator
from pipeline.synthesis.evolution.generators.decoder import default_generator
from pipeline.synthesis.evolution.noises import Noise
from pipeline.synthesis.evolution.rivals import Rival
from pipeline.synthesis.evolution.scorers import NetworkScorer, Scorer
from pipeline.synthesis.evolution.searchers import Searcher

WAITING = ("timeout", "poll")  # settings of this package's scorers that change no score
Kind = TypeVar("Kind")
AnyScorer = NetworkScorer | Scorer | Callable[[Any], object]


@dataclass(frozen=True)
class Option(Generic[Kind]):
    """A chosen option.

    Attributes:
        name: the name that it was given, on which random numbers depend.
        made: the option itself.
        settings: what determines it, as plain data.
    """

    name: str
    made: Kind
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """A searcher with a generator, or a rival without.

    Attributes:
        searcher: the searcher or the rival.
        generator: the generator, or ``None``.
    """

    searcher: Option[Searcher] | Option[Rival]
    generator: Option[Generator] | None

    @property
    def names(self) -> tuple[str, str]:
        """The names of searcher and generator; an empty one for rivals."""
        return self.searcher.name, "" if self.generator is None else self.generator.name

    @property
    def needs_images(self) -> bool:
        """Whether it shows or learns from images of the image set."""
        made = self.searcher.made
        if isinstance(made, Rival):
            return made.needs_images
        return self.generator is not None and self.generator.made.images > 0

    def suits(self, scorer: AnyScorer) -> bool:
        """Say whether a scorer has what the method needs: a rig has no gradients."""
        made = self.searcher.made
        return not (isinstance(made, Rival) and made.needs_gradient and is_measured(scorer))

    @property
    def population(self) -> int:
        """Pictures per generation of one search, about."""
        made = self.searcher.made
        return made.population if isinstance(made, Searcher) else 20


def methods(run: ActiveRun, faults: Faults) -> list[Method]:
    """Return the methods of a run: all searchers with all generators, and the rivals."""
    config = run.parts.config
    searchers = _options(config.searcher, "searcher", faults, _kind(Searcher))
    if not chosen(config.searcher) and not config.evolution.rivals:
        faults.add(["searcher: the list is empty; choose one or more, as in searcher=[genetic]"])
    drawn = _options(generator_groups(run), "generator", faults, _kind(Generator))
    found = [Method(searcher, generator) for searcher in searchers for generator in drawn]
    return [*found, *(Method(rival, None) for rival in _rivals(run))]


def scorers(run: ActiveRun, faults: Faults) -> list[Option[AnyScorer]]:
    """Return the scorers of a run."""
    if not chosen(run.parts.config.scorer):
        faults.add(["scorer: the list is empty; choose one or more, as in scorer=[network]"])
    return _options(run.parts.config.scorer, "scorer", faults, _as_scorer)


def is_measured(scorer: AnyScorer) -> bool:
    """Say whether scores are measured outside of this program, with noise of their own."""
    return not isinstance(scorer, NetworkScorer)


def _as_scorer(key: str, built: Any) -> AnyScorer:
    """Return a scorer: noise is that of the network; a lab's own may be a plain function."""
    if isinstance(built, Noise):
        return NetworkScorer(built)
    if isinstance(built, NetworkScorer | Scorer) or callable(built):
        return built
    raise ConfigError(
        f"{key}: returned a {type(built).__name__}, which is neither a Scorer, nor noise, nor a"
        " function from pictures to scores"
    )


def generator_groups(run: ActiveRun) -> Mapping[str, Group]:
    """Return the chosen generators, or that which the network has by default."""
    found = chosen(run.parts.config.generator)
    if found:
        return found
    name = default_generator(run.parts.network.name)
    made = getattr(generators, name)
    defaults = {key: each.default for key, each in signature(made).parameters.items()}
    return {name: {"_target_": f"{generators.__name__}.{name}", **defaults}}


def _options(
    groups: Mapping[str, Group], place: str, faults: Faults, check: Callable[[str, Any], Kind]
) -> list[Option[Kind]]:
    describe = _scorer_settings if place == "scorer" else _settings
    found: list[Option[Kind]] = []
    for name, group in chosen(groups).items():
        key = f"{place}.{name}"
        made = faults.option(group, key, partial(check, key))
        settings = None if made is None else faults.attempt(partial(describe, group, made))
        if made is not None and settings is not None:
            found.append(Option(name, made, settings))
    return found


def _settings(group: Group, made: Any) -> dict[str, Any]:
    """Return what determines an option; files count by what they hold."""
    files = argument_digests(group)
    plain = {key: files.get(v, v) if isinstance(v, str) else v for key, v in group.items()}
    return described({**plain, "_target_": group["_target_"]}, getattr(made, "digest", "") or None)


def _scorer_settings(group: Group, _made: Any) -> dict[str, Any]:
    """Return what determines a scorer: not the files of a rig, nor how long it is waited for."""
    waiting = () if is_own(group["_target_"]) else WAITING
    return described({key: value for key, value in group.items() if key not in waiting})


def _kind(kind: type[Kind]) -> Callable[[str, Any], Kind]:
    def check(key: str, built: Any) -> Kind:
        if not isinstance(built, kind):
            raise ConfigError(f"{key}: returned a {type(built).__name__}, not a {kind.__name__}")
        return built

    return check


def _rivals(run: ActiveRun) -> list[Option[Rival]]:
    config = run.parts.config.evolution
    known = {
        "natural": rivals.natural,
        "gradient": lambda: rivals.gradient(gradient_queries=config.gradient_queries),
    }
    cost = {"gradient": {"gradient_queries": config.gradient_queries}}
    return [Option(name, known[name](), cost.get(name, {})) for name in config.rivals]


def of_experiment(run: ActiveRun) -> dict[str, Any]:
    """Return the settings of an experiment that determine numbers, but for files."""
    kept = asdict(run.parts.config.evolution)
    for name in ("rivals", "gradient_queries", "references"):
        del kept[name]
    return kept
