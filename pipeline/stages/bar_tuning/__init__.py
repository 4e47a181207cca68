"""Stage: tuning of units to length, width, orientation, polarity and contrast of bars."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_METHOD = "name of the set of bars"
# Columns in pixels of the network, which are also given in degrees.
PIXELS = ("x", "y", "length", "width")
TUNING = Table(
    "bar_tuning",
    "one row per layer, set of bars, unit, parameter and value: a section through the best bar",
    {
        **shared("model", "layer"),
        "method": _METHOD,
        "unit": "number of the unit, its channel",
        "parameter": "length, width, orientation, polarity or contrast",
        "value": "its value: length and width in pixels, orientation in degrees from vertical,"
        " counterclockwise; polarity 1 for white on black and -1 for black on white; contrast of"
        " the bar on gray, -1 to 1, 0 for gray alone",
        "response": "response to the unit's best bar with this parameter changed, before any"
        " nonlinearity that follows the layer",
        "mean": "mean response to all bars of the set with this value and the polarity of the best"
        " bar; missing for contrast",
        "peak": "whether the response is the highest of its curve",
    },
    later("pipeline.stages.bar_tuning.results.bar_tuning"),
)
PREFERENCES = Table(
    "bar_preferences",
    "one row per layer, set of bars and unit: the best bar, and the peaks of all curves",
    {
        **shared("model", "layer"),
        "method": _METHOD,
        "unit": "number of the unit, its channel",
        "stimulus": "number of the best bar in its set, from 0",
        "response": "response to it",
        "x": "place of the best bar, to the right of the center of the field, in pixels",
        "y": "its place below the center, in pixels",
        "length": "length at the peak of the curve, in pixels",
        "width": "width at the peak, in pixels",
        "orientation": "orientation of the long axis at the peak, degrees from vertical,"
        " counterclockwise",
        "polarity": "polarity at the peak: 1 for white on black, -1 for black on white",
        "contrast": "contrast on gray at the peak, -1 to 1",
        "reason": "why numbers are missing, or are bounds because the best length or width is at"
        " the end of those that were shown; empty where neither is",
        **{f"{name}_degrees": f"{name} in degrees of visual angle" for name in PIXELS},
    },
    later("pipeline.stages.bar_tuning.results.bar_preferences"),
    csv=True,
)
STAGE = Stage(
    name="bar_tuning",
    about="measure tuning of units to length, width, orientation, polarity and contrast of bars",
    plan=later("pipeline.stages.bar_tuning.results.plan_bars"),
    tables=(TUNING, PREFERENCES),
    check=later("pipeline.stages.bar_tuning.results.bar_faults"),
    cost=later("pipeline.stages.bar_tuning.cost.bar_cost"),
    work=later("pipeline.stages.bar_tuning.work.show_bars"),
    write=later("pipeline.stages.bar_tuning.drawing.draw"),
    sections=later("pipeline.stages.bar_tuning.sections.unit_sections"),
    summary=later("pipeline.stages.bar_tuning.results.summary"),
)
