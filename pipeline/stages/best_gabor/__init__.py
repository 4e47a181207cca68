"""Stage: the Gabor that each unit responds to most, beside its ascent image and its top patch."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

BEST_GABOR = Table(
    "best_gabor",
    "one row per layer and unit: its best Gabor, and the responses at equal RMS contrast",
    {
        **shared("model", "layer"),
        "unit": "number of the unit, its channel",
        "x": "center of the Gabor: pixels to the right of the center of the field",
        "x_degrees": "the same in degrees of visual angle, as of all lengths",
        "y": "pixels below the center of the field",
        "y_degrees": "the same in degrees",
        "orientation": "direction in which the Gabor changes, degrees clockwise from rightward, 0"
        " to below 180, as of tuning",
        "frequency": "cycles per pixel",
        "frequency_per_degree": "cycles per degree",
        "phase": "degrees of a cosine at the center, 0 to below 360",
        "sigma_along": "standard deviation along the orientation, in pixels",
        "sigma_along_degrees": "the same in degrees",
        "sigma_across": "standard deviation across the orientation, in pixels",
        "sigma_across_degrees": "the same in degrees",
        "nx": "standard deviation along the orientation, in cycles",
        "ny": "standard deviation across the orientation, in cycles",
        "color_0": "color by channel, of a mean square of 1",
        "color_1": "likewise; missing if the network has fewer channels",
        "color_2": "likewise",
        "rms": "contrast of all images: root mean square of network input over the pixels and"
        " channels of the field",
        "blank": "response to the mean color",
        "response": "response to the best Gabor",
        "grid_response": "response to the best Gabor of the grid",
        "gain": "(response - blank) / (grid_response - blank)",
        "peak": "largest value of the Gabor, as a multiple of the largest that pixels can have;"
        " above 1 where no screen can show it",
        "patch_response": "response to the top patch at this contrast",
        "gabor_over_patch": "(response - blank) / (patch_response - blank)",
        "patch_rank": "rank of the patch: the first of the best ten inside its image, or else 0",
        "patch_inside": "whether it lies inside its image",
        "patch_peak": "its largest value, like peak",
        "ascent_response": "highest response to an ascent image of any init and copy at this"
        " contrast",
        "gabor_over_ascent": "(response - blank) / (ascent_response - blank)",
        "ascent_init": "init of that ascent",
        "ascent_copy": "number of the image among those of its unit and init",
        "ascent_peak": "its largest value, like peak",
        "at_bound": "names of the parameters that are at a bound of what was allowed",
        "improved": "whether the climb found a better Gabor than the grid",
        "reason": "why numbers are missing; empty if none are",
    },
    later("pipeline.stages.best_gabor.tables.best_gabor"),
    csv=True,
)
STAGE = Stage(
    name="best_gabor",
    about="find the Gabor that each unit responds to most, and compare it with other images",
    plan=later("pipeline.stages.best_gabor.plan.plan_gabors"),
    needs=("top_patches", "ascent"),
    tables=(BEST_GABOR,),
    check=later("pipeline.stages.best_gabor.plan.gabor_faults"),
    cost=later("pipeline.stages.best_gabor.cost.gabor_cost"),
    work=later("pipeline.stages.best_gabor.work.find_gabors"),
    write=later("pipeline.stages.best_gabor.drawing.draw"),
    sections=later("pipeline.stages.best_gabor.sections.unit_sections"),
    summary=later("pipeline.stages.best_gabor.tables.summary"),
)
