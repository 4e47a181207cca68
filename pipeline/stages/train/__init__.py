"""Stage: train the embedded network, or its decoder, on drawn stimuli."""

from pipeline.stages.stage import Stage, later

STAGE = Stage(
    name="train",
    about="train the embedded network, or its decoder, on drawn stimuli",
    network=False,
    repeats=False,
    check=later("pipeline.stages.train.work.training_faults"),
    write=later("pipeline.stages.train.work.train"),
)
