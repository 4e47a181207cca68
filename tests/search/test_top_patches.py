"""One pass over a set of images: all layers, both signs, unreadable images set aside."""

import pytest
import torch
from torch import nn

from pipeline.errors import ImageError
from pipeline.images.batches import Batch, load_batch
from pipeline.images.image_sets import ImageSet
from pipeline.networks.graph import Graph
from pipeline.networks.layer_responses import LayerResponses
from pipeline.networks.layers import find_layers
from pipeline.search.top_patches import find_peaks, search


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
        return pixels[index]

    names = [f"{index}.png" for index in range(count)]
    return ImageSet(names, (9, 9), {}, load), pixels


def found(layers, images, *, batch_size=4, order=None, **options):
    graph, asked = layers
    runs = LayerResponses(graph, asked)
    order = order or list(range(len(images)))
    parts = (order[at : at + batch_size] for at in range(0, len(order), batch_size))
    peaks = (find_peaks(runs, load_batch(images, part)) for part in parts)
    return search(peaks, asked, total=len(images), **options)


def test_every_layer_is_searched_before_its_nonlinearity(layers, network):
    images, pixels = image_set(11)
    extremes = found(layers, images, keep=3).extremes
    with torch.no_grad():
        responses = {"conv1": network[0](pixels), "conv2": network(pixels)}
    assert extremes.keys() == responses.keys()
    for name, whole in responses.items():
        highest, lowest = whole.amax((2, 3)), whole.amin((2, 3))
        top, bottom = extremes[name][1], extremes[name][-1]
        assert torch.allclose(top.responses, highest.T.sort(1, descending=True).values[:, :3])
        assert torch.allclose(bottom.responses, lowest.T.sort(1).values[:, :3])
        for unit in range(whole.shape[1]):
            at = whole.flatten(2)[top.images[unit], unit, top.positions[unit]]
            assert torch.allclose(at, top.responses[unit])
    assert (extremes["conv1"][-1].responses < 0).all()


def test_batches_and_order_do_not_matter(layers):
    images, _ = image_set(10, unreadable=[4])
    whole = found(layers, images, batch_size=10)
    parts = found(layers, images, batch_size=3, order=[9, 2, 4, 0, 7, 1, 3, 8, 5, 6])
    assert whole.unreadable == parts.unreadable
    for name, by_sign in whole.extremes.items():
        for sign, extremes in by_sign.items():
            other = parts.extremes[name][sign]
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
    for extremes in result.extremes["conv2"].values():
        for unit in extremes.images:
            assert sorted(unit.tolist()) == [i for i in range(20) if i not in (3, 19)]


def test_too_many_unreadable_images_stop_the_search(layers):
    images, _ = image_set(20, unreadable=[2, 3, 5, 19])
    progress = []
    with pytest.raises(ImageError) as caught:
        found(layers, images, batch_size=2, progress=progress.append)
    assert str(caught.value) == (
        "images: 3 of 20 images cannot be used, the first is '2.png', which cannot be decoded"
        " (number 2); mend or remove them, or raise search.max_unreadable"
    )
    # It stops at the third unreadable image, in the third batch.
    assert progress == [2, 2]


def test_how_many_may_be_unreadable_is_a_share_of_all(layers):
    images, _ = image_set(20, unreadable=[2, 3, 5, 19])
    assert len(found(layers, images, max_unreadable=0.2).unreadable) == 4
    with pytest.raises(ImageError, match=r"^images: 4 of 20 "):
        found(layers, images, batch_size=20, max_unreadable=0.19)


def test_one_unreadable_image_is_always_allowed(layers):
    images, _ = image_set(3, unreadable=[1])
    assert list(found(layers, images, max_unreadable=0.0).unreadable) == ["1.png"]


@pytest.mark.parametrize("count", [1, 5])
def test_a_set_without_a_readable_image_is_refused(layers, count):
    images, _ = image_set(count, unreadable=range(count))
    with pytest.raises(ImageError) as caught:
        found(layers, images, max_unreadable=1.0)
    assert str(caught.value) == (
        f"images: {count} of {count} images cannot be used, the first is '0.png', which cannot be"
        " decoded (number 0); mend or remove them, or raise search.max_unreadable"
    )


def test_progress_counts_all_images(layers):
    images, _ = image_set(10, unreadable=[4])
    progress = []
    found(layers, images, progress=progress.append)
    assert progress == [4, 4, 2]


def test_a_batch_of_unreadable_images_alone_is_passed_over(layers):
    graph, asked = layers
    _, pixels = image_set(2)
    empty = Batch(torch.empty(0, dtype=torch.int64), torch.empty(0, 3, 9, 9), {"a": "is gone"})
    whole = Batch(torch.tensor([0, 1]), pixels, {})
    runs = LayerResponses(graph, asked)
    result = search([find_peaks(runs, empty), find_peaks(runs, whole)], asked, total=3)
    assert result.extremes["conv1"][1].images.shape == (4, 2)
    assert result.unreadable == {"a": "is gone"}


def test_the_published_search_of_alexnet(reference_data):
    """The ten top and bottom patches of conv1 to conv3 in the first 60 photographs.

    The independent results are for all 500; here each image that is among the ten of all 500 and
    lies in the first 60 must be found again, at the same place with the same response.
    """
    import numpy as np

    from pipeline.images.image_sets import folder
    from pipeline.networks.load import torchvision_network

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
    asked = network.layers(["conv1", "conv2", "conv3"])
    runs = LayerResponses(network.graph, asked)
    peaks = (find_peaks(runs, load_batch(images, range(n, n + 20))) for n in (0, 20, 40))
    result = search(peaks, asked, total=60, keep=60)
    compared = 0
    for layer in asked:
        for sign, kind in ((1, "top"), (-1, "bot")):
            extremes = result.extremes[layer.name][sign]
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
