"""Stage: fractions of opponent units of finished runs, beside those of their controls."""

from pipeline.stages.columns import shared
from pipeline.stages.opponency import FRACTIONS
from pipeline.stages.stage import Stage, Table, later

_RULE = ("kind", "baseline", "require_positive_baseline", "at", "class")
CONTROLS = Table(
    "opponency_controls",
    "one row per condition, layer, kind, stage of the nonlinearity, baseline, demand and class: how"
    " many units are of that class, over all networks of the condition",
    {
        "condition": "the settings in which the runs differ, but for the seed, as text",
        **shared("model", "layer"),
        **{name: FRACTIONS.columns[name] for name in _RULE},
        "networks": "how many networks the condition has: seeds of random or shuffled weights",
        "fraction": "fraction of the units of a network with this class, mean over networks",
        "sd": "standard deviation over networks; missing of one",
        "low": "lower end of the 95 % interval: of the mean over networks (Student), or, of one"
        " network, over its units (Wilson)",
        "high": "upper end",
    },
    later("pipeline.stages.opponency_controls.results.opponency_controls"),
    csv=True,
)
STAGE = Stage(
    name="opponency_controls",
    about="gather finished runs of opponency: networks beside random, shuffled and gray controls",
    plan=later("pipeline.stages.opponency_controls.results.plan_controls"),
    needs=("opponency",),
    tables=(CONTROLS,),
    network=False,
    repeats=False,
    write=later("pipeline.stages.opponency_controls.work.draw"),
)
