"""Tiled scores and gradients against those of the whole network, exact in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.gradient_rules import guided
from pipeline.networks.loading.network import Network
from pipeline.synthesis.objectives import (
    Objective,
    channel_mean,
    channel_sum,
    class_logit,
    direction,
    layer_half_sum_square,
    layer_mean,
    layer_mean_square,
    layer_sum,
    layer_sum_square,
)
from pipeline.synthesis.scoring import MapScorer
from pipeline.synthesis.terms import Terms
from pipeline.synthesis.tiling import TiledScorer

SIZE = (45, 62)
OBJECTIVES = {
    "layer_sum": layer_sum(),
    "layer_sum per feature": layer_sum(per_feature=True),
    "layer_mean": layer_mean(),
    "layer_sum_square": layer_sum_square(),
    "layer_half_sum_square": layer_half_sum_square(),
    "layer_mean_square": layer_mean_square(),
    "channel_sum": channel_sum(),
    "channel_mean": channel_mean(),
    "direction": direction({0: 1.0, 4: -2.0}),
    "two layers": layer_mean(layer=["1", "5"]),
}


@pytest.fixture(scope="module")
def network() -> Network:
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 2),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 5, 3, padding=1),
    )
    module = module.double().eval().requires_grad_(False)
    source = torch.Generator().manual_seed(0)
    for weights in module.parameters():
        weights.uniform_(-0.3, 0.3, generator=source)
    preprocessing = Preprocessing(resize=45, crop=45, mean=(0.5,) * 3, std=(0.25,) * 3)
    return Network("tested", module, preprocessing, "random", "0" * 64, input_size=SIZE)


def scorer(
    network: Network, objectives: dict[str, Objective], tile: int | None
) -> MapScorer | TiledScorer:
    (layer,) = network.find_layers(["5"])
    terms = Terms(objectives, 1, SIZE, whole=True, tile=tile)
    terms.check()
    return terms.whole_scorer(network, layer).double()


def images(count: int = 2) -> torch.Tensor:
    source = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, *SIZE, generator=source, dtype=torch.float64)


def answer(found: MapScorer | TiledScorer, start: torch.Tensor) -> list[torch.Tensor]:
    """Return scores, gradients and watched means."""
    units = torch.arange(len(start))
    score, own = found.begin(start, units), start.clone().requires_grad_()
    watched: list[torch.Tensor] = []
    score.watch = watched.extend
    scores = score(own, units)
    (gradient,) = torch.autograd.grad(scores @ torch.tensor([1.0, -3.0]).double(), own)
    return [scores.detach(), gradient, *watched]


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("tile", [pytest.param(7, marks=pytest.mark.slow), 20, 100])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_tiles_score_as_the_whole_does(network: Network, name: str, tile: int):
    objectives = {name: OBJECTIVES[name]}
    tiled = scorer(network, objectives, tile)
    assert isinstance(tiled, TiledScorer)
    assert (len(tiled.tiles[0]) > 1) == (tile < 45)
    found, wanted = answer(tiled, images()), answer(scorer(network, objectives, None), images())
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert apart(one, other) < 1e-10


def test_balanced_terms_are_tiled_too(network: Network):
    objectives = {"layer_sum": layer_sum(), "channel_mean": channel_mean(weight=None)}
    found = answer(scorer(network, objectives, 20), images())
    wanted = answer(scorer(network, objectives, None), images())
    for one, other in zip(found, wanted, strict=True):
        assert apart(one, other) < 1e-10


def test_an_image_does_not_depend_on_its_batch(network: Network):
    tiled, start = scorer(network, {"squares": layer_sum_square()}, 20), images()
    both, units = answer(tiled, start)[0], torch.arange(1)
    alone = tiled.begin(start[:1], units)(start[:1], units)
    assert apart(alone, both[:1]) < 1e-12


def test_nothing_is_kept_where_no_gradient_is_asked_for(network: Network):
    tiled, units = scorer(network, {"sum": layer_sum()}, 20), torch.arange(2)
    assert not tiled.begin(images(), units)(images(), units).requires_grad
    assert not tiled.takes_any_size()


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (
            Terms({"class_logit": class_logit(3)}, 1, SIZE, whole=True, tile=20),
            "objective: 'class_logit' cannot be tiled, since its score of a map is not a sum over"
            " parts of the map; set dream.tile to null",
        ),
        (
            Terms({"layer_sum": layer_sum()}, 1, SIZE, guided(), whole=True, tile=20),
            "gradient: tiles have plain gradients; set dream.tile to null",
        ),
        (
            Terms({"layer_sum": layer_sum()}, 1, SIZE, whole=True, tile=0),
            "dream.tile: 0 is not a positive number of pixels",
        ),
    ],
)
def test_what_cannot_be_tiled_is_refused(terms: Terms, message: str):
    with pytest.raises(ConfigError) as caught:
        terms.check()
    assert str(caught.value) == message
