"""Stage: show ascents step by step, by one optimizer or several."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

ANIMATIONS = Table(
    "animations",
    "one row per layer, init, unit, copy, optimizer and step",
    shared(
        "model",
        "layer",
        "unit",
        "copy",
        "init",
        "objective",
        "optimizer",
        "step",
        "transformed",
        "response",
    ),
    later("pipeline.stages.animate.results.animations"),
)
STAGE = Stage(
    name="animate",
    about="show ascents step by step, by one optimizer or several side by side",
    plan=later("pipeline.stages.animate.results.plan_animations"),
    version=3,
    needs=("top_patches", "ascent"),
    tables=(ANIMATIONS,),
    check=later("pipeline.stages.animate.work.animation_faults"),
    cost=later("pipeline.stages.animate.work.animation_cost"),
    work=later("pipeline.stages.animate.work.climb_again"),
    write=later("pipeline.stages.animate.videos.write_videos"),
    summary=later("pipeline.stages.animate.results.findings"),
)
