from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.unit_networks import unit_network
from pipeline.synthesis.constraints import ConstraintContext, norm
from pipeline.synthesis.descent import Descent
from pipeline.synthesis.loop import Watch, ascend
from pipeline.synthesis.optimizers import adam, momentum, sgd
from pipeline.synthesis.treatment import Treatment


class Dot:
    """Scores image i by its dot product with the kernel of unit i: the gradient is the kernel."""

    input_size = (2, 2)

    def __init__(self, kernels: Tensor) -> None:
        self.kernels = kernels

    def __call__(self, images: Tensor, units: Tensor) -> Tensor:
        return (images * self.kernels[units]).sum((1, 2, 3))


@pytest.fixture
def kernels() -> Tensor:
    return torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(1))


def test_one_sgd_step_on_a_convolution_adds_exactly_lr_times_the_kernel():
    conv = nn.Conv2d(3, 8, 5, stride=2, padding=1)
    graph = Graph(nn.Sequential(conv).eval().requires_grad_(False), (32, 32))
    layer = find_layers(graph, "all", "net")[0]
    network = unit_network(graph, layer)
    units = torch.tensor([6, 0, 3])
    starts = torch.zeros(3, 3, 5, 5)
    done = ascend(network, units, starts, sgd(steps=1, lr=0.1))
    assert torch.equal(done.images, 0.1 * conv.weight[units])


def test_response_of_a_linear_unit_rises_by_lr_times_its_squared_norm(kernels: Tensor):
    units = torch.tensor([2, 4])
    done = ascend(Dot(kernels), units, torch.zeros(2, 3, 2, 2), sgd(steps=10, lr=0.5))
    norms = kernels[units].square().sum((1, 2, 3))
    steps = torch.arange(11.0)
    torch.testing.assert_close(done.responses, 0.5 * norms[:, None] * steps)


def test_momentum_follows_its_recurrence(kernels: Tensor):
    done = ascend(
        Dot(kernels), torch.tensor([0]), torch.zeros(1, 3, 2, 2), momentum(steps=3, lr=0.1)
    )
    # velocities g, 1.9 g, 2.71 g
    torch.testing.assert_close(done.images[0], 0.1 * (1 + 1.9 + 2.71) * kernels[0])


def test_first_adam_step_has_the_size_of_the_learning_rate_everywhere(kernels: Tensor):
    done = ascend(Dot(kernels), torch.tensor([1]), torch.zeros(1, 3, 2, 2), adam(steps=1, lr=0.1))
    torch.testing.assert_close(done.images[0], 0.1 * kernels[1].sign())


def test_start_is_kept_and_not_shared(kernels: Tensor):
    starts = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    before = starts.clone()
    done = ascend(Dot(kernels), torch.tensor([0, 1]), starts, sgd(steps=4))
    assert torch.equal(starts, before)
    torch.testing.assert_close(done.added, 4 * 0.1 * kernels[:2])


def test_images_of_a_batch_do_not_mix(kernels: Tensor):
    units = torch.tensor([3, 1, 3])
    starts = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(3))
    together = ascend(Dot(kernels), units, starts, adam(steps=5))
    for index in range(3):
        alone = ascend(
            Dot(kernels), units[index : index + 1], starts[index : index + 1], adam(steps=5)
        )
        assert torch.equal(alone.images[0], together.images[index])


def test_unit_without_gradient_is_reported_and_stays(kernels: Tensor):
    kernels = kernels.clone()
    kernels[1] = 0
    starts = torch.ones(3, 3, 2, 2)
    done = ascend(Dot(kernels), torch.tensor([0, 1, 2]), starts, momentum(steps=3))
    assert done.status == ["ok", "zero_gradient", "ok"]
    assert torch.equal(done.images[1], starts[1])


class Explosive(Dot):
    """Unit 1 grows until it overflows; the others are linear."""

    def __call__(self, images: Tensor, units: Tensor) -> Tensor:
        linear = super().__call__(images, units)
        scores = linear.clone()
        scores[units == 1] = linear[units == 1].exp().exp()
        return scores


@pytest.mark.parametrize("optimizer", [sgd(steps=30), momentum(steps=30)])
def test_response_that_is_not_finite_freezes_its_image_alone(kernels: Tensor, optimizer):
    starts = torch.full((3, 3, 2, 2), 0.1)
    units = torch.tensor([0, 1, 2])
    done = ascend(Explosive(kernels.abs()), units, starts, optimizer)
    plain = ascend(Dot(kernels.abs()), units, starts, optimizer)
    assert done.status == ["ok", "not_finite", "ok"]
    assert torch.equal(done.images[[0, 2]], plain.images[[0, 2]])
    assert done.images.isfinite().all()
    failed = done.responses[1].isnan()
    assert failed.any()
    assert not failed[0]
    first = int(failed.nonzero()[0])
    assert failed[first:].all()


def test_last_response_is_the_response_of_the_returned_image(kernels: Tensor):
    units = torch.tensor([0, 1, 2])
    starts = torch.zeros(3, 3, 2, 2)
    done = ascend(Dot(kernels), units, starts, sgd(steps=7))
    torch.testing.assert_close(done.responses[:, -1], Dot(kernels)(done.images, units))
    assert done.responses.shape == (3, 8)


def test_a_descent_that_is_used_again_gives_what_a_new_one_gives(kernels: Tensor):
    starts = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(4))
    used = Descent(Dot(kernels), torch.tensor([0, 1]), [torch.zeros_like(starts)])
    used()
    used.restart(torch.tensor([4, 2]), [starts])
    scores, (gradient,) = used()
    torch.testing.assert_close(scores, Dot(kernels)(starts, torch.tensor([4, 2])))
    assert torch.equal(gradient, -kernels[[4, 2]])
    assert torch.equal(used.parameters[0], starts)
    assert torch.equal(used.starts, starts)


def test_a_climb_stops_where_it_is_checked(kernels: Tensor):
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 3:
            raise KeyboardInterrupt

    watch = Watch(check)
    with pytest.raises(KeyboardInterrupt):
        ascend(Dot(kernels), torch.tensor([0]), torch.zeros(1, 3, 2, 2), sgd(steps=50), watch=watch)
    assert len(asked) == 3


def test_pixels_of_any_scale_begin_on_their_constraint(kernels: Tensor):
    # Adam remembers the size of gradients, which that of the start would change.
    starts = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(5)).double()
    units = torch.tensor([0, 1, 2])
    project = (
        norm(2.0)
        .bind(
            ConstraintContext(
                starts, Preprocessing(None, 2, (0.0,) * 3, (1.0,) * 3), lambda: starts
            )
        )
        .project
    )
    dim, bright = (
        ascend(Dot(kernels.double()), units, scale * starts, adam(), Treatment(project=project))
        for scale in (0.01, 100.0)
    )
    torch.testing.assert_close(dim.responses, bright.responses)
    torch.testing.assert_close(dim.images, bright.images)


@pytest.mark.gpu
def test_a_recorded_graph_climbs_as_the_plain_computation_does(kernels: Tensor):
    conv = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 4, 3))
    graph = Graph(conv.eval().requires_grad_(False), (32, 32))
    layer = find_layers(graph, "conv2", "net")[0]
    starts = torch.randn(3, 3, 9, 9, generator=torch.Generator().manual_seed(5))
    units = torch.tensor([2, 0, 3])
    network = unit_network(graph, layer)
    plain = ascend(network, units, starts, sgd(steps=10))
    network.cuda()
    for _ in range(2):  # the second time the graph is replayed from the start
        recorded = ascend(network, units.cuda(), starts.cuda(), sgd(steps=10))
        torch.testing.assert_close(recorded.images.cpu(), plain.images, rtol=1e-4, atol=1e-4)


def test_every_step_is_recorded_from_the_start_to_the_images_that_are_returned(kernels: Tensor):
    seen: dict[int, Tensor] = {}
    starts = torch.ones(1, 3, 2, 2)
    done = ascend(
        Dot(kernels), torch.tensor([2]), starts, momentum(steps=3, lr=0.1),
        watch=Watch(record=lambda step, images: seen.update({step: images.clone()})),
    )  # fmt: skip
    assert list(seen) == [0, 1, 2, 3]
    for step, velocities in enumerate((0, 1, 1 + 1.9, 1 + 1.9 + 2.71)):
        torch.testing.assert_close(seen[step], starts + 0.1 * velocities * kernels[[2]])
    assert torch.equal(seen[0], done.starts)
    assert torch.equal(seen[3], done.images)


def test_what_is_recorded_of_an_image_that_fails_is_its_last_finite_self(kernels: Tensor):
    class Broken(Dot):
        def __call__(self, images: Tensor, units: Tensor) -> Tensor:
            scores = super().__call__(images, units)
            return torch.where(scores > 1, torch.inf * scores, scores)

    seen: dict[int, Tensor] = {}
    done = ascend(
        Broken(kernels), torch.tensor([0]), torch.zeros(1, 3, 2, 2), sgd(steps=4, lr=0.1),
        watch=Watch(record=lambda step, images: seen.update({step: images.clone()})),
    )  # fmt: skip
    assert done.status == ["not_finite"]
    assert all(images.isfinite().all() for images in seen.values())
    assert torch.equal(seen[4], done.images)
