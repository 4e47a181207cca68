"""Stage: spectral, spatial and double opponency of units, by hues and gratings."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_RULE = {
    "kind": "spectral (hues), spatial (achromatic gratings), or double (both)",
    "baseline": "empty field whose response is the baseline: black, gray or white",
    "require_positive_baseline": "whether only units with a baseline above 0 may be opponent",
    "at": "whether responses are those before (pre) or after (post) the nonlinearity; pre+post of"
    " double opponency: hues before, gratings after, as published",
}
UNITS = Table(
    "opponency",
    "one row per layer, kind, stage of the nonlinearity, baseline, demand and unit: its class",
    {
        **shared("model", "layer"),
        "unit": "number of the unit, its channel",
        "kind": _RULE["kind"],
        "class": "opponent (some responses are above and some below the baseline), non-opponent,"
        " unresponsive (all are the baseline) or undefined",
        "baseline": _RULE["baseline"],
        "require_positive_baseline": _RULE["require_positive_baseline"],
        "at": _RULE["at"],
        "baseline_response": "response to that field; missing of double opponency",
        "max_response": "highest response to a hue or a grating; missing of double opponency",
        "min_response": "lowest response; missing of double opponency",
        "max_hue": "hue of the highest response, degrees from red towards yellow; missing unless"
        " the unit responds to hues",
        "max_name": "its name: red, yellow, green, cyan, blue or magenta",
        "min_hue": "hue of the lowest response, in degrees",
        "min_name": "its name",
        "max_orientation": "direction in which the grating of the highest response changes, degrees"
        " clockwise from rightward, 0 to below 180, as of tuning; missing unless the unit responds"
        " to gratings",
        "max_cycles": "its cycles in the width of the input",
        "max_phase": "its phase: cycles from the center to a crest in that direction",
        "min_orientation": "orientation of the grating of the lowest response",
        "min_cycles": "its cycles in the width of the input",
        "min_phase": "its phase, in cycles",
        "reason": "why the class is undefined; empty where it is not",
    },
    later("pipeline.stages.opponency.results.opponency"),
)
FRACTIONS = Table(
    "opponency_fractions",
    "one row per layer, kind, stage of the nonlinearity, baseline, demand and class: how many units"
    " are of that class, with 95 % intervals over units",
    {
        **shared("model", "layer"),
        **_RULE,
        "class": "opponent, non-opponent or unresponsive",
        "units": "how many units have a class; layers without such a unit have no rows",
        "count": "how many of them have this one",
        "fraction": "count divided by units",
        "low": "lower end of its 95 % interval (Wilson)",
        "high": "upper end",
    },
    later("pipeline.stages.opponency.results.opponency_fractions"),
    csv=True,
)
STAGE = Stage(
    name="opponency",
    about="find which units are excited by some hues or gratings and inhibited by others",
    version=2,
    plan=later("pipeline.stages.opponency.results.plan_opponency"),
    tables=(UNITS, FRACTIONS),
    check=later("pipeline.stages.opponency.results.channel_faults"),
    cost=later("pipeline.stages.opponency.cost.opponency_cost"),
    work=later("pipeline.stages.opponency.work.show_colors"),
    write=later("pipeline.stages.opponency.drawing.draw"),
    sections=later("pipeline.stages.opponency.sections.unit_sections"),
    summary=later("pipeline.stages.opponency.results.summary"),
)
