"""Stage: gather the finished runs of a sweep into one pair of tables and their figure."""

from pipeline.stages.columns import shared
from pipeline.stages.correlations import CORRELATIONS, SUMMARY
from pipeline.stages.stage import Stage, Table, later

# A job is named by the settings in which the runs of the sweep differ.
JOB = {
    "job": "the settings in which the jobs differ, as text",
    **shared("model"),
    "weights": "file name of its weights",
    **shared("objective", "optimizer"),
    "seed": "seed of the run",
    "precision": "precision of the ascents",
}
SWEEP_CORRELATIONS = Table(
    "sweep_correlations",
    "the table of correlations of every job",
    JOB | dict(CORRELATIONS.columns),
    later("pipeline.stages.collect.results.sweep_correlations"),
)
SWEEP_SUMMARY = Table(
    "sweep_summary",
    "the table correlation_summary of every job",
    JOB | dict(SUMMARY.columns),
    later("pipeline.stages.collect.results.sweep_summary"),
    csv=True,
)
STAGE = Stage(
    name="collect",
    about="gather the finished runs of a sweep into one pair of tables and their figure",
    plan=later("pipeline.stages.collect.results.plan_collection"),
    needs=("correlations",),
    tables=(SWEEP_CORRELATIONS, SWEEP_SUMMARY),
    network=False,
    repeats=False,
    write=later("pipeline.stages.collect.work.collect_runs"),
    group=later("pipeline.stages.collect.results.tracking_group"),
)
