"""How long tuning takes, against nothing but the forward passes over its stimuli.

Of a CPU, seconds are those that the process computed, so that other jobs count little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from pipeline.library.tuning import tuning
from pipeline.networks.loading.network import Network
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.tuning.measurement import LayerTuning, TuningOptions
from pipeline.search.tuning.sets import CONTRAST, SETS, groups_of, screen_colors, sets_of
from pipeline.search.tuning.showing import Showing, contrast_gratings
from pipeline.stimuli import textures
from pipeline.stimuli.field import Screen
from pipeline.stimuli.stimulus_set import StimulusSet
from tests.benchmarks.measure import take_turns

Row = dict[str, str | float]


def compare(network: Network, names: list[str], rounds: int, device: str) -> Row:
    """Return the seconds of all properties of all units, and of passes over the same stimuli.

    Tuning is ``cold`` if the process has not drawn the textures yet, as on a first call, and
    ``warm`` if it has.
    """
    sets = {name: sets_shown(network, name, device) for name in names}
    presentations = [
        Presentation(network.graph, network.layer(name), stimuli, device)
        for name in names
        for stimuli in sets[name]
    ]
    things: dict[str, Callable[[], object]] = {
        "passes": partial(_pass, presentations),
        "cold": partial(_cold, network, names),
        "warm": partial(tuning, network, names),
    }
    clock = time.process_time if device == "cpu" else time.perf_counter
    times = take_turns(things, rounds, device, clock)
    row: Row = {
        "layers": ", ".join(names),
        "units": sum(network.layer(name).units for name in names),
        "stimuli": sum(len(each.stimuli) for each in presentations),
    }
    row |= {f"{thing}_s": found.median for thing, found in times.items()}
    for thing in ("cold", "warm"):
        ratio, low, high = times["passes"].ratio(times[thing])
        row |= {thing: ratio, f"{thing}_low": low, f"{thing}_high": high}
    return row


def sets_shown(network: Network, name: str, device: str) -> list[StimulusSet]:
    """Return all sets that tuning shows to a layer."""
    layer, options = network.layer(name), TuningOptions()
    screen = Screen(*network.graph.input_size)
    field = field_of(network.graph, layer, screen_colors(network), screen)
    showing = Showing(network.graph, layer, field, torch.device(device))
    first = ["blank", "orientation"]
    tuned = LayerTuning(
        layer,
        range(layer.units),
        nonlinearity(network.graph, layer),
        {one: SETS[one].build(field).table for one in first},
        {one: showing.responses(one, range(layer.units)) for one in first},
        {},
        options,
    )
    names = [one for one in sets_of(groups_of(options.properties), 3) if one != CONTRAST]
    sets = [SETS[one].build(field) for one in names]
    best = contrast_gratings(field, tuned.optima)
    return sets if best is None else [*sets, best]


def _pass(presentations: list[Presentation]) -> None:
    for presentation in presentations:
        for block in presentation.blocks:
            presentation.respond(block)


def _cold(network: Network, names: list[str]) -> None:
    textures._texture_pair.cache_clear()  # pyright: ignore[reportPrivateUsage]
    tuning(network, names)
