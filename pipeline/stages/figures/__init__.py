"""Stage: draw the figures of a run from its results."""

from pipeline.stages.stage import Stage, later

STAGE = Stage(
    name="figures",
    about="draw figures of everything that the store holds for this configuration",
    needs=("correlations",),
    write=later("pipeline.stages.figures.work.draw"),
)
