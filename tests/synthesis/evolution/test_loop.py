"""The loop: its accounting, its independence of batch and order, and its state."""

from __future__ import annotations

import dataclasses
import doctest
from collections.abc import Callable, Sequence
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pipeline
from pipeline.images.any_images import as_image_set
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import seeded
from pipeline.synthesis.evolution import experiment as experiments
from pipeline.synthesis.evolution import showing as showings
from pipeline.synthesis.evolution.adaptation import exponential
from pipeline.synthesis.evolution.batch import Batch
from pipeline.synthesis.evolution.experiment import Experiment
from pipeline.synthesis.evolution.generators import Generator
from pipeline.synthesis.evolution.loop import Evolution
from pipeline.synthesis.evolution.noises import gaussian, poisson
from pipeline.synthesis.evolution.responders import Occasion
from pipeline.synthesis.evolution.rivals import gradient, natural
from tests.synthesis.evolution.stand_ins import climbing, raw

IMAGES = torch.randn(7, 1, 20, 30, generator=torch.Generator().manual_seed(0))


def batch_of(net: Network, units: Sequence[int], restarts: int = 1, **experiment: Any) -> Batch:
    given = {"queries": 100, **experiment}
    layer = net.layer("conv2")
    return Batch(net, layer, units, restarts, 3, Experiment(**given), torch.device("cpu"))


def begun(batch: Batch, population: int = 8, generator: Generator | None = None) -> Evolution:
    own = generator or raw()
    return batch.evolution(("climbing", climbing(population)), ("raw", own))


def finished(evolution: Evolution) -> Evolution:
    evolution.run()
    return evolution


@pytest.mark.parametrize(
    ("experiment", "population", "cost", "queries"),
    [
        ({}, 8, 1, list(range(8, 97, 8))),
        ({"repeats": 3}, 8, 1, [24, 48, 72, 96]),
        ({"repeats": 3}, 50, 1, [150]),  # one generation at least
        ({"queries": 99}, 4, 3, list(range(12, 97, 12))),
        # 5 references, twice each, before generations 1, 4, 7 and so on.
        ({"repeats": 2, "references": 5, "reference_every": 3}, 8, 1, [26, 42, 58, 84, 100]),
        ({"references": 5, "reference_every": 1}, 20, 1, [25, 50, 75, 100]),
    ],
)
def test_queries_are_counted(
    experiment: dict[str, Any], population: int, cost: int, queries: list[int]
):
    given = {"queries": 100, **experiment}
    if "references" in given:
        given["references"] = torch.rand(given["references"], 1, 4, 4)
    plan = Experiment(**given)
    generations = plan.generations(population, cost)
    assert [plan.spent(n + 1, population, cost) for n in range(generations)] == queries
    assert generations == 1 or plan.spent(generations + 1, population, cost) > 100


def test_as_many_generations_as_the_queries_allow():
    for every, references, queries in product((1, 3), (0, 2, 60), (1, 59, 60, 199, 200, 201)):
        shown = torch.rand(references, 1, 4, 4) if references else None
        plan = Experiment(queries, references=shown, reference_every=every)
        allowed = [n for n in range(1, 300) if plan.spent(n, 7) <= queries]
        assert plan.generations(7) == max(allowed, default=1)
    assert Experiment(10**15, references=torch.rand(9, 1, 4, 4)).generations(1) > 10**14


def test_every_image_shown_is_counted(own: Network):
    references = torch.rand(3, 1, 13, 13)
    seen: list[int] = []

    def score(pictures: Tensor) -> list[float]:
        seen.append(len(pictures))
        return [float(picture.mean()) for picture in pictures]

    plain = batch_of(own, [0, 1], repeats=2, references=references, reference_every=2)
    size = plain.size
    references = torch.rand(3, 1, *size)
    shown = dataclasses.replace(plain.experiment, references=references)
    measured = dataclasses.replace(plain, experiment=shown, score=score)
    evolution = finished(begun(measured))
    assert sum(seen) == 2 * evolution.queries()[-1]
    assert [*evolution.references()] == [0, 2, 4]


def test_scores_are_those_of_the_network(own: Network):
    evolution = finished(begun(batch_of(own, [4, 1]), generator=raw(std=0.1)))
    best = evolution.best()
    field = own.unit_network("conv2")
    alone = field(best.images, torch.tensor([4, 1])).numpy()
    np.testing.assert_allclose(best.noise_free, alone, rtol=1e-6)
    np.testing.assert_allclose(best.observed, alone, rtol=1e-5)
    assert best.contrasts == pytest.approx([0.6, 0.6], abs=1e-6)
    history = evolution.history()
    assert (np.diff(history["best"], axis=0) >= 0).all()
    assert (history["best"] >= history["mean"]).all()
    assert (history["missing"] == 0).all()
    assert history["best"][-1].tolist() == best.observed.tolist()


DISTURBED = {"noise": poisson(scale=50.0), "adaptation": exponential(), "repeats": 2}


@pytest.mark.parametrize("experiment", [{}, DISTURBED])
def test_no_search_depends_on_others_or_their_order(own: Network, experiment: dict[str, Any]):
    together = finished(begun(batch_of(own, [0, 5, 2], 2, **experiment)))
    for unit, rows in ((5, [2, 3]), (0, [0, 1])):
        alone = finished(begun(batch_of(own, [unit], 2, **experiment)))
        for name, values in alone.history().items():
            assert np.array_equal(values, together.history()[name][:, rows], equal_nan=True)
        assert torch.equal(alone.best().images, together.best().images[rows])
    assert len(np.unique(together.history()["mean"][-1])) == 6  # restarts differ


def test_shared_passes_change_rounding_alone(own: Network):
    first = begun(batch_of(own, [0, 5, 2]))
    shared = begun(batch_of(own, [0, 5, 2], searches_per_pass=2))
    first.step()
    shared.step()
    np.testing.assert_allclose(shared.history()["best"], first.history()["best"], rtol=1e-5)


def test_passes_are_cut_where_memory_demands(own: Network):
    batch = batch_of(own, [0, 1])
    whole = finished(begun(batch))
    cut = begun(batch)
    object.__setattr__(cut, "showing", dataclasses.replace(batch.showing, images_per_pass=3))
    cut.step()
    np.testing.assert_allclose(cut.history()["best"], whole.history()["best"][:1], rtol=1e-5)


def contest(name: str) -> Callable[[Batch], Evolution]:
    rivals = {"natural": natural(population=6), "gradient": gradient(starts=2)}
    if name == "climbing":
        return begun
    return lambda batch: batch.contest(name, rivals[name])


@pytest.mark.parametrize("name", ["climbing", "natural", "gradient"])
def test_a_restored_search_goes_on_to_the_same_bits(own: Network, name: str):
    disturbed = {"noise": gaussian(), "adaptation": exponential(), "queries": 60}
    plain = batch_of(own, [0, 3], **disturbed)
    references = torch.rand(2, 1, *plain.size)
    plain = dataclasses.replace(
        plain,
        images=as_image_set(IMAGES, own.preprocessing),
        experiment=dataclasses.replace(plain.experiment, references=references, reference_every=2),
    )
    begin = contest(name)
    whole = begin(plain)
    states: list[dict[str, np.ndarray]] = []
    while not whole.finished:  # what comes later must not change a saved state
        states.append(whole.state())
        whole.step()
    for state in (states[0], states[1], states[-1]):
        again = begin(plain)
        again.restore(state)
        again.run()
        wanted, found = whole.state(), again.state()
        assert wanted.keys() == found.keys()
        for key in wanted:
            assert np.array_equal(wanted[key], found[key], equal_nan=True), key
        assert torch.equal(whole.best().images, again.best().images)


def test_a_restored_search_of_measured_scores_has_the_images_that_were_shown(own: Network):
    def score(pictures: Tensor) -> list[float]:
        return pictures.mean((1, 2, 3)).tolist()

    batch = dataclasses.replace(batch_of(own, [0, 3], queries=40), score=score)
    whole = begun(batch)
    whole.step()
    state = whole.state()
    whole.run()
    again = begun(batch)
    again.restore(state)
    assert again.best().images.isfinite().all()
    again.run()
    assert torch.equal(again.best().images, whole.best().images)
    brightness = own.preprocessing.pixels(whole.best().images).mean((1, 2, 3))
    assert whole.best().observed.tolist() == pytest.approx(brightness.tolist(), abs=1e-6)


def test_a_lost_repeat_leaves_the_mean_of_the_others(own: Network):
    def score(pictures: Tensor) -> list[float]:
        scores = [*range(len(pictures))]  # 8 pictures, three times
        return [np.nan if number in (1, 9, 17, 10) else float(number) for number in scores]

    evolution = begun(dataclasses.replace(batch_of(own, [0], repeats=3), score=score))
    evolution.step()
    told = evolution.proposals.searching.told[0][0]  # type: ignore[attr-defined]
    # The mean of n, n + 8 and n + 16, but for picture 1 without any, and 2 without the second.
    assert told[[0, 2, 3]].tolist() == [8, (2 + 18) / 2, 11]
    assert np.isnan(told[1])
    assert evolution.history()["missing"] == [[1]]


def test_noise_is_beside_the_response_without_it(own: Network):
    clean = begun(batch_of(own, [1]))
    noisy = begun(batch_of(own, [1], noise=gaussian(scale=0.5), repeats=4, queries=8 * 4))
    clean.step()
    noisy.step()
    assert noisy.history()["noise_free_mean"][0] == clean.history()["mean"][0]
    # 8 pictures, each the mean of 4: their mean has a standard deviation of 0.5 / sqrt(32).
    error = noisy.history()["mean"][0, 0] - clean.history()["mean"][0, 0]
    assert 0 < abs(error) < 4 * 0.5 / np.sqrt(32)


def test_references_do_not_change_the_noise_of_the_search(own: Network):
    plain = batch_of(own, [1], noise=gaussian())
    references = torch.rand(2, 1, *plain.size)
    shown = batch_of(own, [1], noise=gaussian(), references=references, reference_every=1)
    first, second = finished(begun(plain)), finished(begun(shown))
    number = second.generation
    assert np.array_equal(first.history()["best"][:number], second.history()["best"])
    scores = np.stack([*second.references().values()])
    assert (scores[:, 1] == scores[0, 1]).all()  # without noise
    assert len(np.unique(scores[:, 0])) == scores[:, 0].size


def test_adaptation_counts_every_presentation(own: Network):
    adapted = exponential(floor=0.0, constant=10.0)
    plain = begun(batch_of(own, [1], queries=32))
    falling = begun(batch_of(own, [1], queries=32, adaptation=adapted, repeats=2))
    plain.step()
    falling.step()
    told = falling.proposals.searching.told[0][0]  # type: ignore[attr-defined]
    free = plain.proposals.searching.told[0][0]  # type: ignore[attr-defined]
    gains = [(np.exp(-n / 10) + np.exp(-(n + 8) / 10)) / 2 for n in range(8)]
    np.testing.assert_allclose(told, free * gains, rtol=1e-12)
    falling.step()
    shown = falling.proposals.searching.told[1][0] / np.exp(-1.6)  # type: ignore[attr-defined]
    again = begun(batch_of(own, [1], queries=32, adaptation=adapted, repeats=2))
    again.step()
    codes = again.proposals.searching.ask()
    scores = again.showing.show(codes, again.proposals.draw, 0, again._noises, Occasion("", 2))
    np.testing.assert_allclose(shown, scores.observed[0], rtol=1e-12)


def test_pictures_that_are_not_finite_have_no_score(own: Network):
    def holey() -> Generator:
        whole = raw()

        def build(setting: Any) -> Any:
            built = whole.build(setting)

            def draw(codes: Tensor) -> Tensor:
                pictures = built.draw(codes).clone()
                pictures[1::2, 0, 0, 0] = torch.nan
                return pictures

            return dataclasses.replace(built, draw=draw)

        return Generator(build)

    evolution = finished(begun(batch_of(own, [0, 1]), generator=holey()))
    assert (evolution.history()["missing"] == 4).all()
    told = evolution.proposals.searching.told[0]  # type: ignore[attr-defined]
    assert np.isnan(told).tolist() == [[False, True] * 4] * 2
    assert np.isfinite(evolution.history()["mean"]).all()


def test_without_a_fixed_contrast_evolution_compares_contrasts():
    # One picture is the unit's kernel at a low contrast, the other noise and a little of it.
    with seeded(0):
        module = nn.Conv2d(1, 2, 9)
    linear = pipeline.network(module, input_size=(1, 20, 20), mean=[0.5], std=[0.25])
    kernel = module.weight[:1] / module.weight[0].abs().max()
    noise = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(0)).sign()
    noise = noise - (noise * kernel).sum() / kernel.square().sum() * kernel  # unlike it
    pictures = torch.cat([0.5 + 0.01 * kernel, 0.5 + 0.1 * kernel + 0.3 * noise])
    codes = pictures.detach().flatten(1).double().numpy()[None]
    scores: list[np.ndarray] = []
    for contrast in (0.6, None):
        experiment = Experiment(contrast=contrast)
        batch = Batch(linear, linear.layer("conv1"), [0], 1, 0, experiment, torch.device("cpu"))
        shown = batch.showing.show(codes, lambda c: c.reshape(-1, 1, 9, 9), 0, [], Occasion("", 1))
        scores.append(shown.observed[0] - module.bias[0].item())
    (kernel_alike, other), (kernel_raw, other_raw) = scores
    # The response to the kernel itself at the contrast: its norm times that of the image.
    assert kernel_alike == pytest.approx(0.6 * 9 * module.weight[0].norm().item(), rel=1e-5)
    assert kernel_alike > 2 * other
    assert other_raw > 2 * kernel_raw


def test_eight_bits_are_whole_steps(own: Network):
    evolution = finished(begun(batch_of(own, [0], bits=8)))
    steps = own.preprocessing.pixels(evolution.best().images) * 255
    np.testing.assert_allclose(steps, steps.round(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("module", [experiments, showings])
def test_the_examples_run(module: ModuleType):
    assert doctest.testmod(module).failed == 0
