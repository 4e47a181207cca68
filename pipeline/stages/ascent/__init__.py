"""Stage: climb the response of every unit from every init."""

from pipeline.stages.stage import Stage, Table, later

CLIMBED = {
    "model": "name of the network",
    "layer": "name of the layer",
    "unit": "number of the unit; -1 for the layer as a whole",
    "copy": "number of the image among those of its unit, from 0",
    "init": "name of the init",
    "objective": "name of the objective",
}
ASCENTS = Table(
    "ascents",
    "one row per layer, init, unit and copy",
    CLIMBED
    | {
        "parameterization": "name of the parameterization of the image",
        "constraint": "name of the constraint on the image",
        "optimizer": "name of the optimizer",
        "steps": "number of steps of the optimizer",
        "start_response": "score of the start, in the network's own units",
        "final_response": "score after the last step",
        "start_norm": "L2 norm of the start, in network-input space",
        "final_norm": "L2 norm of the image",
        "start_contrast": "RMS contrast of the start, in network-input space",
        "final_contrast": "RMS contrast of the image",
        "budget": "what the constraint allowed; empty where that is no one number",
        "status": "ok, zero_gradient or not_finite",
    },
    later("pipeline.stages.ascent.results.ascents"),
    csv=True,
)
TRAJECTORIES = Table(
    "trajectories",
    "one row per layer, init, unit, copy and step",
    {
        "model": "name of the network",
        "layer": "name of the layer",
        "unit": "number of the unit; -1 for the layer as a whole",
        "copy": "number of the image among those of its unit",
        "init": "name of the init",
        "step": "from 0, before the first; the last is after the last step",
        "transformed": "whether the score is that of a transformed image",
        "response": "the score at that step",
    },
    later("pipeline.stages.ascent.results.trajectories"),
)
STAGE = Stage(
    name="ascent",
    about="climb the response of every unit from every init",
    plan=later("pipeline.stages.ascent.results.plan_climbs"),
    version=3,
    needs=("top_patches",),
    tables=(ASCENTS, TRAJECTORIES),
    check=later("pipeline.stages.ascent.work.ascent_faults"),
    cost=later("pipeline.stages.ascent.cost.ascent_cost"),
    work=later("pipeline.stages.ascent.work.climb"),
    write=later("pipeline.stages.ascent.work.warn"),
)
