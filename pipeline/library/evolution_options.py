"""Options of evolution in a notebook, checked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.images.any_images import as_image_set, finite_floats, plain_tensor
from pipeline.images.image_sets import ImageSet
from pipeline.library.arguments import whole_number
from pipeline.library.option_names import as_option, known_options, option_name
from pipeline.networks.loading.network import Network
from pipeline.synthesis.evolution.adaptation import Adaptation
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.generators import Generator
from pipeline.synthesis.evolution.noises import Noise
from pipeline.synthesis.evolution.rivals import Rival
from pipeline.synthesis.evolution.scorers import Scorer
from pipeline.synthesis.evolution.searchers import Searcher


@dataclass(frozen=True)
class EvolutionOptions:
    """How pictures are shown to units in ``pipeline.evolve``, and what evolution is compared with.

    Noise, adaptation and rivals are what a function of their module returns, such as
    ``poisson(scale=5.0)``, or the name of such a function for its defaults. ``names()`` lists them.

    Attributes:
        restarts: searches of each unit, with random numbers of their own.
        start: images ``[some, channels, height, width]`` in network-input space, of the size of the
            receptive field, whose codes all searches start from; by default random codes.
        rivals: one or several of ``pipeline.synthesis.evolution.rivals`` (``natural``,
            ``gradient``) or further searchers, on the same budget, with rows of their own; or a
            dictionary of these, by the names that the rows are to have.
        images: anything that ``pipeline.images.any_images.as_image_set`` takes, for ``natural`` and
            for generators that learn from images.
        score: scores pictures in place of the network: a function from pictures in pixels 0..1
            ``[pictures, channels, height, width]`` to one number each, NaN for what was not
            measured. It is called once per generation, with the pictures of all searches, each as
            often as it is repeated. Or what a function of ``pipeline.synthesis.evolution.scorers``
            returns, such as ``folder(PATH)``, by which the program of a rig scores.
        contrast: root mean square over pixels and channels at which all pictures are shown, about
            the mean color, in standard deviations of the network's preprocessing; ``None`` shows
            them as they are, and compares contrasts.
        bits: of pixels, such as 8; by default those of the scorer, or pixels are not rounded.
        repeats: how often each picture is shown.
        noise: of ``pipeline.synthesis.evolution.noises``: ``poisson``, ``multiplicative``, ``fano``
            or ``gaussian``.
        adaptation: of ``pipeline.synthesis.evolution.adaptation``: ``exponential``.
        references: images in network-input space, of the size of the receptive field, that are
            shown again and again, at the same contrast, and counted as queries.
        reference_every: number of generations from one showing of the references to the next.
        film: number of generations of each search whose best image is kept, evenly spaced.
        searches_per_pass: number of searches whose pictures share forward passes. With 1, a search
            has the same bits whichever others run beside it; with more, it is the same but for
            float32 rounding, and faster on accelerators.
    """

    restarts: int = 1
    start: Any = None
    rivals: Any = ()
    images: Any = None
    score: Callable[[Tensor], object] | Scorer | None = None
    contrast: float | None = 0.6
    bits: int | None = None
    repeats: int = 1
    noise: Noise | str | None = None
    adaptation: Adaptation | str | None = None
    references: Any = None
    reference_every: int = 10
    film: int = 8
    searches_per_pass: int = 1

    @staticmethod
    def names() -> dict[str, list[str]]:
        """Return the options that each argument takes by name; ``help`` of one says more.

        >>> import pipeline
        >>> pipeline.EvolutionOptions.names()["noise"]
        ['poisson', 'multiplicative', 'fano', 'gaussian']
        """
        arguments = ("searcher", "generator", "rivals", "noise", "adaptation")
        return {argument: list(known_options(argument)) for argument in arguments}

    def experiment(self, queries: int, net: Network, size: tuple[int, int]) -> Experiment:
        """Return how pictures are shown.

        Raises:
            ConfigError: an option is not as described, or makes no sense with another.
        """
        for name in ("noise", "adaptation"):
            if self.score is not None and getattr(self, name) is not None:
                raise ConfigError(
                    f"{name}: scores of score= are measured, with noise of their own; leave it out"
                )
        pictures = _pixels("references", self.references, net, size)
        return Experiment(
            whole_number("queries", queries),
            whole_number("repeats", self.repeats),
            self.contrast,
            None if self.bits is None else _bits(self.bits),
            None if self.noise is None else as_option("noise", self.noise),
            None if self.adaptation is None else as_option("adaptation", self.adaptation),
            pictures,
            whole_number("reference_every", self.reference_every),
            whole_number("searches_per_pass", self.searches_per_pass),
        )

    def started(self, net: Network, size: tuple[int, int]) -> Tensor | None:
        """Return the images to start from, as pixels.

        Raises:
            ConfigError: they are none of the size of the receptive field.
        """
        return _pixels("start", self.start, net, size)

    def image_set(self, net: Network) -> ImageSet | None:
        """Return the image set; errors as of ``as_image_set``."""
        return None if self.images is None else as_image_set(self.images, net.preprocessing)

    def checked_score(self) -> Callable[[Tensor], object] | Scorer | None:
        """Return the function or the scorer that scores.

        Raises:
            ConfigError: it is none.
        """
        if not (self.score is None or isinstance(self.score, Scorer) or callable(self.score)):
            raise ConfigError(
                f"score: {type(self.score).__name__} is no function from pictures to scores"
            )
        return self.score

    def named_rivals(self) -> list[tuple[str, Rival | Searcher]]:
        """Return the rivals with their names.

        Raises:
            ConfigError: one is none.
        """
        if isinstance(self.rivals, Mapping):
            return [(str(name), _rival(each)[1]) for name, each in self.rivals.items()]
        several = isinstance(self.rivals, Iterable) and not isinstance(self.rivals, str)
        return [_rival(each) for each in (self.rivals if several else [self.rivals])]


def chosen_generator(generator: Any, weights: Any) -> Generator:
    """Return a generator by its name, with weights if it takes some.

    Raises:
        ConfigError: there is no such generator, or it takes no weights, or needs some.
    """
    if weights is None:
        return as_option("generator", generator)
    known = known_options("generator")
    takes = [name for name, make in known.items() if _takes_weights(make)]
    if generator not in takes:
        shown = repr(generator) if isinstance(generator, str) else type(generator).__name__
        raise ConfigError(
            f"weights: the generator {shown} takes none; those that do are"
            f" {', '.join(takes) or 'none'}, given by name"
        )
    return known[generator](weights=weights)


def _takes_weights(make: Callable[..., Any]) -> bool:
    """Say whether weights are all that a generator needs to be told."""
    asked = inspect.signature(make).parameters
    needed = {name for name, each in asked.items() if each.default is each.empty}
    return "weights" in asked and needed <= {"weights"}


def _rival(given: Any) -> tuple[str, Rival | Searcher]:
    known = known_options("searcher")
    if isinstance(given, Searcher) or given in [*known, *known.values()]:
        searcher = as_option("searcher", given)
        return option_name("searcher", given), searcher
    try:
        rival = as_option("rivals", given)
        return option_name("rivals", given), rival
    except ConfigError as error:
        raise ConfigError(f"{error}; or a searcher: {', '.join(known)}") from None


def _bits(bits: Any) -> int:
    if whole_number("bits", bits) > 16:
        raise ConfigError(f"bits: {bits} is more than 16; None rounds nothing")
    return int(bits)


def _pixels(
    key: str, images: Any, net: Network, size: tuple[int, int]
) -> Float[Tensor, "some c height width"] | None:
    """Return images of the size of the receptive field as pixels in 0..1."""
    if images is None:
        return None
    expected = (len(net.preprocessing.mean), *size)
    known = plain_tensor(key, images) if hasattr(images, "ndim") else torch.empty(0)
    if known.ndim != 4 or tuple(known.shape[1:]) != expected or not len(known):
        raise ConfigError(
            f"{key}: it is not images of shape [some, {', '.join(map(str, expected))}] in"
            " network-input space, the size of the receptive field"
        )
    return net.preprocessing.pixels(finite_floats(key, known)).clamp(0, 1).cpu()
