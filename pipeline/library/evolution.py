"""Evolution in a notebook: images that drive units, found from responses alone."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.images.preprocessing import Preprocessing
from pipeline.library.arguments import chosen_layer, chosen_units, of_network, whole_number
from pipeline.library.evolution_options import EvolutionOptions, chosen_generator
from pipeline.library.option_names import as_option, check_names, option_name
from pipeline.networks.loading.network import Network
from pipeline.store.summaries import short_repr
from pipeline.synthesis.evolution.batch import Batch, field_size
from pipeline.synthesis.evolution.film import Film
from pipeline.synthesis.evolution.finished import (
    Finished,
    history_table,
    reference_table,
    search_table,
)
from pipeline.synthesis.evolution.generators import Generator
from pipeline.synthesis.evolution.generators.decoder import default_generator
from pipeline.synthesis.evolution.loop import Evolution
from pipeline.synthesis.evolution.rivals import Rival
from pipeline.synthesis.evolution.searchers import Searcher


@dataclass(frozen=True)
class Evolved:
    """Finished searches, one image per row of the table.

    Attributes:
        images: the best image of each search, in network-input space, as it was shown; NaN if no
            response was measured.
        table: one row per method, unit and restart: ``response`` (the largest score observed),
            ``noise_free`` (the response to that image without noise and adaptation, computed anew;
            NaN if responses are measured), ``start`` (the largest score of the first generation),
            ``contrast`` of the image, ``queries`` used, ``queries_to_90`` (when the best so far had
            made 90 % of its way from the start to the end), and ``reason`` where something is
            missing or unusual.
        history: one row per method, unit, restart and generation, counted from 1: ``queries`` so
            far, ``best`` score so far, ``mean`` score of the generation, ``noise_free`` (the
            response without noise to the image that is best so far), ``noise_free_mean`` and
            ``missing`` (pictures of the generation without a score).
        references: one row per method, unit, restart, showing and reference image: ``generation``
            (number of generations before), ``reference``, ``response`` and ``noise_free``.
        preprocessing: of the network.
        film: by method, the best images so far after some of the generations, in network-input
            space: ``[frames, searches, channels, height, width]``, searches in the order of the
            table.
        film_generations: by method, the numbers of these generations, from 1.
    """

    images: Float[Tensor, "searches c height width"]
    table: pd.DataFrame
    history: pd.DataFrame
    references: pd.DataFrame
    preprocessing: Preprocessing
    film: Mapping[str, Float[Tensor, "frames _ c height width"]]
    film_generations: Mapping[str, Int[np.ndarray, " frames"]]

    __repr__ = short_repr

    @property
    def pictures(self) -> Float[Tensor, "searches c height width"]:
        """The images as pixels in 0..1."""
        return self.preprocessing.pixels(self.images)


@of_network
def evolve(
    net: Network,
    layer: str,
    units: Any = "all",
    *,
    searcher: Searcher | str = "genetic",
    generator: Generator | str | None = None,
    weights: Any = None,
    queries: int = 2500,
    seed: int = 0,
    **options: Any,
) -> Evolved:
    """Search images that drive units, from responses alone, as with a neuron that has no gradient.

    Pictures that a generator draws from codes are shown to each unit, at the same contrast, in its
    receptive field; a searcher learns from the responses and proposes the next codes. A query is
    one picture shown once. Results do not depend on which units run together.

    Source: Ponce et al. (2019), Cell 177:999; Xiao & Kreiman (2020), PLoS Comput Biol 16:e1007973.

    Args:
        net: the network, whose device is used.
        layer: name of the layer.
        units: ``all``, a number, a list of numbers, or a range such as ``0:64``.
        searcher: of ``pipeline.synthesis.evolution.searchers``, or its name, on which random
            numbers depend; one that is given with settings has the name ``searcher``.
        generator: of ``pipeline.synthesis.evolution.generators``, or its name; likewise. By
            default the embedded ``decoder`` for the embedded network, and ``grid`` for all others.
        weights: path of the weights of a generator that is given by name and reads some.
        queries: pictures shown to each unit, by each search; whole generations, at least one.
        seed: of random numbers, 0 or more.
        options: restarts, contrast, noise, repeats, rivals and so on (``EvolutionOptions``).
            Options may be given by name, which stands for their defaults.

    Raises:
        ConfigError: there is no such layer, unit or option, or options do not go together.

    >>> import pipeline
    >>> net = pipeline.network("miniature")
    >>> found = pipeline.evolve(net, "conv2", [3, 17], queries=200)
    >>> tuple(found.images.shape), int(found.history["queries"].max())
    ((2, 3, 29, 29), 200)
    >>> bool((found.table["response"] > found.table["start"]).all())
    True
    """
    own = ("units", "searcher", "generator", "weights", "queries", "seed")
    check_names(EvolutionOptions, options, own)
    chosen = EvolutionOptions(**options)
    found = chosen_layer(net, layer)
    numbers = chosen_units(units, found)
    size = field_size(net, found)
    batch = Batch(
        net,
        found,
        numbers,
        whole_number("restarts", chosen.restarts),
        whole_number("seed", seed, 0),
        chosen.experiment(queries, net, size),
        net.device,
        chosen.image_set(net),
        chosen.checked_score(),
    )
    net.module.to(net.device)
    generator = default_generator(net.name) if generator is None else generator
    made, searching = chosen_generator(generator, weights), as_option("searcher", searcher)
    drawn = (option_name("generator", generator), made)
    first = (option_name("searcher", searcher), searching)
    start = chosen.started(net, size)
    # All are begun before the first is run, so that what does not go together is said at once.
    evolutions: dict[str, Evolution] = {}
    for name, method in [first, *chosen.named_rivals()]:
        own = _unlike(name, evolutions)
        if isinstance(method, Rival):
            evolutions[own] = batch.contest(own, method)
        else:
            evolutions[own] = batch.evolution((own, method), drawn, start)
    frames = whole_number("film", chosen.film)
    films = {name: Film(evolution, frames) for name, evolution in evolutions.items()}
    for film in films.values():
        while not film.evolution.finished:
            film.evolution.step()
            film.watch()
    return _evolved(batch, films)


def _unlike(name: str, known: Container[str]) -> str:
    """Return a name with the first number that makes it another than those that are known."""
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in known else next(each for each in numbered if each not in known)


def _evolved(batch: Batch, films: Mapping[str, Film]) -> Evolved:
    searches = batch.searches
    found = {name: Finished.of(searches, each.evolution, each) for name, each in films.items()}
    contrast, budget = batch.experiment.contrast, batch.experiment.queries
    return Evolved(
        torch.from_numpy(np.concatenate([each.images for each in found.values()])),
        _joined({name: search_table(each, contrast, budget) for name, each in found.items()}),
        _joined({name: history_table(each) for name, each in found.items()}),
        _joined({name: reference_table(each) for name, each in found.items()}),
        batch.network.preprocessing,
        {name: torch.from_numpy(each.film) for name, each in found.items()},
        {name: each.film_generations for name, each in found.items()},
    )


def _joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return tables of methods as one, with the method in the first column."""
    for name, table in tables.items():
        table.insert(0, "method", name)
    return pd.concat([*tables.values()], ignore_index=True)
