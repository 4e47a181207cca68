"""Stage: the responses of units to every image of the set, as arrays."""

from pipeline.stages.stage import Stage, Table, later

IMAGES = Table(
    "response_images",
    "one row per image: the rows of every array of responses",
    {
        "row": "row of the arrays, from 0",
        "image": "name of the image in its set",
        "read": "whether it could be read; its responses are NaN if not",
    },
    later("pipeline.stages.responses.results.response_images"),
    csv=True,
)
UNITS = Table(
    "response_units",
    "one row per layer and unit: the columns of the layer's array",
    {
        "model": "name of the network",
        "layer": "name of the layer",
        "column": "column of the layer's array, from 0",
        "unit": "number of the unit, its channel",
    },
    later("pipeline.stages.responses.results.response_units"),
    csv=True,
)
STAGE = Stage(
    name="responses",
    about="store the responses of units to every image: arrays of images x units",
    plan=later("pipeline.stages.responses.results.plan_responses"),
    version=3,
    needs=("top_patches",),
    tables=(IMAGES, UNITS),
    cost=later("pipeline.stages.responses.work.response_cost"),
    work=later("pipeline.stages.responses.work.respond"),
    write=later("pipeline.stages.responses.work.note_unreadable"),
)
