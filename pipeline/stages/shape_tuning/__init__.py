"""Stage: tuning of units to shapes, as in area V4, and its invariance to position."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

TUNING = Table(
    "shape_tuning",
    "one row per layer and unit: its tuning to shapes (Pospisil, Pasupathy & Bair 2018)",
    {
        **shared("model", "layer"),
        "unit": "number of the unit, its channel",
        "apc_r": "correlation of responses to the centered shapes with the best of 65,536 models of"
        " tuning to curvature at an angular position (APC)",
        "mu_angle": "preferred angular position, degrees counterclockwise from the right",
        "mu_curvature": "preferred curvature, squashed into -1 to 1; convex is positive",
        "spread_angle": "1 / kappa of the von Mises function of angle, given in degrees",
        "spread_curvature": "standard deviation of the normal function of curvature",
        "null_r": "median of r of shuffled responses; missing if shape_tuning.shuffles is 0",
        "null_r_95": "95th percentile of r of shuffled responses; missing if shape_tuning.shuffles"
        " is 0",
        "translation_invariance": "covariance of responses between positions divided by the product"
        " of their standard deviations, both summed over pairs; 1 if position changes only the"
        " gain",
        "positions_inside": "positions that count for it: the shapes lie inside the field; 0 where"
        " no model is fitted",
        "kurtosis": "of responses over shapes; 3 if normal",
        "sparseness": "of responses above 0 over shapes, 0 to 1; missing if there are none",
        "best_shape": "shape of the largest response",
        "best_rotation": "its rotation, degrees counterclockwise",
        "worst_shape": "shape of the smallest response",
        "worst_rotation": "its rotation, degrees counterclockwise",
        "reason": "why the fit or translation invariance is missing; empty where neither is",
    },
    later("pipeline.stages.shape_tuning.results.shape_tuning"),
    csv=True,
)
SUMMARY = Table(
    "shape_tuning_summary",
    "one row per layer: its tuning to shapes, with 95 % intervals over units",
    {
        **shared("model", "layer"),
        "units": "how many units",
        "fitted": "how many of them a model is fitted to",
        "median_r": "median of apc_r over fitted units",
        "tuned": "share of fitted units with apc_r above 0.5",
        "tuned_low": "lower end of its 95 % interval (Wilson)",
        "tuned_high": "upper end",
        "null_r": "median of null_r over fitted units; missing if shape_tuning.shuffles is 0",
        "moved": "how many units have a translation invariance",
        "median_invariance": "its median over these",
        "invariance_low": "lower end of the 95 % interval of the median (bootstrap)",
        "invariance_high": "upper end",
    },
    later("pipeline.stages.shape_tuning.results.shape_tuning_summary"),
    csv=True,
)
STIMULI = Table(
    "shape_stimuli",
    "one row per shape and rotation: the rows of every array of responses to shapes",
    {
        "row": "row of the arrays, from 0",
        "shape": "number of the shape, 0 to 50",
        "rotation": "degrees counterclockwise",
    },
    later("pipeline.stages.shape_tuning.results.shape_stimuli"),
    csv=True,
)
STAGE = Stage(
    name="shape_tuning",
    about="fit models of V4 neurons to responses to shapes, and compare positions",
    plan=later("pipeline.stages.shape_tuning.results.plan_shapes"),
    tables=(TUNING, SUMMARY, STIMULI),
    check=later("pipeline.stages.shape_tuning.results.color_faults"),
    cost=later("pipeline.stages.shape_tuning.cost.shape_cost"),
    work=later("pipeline.stages.shape_tuning.work.show_shapes"),
    write=later("pipeline.stages.shape_tuning.drawing.draw"),
    sections=later("pipeline.stages.shape_tuning.sections.unit_sections"),
    summary=later("pipeline.stages.shape_tuning.results.summary"),
)
