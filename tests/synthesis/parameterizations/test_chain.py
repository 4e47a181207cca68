"""What holds for every piece, and for pieces together."""

from __future__ import annotations

import itertools

import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.synthesis.parameterizations import (
    Parameterization,
    Space,
    clamp,
    compose,
    cppn,
    decorrelated,
    fourier,
    low_resolution,
    maco,
    pixel,
    sigmoid,
    tanh,
    unbounded,
)

SPACES = {"pixel": pixel(), "fourier": fourier(), "maco": maco(), "cppn": cppn(layers=3, width=5)}
MAPS = {
    "low_resolution": low_resolution(3.0),
    "decorrelated": decorrelated(),
    "sigmoid": sigmoid(),
    "tanh": tanh(),
    "clamp": clamp(),
    "unbounded": unbounded(),
}
ALL = SPACES | MAPS
EVERY_CHAIN = [
    tuple(name for name in names if name)
    for names in itertools.product(
        SPACES, ["", "low_resolution"], ["", "decorrelated"], ["", "sigmoid", "clamp"]
    )
]


def chain(setting, *names: str, size: tuple[int, int] = (24, 17)):
    return compose({name: ALL[name] for name in names}, setting(size))


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def drawn(space: Space, *seeds: int, std: float = 0.1) -> list[torch.Tensor]:
    """Random parameters in which no weight is zero."""
    sources = generators(*seeds)
    parameters = space.draw(sources, std)
    return [
        tensor
        if tensor.any()
        else torch.stack([0.3 * torch.randn(tensor.shape[1:], generator=g) for g in sources])
        for tensor in parameters
    ]


def test_a_chain_is_a_space(setting):
    assert isinstance(chain(setting, "pixel"), Space)


@pytest.mark.parametrize("pieces", [{}, {"pixel": pixel()}])
def test_pixels_alone_are_the_very_same_tensor(setting, pieces):
    space = compose(pieces, setting(with_pictures=False))
    images = torch.randn(2, 3, 24, 17)
    (parameters,) = space.encode(images)
    assert parameters is images
    assert space.decode([parameters]) is images


def test_order_in_the_configuration_does_not_matter(setting):
    names = ("fourier", "low_resolution", "decorrelated", "sigmoid")
    first = chain(setting, *names)
    parameters = drawn(first, 1, 2)
    images = first.decode(parameters)
    for order in itertools.permutations(names):
        assert torch.equal(chain(setting, *order).decode(parameters), images)


def test_pieces_follow_each_other_from_space_to_range(setting):
    space = chain(setting, "pixel", "low_resolution", "decorrelated", "sigmoid", size=(9, 7))
    values = torch.zeros(1, 3, 3, 3, dtype=torch.float64)
    values[:, 1] = 2.0  # C's second column is (0.19483, 0, -0.19483): red rises, blue falls
    pixels = 1 / (1 + torch.exp(-torch.tensor([0.38966, 0.0, -0.38966], dtype=torch.float64)))
    expected = (pixels - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    decoded = space.decode([values])
    assert decoded.shape == (1, 3, 9, 7)
    torch.testing.assert_close(
        decoded, expected[:, None, None].expand(1, 3, 9, 7).double(), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("names", EVERY_CHAIN, ids="+".join)
def test_images_of_a_batch_do_not_mix(setting, names):
    space = chain(setting, *names)
    parameters = drawn(space, 1, 2, 3)
    together = space.decode(parameters)
    assert together.shape == (3, 3, 24, 17)
    assert together.isfinite().all()
    alone = space.decode(drawn(space, 2))
    torch.testing.assert_close(alone[0], together[1], rtol=1e-6, atol=1e-6)
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("name", SPACES)
def test_a_gradient_reaches_its_own_sample_alone(setting, name):
    space = chain(setting, name, "decorrelated", "sigmoid")
    parameters = [tensor.requires_grad_() for tensor in drawn(space, 1, 2, 3)]
    space.decode(parameters)[1].square().sum().backward()
    for tensor in parameters:
        assert tensor.grad is not None
        assert tensor.grad[1].any()
        assert not tensor.grad[0].any()
        assert not tensor.grad[2].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("names", EVERY_CHAIN, ids="+".join)
def test_type_of_the_parameters_is_that_of_the_images(setting, names, dtype):
    space = chain(setting, *names)
    images = space.decode([tensor.to(dtype) for tensor in drawn(space, 1)])
    assert images.dtype == dtype
    if space.invertible:
        assert all(tensor.dtype == dtype for tensor in space.encode(images))


@pytest.mark.parametrize("size", [(4, 5), (5, 4), (3, 6)])
@pytest.mark.parametrize(
    "names", [*[(name,) for name in SPACES], *[("pixel", name) for name in MAPS]], ids="+".join
)
def test_gradients_are_those_of_finite_differences(setting, names, size):
    space = chain(setting, *names, size=size)
    # Values far from the bounds of the clamp, which is smooth only between them.
    parameters = [tensor.double().requires_grad_() for tensor in drawn(space, 1, 2, std=0.05)]
    assert torch.autograd.gradcheck(lambda *tensors: space.decode(tensors), parameters)


@pytest.mark.parametrize("size", [(24, 17), (17, 24), (16, 16), (1, 1), (2, 3)])
@pytest.mark.parametrize(
    "names",
    [
        ("pixel",),
        ("fourier",),
        ("decorrelated",),
        ("clamp",),
        ("unbounded",),
        ("fourier", "decorrelated", "clamp"),
    ],
    ids="+".join,
)
def test_a_photograph_comes_back_exactly(setting, photographs, names, size):
    space = chain(setting, *names, size=size)
    images = photographs(size)
    torch.testing.assert_close(space.decode(space.encode(images)), images, rtol=0, atol=1e-12)
    single = images.float()
    torch.testing.assert_close(space.decode(space.encode(single)), single, rtol=0, atol=2e-5)


@pytest.mark.parametrize("names", [("sigmoid",), ("tanh",), ("fourier", "decorrelated", "sigmoid")])
def test_a_photograph_comes_back_with_its_blackest_and_whitest_pixels_clamped(
    setting, photographs, names
):
    space = chain(setting, *names)
    images = photographs((24, 17))
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    clamped = (images * std + mean).clamp(0.01, 0.99)
    decoded = space.decode(space.encode(images))
    torch.testing.assert_close(decoded * std + mean, clamped, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "names", [names for names in EVERY_CHAIN if names[0] in ("pixel", "fourier")], ids="+".join
)
def test_what_was_decoded_is_encoded_and_decoded_to_itself(setting, names):
    space = chain(setting, *names)
    images = space.decode([0.1 * tensor.double() for tensor in drawn(space, 1, 2)])
    torch.testing.assert_close(space.decode(space.encode(images)), images, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", SPACES)
def test_a_draw_does_not_depend_on_its_batch(setting, name):
    space = chain(setting, name, "low_resolution")
    together = space.draw(generators(1, 2, 3), 0.5)
    alone = space.draw(generators(2), 0.5)
    for one, all_ in zip(alone, together, strict=True):
        assert torch.equal(one[0], all_[1])
        assert one.dtype == torch.float32
        assert len(all_) == 3


@pytest.mark.parametrize("name", ["pixel", "fourier"])
def test_a_draw_has_the_standard_deviation(setting, name):
    (parameters,) = chain(setting, name, size=(100, 100)).draw(generators(1, 2), 0.01)
    assert parameters.std().item() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize("name", SPACES)
def test_only_pixels_are_images(setting, name):
    assert chain(setting, name, "low_resolution", "sigmoid").is_image == (name == "pixel")


def test_only_pieces_that_need_pictures_ask_for_them(setting):
    asking = {name for name, piece in ALL.items() if piece.images}
    assert asking == {"maco"}
    assert decorrelated("images", images=7).images == 7
    for name in ALL.keys() - asking:
        compose({name: ALL[name]}, setting(with_pictures=False))


def test_a_space_is_handed_pictures_in_its_own_size_and_coordinates(setting, photographs):
    received = []

    def build(own):
        received.append((own.size, own.pictures()))
        return pixel().build(own)

    pieces = {name: ALL[name] for name in ("sigmoid", "decorrelated", "low_resolution")}
    space = compose(pieces | {"spy": Parameterization("space", build)}, setting((24, 17)))
    ((size, pictures),) = received
    assert size == (8, 6)
    assert torch.equal(pictures, space.encode(photographs((24, 17)))[0])


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("fourier", "maco"), "space"),
        (("pixel", "cppn"), "space"),
        (("sigmoid", "tanh"), "range"),
    ],
)
def test_two_of_a_kind_are_refused(setting, names, kind):
    with pytest.raises(ConfigError) as caught:
        chain(setting, *names)
    first, second = names
    assert str(caught.value) == (
        f"parameterization: '{first}' and '{second}' are both a {kind}; choose one"
    )


@pytest.mark.gpu
@pytest.mark.parametrize("names", EVERY_CHAIN, ids="+".join)
def test_a_gpu_decodes_to_the_same_images_and_gradients(setting, names):
    space = chain(setting, *names)
    found = []
    for device in ("cpu", "cuda"):
        parameters = [p.to(device).requires_grad_() for p in drawn(space, 1, 2)]
        images = space.decode(parameters)
        images.square().sum().backward()
        found.append([images.cpu(), *[p.grad.cpu() for p in parameters if p.grad is not None]])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("names", EVERY_CHAIN, ids="+".join)
def test_decoding_can_be_recorded_as_a_graph(setting, names):
    space = chain(setting, *names)
    parameters = [p.cuda().requires_grad_() for p in drawn(space, 1, 2)]

    def compute():
        images = space.decode(parameters)
        return torch.autograd.grad(images.square().sum(), parameters)

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        plain = [gradient.clone() for gradient in compute()]
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = compute()
    graph.replay()
    for one, other in zip(plain, recorded, strict=True):
        torch.testing.assert_close(one, other)
