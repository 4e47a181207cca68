"""Stage: correlate what was added from different inits."""

from pipeline.stages.stage import Stage, Table, later

PAIR = {
    "model": "name of the network",
    "layer": "name of the layer",
    "unit": "number of the unit; -1 for the layer as a whole",
    "copy": "number of the first image among those of its unit",
    "init_a": "first init of the pair",
    "init_b": "second init of the pair",
    "r": "Pearson's r between what was added to the two starts",
    "null_r": "r between the first image and that of another unit, at random",
    "status": "ok, undefined, or why one of the ascents failed",
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
        "model": "name of the network",
        "layer": "name of the layer",
        "init_a": "first init of the pair",
        "init_b": "second init of the pair",
        "units": "number of units with a defined r",
        "undefined": "number of units without a defined r",
        "median": "median of r",
        "mean": "mean of r",
        "q25": "first quartile of r",
        "q75": "third quartile of r",
        "ci_low": "lower end of the 95 % bootstrap interval of the median",
        "ci_high": "upper end of that interval",
        "null_median": "median of null_r",
        "noise_ceiling": "the smaller median r between float32 and float64 of both inits",
    },
    later("pipeline.stages.correlations.results.correlation_summary"),
    csv=True,
)
STAGE = Stage(
    name="correlations",
    about="correlate what was added from different inits, beside null and noise ceiling",
    plan=later("pipeline.stages.correlations.results.plan_pairs"),
    version=4,
    needs=("ascent",),
    tables=(CORRELATIONS, SUMMARY),
    write=later("pipeline.stages.correlations.work.correlate"),
    summary=later("pipeline.stages.correlations.results.findings"),
)
