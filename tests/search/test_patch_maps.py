"""Maps by patches against kernels, plain loops and other implementations of the same."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.errors import ConfigError, NetworkError
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import Layer, find_layers
from pipeline.networks.loading.weights import seeded
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.networks.unit_networks import unit_network
from pipeline.search import effective_fields, occlusion, patch_maps
from pipeline.search.field_mapping import summarize
from pipeline.search.gradient_maps import integrated_gradients
from pipeline.search.patch_maps import PATCH_METHODS, PatchMapper, PatchOptions, map_by_patches

SIZE = (37, 42)


def last_layer(module: nn.Module, size: tuple[int, int] = SIZE) -> tuple[Graph, Layer]:
    graph = Graph(module.eval().requires_grad_(False), size)
    return graph, find_layers(graph, "all", "net")[-1]


def linear(height: int = 23, width: int = 34) -> nn.Sequential:
    """Return a convolution of four units, of which the last is dead."""
    with seeded(1):
        module = nn.Sequential(nn.Conv2d(3, 4, (height, width)))
    nn.init.zeros_(module[0].weight[3])
    return module.requires_grad_(False)


def deep() -> nn.Sequential:
    with seeded(2):
        return nn.Sequential(
            nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
            nn.Conv2d(8, 40, (2, 3)),
        )  # fmt: skip


class Patches:
    """Random patches of units, each from its own seed."""

    def __init__(self, size: tuple[int, int], units: list[int], border: int = 0) -> None:
        self.size, self.units, self.border = size, units, border

    def __call__(self, rank: int, sign: int) -> Tensor:
        drawn = [
            torch.randn(3, *self.size, generator=torch.Generator().manual_seed(99 * unit + seed))
            for unit in self.units
            for seed in [2 * rank + (sign > 0)]
        ]
        whole = torch.stack(drawn)
        whole[:, :, : self.border] = 0
        return whole


def mapped(module: nn.Module, method: str, units: list[int], ranks: int = 2, **options):
    graph, layer = last_layer(module)
    border = options.pop("border", 0)
    seed = options.pop("seed", 0)
    mapper = PatchMapper(graph, layer, method, options=PatchOptions(**options), seed=seed)
    return map_by_patches(mapper, units, Patches(mapper.size, units, border), ranks)


@pytest.mark.parametrize("method", ["gradient", "guided_backprop"])
def test_the_gradient_of_a_linear_unit_is_its_kernel(method: str):
    # Another unit follows a ReLU, so that guided backpropagation is possible.
    kernels = linear()[0].weight.double()
    graph = Graph(
        nn.Sequential(*linear(), nn.ReLU(), nn.Conv2d(4, 1, 1)).requires_grad_(False), SIZE
    )
    layer = find_layers(graph, "all", "net")[0]
    for color, wanted in [("mean", kernels.mean(1).abs()), ("sum", kernels.abs().sum(1))]:
        mapper = PatchMapper(graph, layer, method, options=PatchOptions(color=color))
        found = map_by_patches(mapper, [2, 0], Patches(mapper.size, [2, 0]), 2).maps
        expected = (wanted / wanted.amax((1, 2), keepdim=True))[[2, 0]]
        for side in (0, 1):
            np.testing.assert_allclose(found[:, side], expected, atol=1e-6)


def test_integrated_gradients_of_a_linear_unit_are_exact_with_one_step():
    graph, layer = last_layer(linear())
    image = Patches((23, 34), [1])(0, 1)[0]
    found = integrated_gradients(unit_network(graph, layer), image, 1, 1)
    np.testing.assert_allclose(found, linear()[0].weight[1] * image, atol=1e-6)
    maps = mapped(linear(), "integrated_gradient", [1], ranks=1).maps[0, 0]
    wanted = found.sum(0).abs()
    np.testing.assert_allclose(maps, wanted / wanted.max(), atol=1e-6)


def test_integrated_gradients_add_up_to_the_change_from_the_baseline():
    graph, layer = last_layer(deep())
    network = unit_network(graph, layer)
    errors: dict[int, list[float]] = {2: [], 400: []}
    for unit in range(8):
        image = Patches(network.input_size, [unit])(0, 1)[0]
        with torch.no_grad():
            both = network(torch.stack([image, 0 * image]), torch.tensor([unit, unit]))
        for steps, found in errors.items():
            shares = integrated_gradients(network, image, unit, steps).sum()
            found.append(abs(float(shares - (both[0] - both[1])) / float(both.abs().max())))
    assert max(errors[400]) < 0.005
    assert max(errors[2]) > 5 * max(errors[400])  # the sum over steps is what is missing


def occluded_by_a_loop(kernel: np.ndarray, patch: np.ndarray, spread: bool) -> np.ndarray:
    """Return the map of one patch: for a linear unit, a square takes its share of the response."""
    height, width = kernel.shape[1:]
    down, across = max(height // 10, 1), max(width // 10, 1)
    tops = list(range(0, height - down + 1, max(down // 2, 1)))
    lefts = list(range(0, width - across + 1, max(across // 2, 1)))
    if spread:
        tops += [height - down] * (tops[-1] != height - down)
        lefts += [width - across] * (lefts[-1] != width - across)
    total, times = np.zeros((2, height, width))
    for top in tops:
        for left in lefts:
            square = np.s_[top : top + down, left : left + across]
            change = abs((kernel * patch)[:, *square].sum())
            if spread:
                total[square] += change
                times[square] += 1
            else:
                total[top + (down - 1) // 2, left + (across - 1) // 2] += change
    return total / times if spread else total


@pytest.mark.parametrize("size", [(23, 34), (37, 42), (9, 30)])
@pytest.mark.parametrize("spread", [True, False])
def test_occlusion_of_a_linear_unit_is_that_of_a_double_loop(size, spread: bool):
    module = linear(*size)
    found = mapped(module, "occlusion", [0, 2], spread=spread).maps
    for row, unit in enumerate([0, 2]):
        for side, sign in enumerate([1, -1]):
            kernel = module[0].weight[unit].double().numpy()
            maps = [
                occluded_by_a_loop(kernel, Patches(size, [unit])(rank, sign)[0].numpy(), spread)
                for rank in range(2)
            ]
            np.testing.assert_allclose(found[row, side], np.mean(maps, axis=0), atol=1e-5)


def test_noise_changes_a_response_by_what_it_replaces():
    """A pixel that is almost 0 becomes u, uniform from -1 to 1: |w u| is |w| / 2 on average."""
    module = linear(9, 8)
    module[0].weight[:, 1:] = 0
    graph, layer = last_layer(module)
    mapper = PatchMapper(graph, layer, "occlusion", options=PatchOptions(draws=100), seed=3)
    faint = torch.full((1, 3, 9, 8), 1e-6)
    maps = map_by_patches(mapper, [1], lambda *_: faint, 1).maps[0]
    weights = module[0].weight[1, 0].abs().numpy()
    for side in maps:
        assert np.abs(side / weights - 0.5).max() < 0.12  # four standard errors
    assert np.abs(maps[0] - maps[1]).max() > 0  # each patch has its own noise
    assert np.corrcoef((maps / weights).reshape(2, -1))[0, 1] < 0.5


@pytest.mark.parametrize("draws", [0, 2])
def test_occluders_outside_of_the_image_change_nothing(draws: int):
    found = mapped(linear(), "occlusion", [0, 1], draws=draws, border=9, spread=False, ranks=1).maps
    assert (found[:, :, :8] == 0).all()
    assert (found[:, :, 9:].max(axis=(2, 3)) > 0).all()


@pytest.mark.parametrize("method", PATCH_METHODS)
def test_no_map_depends_on_the_other_units(method: str):
    options = {"draws": 1} if method == "occlusion" else {}
    units = list(range(0, 40, 1 if "back" in method or method == "gradient" else 13))
    ranks = 2 if len(units) > 4 else 1
    every = mapped(deep(), method, units, ranks, **options).maps
    few = mapped(deep(), method, [units[3], units[1]], ranks, **options).maps
    np.testing.assert_array_equal(few, every[[3, 1]])
    assert (few.max(axis=(2, 3)) > 0).all()


@pytest.mark.parametrize("method", ["gradient", "integrated_gradient", "occlusion"])
def test_a_dead_unit_has_a_flat_map(method: str):
    found = mapped(linear(), method, [3, 0], ranks=1)
    assert (found.maps[0] == 0).all()
    table = summarize(found, method, [3, 0])
    assert set(table.query("unit == 3")["reason"]) == {"the map is flat"}
    assert set(table.query("unit == 0")["reason"]) != {"the map is flat"}


def by_hooks(module: nn.Sequential, image: Tensor, unit: int, guide: bool) -> Tensor:
    """Return the gradient of a plain module, with the clamp of guided backpropagation or not."""

    def clamp(_module: nn.Module, incoming: tuple[Tensor, ...], _outgoing: object):
        return (incoming[0].clamp(min=0),)

    relus = [part for part in module.modules() if isinstance(part, nn.ReLU)]
    hooks = [relu.register_full_backward_hook(clamp) for relu in relus] if guide else []
    leaf = image[None].clone().requires_grad_()
    response = module(leaf).flatten(1)[0, unit]
    response.backward(response.detach() if guide else None)
    for hook in hooks:
        hook.remove()
    return leaf.grad[0]


@pytest.mark.parametrize("method", ["gradient", "guided_backprop"])
def test_gradients_are_those_of_hooks_on_a_plain_module(method: str):
    units = [4, 39, 17, 8]
    found = mapped(deep(), method, units, ranks=3).maps
    size = found.shape[2:]
    for row, unit in enumerate(units):
        for side, sign in enumerate([1, -1]):
            maps = []
            for rank in range(3):
                patch = Patches(size, [unit])(rank, sign)[0]
                one = by_hooks(deep(), patch, unit, method == "guided_backprop").mean(0).abs()
                maps.append(one / one.max() if one.max() > 0 else one)
            expected = torch.stack(maps).mean(0)
            np.testing.assert_allclose(found[row, side], expected, atol=2e-5)


@pytest.mark.parametrize("name", ["conv2", "conv3"])
def test_gradients_of_alexnet_are_those_of_a_plain_loop(reference_data: Path, name: str):
    weights = load_file(reference_data / "weights" / "alexnet_conv1-3.safetensors")
    module = nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1),
    )  # fmt: skip
    module.load_state_dict({key.removeprefix("features."): w for key, w in weights.items()})
    module = module[: 4 if name == "conv2" else 7].eval().requires_grad_(False)
    graph, layer = last_layer(module, (227, 227))
    canvas = smallest_canvas(graph, layer.node)
    box = canvas.box
    pictures = [np.load(reference_data / "images_bair" / f"{n}.npy") for n in range(4)]

    def patches(rank: int, sign: int) -> Tensor:
        at = 20 * rank + 50 * (sign > 0)
        cut = [p[:, at : at + box.height, at : at + box.width] for p in pictures]
        return torch.from_numpy(np.stack(cut))

    units = [3, 50, 91, 180]
    for method in ("gradient", "guided_backprop"):
        mapper = PatchMapper(graph, layer, method)
        found = map_by_patches(mapper, units, patches, 2).maps
        for row, unit in enumerate(units):
            maps = []
            for rank in range(2):
                image = torch.zeros(3, *canvas.size)
                image[:, box.top : box.bottom, box.left : box.right] = patches(rank, 1)[row]
                shape = module(image[None]).shape
                flat = (unit * shape[2] + canvas.position[0]) * shape[3] + canvas.position[1]
                one = by_hooks(module, image, flat, method == "guided_backprop").mean(0).abs()
                one = one[box.top : box.bottom, box.left : box.right]
                maps.append(one / one.max() if one.max() > 0 else one)
            assert found[row, 0].max() > 0.3
            np.testing.assert_allclose(found[row, 0], torch.stack(maps).mean(0), atol=2e-5)


def test_errors_say_what_is_allowed():
    graph, layer = last_layer(linear())
    with pytest.raises(ConfigError, match=r"^methods: 'gradients' is not one of gradient, guided_"):
        PatchMapper(graph, layer, "gradients")
    with pytest.raises(NetworkError, match=r"^methods: guided_backprop changes gradients of ReLU,"):
        PatchMapper(graph, layer, "guided_backprop")
    with pytest.raises(ConfigError, match=r"^color: 'max' is not one of mean, sum$"):
        PatchOptions(color="max")
    with pytest.raises(ConfigError, match=r"^steps: 0 is not a whole number of at least 1$"):
        PatchOptions(steps=0)
    with pytest.raises(ConfigError, match=r"^draws: -1 is not a whole number of at least 0$"):
        PatchOptions(draws=-1)
    mapper = PatchMapper(graph, layer, "gradient")
    with pytest.raises(ConfigError, match=r"^patches: 0 is not positive; use 1 or more$"):
        map_by_patches(mapper, [0], Patches(mapper.size, [0]), 0)


def test_check_stops_between_batches():
    def stop() -> None:
        raise KeyboardInterrupt

    for method in ("gradient", "occlusion"):
        mapper = PatchMapper(*last_layer(linear()), method)
        with pytest.raises(KeyboardInterrupt):
            map_by_patches(mapper, [0], Patches(mapper.size, [0]), 1, stop)


@pytest.mark.parametrize("module", [effective_fields, occlusion, patch_maps])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert result.failed == 0
