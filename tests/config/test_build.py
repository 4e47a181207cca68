from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.config.build import build, check_signature
from pipeline.errors import ConfigError
from pipeline.run.parts import Parts
from pipeline.synthesis.objectives import Seen
from tests.conftest import Compose, compose_config, here

SGD = "pipeline.synthesis.optimizers.sgd"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {"_target_": SGD, "setps": 3},
            "optimizer.setps: pipeline.synthesis.optimizers.sgd takes no such argument; it takes"
            " steps, lr, normalize; nearest: steps",
        ),
        ({"_target_": SGD, "steps": 0}, "optimizer.steps: 0 is not positive; use 1 or more"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(node: dict, message: str):
    with pytest.raises(ConfigError) as caught:
        build(node, "optimizer")
    assert str(caught.value) == message


def test_target_that_cannot_be_imported_is_refused():
    node = {"_target_": "pipeline.synthesis.optimizers.sdg"}
    with pytest.raises(ConfigError, match=r"^optimizer\._target_: 'pipeline.*sdg' cannot be imp"):
        build(node, "optimizer")


def test_missing_value_is_named(composed: Compose):
    with pytest.raises(ConfigError) as caught:
        composed("images=folder")
    assert str(caught.value) == "images.root: must be given; add images.root=VALUE"


def test_reference_to_nothing_is_named(composed: Compose):
    with pytest.raises(ConfigError) as caught:
        composed("optimizer.lr=${nothing}")
    assert str(caught.value) == (
        "optimizer.lr: ${nothing} refers to a key that does not exist; refer to one, as in ${seed},"
        " or write the value itself"
    )


def test_no_init_is_refused(composed: Compose):
    with pytest.raises(ConfigError) as caught:
        _ = Parts(composed("init=[]"), here()).inits
    assert str(caught.value) == (
        "init: the list is empty; choose one or more, as in init=[zeros,noise]"
    )


def test_name_of_an_option_is_its_targets(composed: Compose):
    assert Parts(composed("optimizer=adam"), here()).option("optimizer") == "adam"


def test_an_error_without_text_is_told_by_its_kind(tmp_path: Path, monkeypatch):
    (tmp_path / "wordless.py").write_text("def mine(): raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"^init: RuntimeError$"):
        build({"_target_": "wordless.mine"}, "init")


def test_value_of_the_wrong_type_is_refused(composed: Compose):
    with pytest.raises(ConfigError) as caught:
        _ = Parts(composed("optimizer.steps=ten"), here()).optimizer
    assert str(caught.value) == "optimizer.steps: 'ten' is not a whole number"


def test_whole_number_will_do_for_a_float_and_null_where_it_may_be():
    check_signature({"_target_": SGD, "lr": 1}, "optimizer")
    target = "pipeline.images.image_sets.folder"
    check_signature({"_target_": target, "root": "/", "resize": None, "limit": None}, "images")


def test_lists_of_the_command_line_reach_the_functions_as_lists():
    config = compose_config(
        "objective=[unit_response,channel_mean]",
        "objective.unit_response.position=[3,5]",
        "objective.channel_mean.layer=[conv1,conv2]",
    )
    responses = torch.arange(2 * 4 * 8.0).view(1, 2, 4, 8)
    seen = Seen(responses, torch.tensor([1]), 1, torch.zeros(1, 3, 9, 9))
    one = build(config.objective["unit_response"], "objective.unit_response")
    assert one.score(seen).tolist() == [responses[0, 1, 3, 5]]
    both = build(config.objective["channel_mean"], "objective.channel_mean")
    assert both.layer_names == ("conv1", "conv2")
