"""Responses to a whole set: what is refused, and what memory they take."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import pipeline
from pipeline.errors import ConfigError
from pipeline.networks.loading.network import Network
from pipeline.search import stimulus_responses
from pipeline.search.presentation import Presentation, field_of
from pipeline.search.stimulus_responses import all_responses
from pipeline.stimuli.gratings import sin1
from pipeline.stimuli.noise import sparse_noise


class Largest(TorchDispatchMode):
    """Remembers the bytes of the largest memory of a tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return found


@pytest.fixture(scope="module")
def miniature() -> Network:
    return pipeline.network("miniature")


def presented(network: Network, frequencies: list[float]) -> Presentation:
    layer = network.layer("conv2")
    return Presentation(network.graph, layer, sin1(field_of(network.graph, layer), frequencies))


def test_responses_beyond_the_limit_are_refused(
    miniature: Network, monkeypatch: pytest.MonkeyPatch
):
    layer = miniature.layer("conv1")
    presentation = Presentation(
        miniature.graph, layer, sparse_noise(field_of(miniature.graph, layer), 100)
    )
    monkeypatch.setattr(stimulus_responses, "LARGEST", 4 * 100 * 3)
    assert all_responses(presentation, range(3)).shape == (3, 100)
    with pytest.raises(ConfigError) as refused:
        all_responses(presentation, range(4))
    assert str(refused.value).startswith(
        "units: the responses of 4 units to the 100 stimuli of sparse_noise take"
    )
    assert str(refused.value).endswith("map fewer units at a time")


def test_4_gib_are_the_limit():
    assert stimulus_responses.LARGEST == 4 * 2**30


def test_more_stimuli_take_no_more_memory(miniature: Network):
    """What is held while a block is presented depends on the layer, not on the set."""
    taken = []
    for frequencies in ([0.04], [0.02, 0.04, 0.08, 0.16]):
        presentation = presented(miniature, frequencies)
        with Largest() as largest:
            for block in presentation.blocks[1:3]:
                presentation.respond(block)
        taken.append((len(presentation.stimuli), largest.bytes))
    (few, small), (many, large) = taken
    assert many == 4 * few
    assert large == small
    assert large < 2**26
