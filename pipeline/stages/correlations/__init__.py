"""Stage: correlate what ascents from different inits added to their starting images."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

PAIR = {
    **shared("model", "layer", "unit"),
    "copy": "number of the first image among those of its unit",
    "init_a": "first init of the pair",
    "init_b": "second init of the pair",
    "r": "Pearson's r between the changes made to the two starting images",
    "null_r": "r between the first image and the image of another unit, chosen at random",
    "status": "ok, undefined, or the reason why one of the ascents failed",
}
CORRELATIONS = Table(
    "correlations",
    "one row per layer, pair of inits, unit and copy",
    PAIR,
    later("pipeline.stages.correlations.results.correlations"),
    csv=True,
)
SUMMARY = Table(
    "correlation_summary",
    "one row per layer and pair of inits; statistics over units",
    {
        **shared("model", "layer"),
        "init_a": "first init of the pair",
        "init_b": "second init of the pair",
        "units": "number of units with a defined r",
        "undefined": "number of units without a defined r",
        "median": "median of r",
        "mean": "mean of r",
        "q25": "first quartile of r",
        "q75": "third quartile of r",
        "ci_low": "lower end of the 95% bootstrap interval of the median",
        "ci_high": "upper end of that interval",
        "null_median": "median of null_r",
        "noise_ceiling": "the smaller median r between float32 and float64 of both inits",
    },
    later("pipeline.stages.correlations.results.correlation_summary"),
    csv=True,
)
STAGE = Stage(
    name="correlations",
    about="correlate what ascents from different inits added, with a null and a noise ceiling",
    plan=later("pipeline.stages.correlations.results.plan_pairs"),
    version=4,
    needs=("ascent",),
    tables=(CORRELATIONS, SUMMARY),
    write=later("pipeline.stages.correlations.work.correlate"),
    summary=later("pipeline.stages.correlations.results.findings"),
)
