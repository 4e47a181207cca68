"""Stage: maximize the response of every unit by gradient ascent, from every init."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

CLIMBED = shared("model", "layer", "unit", "copy", "init", "objective")
ASCENTS = Table(
    "ascents",
    "one row per layer, init, unit and copy",
    CLIMBED
    | {
        "parameterization": "name of the parameterization of the image",
        "constraint": "name of the constraint on the image",
    }
    | shared("optimizer", "steps")
    | {
        "start_response": "score of the starting image, in the network's own units",
        "final_response": "score after the last step",
        "start_norm": "L2 norm of the starting image, in network-input space",
        "final_norm": "L2 norm of the final image",
        "start_contrast": "RMS contrast of the starting image, in network-input space",
        "final_contrast": "RMS contrast of the final image",
        "budget": "limit that the constraint set; empty if it is not a single number",
    }
    | shared("status"),
    later("pipeline.stages.ascent.results.ascents"),
    csv=True,
)
TRAJECTORIES = Table(
    "trajectories",
    "one row per layer, init, unit, copy and step",
    shared("model", "layer", "unit", "copy", "init", "step", "transformed", "response"),
    later("pipeline.stages.ascent.results.trajectories"),
)
STAGE = Stage(
    name="ascent",
    about="maximize the response of every unit by gradient ascent, from every init",
    plan=later("pipeline.stages.ascent.results.plan_climbs"),
    version=3,
    needs=("top_patches",),
    tables=(ASCENTS, TRAJECTORIES),
    check=later("pipeline.stages.ascent.work.ascent_faults"),
    cost=later("pipeline.stages.ascent.cost.ascent_cost"),
    work=later("pipeline.stages.ascent.work.climb"),
    write=later("pipeline.stages.ascent.work.warn"),
)
