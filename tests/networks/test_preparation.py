"""A user's own network is the same however training has left it."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from pipeline.errors import NetworkError
from pipeline.images.preprocessing import Preprocessing
from pipeline.networks.loading.network import Network
from pipeline.networks.loading.preparation import prepared
from pipeline.networks.loading.weights import digest_weights, seeded

PREPROCESSING = Preprocessing(8, 8, (0.5,) * 3, (0.25,) * 3)


def plain() -> nn.Module:
    with seeded(3):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
        network[1].running_mean.uniform_(-0.2, 0.2)
    return network.eval()


def given(module: nn.Module) -> Network:
    return Network("own", module, PREPROCESSING, "random", "0" * 64)


def inside_compiled() -> nn.Module:
    module = plain()
    module[0] = torch.compile(module[0])
    return module


def compiled_in_place() -> nn.Module:
    module = plain()
    module.compile()
    return module


KINDS = {
    "parallel": lambda: nn.DataParallel(plain()),
    "averaged": lambda: AveragedModel(nn.DataParallel(plain())),
    "compiled": lambda: torch.compile(plain()),
    "parallel and compiled": lambda: nn.DataParallel(torch.compile(plain())),
    "compiled in place": compiled_in_place,
    "compiled inside": inside_compiled,
    "training": lambda: plain().train(),
    "one part in training": lambda: nn.Sequential(*plain()[:3], plain()[3].train()),
    "double": lambda: plain().double(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_is_taken_out_of_what_training_put_around_it(kind: str):
    found = prepared(given(KINDS[kind]()))
    assert found.digest == digest_weights(plain())
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(found.module(images), plain()(images), atol=1e-6)
    assert not any(weight.requires_grad for weight in found.module.parameters())
    assert found.graph.digest == prepared(given(plain())).graph.digest


def test_what_is_changed_is_said(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        prepared(given(plain()))
        assert not caplog.records
        prepared(given(plain().train()))
        prepared(given(plain().half()))
    assert caplog.messages == [
        "model: own was in training mode, in which batch normalization depends on the"
        " other images of a batch and dropout on chance; it is used in eval mode",
        "model: own has weights in float16; it is used in float32",
    ]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            lambda: torch.jit.script(plain()),
            "model: own is a TorchScript module, whose layers cannot be asked one by one; give the"
            " Python module that it was made from",
        ),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 2, 1, dtype=torch.complex64)),
            "model: own has complex weights, which are not supported",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:Complex modules")
def test_what_cannot_be_asked_is_refused(module, message: str):
    with pytest.raises(NetworkError) as caught:
        prepared(given(module()))
    assert str(caught.value) == message
