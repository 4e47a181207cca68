"""Stage: show ascents step by step, by one optimizer or several."""

from pipeline.stages.stage import Stage, Table, later

ANIMATIONS = Table(
    "animations",
    "one row per layer, init, unit, copy, optimizer and step",
    {
        "model": "name of the network",
        "layer": "name of the layer",
        "unit": "number of the unit; -1 for the layer as a whole",
        "copy": "number of the image among those of its unit",
        "init": "name of the init",
        "objective": "name of the objective",
        "optimizer": "name of the optimizer",
        "step": "from 0, before the first; the last is after the last step",
        "transformed": "whether the score is that of a transformed image",
        "response": "the score at that step",
    },
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
