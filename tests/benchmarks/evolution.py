"""How long evolution takes, against nothing but its pictures and forward passes, and plainly."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pipeline
from pipeline.miniature.decoder import CODE_SHAPE, trained_decoder
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.synthesis.evolution.batch import Batch
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.generators import BuiltGenerator, Generator, decoder, grid
from pipeline.synthesis.evolution.searchers import genetic
from tests.benchmarks import plain
from tests.benchmarks.measure import steady_clock, take_turns

SEARCHES = 16
ALONE = 2  # searches that are timed plainly
OTHERS = {
    "squeezenet1_0": ["conv4", "conv13", "conv25"],  # 3 x 3 of the first, fifth and last module
    "alexnet": ["conv2", "conv3"],
}


def compare(quick: bool, rounds: int, device: str) -> Iterator[dict[str, str | float]]:
    """Yield microseconds per image of 16 searches by the genetic algorithm, and of plain ways.

    ``passes`` draws the pictures of ready codes and passes them through the same unit network,
    which any search must do. ``alone`` is the way of the source (``plain.Evolution``).
    """
    miniature = pipeline.network("miniature")
    for name in ["conv1"] if quick else ["conv1", "conv2", "conv3", "conv4", "conv5"]:
        for generator in ("decoder", "grid"):
            yield _compare(miniature, name, generator, rounds, device)
    for network, layers in {} if quick else OTHERS.items():
        loaded = torchvision_network(network, _weights(network))
        for name in layers:
            yield _compare(loaded, name, "grid", rounds, device)


def _compare(
    network: Network, name: str, generator: str, rounds: int, device: str
) -> dict[str, str | float]:
    layer = network.layer(name)
    made, draw, genes = _generator(generator, device)
    units = [unit % layer.units for unit in range(SEARCHES)]
    place = torch.device(device)
    batch = Batch(network, layer, units, 1, 0, Experiment(queries=10**6), place)
    evolution = batch.evolution(("genetic", genetic()), (generator, made))
    whole = network.graph.truncated([layer.node]).to(device)
    alone = plain.Evolution(whole, network.graph.input_size, draw, genes)
    population = evolution.proposals.population
    images = SEARCHES * population
    repeats = max(1, 1500 // batch.size[0] ** 2)

    def ours() -> None:
        for _ in range(repeats):
            evolution.step()

    def plainly() -> None:
        for unit in units[:ALONE]:
            alone.generation(unit, device)

    passes = _passes(batch, batch.generator(generator, made), population, repeats)
    things = {"ours": ours, "passes": passes, "alone": plainly}
    times = take_turns(things, rounds, device, steady_clock(device))
    share, low, high = times["ours"].ratio(times["passes"])
    ours_us = times["ours"].median * 1e6 / (repeats * images)
    alone_us = times["alone"].median * 1e6 / (ALONE * population)
    return {
        "network": network.name,
        "layer": name,
        "generator": generator,
        "field": batch.size[0],
        "threads": torch.get_num_threads(),
        "alone_us": alone_us,
        "ours_us": ours_us,
        "passes_us": times["passes"].median * 1e6 / (repeats * images),
        "ratio": alone_us / ours_us,
        "of_passes": share,
        "low": low,
        "high": high,
    }


def _passes(
    batch: Batch, generator: BuiltGenerator, population: int, repeats: int
) -> Callable[[], None]:
    """Return what draws ready codes and runs the unit network, one search per pass."""
    response, device = batch.response, batch.device
    assert response is not None
    random = np.random.RandomState(0)
    codes = [
        torch.from_numpy(generator.prior.draw(population, random)).float().to(device)
        for _ in batch.units
    ]
    numbers = [torch.full((population,), unit, device=device) for unit in batch.units]

    def passes() -> None:
        with torch.inference_mode():
            for _ in range(repeats):
                for own, unit in zip(codes, numbers, strict=True):
                    response(generator.draw(own), unit)

    return passes


def _generator(name: str, device: str) -> tuple[Generator, Callable[[Tensor], Tensor], int]:
    """Return a generator, how it draws plainly, and the number of its genes there."""
    if name == "grid":
        return grid(), plain.lattice, 3 * 12 * 12
    network = trained_decoder().to(device)
    return decoder(), lambda codes: network(codes.unflatten(1, CODE_SHAPE)), math.prod(CODE_SHAPE)


def _weights(network: str) -> str:
    """Return the file of a network's weights in the reference data; without it, random ones."""
    data = os.environ.get("ARTIPHYS_REFERENCE_DATA")
    path = Path(data or "") / "weights" / f"{network}.safetensors"
    return str(path) if data and path.exists() else "random"
