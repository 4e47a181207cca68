"""Evolution in a notebook: tables, rivals, own scores, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pipeline
from pipeline.errors import ConfigError, ImageError
from pipeline.networks.loading.network import Network
from pipeline.synthesis.evolution.generators import Generator
from pipeline.synthesis.evolution.rivals import gradient, natural
from tests.synthesis.evolution.stand_ins import climbing, raw

IMAGES = torch.randn(7, 1, 20, 30, generator=torch.Generator().manual_seed(0))
FIELD = (1, 10, 10)  # of conv2


def evolve(net: Network, units: Any = (0,), layer: str = "conv2", **options: Any) -> Any:
    given = {"searcher": climbing(), "generator": raw(), "queries": 40, **options}
    return pipeline.evolve(net, layer, [*units], **given)


def test_the_film_of_each_method_ends_with_its_final_images(own: Network):
    found = evolve(own, [4, 1], rivals=natural(), images=IMAGES, film=3)
    for method, frames in found.film.items():
        rows = np.flatnonzero(found.table["method"] == method)
        assert torch.equal(frames[-1], found.images[rows])
        assert frames.shape == (len(found.film_generations[method]), 2, *FIELD)
    assert found.film_generations["searcher"].tolist() == [1, 3, 5]
    assert repr(found).startswith("Evolved\n  images: float32 [4, 1, 10, 10]\n  table: 4 rows of")


def test_tables_have_a_row_per_search(own: Network):
    found = evolve(own, [4, 1], restarts=2)
    assert found.table[["unit", "restart"]].to_numpy().tolist() == [[4, 0], [4, 1], [1, 0], [1, 1]]
    assert found.history["queries"].tolist() == [8, 16, 24, 32, 40] * 4
    assert found.images.shape == (4, *FIELD)
    assert found.pictures.min() >= 0
    assert found.pictures.max() <= 1
    last = found.history.groupby(["method", "unit", "restart"], sort=False).tail(1)
    assert last["best"].tolist() == found.table["response"].tolist()
    first = found.history.query("generation == 1")
    assert first["best"].tolist() == found.table["start"].tolist()
    assert (found.table["contrast"] - 0.6).abs().max() < 1e-6
    assert found.references.empty


def test_the_way_to_90_percent_is_counted(own: Network):
    found = evolve(own, [2])
    curve = found.history.set_index("queries")["best"]
    wanted = curve.iloc[0] + 0.9 * (curve.iloc[-1] - curve.iloc[0])
    assert found.table["queries_to_90"].tolist() == [curve[curve >= wanted].index[0]]


def test_rivals_have_the_same_budget_in_the_same_tables(own: Network):
    rivals = [natural(population=5), gradient(starts=2), climbing(4)]
    found = evolve(own, [3], rivals=rivals, images=IMAGES)
    methods = found.table["method"].tolist()
    assert methods == ["searcher", "natural", "gradient", "searcher (2)"]
    # A gradient at each of 2 images counts 3 queries.
    assert found.table["queries"].tolist() == [40, 40, 36, 40]
    ends = found.history.groupby("method")["queries"].agg(["count", "max"])
    assert ends.loc["natural"].tolist() == [8, 40]
    assert ends.loc["gradient"].tolist() == [6, 36]
    alone = evolve(own, [3])
    assert alone.history.equals(found.history.query("method == 'searcher'"))


def test_rivals_may_be_named(own: Network):
    found = evolve(own, [3], rivals={"small steps": climbing(4), "uphill": "gradient"})
    assert found.table["method"].tolist() == ["searcher", "small steps", "uphill"]


def test_no_rival_is_lost_to_the_name_of_another(own: Network):
    rivals = {"searcher": climbing(4), "searcher (2)": climbing(5), "uphill": climbing(6)}
    found = evolve(own, [3], rivals=rivals)
    names = ["searcher", "searcher (2)", "searcher (2) (2)", "uphill"]
    assert found.table["method"].tolist() == names


def test_a_budget_below_one_generation_is_said(own: Network):
    found = evolve(own, [3], queries=7, rivals=[gradient(starts=2)])
    assert found.table["queries"].tolist() == [8, 6]
    reasons = found.table["reason"].tolist()
    assert reasons[0] == "one generation takes 8 queries, more than the 7 allowed"
    assert reasons[1] == "the queries allow a single generation, so that nothing evolved"


def test_natural_images_beyond_black_and_white_are_cut_before_the_contrast(own: Network):
    images = 3 * torch.randn(5, *FIELD, generator=torch.Generator().manual_seed(1))
    found = evolve(own, [3], rivals=[natural(population=5)], images=images, queries=20)
    assert found.table["contrast"].tolist() == pytest.approx([0.6, 0.6], abs=1e-5)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: natural(population=0),
            "natural.population: 0 is not a whole number of at least 1",
        ),
        (lambda: natural(population=1.5), "natural.population: 1.5 is not a whole number"),  # pyright: ignore[reportArgumentType]
        (lambda: gradient(starts=True), "gradient.starts: True is not a whole number"),
        (
            lambda: gradient(gradient_queries=0),
            "gradient.gradient_queries: 0 is not a whole number",
        ),
        (lambda: gradient(step=float("inf")), "gradient.step: inf is not a positive number"),
    ],
)
def test_rivals_refuse_wrong_settings(make: Any, sentence: str, untyped: None):
    with pytest.raises(ConfigError, match=rf"^rivals\.{sentence}"):
        make()


def test_natural_images_are_their_best_patch(own: Network):
    # As many queries as images, each of the size of the field: each is shown once.
    images = torch.randn(20, *FIELD, generator=torch.Generator().manual_seed(1))
    rivals = [natural(population=5)]
    found = evolve(own, [3, 0], rivals=rivals, images=images, queries=20, contrast=None)
    inside = own.preprocessing.normalize(own.preprocessing.pixels(images).clamp(0, 1))
    field = own.unit_network("conv2")
    for unit in (3, 0):
        responses = field(inside, torch.full((20,), unit))
        row = found.table.query("method == 'natural' and unit == @unit")
        assert row["response"].item() == pytest.approx(responses.max().item(), rel=1e-5)
        best = inside[responses.argmax()]
        torch.testing.assert_close(found.images[row.index[0]], best, rtol=0, atol=1e-6)
        history = found.history.query("method == 'natural' and unit == @unit")
        assert history["mean"].mean() == pytest.approx(responses.mean().item(), rel=1e-4)


def test_natural_patches_of_images_that_cannot_be_read_have_no_score(
    own: Network, tmp_path: Any, caplog: pytest.LogCaptureFixture
):
    from PIL import Image

    pixels = np.random.RandomState(0).randint(0, 255, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    paths = [tmp_path / "good.png", tmp_path / "bad.png"]
    found = evolve(own, [3], rivals=[natural(population=4)], images=paths)
    assert (found.history.query("method == 'natural'")["missing"] == 2).all()
    assert "bad.png" in caplog.text


def test_gradient_ascent_goes_straight_up_to_the_kernel():
    module = nn.Conv2d(3, 2, 7)
    half = [0.5] * 3
    net = pipeline.network(module, input_size=(3, 16, 18), mean=half, std=half)
    rivals = [gradient(starts=2, step=0.5)]
    found = evolve(net, [1], "conv1", rivals=rivals, queries=600)
    kernel = module.weight.detach()[1]
    image = found.images[1]
    # Of all images of one norm, the kernel drives a linear unit most.
    similarity = (image * kernel).sum() / image.norm() / kernel.norm()
    assert similarity > 0.999
    assert found.table["contrast"].tolist() == pytest.approx([0.6, 0.6], abs=1e-6)


def test_a_network_that_is_not_square_of_three_channels_and_any_position(own: Network):
    module = nn.Sequential(nn.Conv2d(3, 4, (3, 7)), nn.ReLU(), nn.Conv2d(4, 5, (3, 1)))
    net = pipeline.network(module, input_size=(3, 16, 24))
    found = evolve(net, [2], rivals=["gradient"])
    assert found.images.shape == (2, 3, 5, 7)


def test_own_scores_take_the_place_of_the_network(own: Network):
    shapes: list[tuple[int, ...]] = []

    def score(pictures: Tensor) -> np.ndarray:
        shapes.append(tuple(pictures.shape))
        assert pictures.min() >= 0
        assert pictures.max() <= 1
        return pictures.mean((1, 2, 3)).numpy()

    found = evolve(own, [0, 2], score=score, repeats=2, queries=48)
    assert shapes == [(32, *FIELD)] * 3  # 2 searches of 8 candidates, each twice
    brightness = found.pictures.mean((1, 2, 3)).tolist()
    assert found.table["response"].tolist() == pytest.approx(brightness, abs=1e-6)
    assert found.table["noise_free"].isna().all()
    assert found.history["noise_free"].isna().all()


def test_own_scores_may_be_missing(own: Network):
    def score(pictures: Tensor) -> list[float]:
        return [np.nan] * len(pictures)

    found = evolve(own, score=score)
    assert found.table["reason"].tolist() == ["no response was measured"]
    assert found.images.isnan().all()
    assert found.table[["response", "contrast", "queries_to_90"]].isna().to_numpy().all()
    assert (found.history["missing"] == 8).all()


def test_searches_start_from_images(own: Network):
    start = evolve(own, [3], queries=400).images
    found = evolve(own, [3], start=start, generator=raw(std=1e-6), queries=8)
    torch.testing.assert_close(found.images, start, rtol=0, atol=1e-3)


def test_references_have_a_table(own: Network):
    references = torch.randn(2, *FIELD, generator=torch.Generator().manual_seed(0))
    found = evolve(own, [3], references=references, reference_every=2, contrast=None)
    assert found.references["generation"].tolist() == [0, 0, 2, 2]
    inside = own.preprocessing.normalize(own.preprocessing.pixels(references).clamp(0, 1))
    responses = own.unit_network("conv2")(inside, torch.tensor([3, 3])).tolist()
    assert found.references["response"].tolist() == pytest.approx(responses * 2, rel=1e-5)
    assert found.table["queries"].tolist() == [4 * 8 + 2 * 2]


def test_names_stand_for_options(own: Network):
    named = evolve(own, [1], noise="poisson", adaptation="exponential")
    assert named.table["response"].tolist() != named.table["noise_free"].tolist()
    listed = pipeline.EvolutionOptions.names()
    assert listed["rivals"] == ["gradient", "natural"]
    assert listed["adaptation"] == ["exponential"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"repeat": 1}, "repeat: is no option; .*nearest: repeats"),
        ({"queries": 0}, "queries: 0 is not positive"),
        ({"repeats": 1.5}, "repeats: 1.5 is not a whole number"),
        ({"restarts": 0}, "restarts: 0 is not positive"),
        ({"seed": -1}, "seed: -1 is not at least 0"),
        ({"searches_per_pass": 0}, "searches_per_pass: 0 is not positive"),
        ({"reference_every": 0}, "reference_every: 0 is not positive"),
        ({"contrast": -1}, "contrast: -1 is not a positive number"),
        ({"bits": 17}, "bits: 17 is more than 16"),
        ({"layer": "conv9"}, "layer: 'conv9' is not in Sequential"),
        ({"units": [99]}, "units: .* goes beyond conv2"),
        ({"searcher": "gentic"}, "searcher: 'gentic' is no Searcher"),
        ({"generator": 3}, "generator: 3 is no Generator"),
        ({"generator": "pixls", "weights": "/w"}, "weights: the generator 'pixls' takes none"),
        ({"noise": "poison"}, "noise: 'poison' is no Noise; .*nearest: poisson"),
        ({"adaptation": 0.5}, "adaptation: 0.5 is no Adaptation; give one of exponential"),
        ({"rivals": "natral"}, "rivals: 'natral' is no Rival; .*nearest: natural; or a searcher:"),
        ({"rivals": "natural"}, "rivals: 'natural' shows images, and there are none; give images"),
        ({"score": 3}, "score: int is no function from pictures to scores"),
        ({"score": lambda p: p}, r"score: it returned shape \(8, 1, 10, 10\) for 8 pictures"),
        ({"score": lambda p: "high"}, "score: it returned str, and must return one number"),
        ({"score": len, "noise": "poisson"}, "noise: scores of score= are measured"),
        ({"score": len, "rivals": "gradient"}, "rivals: 'gradient' climbs the gradient of the net"),
        ({"start": torch.zeros(1, 5, 5)}, r"start: it is not images of shape \[some, 1, 10, 10\]"),
        ({"references": "here"}, "references: it is not images of shape"),
    ],
)
def test_what_is_wrong_is_said(own: Network, options: dict[str, Any], sentence: str, untyped: None):
    units = options.pop("units", [0])
    with pytest.raises((ConfigError, ImageError), match=f"^{sentence}"):
        evolve(own, units, **options)


def test_the_decoder_refuses_a_network_without_colors_by_its_own_name(own: Network):
    with pytest.raises(ConfigError, match=r"^generator\.decoder: it draws red, green and blue"):
        evolve(own, generator="decoder")


def test_a_generator_that_needs_images_or_cannot_encode_says_so(own: Network):
    whole = raw()

    def build(setting: Any) -> Any:
        setting.pictures()
        return whole.build(setting)

    with pytest.raises(ConfigError, match=r"generator: '.*' learns from 4 images, and there are"):
        evolve(own, generator=Generator(build, images=4))
    assert evolve(own, generator=Generator(build, images=4), images=IMAGES).table is not None

    def blind(setting: Any) -> Any:
        import dataclasses

        return dataclasses.replace(whole.build(setting), encode=None)

    with pytest.raises(ConfigError, match=r"start: the generator '.*' cannot turn pictures into"):
        evolve(own, generator=Generator(blind), start=torch.zeros(1, *FIELD))


def test_a_budget_below_two_generations_says_that_nothing_evolved():
    found = pipeline.evolve(pipeline.network("miniature"), "conv1", 3, queries=39)
    assert found.table["queries"].tolist() == [20]
    told = "the queries allow a single generation, so that nothing evolved"
    assert found.table["reason"].tolist() == [told]
