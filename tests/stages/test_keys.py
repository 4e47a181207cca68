"""What identifies results of all stages that show stimuli: the whole of what units see."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pipeline.run.active_run import ActiveRun
from pipeline.run.parts import Parts
from pipeline.stages.catalog import chosen_stages
from pipeline.store.layout import Layout
from tests.conftest import compose_config, here

STAGES = ("receptive_fields", "bar_tuning", "shape_tuning", "tuning", "opponency")


@cache
def network():
    return Parts(compose_config("model=miniature"), here()).network


def keys(*overrides: str) -> dict[str, str]:
    """Return the keys of all results, by stage and name."""
    given = (
        f"stages=[{','.join(STAGES)}]", "layers=[output]", "units=[1,2]", "images.limit=2",
        "stimulus=[bars_on_stride,sparse_noise]", "receptive_fields.methods=[effective]",
        "shape_tuning.positions=[0]",
    )  # fmt: skip
    parts = Parts(compose_config(*given, *overrides), here())
    parts.network = network()
    run = ActiveRun.planned(parts, Layout(Path("unused")))
    return {
        f"{stage.name} {result.name}": result.key
        for stage in chosen_stages(STAGES)
        for result in run.plan(stage).results
    }


def test_a_layer_that_sees_the_whole_image_responds_otherwise_to_a_larger_one():
    """The network is the same at all sizes: its output is a mean over positions."""
    small, large = keys("images.crop=96"), keys("images.crop=128")
    assert small.keys() == large.keys()
    assert {name.split()[0] for name in small} == {*STAGES}
    assert [name for name in small if small[name] == large[name]] == []
