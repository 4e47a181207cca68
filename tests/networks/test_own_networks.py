"""Networks of a user's own, whose Python does more than torch.fx expects: as plain PyTorch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.preparation import prepared
from pipeline.networks.loading.weights import load_weights, seeded
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.responses import LayerResponses
from pipeline.networks.unit_networks import unit_network

SIZE = 33


class Sign(torch.autograd.Function):
    """The sign, whose gradient is passed straight through, as in binarized networks."""

    @staticmethod
    def forward(ctx, maps):
        return maps.sign()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Own(nn.Module):
    """Two convolutions with something of a user's own between them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 3)
        self.register_buffer("state", torch.zeros(1, 6, 1, 1))

    def forward(self, images):
        return self.b(self.between(self.a(images)))

    def between(self, maps: Tensor) -> Tensor:
        return maps.relu()


class StraightThrough(Own):
    def between(self, maps):
        return Sign.apply(maps)


class WrittenInto(Own):
    def between(self, maps):
        maps[:, :, 5:9] = 0
        maps[:, 1] *= 2
        return maps.relu_()


class OverPositions(Own):
    def between(self, maps):
        return maps.flatten(2).softmax(2).view_as(maps)


class WithOption(Own):
    def forward(self, images, scale=2.0, mask=None):
        return self.b(F.relu(self.a(images) * scale))


class Shifted(nn.Conv2d):
    def forward(self, images):
        return super().forward(images) * 3 + 1


class Subclassed(Own):
    def __init__(self):
        super().__init__()
        self.b = Shifted(6, 4, 3)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6, 3, 3))

    def forward(self, maps):
        return F.relu(F.conv2d(maps, self.weight)) * 3 + 1


class OfFunction(Own):
    def __init__(self):
        super().__init__()
        self.b = Functional()


def hooked_behind() -> nn.Module:
    network = Own()
    network.b.register_forward_hook(lambda _module, _images, output: -output)
    return network


def hooked_between() -> nn.Module:
    network = Own()
    network.a.register_forward_hook(lambda _module, _images, output: output * 2 + 1)
    return network


def hooked_before() -> nn.Module:
    network = Own()
    network.b.register_forward_pre_hook(lambda _module, maps: (maps[0] * maps[0],))
    return network


def hooked_backward() -> nn.Module:
    network = Own()
    network.a.register_full_backward_hook(lambda _module, grads, _outputs: (2 * grads[0],))
    return network


def weight_norm() -> nn.Module:
    network = Own()
    nn.utils.weight_norm(network.a)
    nn.utils.weight_norm(network.b)
    return network


KINDS = {
    kind.__name__: kind
    for kind in (
        StraightThrough, WrittenInto, OverPositions, WithOption, Subclassed, OfFunction,
        hooked_behind, hooked_between, hooked_before, hooked_backward, weight_norm,
    )
}  # fmt: skip


def built(kind: str) -> nn.Module:
    with seeded(1):
        return KINDS[kind]().eval().requires_grad_(False)


def response(network: nn.Module, images: Tensor) -> Tensor:
    """Return what module ``b`` returns, by PyTorch alone."""
    found: list[Tensor] = []
    # Behind the network's own hooks.
    handle = network.get_submodule("b").register_forward_hook(lambda *call: found.append(call[2]))
    network(images)
    handle.remove()
    return found[0]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_search_and_ascent_ask_what_the_module_returns(kind: str):
    graph = Graph(built(kind), (SIZE, SIZE))
    (layer,) = find_layers(graph, ["b"], "own")
    generator = torch.Generator().manual_seed(3)
    image = torch.randn(1, 3, SIZE, SIZE, generator=generator)
    found: list[Tensor] = []
    LayerResponses(graph, [layer]).visit(image, lambda _, responses: found.append(responses))
    expected = layer.looked_at(response(built(kind), image))
    assert torch.allclose(found[0], expected, 1e-5, 1e-5)

    canvas = smallest_canvas(graph, layer.node)
    field = canvas.box
    whole = torch.zeros(1, 3, *canvas.size)
    rows, columns = slice(field.top, field.bottom), slice(field.left, field.right)
    drawn = torch.randn(1, 3, field.height, field.width, generator=generator)
    whole[:, :, rows, columns] = drawn
    whole.requires_grad_()
    unit = response(built(kind), whole)[0, 2, *canvas.position]
    (gradient,) = torch.autograd.grad(unit, whole)
    images = whole.detach()[:, :, rows, columns].clone().requires_grad_()
    own = unit_network(graph, layer)(images, torch.tensor([2]))
    assert torch.allclose(own, unit, 1e-5, 1e-5)
    (own_gradient,) = torch.autograd.grad(own.sum(), images)
    assert own_gradient.abs().max() > 0
    assert torch.allclose(own_gradient, gradient[:, :, rows, columns], 1e-4, 1e-5)


def test_a_convolution_by_number_is_the_operation_and_by_name_what_the_module_returns():
    graph = Graph(built("OfFunction"), (SIZE, SIZE))
    inner, module = find_layers(graph, ["conv2", "b"], "own")
    assert (inner.name, module.name) == ("conv2", "b")
    assert inner.node is not module.node


class Assigned(Own):
    def between(self, maps):
        self.state = 0.9 * self.state + maps.mean((0, 2, 3), keepdim=True)
        return maps - self.state


class Dropped(Own):
    def between(self, maps):
        return F.dropout(maps, 0.5)


class BatchStatistics(Own):
    def between(self, maps):
        return F.batch_norm(maps, None, None, training=True)


def given(network: nn.Module) -> Network:
    return Network(
        "own", network.eval(), Preprocessing(SIZE, SIZE, (0.0,) * 3, (1.0,) * 3), "own", "0"
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Assigned, "model: own gives different responses to the same image"),
        (Dropped, "model: own gives different responses to the same image"),
        (BatchStatistics, "the response of own to an image depends on the other images"),
    ],
)
def test_responses_that_are_not_of_the_image_alone_are_refused(kind, said: str):
    with pytest.raises(NetworkError, match=said):
        prepared(given(kind()))


def test_weights_that_are_not_there_yet_are_refused():
    lazy = nn.Sequential(nn.LazyConv2d(6, 3), nn.ReLU())
    with pytest.raises(NetworkError, match=r"'0' of own \(LazyConv2d\) is not initialized"):
        prepared(given(lazy))


def test_tracing_leaves_nothing_in_the_network():
    network = Assigned().eval().requires_grad_(False)
    state = network.state
    Graph(network, (SIZE, SIZE))
    assert isinstance(network.state, Tensor)
    network.state = state
    assert network(torch.zeros(1, 3, SIZE, SIZE)).isfinite().all()


def test_a_layer_whose_units_have_no_place_is_refused_with_the_reason():
    shuffled = nn.Sequential(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2)).eval().requires_grad_(False)
    with pytest.raises(ConfigError, match="cannot be traced back to the image, because of"):
        find_layers(Graph(shuffled, (SIZE, SIZE)), ["1"], "own")


def test_a_file_with_a_network_without_its_head_and_an_older_one_is_refused():
    tensors = Own().state_dict()
    older = {name: tensor + 1 for name, tensor in tensors.items()}
    body = {name: tensor for name, tensor in tensors.items() if not name.startswith("b.")}
    with pytest.raises(NetworkError, match=r"holds several networks that fit .*only in part"):
        load_weights(Own(), {"model": body, "old": older}, "w.pth")
    load_weights(Own(), {"model": body, "ema": older}, "w.pth")


@pytest.mark.parametrize(
    ("tensor", "said"),
    [(lambda t: t.to_sparse(), "a sparse tensor"), (lambda t: t.to("meta"), "no numbers")],
)
def test_tensors_without_dense_numbers_are_refused(tensor, said: str):
    network = Own()
    tensors = network.state_dict()
    with pytest.raises(NetworkError, match=f"'a.weight' in 'w.pth' holds {said}"):
        load_weights(network, {"": {**tensors, "a.weight": tensor(tensors["a.weight"])}}, "w.pth")
