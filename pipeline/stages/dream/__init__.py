"""Stage: dream images, octave by octave and frame by frame."""

from pipeline.stages.stage import Stage, Table, later

DREAMT = {
    "model": "name of the network",
    "layer": "name of the layer",
    "init": "name of the init",
    "unit": "number of the unit; -1 for the layer as a whole",
    "objective": "name of the objective",
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
        "steps": "number of steps of the optimizer",
        "start_score": "score at the start of the octave",
        "final_score": "score after its last step",
        "status": "ok, zero_gradient or not_finite",
    },
    later("pipeline.stages.dream.tables.dreams"),
    csv=True,
)
FEATURES = Table(
    "dream_features",
    "one row per layer, init, unit, frame, octave, step and feature of a layer that is read",
    DREAMT
    | {
        "step": "from 0, before the first",
        "feature_layer": "name of the layer whose features are measured",
        "feature": "number of the channel in that layer",
        "mean_response": "mean over all positions of its response to the untransformed image",
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
