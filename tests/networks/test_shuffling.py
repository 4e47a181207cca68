"""Shuffled weights: the same numbers in other places, whatever else the network has."""

from __future__ import annotations

import re
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations

import pipeline
from pipeline.errors import ConfigError, NetworkError
from pipeline.miniature.network import miniature
from pipeline.networks.loading.shuffling import shuffle_weights
from tests.conftest import RunPipeline


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 8))
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=5)
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


def numbers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def shuffled(module: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    copied = deepcopy(module)
    shuffle_weights("net", copied, seed)
    return numbers(copied)


def changed(module: nn.Module, seed: int = 0) -> set[str]:
    before, after = numbers(module), shuffled(module, seed)
    for name, tensor in before.items():
        torch.testing.assert_close(
            tensor.flatten().sort().values, after[name].flatten().sort().values, rtol=0, atol=0
        )
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


def test_weights_change_places_within_their_layer_and_nothing_else_does():
    module = miniature().module
    weights = {name for name in module.state_dict() if name.endswith("weight")}
    assert changed(module) == weights
    # Numbers move between units, inputs and positions alike.
    before, after = module.features[3].weight, shuffled(module)["features.3.weight"]
    for dims in ((1, 2, 3), (0, 2, 3), (0, 1)):
        assert not torch.allclose(before.sum(dims), after.sum(dims))


def test_normalization_and_tokens_stay_and_attention_is_shuffled(caplog):
    with caplog.at_level("INFO", "pipeline"):
        found = changed(Attentive())
    assert found == {
        "attention.q_proj_weight",
        "attention.k_proj_weight",
        "attention.v_proj_weight",
        "attention.out_proj.weight",
        "conv.0.weight",
    }
    assert caplog.messages == [
        "model.shuffled: net keeps 'token', which no convolution or linear layer has as its weights"
    ]


def test_an_order_depends_on_seed_and_name_alone():
    one = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    more = nn.Sequential(*deepcopy(one), nn.Conv2d(4, 2, 3))
    first, second = shuffled(one), shuffled(more)
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())
    assert changed(one, seed=0) == changed(one, seed=1)
    assert not torch.equal(first["0.weight"], shuffled(one, seed=1)["0.weight"])
    alike = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    alike[1].load_state_dict(alike[0].state_dict())
    two = shuffled(alike)
    assert not torch.equal(two["0.weight"], two["1.weight"])


def test_shared_weights_are_permuted_once():
    shared = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    alone = shuffled(shared[:1])["0.weight"].clone()
    shared[1].weight = shared[0].weight
    both = deepcopy(shared)
    both[0].weight.data.copy_(shared[0].weight)
    shuffle_weights("net", both, 0)
    assert both[0].weight is both[1].weight
    assert torch.equal(both[0].weight, alone)


def test_what_cannot_be_shuffled_is_refused():
    with pytest.raises(NetworkError, match="net has no convolution or linear layer whose weights"):
        shuffle_weights("net", nn.BatchNorm2d(3), 0)
    normed = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 4, 3)))
    message = (
        "model.shuffled: the weight of '0' of net is computed from other parameters; remove its"
        " parametrization first"
    )
    with pytest.raises(NetworkError, match=re.escape(message)):
        shuffle_weights("net", normed, 0)


def test_networks_by_name_and_modules_are_shuffled_alike():
    plain, first, again, other = (
        pipeline.network("miniature"),
        pipeline.network("miniature", shuffled=True),
        pipeline.network("miniature", shuffled=True),
        pipeline.network("miniature", shuffled=True, seed=1),
    )
    assert len({plain.digest, first.digest, other.digest}) == 3
    assert first.digest == again.digest
    assert first.weights == f"{plain.weights}, shuffled"
    module = plain.module
    own = pipeline.network(module, input_size=96, shuffled=True)
    assert own.digest == first.digest
    assert own.weights == "its own, shuffled"
    assert own.module is not module
    assert pipeline.network(module, input_size=96).digest == plain.digest
    with pytest.raises(ConfigError, match=r"^seed: -1 is not at least 0"):
        pipeline.network("miniature", shuffled=True, seed=-1)


def test_weights_that_a_file_lacks_stay_missing(tmp_path: Path):
    module = miniature().module
    some = {n: t for n, t in module.state_dict().items() if n.startswith("features.0")}
    save_file(some, tmp_path / "some.safetensors")
    part = miniature(str(tmp_path / "some.safetensors"), shuffled=True)
    whole = miniature(shuffled=True)
    assert torch.equal(part.module.features[0].weight, whole.module.features[0].weight)
    assert part.layers.name.tolist() == ["conv1"]


def test_a_run_with_shuffled_weights_shares_no_result(run_pipeline: RunPipeline, tmp_path: Path):
    small = ("layers=[conv1]", "images.limit=2", "stages=[responses]", f"out={tmp_path}")
    plain = run_pipeline(*small)
    control = run_pipeline(*small, "model.shuffled=true")
    other = run_pipeline(*small, "model.shuffled=true", "seed=1")
    again = run_pipeline(*small, "model.shuffled=true", "name=other")
    assert [run.done > 0 for run in (plain, control, other, again)] == [True, True, True, False]
    assert control.parts.network.digest == pipeline.network("miniature", shuffled=True).digest
