from __future__ import annotations

from pipeline.errors import ConfigError
from pipeline.run.faults import Faults

SGD = "pipeline.synthesis.optimizers.sgd"


def test_every_bad_value_of_a_target_is_found():
    faults = Faults()
    group = {"_target_": "pipeline.synthesis.optimizers.momentum"}
    made = faults.option(group | {"steps": 0, "lr": -1.0, "momentum": 2.0}, "optimizer")
    assert made is None
    assert set(faults.found) == {
        "optimizer.lr: -1.0 is not a number of 0 or more, or two of them; write one value or"
        " [start, end]",
        "optimizer.momentum: 2.0 is not from 0 to below 1",
        "optimizer.steps: 0 is not positive; use 1 or more",
    }


def test_keys_that_a_target_does_not_take_do_not_hide_values_that_it_refuses():
    faults = Faults()
    target = "pipeline.synthesis.optimizers.momentum"
    faults.option({"_target_": target, "setps": 3, "momentum": "fast", "steps": -2}, "optimizer")
    assert faults.found == [
        f"optimizer.setps: {target} takes no such argument; it takes steps, lr, momentum,"
        " normalize; nearest: steps",
        "optimizer.momentum: 'fast' is not a number",
        "optimizer.steps: -2 is not positive; use 1 or more",
    ]


def test_what_is_right_is_built_and_no_fault():
    faults = Faults()
    made = faults.option({"_target_": SGD, "steps": 7}, "optimizer")
    assert made is not None
    assert made.steps == 7
    assert faults.found == []


def test_fault_is_told_once():
    def refuse():
        raise ConfigError("no")

    faults = Faults()
    assert faults.attempt(refuse) is None
    faults.add(["no", "nor this"])
    assert faults.found == ["no", "nor this"]
