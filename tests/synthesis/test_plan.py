"""Which units are climbed together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.networks.cropping import Crop
from pipeline.networks.loading.torchvision import torchvision_network
from pipeline.networks.receptive_fields import smallest_canvas
from pipeline.synthesis.plan import BLOCK_UNITS, batch_units, batches, block_units


def crop_of(name, layer, size):
    from dataclasses import replace

    network = replace(torchvision_network(name, "random"), input_size=(size, size))
    (found,) = network.find_layers(layer)
    plan = smallest_canvas(network.graph, found.node)
    return Crop(network.graph, found.node, plan.size, plan.position)


@pytest.fixture(scope="module")
def crops():
    return {
        "shallow": crop_of("alexnet", "conv2", 64),
        "deep": crop_of("alexnet", "conv5", 64),
        "large": crop_of("vgg11", "features.18", 64),
    }


def test_a_block_of_alexnet_holds_what_was_counted(crops):
    # 11.2 and 516 million operations a step: 40 billion are 256 units at most, and 77 units.
    assert block_units(crops["shallow"]) == BLOCK_UNITS
    assert block_units(crops["deep"]) == 64
    assert batch_units(crops["deep"]) == 32


@pytest.mark.parametrize("name", ["shallow", "deep", "large"])
def test_a_block_is_a_whole_number_of_batches(crops, name):
    assert block_units(crops[name]) % batch_units(crops[name]) == 0


@given(count=st.integers(1, 300), device=st.sampled_from(["cpu", "cuda"]))
def test_every_unit_is_climbed_once_in_order(crops, count, device):
    units = list(range(3, 3 + count))
    for crop in crops.values():
        parts = batches(units, crop, device)
        assert [unit for part in parts for unit in part] == units
        largest = batch_units(crop) if device == "cpu" else count
        assert all(0 < len(part) <= largest for part in parts)
