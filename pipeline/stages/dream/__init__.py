"""Stage: dream images, octave by octave and frame by frame."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

DREAMT = {
    **shared("model", "layer", "init", "unit", "objective"),
    "frame": "number of the frame, from 0",
    "octave": "number of the octave, from 0",
}
DREAMS = Table(
    "dreams",
    "one row per layer, init, unit, frame and octave",
    DREAMT
    | {
        "height": "height of the octave, in pixels",
        "width": "width of the octave, in pixels",
        **shared("steps"),
        "start_score": "score at the start of the octave",
        "final_score": "score after its last step",
        **shared("status"),
    },
    later("pipeline.stages.dream.tables.dreams"),
    csv=True,
)
FEATURES = Table(
    "dream_features",
    "one row per layer, init, unit, frame, octave, step and recorded feature",
    DREAMT
    | {
        **shared("step"),
        "feature_layer": "name of the layer whose features are measured",
        "feature": "number of the channel in that layer",
        "mean_response": "mean response of that channel to the untransformed image, over positions",
    },
    later("pipeline.stages.dream.tables.dream_features"),
)
STAGE = Stage(
    name="dream",
    about="dream images, octave by octave and frame by frame",
    plan=later("pipeline.stages.dream.results.plan_dreams"),
    version=3,
    needs=("top_patches",),
    tables=(DREAMS, FEATURES),
    check=later("pipeline.stages.dream.faults.dream_faults"),
    cost=later("pipeline.stages.dream.results.dream_cost"),
    work=later("pipeline.stages.dream.work.dream"),
    write=later("pipeline.stages.dream.pictures.write_pictures"),
    summary=later("pipeline.stages.dream.tables.findings"),
)
