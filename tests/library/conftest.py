"""What the tests of the library share."""

from __future__ import annotations

from collections.abc import Iterator

import jaxtyping
import pytest
from torch import nn

import pipeline
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.weights import seeded


def plain_module(channels: int = 1) -> nn.Sequential:
    """Return two convolutions with a pooling between, of seeded weights."""
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(channels, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3)
        )


@pytest.fixture(scope="module")
def own() -> Network:
    """A network of one's own: one channel, wider than high."""
    return pipeline.network(plain_module(), input_size=(1, 20, 30), mean=[0.5], std=[0.25])


@pytest.fixture
def untyped() -> Iterator[None]:
    """Let functions see arguments of any type, as they do outside of tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
