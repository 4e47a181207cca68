"""How long tuning takes, against nothing but the forward passes over its stimuli."""

from __future__ import annotations

from functools import partial

import torch

from pipeline.library.tuning import tuning
from pipeline.networks.loading.network import Network
from pipeline.networks.nonlinearity import nonlinearity
from pipeline.networks.unit_networks import layer_network
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.tuning.measurement import LayerTuning, TuningOptions
from pipeline.search.tuning.sets import CONTRAST, SETS, groups_of, screen_colors, sets_of
from pipeline.search.tuning.showing import Showing, contrast_gratings
from pipeline.stimuli.field import Screen
from pipeline.stimuli.stimulus_set import StimulusSet
from tests.benchmarks.measure import take_turns, timed

BATCH = 64  # stimuli of a plain pass
SOME = 512  # stimuli that are timed plainly, spread over all


def compare(
    network: Network, names: list[str], rounds: int, device: str
) -> list[dict[str, str | float]]:
    """Return the seconds of all properties of all units, and of passes over the same stimuli."""
    return [_compare(network, name, rounds, device) for name in names]


def _compare(network: Network, name: str, rounds: int, device: str) -> dict[str, str | float]:
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
    sets += [best] if best is not None else []
    presentations = [Presentation(network.graph, layer, each, device) for each in sets]

    def passes() -> None:
        for presentation in presentations:
            for block in presentation.blocks:
                presentation.respond(block)

    whole = partial(tuning, network, name)
    passes()  # draws textures, which are kept
    times = take_turns({"tuning": whole, "passes": passes}, rounds, device)
    ratio, low, high = times["passes"].ratio(times["tuning"])
    stimuli = sum(map(len, sets))
    plain = sum(_plain_seconds(network, name, each, device) for each in sets)
    return {
        "layer": name,
        "units": layer.units,
        "stimuli": stimuli,
        "tuning_s": times["tuning"].median,
        "passes_s": times["passes"].median,
        "ratio": ratio,
        "low": low,
        "high": high,
        "plain_s": plain,
    }


def _plain_seconds(network: Network, name: str, stimuli: StimulusSet, device: str) -> float:
    """Return the seconds of passes of the cropped network over a set that is drawn already."""
    plain = layer_network(network.graph, network.layer(name)).to(device)
    some = torch.linspace(0, len(stimuli) - 1, min(len(stimuli), SOME)).long()
    drawn = stimuli.draw(some, device)

    def passes() -> None:
        with torch.inference_mode():
            for batch in drawn.split(BATCH):
                plain(batch)

    passes()
    return timed(passes, device) * len(stimuli) / len(some)
