"""Scores of whole images beside the plain network with hooks, and how terms add up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.gradient_rules import (
    PLAIN,
    GradientRule,
    at_step,
    guided,
    redirected_relu,
)
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import seeded
from pipeline.synthesis import objectives
from pipeline.synthesis.objectives import Objective, Seen
from pipeline.synthesis.scoring import FieldScorer, MapScorer
from pipeline.synthesis.terms import Terms

HALF = Preprocessing(resize=None, crop=20, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
UNITS = torch.tensor([2, 0, 1])


class Net(nn.Module):
    """Convolutions with ReLUs behind them that write over their responses."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 5, 2, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(6, 5, 3, 1, 1),
            nn.ReLU(inplace=True),
        )
        self.pool, self.classes = nn.AdaptiveAvgPool2d(2), nn.Linear(20, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.classes(torch.flatten(self.pool(self.features(images)), 1))


class Rigid(Net):
    """Takes images of 20 pixels alone."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.classes = nn.Identity(), nn.Linear(80, 4)


def network_of(module: nn.Module) -> Network:
    module = module.double().eval().requires_grad_(False)
    return Network("net", module, HALF, "random", "0" * 64)


@pytest.fixture(scope="module")
def network() -> Network:
    with seeded(1):
        return network_of(Net())


def drawn(count: int = 3, height: int = 20, width: int = 20, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, height, width, generator=source, dtype=torch.float64)


def scorer(
    network: Network,
    layer: str,
    copies: int = 1,
    rule: GradientRule = PLAIN,
    **chosen: Objective,
) -> MapScorer | FieldScorer:
    (found,) = network.find_layers([layer])
    made = Terms(chosen, copies, (20, 20), rule).scorer(network, found)
    assert isinstance(made, MapScorer | FieldScorer)
    return made


def scored(made: MapScorer | FieldScorer, images: Tensor, units: Tensor = UNITS) -> Tensor:
    return made.begin(images, units)(images, units)


def gradient(score: Tensor, images: Tensor) -> Tensor:
    return torch.autograd.grad(score.sum(), images)[0]


def responses(network: Network, images: Tensor, modules: Sequence[str]) -> list[Tensor]:
    """Return what modules of the plain network put out, before anything writes over it."""
    found: dict[str, Tensor] = {}
    hooks = [
        network.module.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.__setitem__(name, output.clone())
        )
        for name in modules
    ]
    network.module(images)
    for hook in hooks:
        hook.remove()
    return [found[name] for name in modules]


def test_score_and_gradient_are_those_of_the_plain_network_with_hooks(network: Network):
    images = drawn().requires_grad_()
    chosen = {
        "channel_mean": objectives.channel_mean(weight=2.0),
        "layer_mean_square": objectives.layer_mean_square(layer=["conv1", "conv2"], weight=-3.0),
        "class_logit": objectives.class_logit(category=3),
    }
    score = scored(scorer(network, "conv2", **chosen), images)
    first, second = responses(network, images, ["features.0", "features.3"])
    expected = 2 * second[torch.arange(3), UNITS].mean((1, 2))
    for z in (first, second):
        expected = expected - 3 * z.square().mean((1, 2, 3))
    expected = expected + network.module(images)[:, 3]
    torch.testing.assert_close(score, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(
        gradient(score, images), gradient(expected, images), rtol=1e-10, atol=1e-10
    )


def test_unit_at_a_place_is_read_from_the_whole_image(network: Network):
    images = drawn()
    made = scorer(network, "conv1", unit_response=objectives.unit_response(position=[0, 9]))
    assert isinstance(made, MapScorer)
    (expected,) = responses(network, images, ["features.0"])
    torch.testing.assert_close(scored(made, images), expected[torch.arange(3), UNITS, 0, 9])


def test_unit_alone_is_climbed_on_its_receptive_field(network: Network):
    made = scorer(network, "conv2", unit_response=objectives.unit_response(weight=-2.0))
    assert isinstance(made, FieldScorer)
    assert made.input_size == (17, 17)  # 5 + 2 * (3 - 1) + 4 * (3 - 1) pixels
    images = drawn(height=17, width=17)
    torch.testing.assert_close(scored(made, images), -2 * made.network(images, UNITS))
    beside = scorer(
        network,
        "conv2",
        unit_response=objectives.unit_response(),
        layer_mean=objectives.layer_mean(),
    )
    assert beside.input_size == (20, 20)


def test_several_terms_add_by_their_weights(network: Network):
    images = drawn()
    first, second = objectives.channel_sum(weight=0.5), objectives.layer_mean(weight=-4.0)
    one = scored(scorer(network, "conv1", channel_sum=first), images)
    other = scored(scorer(network, "conv1", layer_mean=second), images)
    both = scored(scorer(network, "conv1", channel_sum=first, layer_mean=second), images)
    torch.testing.assert_close(both, one + other)


def test_negative_weight_turns_the_gradient_around(network: Network):
    images = drawn().requires_grad_()
    up = scored(scorer(network, "conv2", a=objectives.channel_mean()), images)
    down = scored(scorer(network, "conv2", a=objectives.channel_mean(weight=-1.0)), images)
    torch.testing.assert_close(gradient(up, images), -gradient(down, images))


@pytest.mark.parametrize("weight", [1.0, -0.25])
def test_balanced_terms_pull_as_hard_as_the_first_with_a_number(network: Network, weight: float):
    starts = drawn().requires_grad_()
    numbered = {"channel_mean": objectives.channel_mean(weight=weight)}
    balanced = {"layer_sum_square": objectives.layer_sum_square(weight=None, layer="conv1")}
    alone = gradient(scored(scorer(network, "conv2", **numbered), starts), starts)
    both = gradient(scored(scorer(network, "conv2", **balanced, **numbered), starts), starts)
    lengths = [g.flatten(1).norm(dim=1) for g in (alone, both - alone)]
    torch.testing.assert_close(*lengths)


def test_balance_is_struck_at_the_start_and_kept(network: Network):
    starts, images = drawn(), drawn(seed=7)
    made = scorer(
        network,
        "conv2",
        channel_mean=objectives.channel_mean(),
        layer_mean=objectives.layer_mean(weight=None),
    )
    kept = made.begin(starts, UNITS)(images, UNITS)
    anew = made.begin(images, UNITS)(images, UNITS)
    assert not torch.allclose(kept, anew)
    # An image's balance is its own.
    for index in range(3):
        one = slice(index, index + 1)
        alone = made.begin(starts[one], UNITS[one])(images[one], UNITS[one])
        torch.testing.assert_close(alone, kept[one])


def test_term_without_a_gradient_is_left_as_it_is(network: Network):
    images = drawn()
    silent = Objective(lambda seen: 0 * seen.images.sum((1, 2, 3)) + 5.0, weight=None)
    made = scorer(network, "conv1", channel_mean=objectives.channel_mean(), silent=silent)
    plain = scored(scorer(network, "conv1", channel_mean=objectives.channel_mean()), images)
    torch.testing.assert_close(scored(made, images), plain + 5)


def test_start_is_what_ascents_are_compared_with(network: Network):
    starts, images = drawn(), drawn(seed=7)
    made = scorer(network, "conv2", accentuation=objectives.accentuation())
    score = made.begin(starts, UNITS)
    torch.testing.assert_close(score(starts, UNITS), torch.zeros(3).double(), atol=1e-5, rtol=0)
    (z,), (target,) = (responses(network, x, ["features.3"]) for x in (images, starts))
    expected = -(z - target).flatten(1).norm(dim=1) / target.flatten(1).norm(dim=1)
    torch.testing.assert_close(score(images, UNITS), expected)


def test_picture_is_what_an_inversion_is_compared_with(network: Network):
    inversion = objectives.inversion(layer=["conv1", "conv2"])
    assert inversion.picture is not None
    picture = HALF.sized(resize=20, crop=20)(inversion.picture).double()[None]
    made = scorer(network, "conv1", inversion=inversion)
    assert scored(made, picture, UNITS[:1]).item() == pytest.approx(0, abs=1e-10)
    silence = scored(made, drawn() * 1e3)
    assert (silence < -1).all()


def test_copies_lie_side_by_side(network: Network):
    images, units = drawn(4), torch.tensor([1, 1, 3, 3])
    made = scorer(network, "conv1", copies=2, diversity=objectives.diversity())
    score = scored(made, images, units)
    torch.testing.assert_close(score[0::2], score[1::2])  # of two, both are as unlike the other
    swapped = scored(made, images[[2, 3, 0, 1]], units[[2, 3, 0, 1]])
    torch.testing.assert_close(swapped, score[[2, 3, 0, 1]])
    assert not torch.allclose(scored(made, images[[0, 2, 1, 3]], units), score)


def test_layer_called_output_is_the_network_itself(network: Network):
    images, units = drawn(), torch.tensor([3, 0, 2])
    (layer,) = network.find_layers(["output"])
    assert layer.units == 4
    made = Terms({"class_logit": objectives.class_logit()}, 1, (20, 20)).scorer(network, layer)
    assert isinstance(made, MapScorer)
    expected = network.module(images)[torch.arange(3), units]
    torch.testing.assert_close(scored(made, images, units), expected)


def test_images_of_other_sizes_are_scored_where_the_network_takes_them(network: Network):
    with seeded(2):
        rigid = network_of(Rigid())
    chosen = {"class_logit": objectives.class_logit(category=1)}
    assert scorer(network, "conv1", **chosen).takes_any_size()
    assert not scorer(rigid, "conv1", **chosen).takes_any_size()
    assert scorer(rigid, "conv1", channel_mean=objectives.channel_mean()).takes_any_size()
    images = drawn(height=26, width=31)
    made = scorer(network, "conv1", **chosen)
    torch.testing.assert_close(scored(made, images), network.module(images)[:, 1])


def test_gradient_rule_holds_on_whole_images_too(network: Network):
    images = drawn().requires_grad_()
    (layer,) = network.find_layers(["conv2"])
    terms = {"channel_mean": objectives.channel_mean()}
    ruled = Terms(terms, 1, (20, 20), guided()).scorer(network, layer)
    assert isinstance(ruled, MapScorer)
    score, plain = scored(ruled, images), scored(scorer(network, "conv2", **terms), images)
    torch.testing.assert_close(score, plain)
    assert not torch.allclose(gradient(score, images), gradient(plain, images))


def needs_copies(seen: Seen) -> Tensor:
    return seen.own.sum((1, 2))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {},
            "objective: the list is empty; choose one or more, as in objective=[unit_response]",
        ),
        (
            {"diversity": Objective(needs_copies, copies=2)},
            "objective: 'diversity' compares several images of a unit; set init.copies to 2 or"
            " more",
        ),
        (
            {"a": objectives.channel_sum(weight=None), "b": objectives.layer_sum(weight=None)},
            "objective: no weight is a number that the others could be balanced against; give one"
            " of them a weight",
        ),
        (
            {"class_logit": objectives.class_logit()},
            "objective.class_logit.category: must be given unless layers=[output], since units of"
            " conv1 are no classes",
        ),
    ],
)
def test_terms_that_make_no_sense_are_refused(network: Network, chosen: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        scorer(network, "conv1", **chosen)
    assert str(caught.value) == message


def test_picture_is_compared_on_square_images_alone(network: Network):
    (layer,) = network.find_layers(["conv1"])
    terms = Terms({"inversion": objectives.inversion()}, 1, (20, 24))
    with pytest.raises(ConfigError) as caught:
        terms.scorer(network, layer)
    assert str(caught.value) == (
        "objective.inversion: a picture is compared on square images, and these are 20 x 24"
    )


def test_layer_that_is_not_there_is_refused(network: Network):
    with pytest.raises(ConfigError, match=r"^layers: 'conv9' is not in net"):
        scorer(network, "conv1", a=objectives.channel_mean(layer="conv9"))


@pytest.mark.parametrize("rule", [guided(), redirected_relu(2)])
def test_balance_follows_the_gradient_rule_from_the_first_step(network: Network, rule):
    """As in the loop, which descends, and whatever step this thread was at before."""
    at_step(100)
    made = scorer(
        network,
        "conv2",
        rule=rule,
        channel_mean=objectives.channel_mean(),
        layer_sum_square=objectives.layer_sum_square(weight=None),
    )
    starts = drawn().requires_grad_()
    score = made.begin(starts.detach(), UNITS)
    at_step(0)
    weighted = zip(score.weights, made.scores(starts, UNITS, score.references), strict=True)
    lengths = []
    for weight, term in weighted:
        downhill = -weight * term
        (found,) = torch.autograd.grad(downhill.sum(), starts, retain_graph=True)
        lengths.append(found.flatten(1).norm(dim=1))
    torch.testing.assert_close(*lengths)
