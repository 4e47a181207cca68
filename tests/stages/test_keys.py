"""What identifies results of all stages that show stimuli: the whole of what units see."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.catalog import chosen_stages
from pipeline.store.layout import Layout
from tests.conftest import compose_config, here

STAGES = ("receptive_fields", "bar_tuning", "shape_tuning", "tuning", "opponency")


@cache
def network():
    return Parts(compose_config("model=miniature"), here()).network


def keys(*overrides: str, stages: tuple[str, ...] = STAGES) -> dict[str, str]:
    """Return the keys of all results, by stage and name."""
    given = (
        f"stages=[{','.join(stages)}]", "layers=[output]", "units=[1,2]", "images.limit=2",
        "stimulus=[bars_on_stride,sparse_noise]", "receptive_fields.methods=[effective]",
        "shape_tuning.positions=[0]",
    )  # fmt: skip
    parts = Parts(compose_config(*given, *overrides), here())
    parts.network = network()
    run = ActiveRun.planned(parts, Layout(Path("unused")))
    return {
        f"{stage.name} {result.name}": result.key
        for stage in chosen_stages(stages)
        for result in run.plan(stage).results
    }


def test_a_layer_that_sees_the_whole_image_responds_otherwise_to_a_larger_one():
    """The network is the same at all sizes: its output is a mean over positions."""
    small, large = keys("images.crop=96"), keys("images.crop=128")
    assert small.keys() == large.keys()
    assert {name.split()[0] for name in small} == {*STAGES}
    assert [name for name in small if small[name] == large[name]] == []


TUNED = ("layers=[conv1]", "tuning.properties=[orientation]", "tuning.draws=4")


@pytest.mark.parametrize(
    "setting",
    [
        "tuning.properties=[circular_variance]",
        "tuning.rate_maps=[identity]",
        "tuning.keep_flagged=true",
        "tuning.draws=5",
        "tuning.noise=fano",
        "seed=1",
        "units=[1,3]",
    ],
)
def test_measures_of_tuning_are_others_by_whatever_they_depend_on(setting: str):
    """Responses to blank and orientations are of all units, and serve them all."""
    before, after = tuning_keys(*TUNED), tuning_keys(*TUNED, setting)
    assert before.keys() == after.keys() == {"blank", "orientation", "measures"}
    assert {name for name in before if before[name] != after[name]} == {"measures"}


def test_responses_to_contrasts_are_others_by_what_chooses_the_best_gratings():
    contrast = (*TUNED, "tuning.properties=[contrast]")
    found = [tuning_keys(*contrast, *more)["contrast"] for more in ((), ("tuning.draws=5",))]
    assert found[0] == found[1]
    for setting in ("tuning.keep_flagged=true", "units=[1,3]"):
        assert tuning_keys(*contrast, setting)["contrast"] != found[0]


def test_without_draws_measures_of_tuning_depend_on_neither_seed_nor_noise():
    none = "tuning.draws=0"
    same = [tuning_keys(*TUNED, none, *more) for more in ((), ("seed=1",), ("tuning.noise=fano",))]
    assert same[0] == same[1] == same[2]
    assert same[0]["measures"] != tuning_keys(*TUNED)["measures"]


def tuning_keys(*overrides: str) -> dict[str, str]:
    """Return the keys of the results of tuning of conv1, by what they are."""
    found = keys(*overrides, stages=("tuning",))
    return {name.removeprefix("tuning conv1/"): key for name, key in found.items()}
