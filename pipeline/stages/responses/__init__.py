"""Stage: store the responses of units to every image of the set, as arrays."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

IMAGES = Table(
    "response_images",
    "one row per image: the rows of every array of responses",
    {
        "row": "row number in the arrays, from 0",
        **shared("image"),
        "read": "whether the image could be read; if not, its responses are NaN",
    },
    later("pipeline.stages.responses.results.response_images"),
    csv=True,
)
UNITS = Table(
    "response_units",
    "one row per layer and unit: the columns of the layer's array",
    {
        **shared("model", "layer"),
        "column": "column number in the layer's array, from 0",
        "unit": "channel number of the unit",
    },
    later("pipeline.stages.responses.results.response_units"),
    csv=True,
)
STAGE = Stage(
    name="responses",
    about="store the responses of units to every image: arrays of images x units",
    plan=later("pipeline.stages.responses.results.plan_responses"),
    version=4,
    needs=("top_patches",),
    tables=(IMAGES, UNITS),
    cost=later("pipeline.stages.responses.work.response_cost"),
    work=later("pipeline.stages.responses.work.respond"),
    write=later("pipeline.stages.responses.work.note_unreadable"),
)
