"""Stage: images made for units, scored by other networks, seeds and checkpoints."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_IMAGE = {
    **shared("model", "layer", "unit", "copy"),
    "kind": "ascent, or top_patch: the unit's strongest patch",
    "init": "name of the init; empty for top patches",
    "network": "name of the network that sees the image, as in transfer.to; itself: the model",
    "layer_b": "its layer",
}
_UNIT = {"unit_b": "number of its unit"}
TRANSFER = Table(
    "transfer",
    "one row per image, layer of another network, and unit among its best matches",
    {
        **_IMAGE,
        **_UNIT,
        "rank": "rank of the unit among those of its layer by z, from 0",
        "response": "its response to the image, in the network's own units",
        "z": "the response in standard deviations of the unit's responses to the image set, from"
        " their mean",
        "percentile": "percentage of the image set to which the unit responds less; equal ones"
        " count half",
        "drop": "1 - z / the z of the unit that the image was made for, in its own network; missing"
        " where that is not above 0, or the image is of a layer as a whole",
        "above_others": "percentage of the other images of the layer, kind and init that drive the"
        " unit less",
    },
    later("pipeline.stages.transfer.tables.transfer"),
)
LAYERS = Table(
    "transfer_layers",
    "one row per layer, kind and init of images, and layer of another network: what the best"
    " matches reach",
    {
        **shared("model", "layer"),
        "kind": "ascent or top_patch",
        "init": "name of the init; empty for top patches",
        "network": "name of the network that sees the images",
        "layer_b": "its layer",
        "field": "receptive field of its units over the image, height / height",
        "images": "number of images",
        **{
            f"{name}_{end}": f"{what} over images of {name} of the best match"
            for name in ("percentile", "z", "drop", "above_others")
            for end, what in (
                ("q25", "lower quartile"), ("median", "median"), ("q75", "upper quartile")
            )
        },
        "different": "number of different units among the best matches",
        "own_rank": "median rank of the unit of the same number; of the same layer of a network of"
        " the same architecture alone, such as another checkpoint",
        "own_percentile": "median percentile of that unit",
    },
    later("pipeline.stages.transfer.tables.transfer_layers"),
    csv=True,
)  # fmt: skip
ROBUSTNESS = Table(
    "transfer_robustness",
    "one row per changed image and layer that scores it: of the network itself the unit that the"
    " image was made for, of others the best match of the clean image",
    {
        **_IMAGE,
        **_UNIT,
        "perturbation": "clean, crop, clip (to 0..1, in 255 steps), jpeg, noise or shift",
        "level": "share of the sides that is left, JPEG quality, standard deviation of the noise in"
        " pixel space, or pixels of the shift",
        "response": "response of the unit; of shifts the mean over four directions",
        "share": "of the response to the clean image; missing if that is not above 0",
        "percentile": "percentage of the image set to which the unit responds less",
        "rank": "rank of the unit among those of its layer by z, from 0",
    },
    later("pipeline.stages.transfer.tables.transfer_robustness"),
    csv=True,
)
STAGE = Stage(
    name="transfer",
    about="show images made for units to other networks, seeds or checkpoints, and changed ones",
    plan=later("pipeline.stages.transfer.plan.plan_transfer"),
    needs=("top_patches", "ascent"),
    tables=(TRANSFER, LAYERS, ROBUSTNESS),
    check=later("pipeline.stages.transfer.plan.transfer_faults"),
    cost=later("pipeline.stages.transfer.cost.transfer_cost"),
    work=later("pipeline.stages.transfer.work.show"),
    write=later("pipeline.stages.transfer.drawing.draw"),
    sections=later("pipeline.stages.transfer.sections.unit_sections"),
    summary=later("pipeline.stages.transfer.tables.summary"),
)
