"""Stage: compare what ascents from different inits added, by many statistics and nulls."""

from pipeline.stages.columns import shared
from pipeline.stages.stage import Stage, Table, later

_PAIR = {
    "init_a": "first init of the pair",
    "init_b": "second init of the pair; the same init if its copies are compared",
}
_STATISTIC = "name of the statistic; docs/similarity.md says what each is"
_NULL = "what chance is: units, phase, noise or twin; none if no null was drawn"
SIMILARITY = Table(
    "similarity",
    "one row per layer, pair of inits, statistic, null, unit and copy",
    {
        **shared("model", "layer", "unit"),
        "copy": "number of the first image among those of its unit",
        **_PAIR,
        "statistic": _STATISTIC,
        "value": "similarity of the changes made to the two starting images, whatever the null",
        "null_kind": _NULL,
        "null": "mean of the statistic over draws of the null",
        "null_sd": "standard deviation over draws",
        "p": "(1 + draws at least as large as the value) / (1 + draws), one-sided",
        "draws": "number of draws with a defined value",
        "status": "ok, undefined, or the reason why one of the ascents failed",
    },
    later("pipeline.stages.similarity.tables.similarity"),
)
SUMMARY = Table(
    "similarity_summary",
    "one row per layer, pair of inits, statistic and null; a unit counts once, its copies averaged",
    {
        **shared("model", "layer"),
        **_PAIR,
        "statistic": _STATISTIC,
        "null_kind": _NULL,
        "value": "median over units",
        "ci_low": "lower end of its 95 % bootstrap interval over units",
        "ci_high": "upper end",
        "null": "median over draws of the median over units; of a twin, the median over its units",
        "null_low": "2.5th percentile of that over draws; of a twin, lower end of the interval",
        "null_high": "97.5th percentile; of a twin, upper end",
        "p": "(1 + draws whose median is at least as large) / (1 + draws); of a twin, by Mann and"
        " Whitney's test",
        "q": "p adjusted over layers and pairs of a statistic and null (Benjamini & Hochberg)",
        "ceiling": "the smaller median between float32 and float64 ascents of both inits; missing"
        " of own_percentile and d_prime, which do not compare both images with each other",
        "seed_ceiling": "the smaller median between copies of both inits; missing without copies",
        "units": "number of units",
        "undefined": "number of units without a value",
        "above_chance": "number of units with p of 0.05 or less; 5 % by chance alone",
        "note": "why there is no null; empty otherwise",
    },
    later("pipeline.stages.similarity.tables.similarity_summary"),
    csv=True,
)
TESTS = Table(
    "similarity_tests",
    "one row per layer and paired test over units, of inits and of runs, and per layer of a mixed"
    " model",
    {
        **shared("model", "layer"),
        "test": "inits: final responses from two inits, Wilcoxon; pairs: a statistic of two pairs"
        " of inits, Wilcoxon; runs: final responses or a statistic of two runs, such as of two"
        " optimizers, Wilcoxon; mixed: mean of a statistic by layer, by a mixed model with units as"
        " random effects",
        "measure": "final_response, or name of the statistic",
        "inits": "init, or pair of inits, of which runs are compared; empty of other tests",
        "a": "first init, pair of inits, or run (by the settings in which the runs differ); of a"
        " mixed model, all pairs",
        "b": "what it is compared with; empty of a mixed model",
        "units": "number of units with both values",
        "undefined": "number of units without both",
        "difference": "median of a - b; of a mixed model, the mean of the layer",
        "low": "lower end of the 95 % interval of a mixed model's mean",
        "high": "upper end",
        "effect": "rank-biserial correlation, 1 if a is larger in all units; of a mixed model,"
        " share of the variance within layers that is between units",
        "p": "two-sided, that the difference or the mean is 0",
        "q": "p adjusted over all layers, inits and pairs of one test and measure (Benjamini &"
        " Hochberg)",
        "note": "why there is no p; empty otherwise",
    },
    later("pipeline.stages.similarity.comparisons.similarity_tests"),
    csv=True,
)
SELECTIVITY = Table(
    "similarity_selectivity",
    "one row per layer, init, unit and copy: how selectively what was added drives its own unit",
    {
        **shared("model", "layer", "unit", "copy", "init"),
        "response": "response of the unit to what its ascent added, alone, on the mean color",
        "rank": "rank among its responses to the images of other units, 1 for the highest",
        "percentile": "percentage of the images of other units that drive it less",
        "d_prime": "response less the mean to images of other units, in their standard deviations",
    },
    later("pipeline.stages.similarity.tables.similarity_selectivity"),
    csv=True,
)
STAGE = Stage(
    name="similarity",
    about="compare what ascents from different inits added by many statistics, each with its nulls",
    plan=later("pipeline.stages.similarity.plan.plan_similarity"),
    version=2,
    needs=("ascent",),
    tables=(SIMILARITY, SUMMARY, TESTS, SELECTIVITY),
    check=later("pipeline.stages.similarity.plan.similarity_faults"),
    cost=later("pipeline.stages.similarity.cost.similarity_cost"),
    work=later("pipeline.stages.similarity.work.compare_pairs"),
    write=later("pipeline.stages.similarity.drawing.draw"),
    sections=later("pipeline.stages.similarity.sections.unit_sections"),
    summary=later("pipeline.stages.similarity.findings.findings"),
)
