"""What each objective scores: numbers worked out by hand, plain loops, and gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.networks.loading.weights import seeded
from pipeline.synthesis import objectives
from pipeline.synthesis.objectives import Objective, Seen

# One image, two features on a map of 2 x 2.
MAP = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]], [[0.0, 5.0], [-1.0, 2.0]]]], dtype=torch.float64)


def seen(responses: Tensor, units: list[int] | None = None, copies: int = 1, **more) -> Seen:
    count = len(responses)
    numbers = torch.tensor(units or [0] * count)
    return Seen(responses, numbers, copies, torch.zeros(count, 3, 4, 4), **more)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=torch.float64)


def weighted(objective: Objective, what: Seen) -> Tensor:
    assert objective.weight is not None
    return objective.weight * objective.score(what)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        # The middle of a map of even sides is at n // 2: the last row and column here.
        (objectives.unit_response(), 4.0),
        (objectives.unit_response(position="center"), 4.0),
        (objectives.unit_response(position=[0, 1]), -2.0),
        (objectives.channel_sum(), 6.0),
        (objectives.channel_mean(), 1.5),
        (objectives.constant_minus_channel(), 4 * 200 - 6.0),
        (objectives.layer_sum(), 12.0),
        (objectives.layer_sum(per_feature=True), 6.0),
        (objectives.layer_mean(), 1.5),
        (objectives.layer_mean_square(), 7.5),  # (1 + 4 + 9 + 16 + 0 + 25 + 1 + 4) / 8
        (objectives.layer_sum_square(), 60.0),
        (objectives.layer_half_sum_square(), 30.0),
        (objectives.direction([2.0, -1.0]), (2 * 6 - 6) / 4),
        (objectives.direction({1: 3.0}), 3 * 6 / 4),
        (objectives.direction([2.0, -1.0], position=[0, 1]), -4 - 5),
        (objectives.direction([2.0, -1.0], position="center"), 8 - 2),
    ],
)
def test_known_map_has_the_score_worked_out_by_hand(objective: Objective, expected: float):
    assert objective.score(seen(MAP)).tolist() == [expected]


def test_images_are_scored_for_their_own_units():
    maps = drawn(3, 4, 5, 6)
    both = seen(maps, [2, 0, 3])
    for index, unit in enumerate([2, 0, 3]):
        assert objectives.channel_mean().score(both)[index] == maps[index, unit].mean()
        assert objectives.unit_response().score(both)[index] == maps[index, unit, 2, 3]


def test_class_is_read_before_or_after_the_softmax():
    outputs = torch.log(torch.tensor([[1.0, 2.0, 5.0], [6.0, 3.0, 1.0]], dtype=torch.float64))
    given = seen(outputs[:, :, None, None], [2, 1])
    logit, probability = objectives.class_logit(), objectives.class_probability()
    torch.testing.assert_close(logit.score(given).exp(), torch.tensor([5.0, 3.0]).double())
    torch.testing.assert_close(probability.score(given), torch.tensor([5 / 8, 3 / 10]).double())
    fixed = objectives.class_probability(category=0)
    torch.testing.assert_close(fixed.score(given), torch.tensor([1 / 8, 6 / 10]).double())
    assert logit.per_unit
    assert not fixed.per_unit
    assert logit.layers == fixed.layers == "output"


def test_cosine_is_the_mean_of_the_angles_by_numpy():
    maps, vector = drawn(2, 3, 4, 5), np.array([1.0, -2.0, 0.5])
    z = maps.numpy()
    cosines = np.einsum("bcyx,c->byx", z, vector)
    cosines = cosines / np.linalg.norm(z, axis=1) / np.linalg.norm(vector)
    found = objectives.cosine_direction(vector.tolist()).score(seen(maps))
    np.testing.assert_allclose(found.numpy(), cosines.mean((1, 2)))
    there = objectives.cosine_direction(vector.tolist(), position=[3, 1]).score(seen(maps))
    np.testing.assert_allclose(there.numpy(), cosines[:, 3, 1])


def test_direction_may_lie_in_a_file(tmp_path: Path):
    np.save(tmp_path / "v.npy", np.array([2.0, -1.0]))
    objective = objectives.direction(str(tmp_path / "v.npy"))
    assert objective.score(seen(MAP)).tolist() == [1.5]
    np.save(tmp_path / "v.npy", np.array([2.0, 1.0]))
    assert objective.contents != objectives.direction(str(tmp_path / "v.npy")).contents


# Gradients.


@pytest.fixture(scope="module")
def convolution() -> nn.Module:
    with seeded(3):
        layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3))
    return layers.double().requires_grad_(False)


def gradient(network: nn.Module, objective: Objective, unit: int = 0) -> Tensor:
    images = drawn(2, 3, 9, 8, seed=1).requires_grad_()
    score = weighted(objective, seen(network(images), [unit, unit]))
    return torch.autograd.grad(score.sum(), images)[0]


def test_gradient_of_a_layer_is_the_sum_of_those_of_its_features(convolution: nn.Module):
    features = [gradient(convolution, objectives.channel_sum(), unit) for unit in range(5)]
    total = torch.stack(features).sum(0)
    torch.testing.assert_close(gradient(convolution, objectives.layer_sum()), total)
    scaled = gradient(convolution, objectives.layer_sum(per_feature=True))
    torch.testing.assert_close(scaled, total / 5)


def test_constant_of_the_loss_changes_no_gradient(convolution: nn.Module):
    ascent = gradient(convolution, objectives.channel_sum(), 3)
    for constant in (0.0, 200.0, -7.0):
        loss = objectives.constant_minus_channel(constant, weight=1.0)
        torch.testing.assert_close(gradient(convolution, loss, 3), -ascent)
        minimized = objectives.constant_minus_channel(constant)  # by its weight
        assert torch.equal(gradient(convolution, minimized, 3), ascent)


def test_features_of_opposed_gradients_cancel():
    kernel = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    convolution = nn.Conv2d(3, 2, 2, bias=False).double().requires_grad_(False)
    convolution.weight[:] = torch.stack([kernel, -kernel])[:, None]
    images = drawn(2, 3, 2, 2, seed=1).requires_grad_()
    for unit, own in enumerate((kernel, -kernel)):
        score = objectives.channel_sum().score(seen(convolution(images), [unit, unit]))
        (found,) = torch.autograd.grad(score.sum(), images)
        assert torch.equal(found, own.expand(2, 3, 2, 2))
    score = objectives.layer_sum().score(seen(convolution(images)))
    (found,) = torch.autograd.grad(score.sum(), images)
    assert torch.equal(found, torch.zeros(2, 3, 2, 2).double())


def test_half_sum_of_squares_hands_responses_down_as_their_gradient(convolution: nn.Module):
    images = drawn(2, 3, 9, 8, seed=1).requires_grad_()
    responses = convolution(images)
    responses.backward(responses.detach())
    found = gradient(convolution, objectives.layer_half_sum_square())
    torch.testing.assert_close(found, images.grad)


# Several images of a unit.


def test_diversity_is_minus_the_likeness_of_gram_matrices():
    copies, maps = 3, drawn(6, 4, 3, 5)
    grams = []
    for image in maps.numpy():
        flat = image.reshape(4, -1)
        gram = (flat @ flat.T).ravel()
        grams.append(gram / np.linalg.norm(gram))
    expected = [
        -sum(grams[i] @ grams[j] for j in range(first, first + copies) if j != i) / copies
        for first in (0, 3)
        for i in range(first, first + copies)
    ]
    found = objectives.diversity().score(seen(maps, copies=copies))
    np.testing.assert_allclose(found.numpy(), expected)


def test_alignment_is_the_distance_to_neighbors_less_the_further_they_are():
    copies, decay, reach, maps = 5, 3.0, 2, drawn(10, 2, 3, 4)
    z = maps.numpy()
    expected = [
        -sum(
            ((z[i] - z[j]) ** 2).mean() / decay ** abs(i - j)
            for j in range(first, first + copies)
            if 0 < abs(i - j) <= reach
        )
        for first in (0, 5)
        for i in range(first, first + copies)
    ]
    found = objectives.alignment(decay, reach).score(seen(maps, copies=copies))
    np.testing.assert_allclose(found.numpy(), expected)


def test_aligned_image_follows_its_own_distance_alone():
    maps = drawn(2, 1, 1, 1).requires_grad_()
    score = objectives.alignment(decay=2.0).score(seen(maps, copies=2))
    (first,) = torch.autograd.grad(score[0], maps)
    # -(a - b)^2 / 2 by a; b is held.
    torch.testing.assert_close(first.flatten()[0], (maps[1] - maps[0]).detach().squeeze())
    assert first.flatten()[1] == 0


# Comparing.


def test_inversion_is_zero_at_the_picture_itself_and_minus_one_at_silence():
    target = drawn(1, 3, 4, 4)
    maps = torch.cat([target, torch.zeros_like(target), 3 * target])
    found = objectives.inversion().score(seen(maps, reference=target))
    torch.testing.assert_close(found, torch.tensor([0.0, -1.0, -4.0]).double())


def test_caricature_grows_with_what_the_picture_drives():
    target = torch.tensor([3.0, 4.0]).double().view(1, 2, 1, 1)
    maps = torch.tensor([[6.0, 8.0], [4.0, -3.0], [3.0, 0.0]]).double().view(3, 2, 1, 1)
    found = objectives.caricature(power=2.0).score(seen(maps, reference=target))
    # Along it: 10 * 5 and cosine 1. Across it: no dot product. Else 9 and cosine 0.6.
    torch.testing.assert_close(found, torch.tensor([50.0, 0.0, 9 * 0.36]).double())


def test_accentuation_is_the_relative_distance_to_the_start_and_has_a_gradient_there():
    target = drawn(2, 3, 4, 4)
    maps = torch.stack([target[0], 2.5 * target[1]]).requires_grad_()
    score = objectives.accentuation().score(seen(maps, reference=target))
    torch.testing.assert_close(score, torch.tensor([0.0, -1.5]).double(), atol=1e-6, rtol=1e-6)
    (found,) = torch.autograd.grad(score.sum(), maps)
    assert found.isfinite().all()


def test_objective_without_its_reference_is_no_silent_zero():
    with pytest.raises(ValueError, match="without its reference"):
        objectives.inversion().score(seen(MAP))


def test_pictures_are_told_apart_by_their_contents(tmp_path: Path):
    Image.new("RGB", (5, 4), (1, 2, 3)).save(tmp_path / "a.png")
    for make in (objectives.inversion, objectives.caricature):
        own, bundled = make(path=str(tmp_path / "a.png")), make()
        assert own.contents != bundled.contents
        assert own.picture is not None
        assert own.picture.shape == (3, 4, 5)


# Messages.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: objectives.unit_response(position=[1]),
            "objective.unit_response.position: [1] is not 'center' or a row and a column, such as"
            " [3,5]",
        ),
        (
            lambda: objectives.direction([1.0], position=[-1, 0]),
            "objective.direction.position: [-1, 0] is not 'center' or a row and a column, such as"
            " [3,5]",
        ),
        (
            lambda: objectives.class_logit(-1),
            "objective.class_logit.category: -1 is negative; classes count from 0",
        ),
        (
            lambda: objectives.direction([0.0, 0.0]),
            "objective.direction.vector: the direction has no finite length above zero",
        ),
        (
            lambda: objectives.direction([float("inf")]),
            "objective.direction.vector: the direction has no finite length above zero",
        ),
        (
            lambda: objectives.direction({"a": 1.0}),
            "objective.direction.vector: {'a': 1.0} does not map units to numbers",
        ),
        (
            lambda: objectives.alignment(decay=0.0),
            "objective.alignment.decay: 0.0 is not a positive number",
        ),
        (
            lambda: objectives.alignment(reach=0),
            "objective.alignment.reach: 0 is not positive; use 1 or more",
        ),
        (
            lambda: objectives.caricature(power=-1.0),
            "objective.caricature.power: -1.0 is negative or not finite",
        ),
        (
            lambda: objectives.inversion(path="/no/such.png"),
            "objective.inversion.path: there is no file '/no/such.png'; give the path of a picture",
        ),
        (
            lambda: objectives.unit_response(position=[2, 0]).score(seen(MAP)),
            "objective: position [2, 0] is not on the map of 2 x 2",
        ),
        (
            lambda: objectives.direction([1.0], position=[0, 2]).score(seen(MAP[:, :1])),
            "objective: position [0, 2] is not on the map of 2 x 2",
        ),
        (
            lambda: objectives.direction([1.0, 2.0, 3.0]).score(seen(MAP)),
            "objective: a direction of 3 numbers does not fit the 2 features of the layer",
        ),
        (
            lambda: objectives.direction({2: 1.0}).score(seen(MAP)),
            "objective: unit 2 of a direction is beyond the 2 of the layer",
        ),
        (
            lambda: objectives.class_logit(2).score(seen(MAP)),
            "objective: category 2 is beyond the network's classes 0 to 1",
        ),
    ],
)
def test_bad_value_is_refused(make, message: str):
    with pytest.raises(ConfigError) as caught:
        make()
    assert str(caught.value) == message


def test_vector_of_another_shape_or_no_file_is_refused(tmp_path: Path):
    np.save(tmp_path / "matrix.npy", np.ones((2, 3)))
    with pytest.raises(ConfigError, match=r"^objective\.direction\.vector: an array of shape \(2,"):
        objectives.direction(str(tmp_path / "matrix.npy"))
    with pytest.raises(ConfigError, match=r"no\.npy' cannot be read as a \.npy file"):
        objectives.cosine_direction(str(tmp_path / "no.npy"))
