"""Stage: search the image set for every unit's top and bottom patches."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

TOP_PATCHES = Table(
    "top_patches",
    "one row per layer, unit, sign and rank",
    {
        **shared("model", "layer"),
        "unit": "channel number of the unit",
        "sign": "1 for the largest responses, -1 for the smallest",
        "rank": "0 for the most extreme response, then 1, 2 and so on",
        **shared("image"),
        "row": "row of the layer's map at which the response occurs",
        "column": "column of the layer's map",
        "response": "response of the unit at that position",
        "top": "top edge of the receptive field in the image, in pixels",
        "left": "left edge, in pixels",
        "bottom": "bottom edge, in pixels, exclusive",
        "right": "right edge, in pixels, exclusive",
        "inside": "whether the receptive field lies entirely within the image",
    },
    later("pipeline.stages.top_patches.results.top_patches"),
)
STAGE = Stage(
    name="top_patches",
    about="search the image set for every unit's top and bottom patches",
    plan=later("pipeline.stages.top_patches.results.plan_searches"),
    version=3,
    needs=("train",),
    tables=(TOP_PATCHES,),
    cost=later("pipeline.stages.top_patches.cost.search_cost"),
    work=later("pipeline.stages.top_patches.work.search"),
    write=later("pipeline.stages.top_patches.work.remember"),
)
