"""One pass over a set of images: all layers, both signs, unreadable images set aside."""

import io

import pytest
import torch
from torch import nn

from pipeline.errors import ImageError
from pipeline.images.batches import Batch, load_batch
from pipeline.images.files import Loaded
from pipeline.images.image_sets import ImageSet
from pipeline.networks.graph.graph import Graph
from pipeline.networks.layers import find_layers
from pipeline.networks.responses import LayerResponses
from pipeline.search.extremes import Kept, merged
from pipeline.search.top_patches import Found, find_peaks


@pytest.fixture(scope="module")
def network():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 3, stride=2)
    ).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return module


@pytest.fixture(scope="module")
def layers(network):
    graph = Graph(network, (9, 9))
    return graph, find_layers(graph, "all", "net")


def image_set(count, unreadable=()):
    pixels = torch.randn(count, 3, 9, 9, generator=torch.Generator().manual_seed(6))

    def load(index):
        if index in unreadable:
            raise ImageError(f"cannot be decoded (number {index})")
        return Loaded(pixels[index], index + 100)

    names = [f"{index}.png" for index in range(count)]
    return ImageSet(names, (9, 9), {}, load), pixels


def found(layers, images, *, batch_size=4, order=None, keep=100):
    graph, asked = layers
    runs = LayerResponses(graph, asked)
    order = order or list(range(len(images)))
    result = Found(asked, keep)
    for at in range(0, len(order), batch_size):
        result.add(find_peaks(runs, load_batch(images, order[at : at + batch_size])))
    return result


def kept(result, layer, sign):
    return result.extremes[layer][sign].kept()


def test_every_layer_is_searched_before_its_nonlinearity(layers, network):
    images, pixels = image_set(11)
    extremes = found(layers, images, keep=3).extremes
    with torch.no_grad():
        responses = {"conv1": network[0](pixels), "conv2": network(pixels)}
    assert extremes.keys() == responses.keys()
    for name, whole in responses.items():
        highest, lowest = whole.amax((2, 3)), whole.amin((2, 3))
        top, bottom = extremes[name][1].kept(), extremes[name][-1].kept()
        assert torch.allclose(top.responses, highest.T.sort(1, descending=True).values[:, :3])
        assert torch.allclose(bottom.responses, lowest.T.sort(1).values[:, :3])
        for unit in range(whole.shape[1]):
            at = whole.flatten(2)[top.images[unit], unit, top.positions[unit]]
            assert torch.allclose(at, top.responses[unit])
    assert (extremes["conv1"][-1].kept().responses < 0).all()


def test_batches_and_order_do_not_matter(layers):
    images, _ = image_set(10, unreadable=[4])
    whole = found(layers, images, batch_size=10)
    parts = found(layers, images, batch_size=3, order=[9, 2, 4, 0, 7, 1, 3, 8, 5, 6])
    assert whole.unreadable == parts.unreadable
    for name, by_sign in whole.extremes.items():
        for sign in by_sign:
            extremes, other = kept(whole, name, sign), kept(parts, name, sign)
            assert torch.equal(extremes.images, other.images)
            assert torch.equal(extremes.positions, other.positions)
            assert torch.allclose(extremes.responses, other.responses, rtol=1e-5)


def test_unreadable_images_are_set_aside(layers):
    images, _ = image_set(20, unreadable=[3, 19])
    result = found(layers, images, keep=100)
    assert result.unreadable == {
        "3.png": "cannot be decoded (number 3)",
        "19.png": "cannot be decoded (number 19)",
    }
    assert result.digests == [index + 100 if index not in (3, 19) else 0 for index in range(20)]
    for sign in (1, -1):
        for unit in kept(result, "conv2", sign).images:
            assert sorted(unit.tolist()) == [i for i in range(20) if i not in (3, 19)]


def test_merged_blocks_are_what_one_search_keeps(layers):
    images, _ = image_set(23, unreadable=[4])
    whole = found(layers, images, keep=5, batch_size=4)
    blocks = [
        found(layers, images, keep=5, order=list(order), batch_size=4)
        for order in (range(16, 23), range(8), range(8, 16))
    ]
    for name in ("conv1", "conv2"):
        for sign in (1, -1):
            parts = [kept(block, name, sign) for block in blocks]
            # As they are stored.
            short = [
                Kept(part.responses, part.images.int(), part.positions.int()) for part in parts
            ]
            together = merged(short, 5, sign)
            for one, other in zip(together, kept(whole, name, sign), strict=True):
                assert torch.equal(one, other)


def test_a_batch_of_unreadable_images_alone_is_passed_over(layers):
    graph, asked = layers
    _, pixels = image_set(2)
    none = torch.empty(0, dtype=torch.int64)
    empty = Batch(none, torch.empty(0, 3, 9, 9), torch.tensor([5]), {"a": "is gone"})
    whole = Batch(torch.tensor([1, 2]), pixels, torch.tensor([6, 7]), {})
    runs = LayerResponses(graph, asked)
    result = Found(asked, 10)
    for batch in (empty, whole):
        result.add(find_peaks(runs, batch))
    assert kept(result, "conv1", 1).images.shape == (4, 2)
    assert result.digests == [5, 6, 7]
    assert result.unreadable == {"a": "is gone"}


def test_what_a_batch_gives_does_not_keep_its_images(layers):
    graph, asked = layers
    images, _ = image_set(64)
    batch = load_batch(images, range(64))
    held = io.BytesIO()
    torch.save(find_peaks(LayerResponses(graph, asked), batch), held)  # views with all they view
    assert len(held.getvalue()) < batch.images.nbytes


def test_the_published_search_of_alexnet(reference_data):
    """The ten top and bottom patches of conv1 to conv3 in the first 60 photographs.

    The independent results are for all 500; here each image that is among the ten of all 500 and
    lies in the first 60 must be found again, at the same place with the same response.
    """
    import numpy as np

    from pipeline.images.image_sets import folder
    from pipeline.networks.loading.torchvision import torchvision_network

    weights = reference_data / "weights" / "alexnet_conv1-3.safetensors"
    network = torchvision_network("alexnet", str(weights))
    images = folder(
        network.preprocessing,
        root=str(reference_data / "images"),
        resize=None,
        crop=227,
        limit=60,
    )
    reference = np.load(reference_data / "alexnet_reference.npz")
    assert [*images.names] == [str(name) for name in reference["files"][:60]]
    asked = network.find_layers(["conv1", "conv2", "conv3"])
    runs = LayerResponses(network.graph, asked)
    result = Found(asked, 60)
    for n in (0, 20, 40):
        result.add(find_peaks(runs, load_batch(images, range(n, n + 20))))
    compared = 0
    for layer in asked:
        for sign, kind in ((1, "top"), (-1, "bot")):
            extremes = kept(result, layer.name, sign)
            expected = {
                part: reference[f"{layer.name}_{kind}_{part}"] for part in ("img", "pos", "resp")
            }
            for unit in range(layer.units):
                near = expected["img"][unit] < 60
                number = int(near.sum())
                assert (
                    extremes.images[unit, :number].tolist() == expected["img"][unit][near].tolist()
                )
                places = extremes.positions[unit, :number].tolist()
                assert places == expected["pos"][unit][near].tolist()
                responses = extremes.responses[unit, :number].numpy()
                assert np.allclose(responses, expected["resp"][unit][near], rtol=1e-4, atol=1e-4)
                compared += number
    assert compared > 1000
